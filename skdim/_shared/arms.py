"""Names of the models that are compared, each with a short description.

Plain text, so that ``skdim --help`` needs no library. :func:`skdim.model_selection.make_arm` makes the models.
"""

ARMS = {
    "best": "Gaussian process, trees and transfer, alone or averaged: chosen by cross-validation",
    "average": "average of Gaussian process and trees on statistics and vectors",
    "mean": "the mean of the labels, whatever the crystal",
    "composition": "trees on statistics of the elements: the simple baseline, ignores the structure",
    "structure": "Gaussian process on statistics of sites and neighbours; nothing pre-trained",
    "representation": "Gaussian process on the frozen vectors of a pre-trained encoder",
    "untrained": "the same with the encoder's initial weights: shows what pre-training adds",
    "supervised": "Site-Net trained from random weights",
    "transfer": "Site-Net trained from the pre-trained weights",
}
#: Controls: for comparisons, not for predictions.
CONTROLS = ("mean", "untrained")
#: Models that need a pre-trained embedder.
PRETRAINED = ("best", "average", "representation", "untrained", "transfer")
#: Models that are networks, with epochs.
NETWORKS = ("supervised", "transfer")
#: Models that choose their regressor themselves.
COMBINED = ("best", "average")
#: Kinds of labels.
TASKS = ("regression", "classification")
#: Classifiers that a model of features can end in; "logistic" by default, "trees" for "composition".
CLASSIFIERS = {
    "logistic": "logistic regression",
    "trees": "300 extremely randomised trees",
}
#: Regressors that a model of features can end in.
HEADS = {
    "gp": "Gaussian process with a fixed Matern 3/2 kernel",
    "block_gp": "Gaussian process with a fitted kernel for each block of columns",
    "trees": "300 extremely randomised trees",
    "ridge": "ridge regression, regularisation chosen by leave-one-out error",
    "mlp": "network with one hidden layer of 64 units, as in the paper",
}
#: Heads that are tabular foundation models: only with their package and a file of weights.
TABULAR_HEADS = {
    "tabpfn": "TabPFN, with the weights in the file that SKDIM_TABPFN_WEIGHTS names",
    "tabicl": "TabICL, with the weights in the file that SKDIM_TABICL_WEIGHTS names",
}
