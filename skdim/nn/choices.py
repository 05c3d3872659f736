"""Names of options, without torch, so that estimators can be created without importing it."""

#: Kinds of negative samples.
NEGATIVES = ("batch", "composition", "structure", "permuted")
#: Defaults of the local block.
LOCAL_NEGATIVES = ("batch",)
#: Names of the geometric part of a site's local environment (:func:`skdim.nn.descriptors.environments`).
GEOMETRY = ("neighbour_distance", "log_packing", "log_coordination")
