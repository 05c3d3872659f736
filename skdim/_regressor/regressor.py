"""SiteNetRegressor: the supervised Site-Net, trained from random weights or from a pre-trained encoder."""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar, Literal, Self, overload

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._crystals.checks import check_crystals
from .._training.parameters import PUBLISHED_ENCODERS
from .base import SupervisedSiteNet
from .checks import check_sample_weight, check_y


class SiteNetRegressor(RegressorMixin, SupervisedSiteNet):
    """Supervised Site-Net: the encoder of :class:`DeepInfoMaxEmbedder` with a small head, trained end to end.

    Trained from random weights it is the supervised model of the paper; with ``pretrained`` it is transfer learning
    from an embedder, or from a regressor or classifier of another property.

    Parameters
    ----------
    pretrained : DeepInfoMaxEmbedder, SiteNetRegressor, SiteNetClassifier, FrozenEstimator of these, or None, \
            default=None
        Fitted estimator whose encoder training starts from. ``clone``, and therefore every search and
        cross-validation, resets an estimator that is passed directly: use ``FrozenEstimator(embedder)`` there.
    freeze : {"local", "encoder"} or None, default=None
        Weights that are not trained: those that the local vectors depend on, or the whole encoder. Without
        ``pretrained`` they stay random: the untrained control of a comparison.
    hidden_layer_sizes : tuple of int, default=(64,)
        Widths of the hidden layers of the head.
    output_activation : {"identity", "trelu", "softplus"}, default="identity"
        Activation of predictions in the units of y. "trelu" is max(x, 0) with the gradient of the identity, "softplus"
        is smooth; both are for non-negative targets such as band gaps.
    loss : {"absolute_error", "squared_error", "huber"}, default="absolute_error"
        Loss of standardised targets; "huber" is quadratic up to one standard deviation. With "absolute_error", the test
        MAE of transfer learning is 0.38 and 0.30 eV/atom at 50 and 100 labels, with "huber" 0.41 and 0.33 (bundled
        formation energies, test formulas not in the training rows, median of 10 draws).
    representation : {"both", "global", "local"}, default="both"
        Input of the head: the global vector, the mean and standard deviation of the local vectors, or all of these. It
        is standardised over the training crystals before the first step. The paper uses "global".
    statistics : bool, default=False
        Whether the head also reads the columns of :class:`StructureStatistics`. With ``learning_rate_init=3e-3`` this
        lowers the error for properties that have little to do with what the pre-trained encoder knows, such as phonon
        frequencies; formation energies and band gaps get worse (docs/recipe.md, "Fine-tuning").
    standardize : bool, default=True
        Whether targets and the inputs of the head are standardized. The papers standardize neither.
    head_norm : bool, default=True
        Whether layer normalization follows the hidden layers of the head. The head of the paper has none.
    n_components, local_dim, n_blocks, n_heads, encoder_params
        Settings of the encoder, as in :class:`DeepInfoMaxEmbedder`. With ``pretrained``, the encoder has the settings
        that it was trained with; parameters that are not at their defaults must agree with them.
    encoder_rate : float, default=1.0
        Learning rate of the encoder relative to that of the head. Smaller values keep the encoder closer to the
        pre-trained weights; 0.1 and 0.3 performed no better than 1 on the bundled formation energies (held-out training
        rows, 50 to 250 labels).
    max_epochs : int, default=50
        Number of epochs. It is fixed by default, as 50 labels leave too few to choose an epoch by.
    batch_sites : int, default=200
        Maximum number of primitive sites in a batch.
    learning_rate_init : float, default=1e-3
        Learning rate of AdamW; the maximum with "one_cycle".
    learning_rate : {"one_cycle", "constant"}, default="one_cycle"
        Learning rate schedule. "one_cycle" increases the rate over the first fifth of the epochs and decreases it to
        nearly zero over the others.
    weight_decay : float, default=1e-2
        Weight decay of AdamW.
    early_stopping : bool, default=False
        Whether to hold out labelled crystals (at least 10; all of a formula together), stop when their loss has not
        improved for ``n_iter_no_change`` epochs, and keep the best weights.
    validation_fraction : float, default=0.2
        Fraction of the labelled crystals to hold out for ``early_stopping``.
    n_iter_no_change : int, default=20
        Number of epochs without improvement before ``early_stopping`` ends training.
    callbacks : list of skorch callbacks, default=None
        Copies of them are passed to the net. Of those that raise KeyboardInterrupt to end training, only skorch's
        EarlyStopping ends it without an error.
    device : str, default="auto"
        A torch device. "auto" is CUDA if available, else the CPU.
    n_jobs : int, default=None
        Number of CPU threads; -1 means all cores. None means 1 for training, whose steps are too small for more, and
        for predictions the cores that other workers of joblib, Dask or Ray do not use, at most 4. Results do not depend
        on it; without numba, where torch computes in threads, their last digits do.
    n_estimators : int, default=1
        From 2 on, as many further networks are trained, each without one fold of the formulas. Predictions are the mean
        of all networks, and have standard deviations (``predict(X, return_std=True)``): the errors of these networks
        for the crystals that they did not see, and the spread of the predictions. 5 is a good choice; training takes
        ``n_estimators`` times as long, in addition. With 1 there are no standard deviations.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights that are not pre-trained, and the order of the crystals.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous fit, for ``max_epochs`` more epochs. Parameters of
        the network must not have changed.
    verbose : int, default=0
        1 shows a progress bar (one line per epoch in a log file), 2 or more a table of the losses.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` has the parts ``encoder`` and ``head``.
    history_ : skorch History
        One record per epoch, with "train_loss" and, with early stopping, "valid_loss".
    n_iter_ : int
        Number of epochs trained.
    n_outputs_ : int
        Number of targets.
    estimators_ : list of SiteNetRegressor
        The networks that were trained without one fold; empty with ``n_estimators=1``.
    noise_ : ndarray of shape (n_outputs,)
        Standard deviation of the labels around predictions for crystals that were held out, in the units of y. Only
        with ``n_estimators`` from 2 on.
    site_features_ : tuple of str
        Site features that the encoder reads.
    featurizer_settings_ : dict
        Settings of the :class:`SiteNetFeaturizer` that made the crystals. Crystals to predict should have the same
        ``max_sites`` and ``supercell``; otherwise a warning is raised.

    See Also
    --------
    SiteNetClassifier : The same network for classes.
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

    n_outputs_: int

    _parameter_constraints: ClassVar[dict] = {
        **SupervisedSiteNet._parameter_constraints,
        "output_activation": [StrOptions({"identity", "trelu", "softplus"})],
        "loss": [StrOptions({"absolute_error", "squared_error", "huber"})],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
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
        n_estimators=1,
        random_state=None,
        warm_start=False,
        verbose=0,
    ) -> None:
        super().__init__(
            pretrained=pretrained,
            freeze=freeze,
            hidden_layer_sizes=hidden_layer_sizes,
            representation=representation,
            statistics=statistics,
            standardize=standardize,
            head_norm=head_norm,
            n_components=n_components,
            local_dim=local_dim,
            n_blocks=n_blocks,
            n_heads=n_heads,
            encoder_params=encoder_params,
            encoder_rate=encoder_rate,
            max_epochs=max_epochs,
            batch_sites=batch_sites,
            learning_rate_init=learning_rate_init,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            callbacks=callbacks,
            device=device,
            n_jobs=n_jobs,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
        )
        self.output_activation = output_activation
        self.loss = loss
        self.n_estimators = n_estimators

    @classmethod
    def paper(cls, *, local_activation="mish", **params) -> Self:
        """The supervised and, with ``pretrained``, the transfer arm of Moran et al. 2025 (10.1039/D4DD00202D).

        The encoder of :meth:`DeepInfoMaxEmbedder.paper`, a head of 64 units without normalization, squared error of
        targets as they are, AdamW with a learning rate of 1e-4. The paper uses batches of 400 sites for 50 labels and
        of 1200 for 1000 (``batch_sites``), and stops training by eye; ``max_epochs`` is our choice.

        Parameters
        ----------
        local_activation : {"mish", "relu"}, default="mish"
            Activation up to the local vectors: Mish in the paper, ReLU in the published code.
        **params
            Parameters that override these settings.

        Returns
        -------
        SiteNetRegressor
            Unfitted.
        """
        settings = {
            "encoder_params": {**PUBLISHED_ENCODERS["2025"], "local_activation": local_activation},
            "local_dim": 32,
            "hidden_layer_sizes": (64,),
            "loss": "squared_error",
            "representation": "global",
            "standardize": False,
            "head_norm": False,
            "max_epochs": 200,
            "batch_sites": 400,
            "learning_rate_init": 1e-4,
            "learning_rate": "constant",
            "weight_decay": 1e-4,
        }
        return cls(**{**settings, **params})

    @classmethod
    def sitenet_2023(cls, **params) -> Self:
        """The supervised Site-Net of 2023 (Moran et al., 10.1039/D3DD00005B), with its arithmetic.

        Two blocks of three heads, a learned vector of 92 numbers per element, log-Coulomb pairs, no bottleneck, layer
        normalization with gains. Featurize with ``max_sites`` of 100 or 500, and with
        ``site_features=skdim.PAPER_SITE_FEATURES`` and oxidation states: then it has the published 304 085 weights,
        among them 11 094 that change no result. For band gaps the paper uses ``output_activation="trelu"``; some of
        its settings have a cutoff (``encoder_params``).

        Parameters
        ----------
        **params
            Parameters that override these settings.

        Returns
        -------
        SiteNetRegressor
            Unfitted.
        """
        settings = {
            "n_blocks": 2,
            "n_heads": 3,
            "local_dim": None,
            "n_components": 200,
            "hidden_layer_sizes": (),
            "representation": "global",
            "standardize": False,
            "encoder_params": dict(PUBLISHED_ENCODERS["2023"]),
            "batch_sites": 1200,
            "learning_rate_init": 8.1e-4,
            "learning_rate": "constant",
            "weight_decay": 1e-4,
        }
        return cls(**{**settings, **params})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X, y, sample_weight=None) -> Self:
        """Train on labelled crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : array-like of shape (n_crystals,) or (n_crystals, n_targets)
            Targets; they are standardised internally, unless ``standardize=False``. With several targets, NaN stands
            for an unknown value, which is left out of the loss; each crystal needs a known value.
        sample_weight : array-like of shape (n_crystals,), default=None
            Weight of each crystal in the loss. Crystals with weight 0 are ignored.

        Returns
        -------
        self : SiteNetRegressor
        """
        self._validate_params()
        X = check_crystals(X, type(self).__name__)
        y = check_y(X, y)
        weight = check_sample_weight(sample_weight, y)
        n_targets = 1 if y.ndim == 1 else y.shape[1]
        if self.warm_start and self.n_estimators > 1:
            raise ValueError("warm_start cannot be used with n_estimators > 1")
        if self.warm_start and hasattr(self, "n_outputs_") and n_targets != self.n_outputs_:
            raise ValueError(f"warm_start continues with {self.n_outputs_} targets, but y has {n_targets}")
        # These modules import torch, which takes seconds.
        from .supervise import supervise
        from .targets import TargetScaling

        scaling = TargetScaling(keeps_zero=self.output_activation != "identity", standardize=self.standardize)
        supervise(self, X, y, weight, scaling, self.loss, self.output_activation)
        self.n_outputs_ = n_targets
        self.estimators_ = []
        self.__dict__.pop("noise_", None)  # of an earlier fit
        if self.n_estimators > 1:
            from .ensemble import fit_members

            self.estimators_, self.noise_ = fit_members(self, X, y, weight)
        return self

    @overload
    def predict(self, X, return_std: Literal[False] = False) -> np.ndarray: ...

    @overload
    def predict(self, X, return_std: Literal[True]) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(self, X, return_std=False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Predict the targets of crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        return_std : bool, default=False
            Whether to return standard deviations as well; needs ``n_estimators`` of at least 2.

        Returns
        -------
        y : ndarray of float64 of shape (n_crystals,) or (n_crystals, n_targets)
            In the units of y; NaN for rows that failed to featurize.
        std : ndarray of the same shape
            Standard deviation of a label. Only with ``return_std``.

        Raises
        ------
        ValueError
            With ``return_std``, if the regressor was fitted with ``n_estimators=1``.
        """
        check_is_fitted(self)
        y = self._target_scaling.invert(self._outputs(X))
        members = getattr(self, "estimators_", [])  # models of version 0.1.0 have none
        if return_std and not members:
            raise ValueError("return_std=True needs a regressor that was fitted with n_estimators of at least 2")
        if not members:
            return y
        from .ensemble import combine

        predictions = np.array([y, *(member.predict(X) for member in members)])
        mean, std = combine(predictions.reshape(*predictions.shape[:2], -1), self.noise_)
        return (mean.reshape(y.shape), std.reshape(y.shape)) if return_std else mean.reshape(y.shape)

    def score(self, X, y, sample_weight=None) -> float:
        """Coefficient of determination (R2) of the predictions.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : array-like of shape (n_crystals,) or (n_crystals, n_targets)
            Targets. With several targets, NaN stands for an unknown value, which is left out.
        sample_weight : array-like of shape (n_crystals,), default=None
            Weight of each crystal.

        Returns
        -------
        float
            Mean over the targets.
        """
        y = np.asarray(y, dtype=np.float64)
        if y.ndim == 1 or not np.isnan(y).any():
            return super().score(X, y, sample_weight)
        predicted = self.predict(X)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        known = ~np.isnan(y)
        if few := np.flatnonzero(known.sum(axis=0) < 2).tolist():
            raise ValueError(f"R2 needs two known values of each target; y has fewer in columns {few}")
        columns = zip(y.T, predicted.T, known.T, strict=True)
        return float(np.mean([r2_score(a[use], b[use], sample_weight=weight[use]) for a, b, use in columns]))
