"""Regressors and classifiers on a table of features, with settings for 50 to 1000 labels.

This is the one place that has these settings.
"""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from .._heads.block_gaussian_process import BlockGaussianProcessRegressor
from .._heads.tabular import tabular_regressor
from .._shared.arms import CLASSIFIERS, HEADS, TABULAR_HEADS


def head_steps(name, n_columns, random_state=None):
    """Pipeline steps of a head: a scaler where the head needs one, and the regressor.

    Settings were chosen on formulas held out of the training rows, the same for all targets and encoders.

    Parameters
    ----------
    name : str
        A key of ``HEADS`` or ``TABULAR_HEADS``.
    n_columns : int
        Number of features.
    random_state : int, RandomState instance or None, default=None
        Seed of trees and network.

    Returns
    -------
    list of estimators

    Raises
    ------
    ValueError
        If the name is unknown, or a tabular foundation model has no weights.
    """
    if name in TABULAR_HEADS:
        return [tabular_regressor(name, random_state)]
    if name not in HEADS:
        raise ValueError(f"unknown head {name!r}; available: {', '.join([*HEADS, *TABULAR_HEADS])}")
    if name == "trees":
        return [ExtraTreesRegressor(300, random_state=random_state)]
    if name == "block_gp":
        return [BlockGaussianProcessRegressor()]
    if name == "ridge":
        return [StandardScaler(), RidgeCV(np.logspace(-2, 4, 13))]
    if name == "mlp":
        # 50 rows of 128 columns need weight decay; L-BFGS converges where Adam stops early. In single precision, which
        # MLPRegressor would keep, its line search can fail close to the minimum.
        options = {"solver": "lbfgs", "alpha": 10.0, "max_iter": 5000, "tol": 3e-3, "random_state": random_state}
        in_double = FunctionTransformer(np.float64, feature_names_out="one-to-one")
        return [in_double, StandardScaler(), MLPRegressor(hidden_layer_sizes=(64,), **options)]
    # The kernel is fixed: maximising the likelihood without priors is no better at 50 labels, ends on its bounds, and
    # is worse for band gaps, whose errors are not normal. Two rows of standardised columns are about
    # sqrt(2 * n_columns) apart, hence the length.
    kernel = ConstantKernel(5.0) * Matern(2 * np.sqrt(n_columns), nu=1.5) + WhiteKernel(0.1)
    return [StandardScaler(), GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)]


def classifier_steps(name, random_state=None):
    """Pipeline steps of a classifier: a scaler where it needs one, and the classifier.

    Settings were chosen by the log loss on formulas held out of training rows.

    Parameters
    ----------
    name : str
        A key of ``CLASSIFIERS``.
    random_state : int, RandomState instance or None, default=None
        Seed of trees.

    Returns
    -------
    list of estimators

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in CLASSIFIERS:
        raise ValueError(f"unknown head {name!r} for classification; available: {', '.join(CLASSIFIERS)}")
    if name == "trees":
        # With single samples in the leaves, probabilities of 50 labels are too certain.
        return [ExtraTreesClassifier(300, min_samples_leaf=3, random_state=random_state)]
    return [StandardScaler(), LogisticRegression(C=0.02, max_iter=1000)]
