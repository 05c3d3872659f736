"""Names of what can be chosen; without torch, so that an estimator can be made without it."""

#: Kinds of false partners.
NEGATIVES = ("batch", "composition", "structure", "permuted")
#: Names of the geometric part of a site's surroundings (:func:`skdim.nn.descriptors.environments`).
GEOMETRY = ("neighbour_distance", "log_packing", "log_coordination")
