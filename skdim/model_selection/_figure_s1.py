"""The comparison of the paper's figure S1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from .._regressor.regressor import SiteNetRegressor
from ._arms import like_encoder, make_arm
from ._compared_rows import compared_rows
from ._label_draws import TRAIN_SIZES, checked_sizes, entropy_of
from ._label_efficiency import label_efficiency

if TYPE_CHECKING:
    import pandas as pd

#: From this number of labels on, the paper has a quarter of the draws of small models: 25 instead of 100.
_FEWER_DRAWS = 1000


def figure_s1(
    embedder,
    X,
    y,
    *,
    X_test=None,
    y_test=None,
    train_sizes=None,
    n_draws=100,
    n_network_draws=12,
    network=None,
    random_state=0,
    results_file=None,
    n_jobs=None,
    verbose=0,
) -> pd.DataFrame:
    """Run the comparison of the paper's figure S1: pre-trained or not, frozen or fine-tuned, with few labels.

    Four models on the same random draws of labels, tested on the same crystals:

    ==================  ================================================================================
    ``representation``  frozen vectors of the embedder, under a network with one hidden layer of 64 units
    ``untrained``       the same with the initial weights of the embedder
    ``transfer``        Site-Net with a head of 64 units, all weights trained, started from the embedder
    ``supervised``      the same Site-Net from random weights
    ==================  ================================================================================

    Parameters
    ----------
    embedder : fitted DeepInfoMaxEmbedder
        Pre-trained on crystals whose formulas are not among the test rows.
    X : Crystals of shape (n_crystals,)
        Crystals that labels are drawn from.
    y : array-like of shape (n_crystals,)
        Labels.
    X_test, y_test : as X and y, default=None
        Test rows. None holds out 20 % of the formulas of X.
    train_sizes : sequence of int, default=None
        Numbers of labels. None takes those of 50, 100, 250 and 1000 that the data allow.
    n_draws : int, default=100
        Label draws of "representation" and "untrained"; a quarter of it from 1000 labels on, as in the paper.
    n_network_draws : int, default=12
        Label draws of the networks, which are the first of the others.
    network : SiteNetRegressor, default=None
        Settings of the two networks, such as ``SiteNetRegressor.paper()``, except those of the encoder, which are the
        embedder's. None takes the defaults.
    random_state : int, default=0
        Seed of draws and models.
    results_file, n_jobs, verbose
        As in :func:`label_efficiency`: with ``results_file`` an interrupted run is resumed.

    Returns
    -------
    DataFrame
        As :func:`label_efficiency` returns it.

    Raises
    ------
    ValueError
        If there are too few crystals for any of the sizes, or as in :func:`label_efficiency`.

    See Also
    --------
    skdim.plotting.FigureS1Display : Box plots of the result, a panel for each property.
    make_arm : Makes the four models.

    References
    ----------
    Moran, Gaultois, Gusev, Antypov, Rosseinsky, "Establishing Deep InfoMax as an effective self-supervised learning
    methodology in materials informatics", Digital Discovery 2025, 10.1039/D4DD00202D; supporting information.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
    >>> from skdim.datasets import make_crystals
    >>> from skdim.model_selection import figure_s1
    >>> structures, y = make_crystals(60, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(X[:40])
    >>> data = {"X_test": X[40:], "y_test": y[40:], "train_sizes": [10]}
    >>> network = SiteNetRegressor(max_epochs=1)
    >>> table = figure_s1(embedder, X[:40], y[:40], **data, n_draws=4, n_network_draws=2, network=network)
    >>> table["arm"].value_counts(sort=False).to_dict()
    {'representation': 4, 'untrained': 4, 'transfer': 2, 'supervised': 2}
    """
    # The same rows as label_efficiency takes: it holds out the same ones for the same seed.
    pool = compared_rows(X, y, X_test, y_test, 0.2, None, entropy_of(random_state)).pool
    if train_sizes is None:
        train_sizes = [n for n in TRAIN_SIZES if n <= len(pool)] or TRAIN_SIZES[:1]
    sizes = checked_sizes(train_sizes, len(pool))
    models = {name: make_arm(name, embedder, head="mlp") for name in ("representation", "untrained")}
    network = SiteNetRegressor() if network is None else network
    models |= {name: like_encoder(network, embedder, name == "transfer") for name in ("transfer", "supervised")}
    by_size = {n: max(1, n_draws // 4) if n >= _FEWER_DRAWS else n_draws for n in sizes}
    # The matrices are small: several threads of BLAS only wait for each other.
    with threadpool_limits(1, user_api="blas"):
        return label_efficiency(
            models,
            X,
            np.asarray(y),
            X_test=X_test,
            y_test=y_test,
            train_sizes=sizes,
            n_repeats={"representation": by_size, "untrained": by_size}
            | dict.fromkeys(("transfer", "supervised"), n_network_draws),
            random_state=random_state,
            results_file=results_file,
            n_jobs=n_jobs,
            verbose=verbose,
        )
