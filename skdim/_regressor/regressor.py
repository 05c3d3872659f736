"""SiteNetRegressor: the supervised Site-Net, from random weights or from a pre-trained encoder."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._crystals.checks import check_crystals
from .._embedder.embedder import DeepInfoMaxEmbedder
from .._training.attention import AttentionMixin
from .._training.parameters import ENCODER_CONSTRAINTS, TRAINING_CONSTRAINTS
from .labels import check_labels


class SiteNetRegressor(AttentionMixin, RegressorMixin, BaseEstimator):
    """A supervised Site-Net: the encoder of :class:`DeepInfoMaxEmbedder` with a small head, all weights trained.

    Started from random weights it is the paper's "supervised" arm; with ``pretrained`` it is "transfer", from
    structures alone or from another property.

    Parameters
    ----------
    pretrained : DeepInfoMaxEmbedder, SiteNetRegressor, FrozenEstimator of either, or None, default=None
        A fitted estimator whose encoder training starts from: pre-trained without labels, or supervised on another
        property of which more is known. ``clone``, and so every search and cross-validation, empties a bare one: give
        ``FrozenEstimator(embedder)`` there. Its encoder settings must equal this estimator's.
    freeze : {"local", "encoder"} or None, default=None
        Weights to keep as they were pre-trained: those that local vectors come from, or the whole encoder.
    hidden_layer_sizes : tuple of int, default=(64,)
        Hidden layers of the head.
    output_activation : {"identity", "trelu", "softplus"}, default="identity"
        Acts on predictions in the labels' units. "trelu" clamps at 0 with the gradient of the identity and "softplus"
        is smooth: both for targets that cannot be negative, such as band gaps.
    loss : {"absolute_error", "squared_error", "huber"}, default="absolute_error"
        On standardised targets; "huber" is quadratic up to one standard deviation. With "absolute_error" the test error
        (MAE) of transfer measures 0.38 and 0.30 eV/atom at 50 and 100 labels, with "huber" 0.41 and 0.33 (bundled
        formation energies, formulas held out of the training rows, median of 10 draws).
    representation : {"both", "global", "local"}, default="both"
        What the head reads: the crystal's vector, mean and standard deviation of the local vectors, or both. It is
        standardised by its values on the training crystals before the first step. The paper's head reads "global".
    n_components, local_dim, n_blocks, n_heads, encoder_params
        The encoder, as in :class:`DeepInfoMaxEmbedder`.
    encoder_rate : float, default=1.0
        Learning rate of the encoder as a share of the head's. Smaller rates keep closer to pre-trained weights; on the
        bundled formation energies 0.1 and 0.3 measured no better than 1 (held-out training rows, 50 to 250 labels).
    max_epochs : int, default=50
        Passes over the labelled crystals: a fixed schedule, as 50 labels leave none to choose a checkpoint by.
    batch_sites : int, default=200
        Upper limit of the primitive sites in a batch.
    learning_rate_init : float, default=1e-3
        Learning rate of AdamW; with "one_cycle" its peak.
    learning_rate : {"one_cycle", "constant"}, default="one_cycle"
        "one_cycle" rises over the first fifth of the epochs and falls to almost nothing over the rest.
    weight_decay : float, default=1e-2
        Of AdamW.
    early_stopping : bool, default=False
        Hold out labelled crystals (at least 10, or it is refused), stop when their loss has not improved for
        ``n_iter_no_change`` epochs, and keep the best weights.
    validation_fraction : float, default=0.2
        Share of the labelled crystals held out with ``early_stopping``.
    n_iter_no_change : int, default=20
        Epochs to wait with ``early_stopping``.
    callbacks : list of skorch callbacks, default=None
        Copied, then given to the net.
    device : str, default="auto"
        A torch device; "auto" takes CUDA where there is one.
    n_jobs : int, default=None
        Threads of the CPU; None means 1 and -1 all cores. The networks are small: two threads on two idle cores are one
        and a half times as fast with the extra ``[fast]``, a fifth faster without. With one, results are the same on
        every number of cores.
    random_state : int, RandomState instance or None, default=None
        Weights of what is not pre-trained, and the order of the crystals.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last one, for ``max_epochs`` more. Parameters that make another
        network must then be as they were.
    verbose : int, default=0
        1 shows a progress bar (in a log file: a line an epoch), 2 and more a table of the losses.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` holds ``encoder`` and ``head``.
    history_ : skorch History
        One record an epoch, with "train_loss" and under early stopping "valid_loss".
    n_iter_ : int
        Epochs trained.
    n_outputs_ : int
        Targets.
    site_features_ : tuple of str
        Site features that the encoder reads.
    featurizer_settings_ : dict
        Settings of the :class:`SiteNetFeaturizer` that made the crystals. Those to predict should share ``max_sites``
        and ``supercell``; a warning says where they do not.

    See Also
    --------
    DeepInfoMaxEmbedder : Pre-trains the encoder.

    References
    ----------
    Moran, Gaultois, Gusev, Rosseinsky, "Site-Net: using global self-attention and real-space supercells to capture
    long-range interactions in crystal structures", Digital Discovery 2023, 10.1039/D3DD00005B.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(40, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> model = SiteNetRegressor(pretrained=FrozenEstimator(embedder), max_epochs=2, random_state=0)
    >>> model.fit(X[:30], y[:30]).predict(X[30:]).shape
    (10,)
    """

    _parameter_constraints: ClassVar[dict] = {
        "pretrained": [BaseEstimator, None],
        "freeze": [StrOptions({"local", "encoder"}), None],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "output_activation": [StrOptions({"identity", "trelu", "softplus"})],
        "loss": [StrOptions({"absolute_error", "squared_error", "huber"})],
        "representation": [StrOptions({"global", "local", "both"})],
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
        output_activation="identity",
        loss="absolute_error",
        representation="both",
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
        self.output_activation = output_activation
        self.loss = loss
        self.representation = representation
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

    @classmethod
    def sitenet_2023(cls, **params):
        """The supervised Site-Net of 2023 (Moran et al., 10.1039/D3DD00005B), as a setting of the same encoder.

        Two blocks of three heads, a learnt vector for each element, log-Coulomb pairs, no bottleneck. Featurize with
        ``max_sites`` of 100 or 500 for it.

        Parameters
        ----------
        **params
            Override single settings of it.

        Returns
        -------
        SiteNetRegressor
        """
        settings = {
            "n_blocks": 2,
            "n_heads": 3,
            "local_dim": None,
            "n_components": 200,
            "hidden_layer_sizes": (),
            "representation": "global",
            "encoder_params": {
                "site_width": 30,
                "pair_width": 16,
                "attention_hidden": 225,
                "value_hidden": 225,
                "pre_pool": (94,),
                "post_pool": (200, 200),
                "element_embedding": 8,
                "log_coulomb": True,
            },
            "batch_sites": 1200,
            "learning_rate_init": 8.1e-4,
            "learning_rate": "constant",
            "weight_decay": 1e-4,
        }
        return cls(**{**settings, **params})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Train on labelled crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : array-like of shape (n_crystals,) or (n_crystals, n_targets)
            Standardised inside.
        sample_weight : array-like of shape (n_crystals,), default=None
            Weight of each crystal in the loss. A crystal of weight 0 is as if it was not there.

        Returns
        -------
        self : SiteNetRegressor
        """
        self._validate_params()
        X = check_crystals(X, "SiteNetRegressor")
        y, weight = check_labels(X, y, sample_weight)
        from .supervise import supervise  # torch takes seconds to import, and only what trains needs it

        return supervise(self, X, y, weight, (DeepInfoMaxEmbedder, SiteNetRegressor))

    def predict(self, X):
        """Predict the targets of crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals,) or (n_crystals, n_targets)
            In the units of the labels; NaN for rows that failed to featurize.
        """
        check_is_fitted(self)
        X = check_crystals(X, "SiteNetRegressor", like=self)
        prediction = np.full((len(X), self.n_outputs_), np.nan)
        good = ~X.failed
        if good.any():
            parts = self.net_.map_batches(lambda module, batch: module(batch), X, np.flatnonzero(good))
            prediction[good] = np.concatenate(list(parts))
        prediction += self._offset
        return prediction[:, 0] if self._one_dimensional else prediction
