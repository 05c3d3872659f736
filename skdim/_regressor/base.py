"""What the supervised Site-Nets share: their parameters and the outputs of the network."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._crystals.checks import check_crystals
from .._training.attention import AttentionMixin
from .._training.parameters import ENCODER_CONSTRAINTS, TRAINING_CONSTRAINTS


class SupervisedSiteNet(AttentionMixin, BaseEstimator):
    """Base class of :class:`SiteNetRegressor`, which documents the parameters, and :class:`SiteNetClassifier`."""

    _parameter_constraints: ClassVar[dict] = {
        "pretrained": [BaseEstimator, None],
        "freeze": [StrOptions({"local", "encoder"}), None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "representation": [StrOptions({"global", "local", "both"})],
        "statistics": ["boolean"],
        "standardize": ["boolean"],
        "head_norm": ["boolean"],
        **ENCODER_CONSTRAINTS,
        "encoder_rate": [Interval(Real, 0, None, closed="left")],
        **TRAINING_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        pretrained=None,
        freeze=None,
        hidden_layer_sizes=(64,),
        representation="both",
        statistics=False,
        standardize=True,
        head_norm=True,
        n_components=64,
        local_dim=64,
        n_blocks=1,
        n_heads=1,
        encoder_params=None,
        encoder_rate=1.0,
        max_epochs=50,
        batch_sites=200,
        learning_rate_init=1e-3,
        learning_rate="one_cycle",
        weight_decay=1e-2,
        early_stopping=False,
        validation_fraction=0.2,
        n_iter_no_change=20,
        callbacks=None,
        device="auto",
        n_jobs=None,
        random_state=None,
        warm_start=False,
        verbose=0,
    ):
        self.pretrained = pretrained
        self.freeze = freeze
        self.hidden_layer_sizes = hidden_layer_sizes
        self.representation = representation
        self.statistics = statistics
        self.standardize = standardize
        self.head_norm = head_norm
        self.n_components = n_components
        self.local_dim = local_dim
        self.n_blocks = n_blocks
        self.n_heads = n_heads
        self.encoder_params = encoder_params
        self.encoder_rate = encoder_rate
        self.max_epochs = max_epochs
        self.batch_sites = batch_sites
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def _outputs(self, X):
        """Outputs of the network for crystals, float64 of shape (n_crystals, n_outputs); NaN for failed rows."""
        check_is_fitted(self)
        X = check_crystals(X, type(self).__name__, like=self)
        outputs = np.full((len(X), len(self.net_.module_.target_mean)), np.nan)
        usable = np.flatnonzero(~X.failed)
        if len(usable):
            parts = self.net_.map_batches(lambda module, batch: module(batch), X, usable)
            outputs[usable] = np.concatenate(list(parts))
        return outputs
