"""The models that a property is fitted with when nobody chooses one: what docs/which_arm.md recommends, by name."""

from __future__ import annotations

import numpy as np
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .._regressor.regressor import SiteNetRegressor
from .._statistics.composition import CompositionStatistics
from .._statistics.structure import StructureStatistics

#: What there is, and what it does in a few words.
ARMS = {
    "mean": "the mean of the labels, whatever the crystal",
    "composition": "trees on statistics of the elements: the simple baseline, knows no structure",
    "structure": "Gaussian process on statistics of sites and neighbours; nothing pre-trained",
    "representation": "Gaussian process on the frozen vectors of a pre-trained encoder",
    "supervised": "the Site-Net, trained from random weights",
    "transfer": "the Site-Net, trained from the pre-trained weights",
}
#: Those that need a pre-trained embedder.
PRETRAINED = ("representation", "transfer")


def make_arm(name, embedder=None, *, random_state=None, max_epochs=None, device="auto", verbose=0):
    """A regressor on Crystals that suits 50 to 1000 labels, by the name of what it learns from.

    These are the models that ``skdim fit`` and ``skdim evaluate`` use:

    ==================  ==========================================================================
    ``mean``            the mean of the labels, whatever the crystal
    ``composition``     trees on statistics of the elements: the simple baseline, knows no structure
    ``structure``       Gaussian process on statistics of sites and neighbours; nothing pre-trained
    ``representation``  Gaussian process on the frozen vectors of a pre-trained encoder
    ``supervised``      the Site-Net, trained from random weights
    ``transfer``        the Site-Net, trained from the pre-trained weights
    ==================  ==========================================================================

    Parameters
    ----------
    name : str
        One of the above.
    embedder : DeepInfoMaxEmbedder, default=None
        Fitted; "representation" and "transfer" need it.
    random_state : int, RandomState instance or None, default=None
        Of the trees and of the networks.
    max_epochs : int, default=None
        Of the networks; None takes their own.
    device : str, default="auto"
        That networks are trained on.
    verbose : int, default=0
        Of the networks.

    Returns
    -------
    estimator : estimator
        Unfitted; ``mean`` is a DummyRegressor, the networks are a :class:`~skdim.SiteNetRegressor`, others a Pipeline.

    Raises
    ------
    ValueError
        If there is no such arm, or it lacks its embedder.

    See Also
    --------
    cross_validate_arms : Test arms on formulas that they were not trained on.
    label_efficiency : Compare arms by the labels that they need.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder
    >>> from skdim.model_selection import make_arm
    >>> arm = make_arm("representation", DeepInfoMaxEmbedder.from_pretrained())
    >>> list(arm.named_steps)
    ['frozenestimator', 'standardscaler', 'gaussianprocessregressor']
    """
    if name not in ARMS:
        raise ValueError(f"there is no arm {name!r}; there are {', '.join(ARMS)}")
    if embedder is None and name in PRETRAINED:
        raise ValueError(f"arm {name!r} needs a pre-trained embedder")
    if name == "mean":
        return DummyRegressor()
    if name == "composition":
        return make_pipeline(CompositionStatistics(), ExtraTreesRegressor(300, random_state=random_state))
    if name == "structure":
        statistics = StructureStatistics()
        return make_pipeline(statistics, *_gaussian_process(len(statistics.get_feature_names_out())))
    if name == "representation":
        return make_pipeline(FrozenEstimator(embedder), *_gaussian_process(len(embedder.get_feature_names_out())))
    options = {"random_state": random_state, "device": device, "verbose": verbose}
    if max_epochs is not None:
        options["max_epochs"] = max_epochs
    if name == "transfer":
        same = ("n_components", "local_dim", "n_blocks", "n_heads", "encoder_params")
        options |= {"pretrained": FrozenEstimator(embedder), **{each: getattr(embedder, each) for each in same}}
    return SiteNetRegressor(**options)


def _gaussian_process(n_columns):
    # A fixed kernel: on 50 labels the likeliest one is no better, and ends on its bounds. Two rows of standardised
    # columns are about sqrt(2 * columns) apart, hence the length.
    kernel = ConstantKernel(5.0) * Matern(2 * np.sqrt(n_columns), nu=1.5) + WhiteKernel(0.1)
    return StandardScaler(), GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
