"""The models that docs and command line recommend and compare, by name."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from sklearn.base import clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from .._classifier.classifier import SiteNetClassifier
from .._regressor.regressor import SiteNetRegressor
from .._shared.arms import ARMS, COMBINED, NETWORKS, PRETRAINED, TASKS
from .._statistics.composition import CompositionStatistics
from .._statistics.structure import StructureStatistics
from ._arm_heads import classifier_steps, head_steps
from ._combined_arms import make_combined
from ._label_draws import entropy_of

#: What a network shares with the encoder that it starts from, or is compared with.
_SHARED = ("n_components", "local_dim", "n_blocks", "n_heads", "encoder_params", "representation")


def make_arm(
    name,
    embedder=None,
    *,
    task="regression",
    head=None,
    features=(),
    random_state=None,
    max_epochs=None,
    device="auto",
    verbose=0,
) -> Any:
    """Make a regressor or a classifier on Crystals with settings for 50 to 1000 labels.

    These are the models that ``skdim fit`` and ``skdim evaluate`` use. Each is an arm of the comparison, as in a
    clinical trial:

    ==================  ======================================================================================
    ``best``            Gaussian process, trees and transfer, alone or averaged: chosen by cross-validation
    ``average``         average of Gaussian process and trees on statistics and vectors
    ``mean``            the mean of the labels, whatever the crystal
    ``composition``     trees on statistics of the elements: the simple baseline, ignores the structure
    ``structure``       Gaussian process on statistics of sites and neighbours; nothing pre-trained
    ``representation``  Gaussian process on the frozen vectors of a pre-trained encoder
    ``untrained``       the same with the encoder's initial weights: shows what pre-training adds
    ``supervised``      Site-Net trained from random weights
    ``transfer``        Site-Net trained from the pre-trained weights
    ==================  ======================================================================================

    ``best`` takes Gaussian process and trees on statistics and vectors; its network is ``transfer``.

    For classes, logistic regression replaces the Gaussian process, ``mean`` is the shares of the classes, and ``best``
    and ``average`` are the average of logistic regression and trees.

    Parameters
    ----------
    name : str
        One of the above.
    embedder : fitted DeepInfoMaxEmbedder, or list of these, default=None
        Required by "representation", "untrained" and "transfer". "supervised" takes its encoder settings, if given, so
        that it trains the same network as "transfer". "best" and "average" take several: the vectors of each are a
        block of columns with a separate kernel, and the network of "best" starts from the last. For them, None stands
        for both sets of weights that are included in skdim, "structures" and "properties".
    task : {"regression", "classification"}, default="regression"
        Whether labels are numbers or classes.
    head : {"gp", "block_gp", "trees", "ridge", "mlp", "tabpfn", "tabicl"}, default=None
        Regressor on the features, for "composition", "structure", "representation" and "untrained": a Gaussian process
        with a fixed kernel, a :class:`~skdim.BlockGaussianProcessRegressor`, extremely randomised trees, ridge
        regression, or a network with one hidden layer of 64 units as in the paper. "tabpfn" and "tabicl" are tabular
        foundation models: their packages must be installed, and the environment variable SKDIM_TABPFN_WEIGHTS or
        SKDIM_TABICL_WEIGHTS must be the path of the weights of their regressor, as nothing is downloaded. None takes
        trees for "composition" and "gp" for the others. For classification, "logistic" (the default) or "trees".
    features : sequence of (str, transformer), default=()
        Further blocks of columns for "best" and "average": transformers of Crystals.
    random_state : int, RandomState instance or None, default=None
        Seed of trees and networks, and of the initial weights of "untrained". None keeps the initial weights that the
        embedder itself started from.
    max_epochs : int, default=None
        Epochs of the networks; None takes the default of :class:`~skdim.SiteNetRegressor`.
    device : str, default="auto"
        Device that networks train on, and that included weights are loaded to.
    verbose : int, default=0
        Verbosity of "supervised" and "transfer".

    Returns
    -------
    estimator : estimator
        Unfitted: a DummyRegressor for "mean", a :class:`~skdim.SiteNetRegressor` for the networks, a
        :class:`~skdim.FewLabelsRegressor` for "best" and "average", whose ``choice_`` and ``cv_errors_`` say what was
        chosen and why, else a Pipeline.
        For classification, a DummyClassifier, a :class:`~skdim.SiteNetClassifier`, or a Pipeline.

    Raises
    ------
    ValueError
        If the name, the task or the head is unknown, the model needs an embedder that is missing or takes one only, or
        it has no head or features to choose.

    See Also
    --------
    cross_validate_arms : Compare models by cross-validation over formulas.
    label_efficiency : Compare models by the labels that they need.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.model_selection import make_arm
    >>> arm = make_arm("representation", DeepInfoMaxEmbedder.from_pretrained())
    >>> list(arm.named_steps)
    ['frozenestimator', 'standardscaler', 'gaussianprocessregressor']
    """
    if name not in ARMS:
        raise ValueError(f"unknown model {name!r}; available: {', '.join(ARMS)}")
    if task not in TASKS:
        raise ValueError(f"unknown task {task!r}; available: {', '.join(TASKS)}")
    is_class = task == "classification"
    if embedder is None and name in PRETRAINED and name not in COMBINED:
        raise ValueError(
            f"model {name!r} needs a pre-trained embedder: make_arm({name!r}, DeepInfoMaxEmbedder.from_pretrained())"
        )
    if head is not None and name in ("mean", *COMBINED, *NETWORKS):
        raise ValueError(f"model {name!r} has no head to choose; got head={head!r}")
    options = {"random_state": random_state, "device": device, "verbose": verbose}
    if max_epochs is not None:
        options["max_epochs"] = max_epochs
    if name in COMBINED:
        return make_combined(name, embedder, features, options, is_class)
    if len(features):
        raise ValueError(f"model {name!r} takes no further features; only {' and '.join(COMBINED)} do")
    if isinstance(embedder, list | tuple):
        if len(embedder) != 1:
            raise ValueError(f"model {name!r} takes one embedder; only {' and '.join(COMBINED)} take several")
        embedder = embedder[0]
    if name == "mean":
        return DummyClassifier(strategy="prior") if is_class else DummyRegressor()
    if name in NETWORKS:
        network = (SiteNetClassifier if is_class else SiteNetRegressor)(**options)
        return network if embedder is None else like_encoder(network, embedder, pretrained=name == "transfer")
    if name == "composition":
        features, head = CompositionStatistics(), head or "trees"
    elif name == "structure":
        features = StructureStatistics()
    elif name == "representation":
        features = FrozenEstimator(embedder)
    else:
        features = FrozenEstimator(untrained_copy(embedder, random_state))
    if is_class:
        return make_pipeline(features, *classifier_steps(head or "logistic", random_state))
    return make_pipeline(features, *head_steps(head or "gp", len(features.get_feature_names_out()), random_state))


def like_encoder(network, embedder, pretrained):
    """Clone a network with the encoder settings of a fitted embedder, to start from it if ``pretrained``."""
    settings = {each: getattr(embedder, each) for each in _SHARED}
    return clone(network).set_params(**settings, pretrained=FrozenEstimator(embedder) if pretrained else None)


def untrained_copy(embedder, random_state=None):
    """Copy a fitted embedder with the weights that it had before the first epoch, or with other initial weights."""
    while isinstance(embedder, FrozenEstimator):
        embedder = embedder.estimator
    embedder = deepcopy(embedder).set_params(max_epochs=0)
    if random_state is not None:
        embedder.net_.seed = entropy_of(random_state)
    embedder.history_ = embedder.net_.initialize().history
    embedder.n_iter_ = 0
    vars(embedder).pop("pretrained_info_", None)  # it describes other weights
    return embedder
