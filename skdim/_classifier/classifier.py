"""SiteNetClassifier: the supervised Site-Net for classes of crystals."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils._param_validation import StrOptions

from .._crystals.checks import check_crystals
from .._regressor.base import SupervisedSiteNet
from .._regressor.checks import check_sample_weight, row_names
from .checks import check_classes


class SiteNetClassifier(ClassifierMixin, SupervisedSiteNet):
    """Supervised Site-Net for classes: the network of :class:`SiteNetRegressor` with a logit for each class.

    It is trained on the cross-entropy, for example to tell metals from insulators. Trained from random weights it is
    purely supervised; with ``pretrained`` it is transfer learning from an embedder, or from a regressor or classifier
    of another property.

    Parameters
    ----------
    pretrained : DeepInfoMaxEmbedder, SiteNetRegressor, SiteNetClassifier, FrozenEstimator of these, or None, \
            default=None
        Fitted estimator whose encoder training starts from. ``clone``, and therefore every search and
        cross-validation, resets an estimator that is passed directly: use ``FrozenEstimator(embedder)`` there.
    freeze, hidden_layer_sizes
        As in :class:`SiteNetRegressor`.
    class_weight : dict or "balanced", default=None
        Weights of the classes, by label. "balanced" gives all classes the same sum of sample weights.
    representation : {"both", "global", "local"}, default="both"
        Input of the head: the global vector, the mean and standard deviation of the local vectors, or all of these.
    statistics : bool, default=False
        Whether the head also reads the columns of :class:`StructureStatistics`.
    standardize : bool, default=True
        Whether the inputs of the head are standardized over the training crystals, and training starts from the shares
        of the classes.
    head_norm, n_components, local_dim, n_blocks, n_heads, encoder_params, encoder_rate, max_epochs, batch_sites
        As in :class:`SiteNetRegressor`.
    learning_rate_init, learning_rate, weight_decay
        As in :class:`SiteNetRegressor`.
    early_stopping : bool, default=False
        Whether to hold out labelled crystals (at least 10; all of a formula together, stratified by class), stop when
        their loss has not improved for ``n_iter_no_change`` epochs, and keep the best weights.
    validation_fraction, n_iter_no_change, callbacks, device, n_jobs, random_state, warm_start, verbose
        As in :class:`SiteNetRegressor`. ``warm_start`` needs the same classes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes, sorted.
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_`` has the parts ``encoder`` and ``head``.
    history_ : skorch History
        One record per epoch, with "train_loss" and, with early stopping, "valid_loss": weighted means of the
        cross-entropy.
    n_iter_ : int
        Number of epochs trained.
    site_features_ : tuple of str
        Site features that the encoder reads.
    featurizer_settings_ : dict
        Settings of the :class:`SiteNetFeaturizer` that made the crystals. Crystals to predict should have the same
        ``max_sites`` and ``supercell``; otherwise a warning is raised.

    See Also
    --------
    SiteNetRegressor : The same network for numbers.
    DeepInfoMaxEmbedder : Pre-trains the encoder.

    Notes
    -----
    Probabilities of networks that were trained on few labels can be too certain:
    :class:`sklearn.calibration.CalibratedClassifierCV` calibrates them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetClassifier, SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(40, random_state=0)
    >>> X, y = SiteNetFeaturizer().fit_transform(structures), np.where(y < np.median(y), "stable", "unstable")
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> model = SiteNetClassifier(pretrained=FrozenEstimator(embedder), max_epochs=2, random_state=0)
    >>> model.fit(X[:30], y[:30]).predict_proba(X[30:]).shape
    (10, 2)
    >>> model.classes_
    array(['stable', 'unstable'], dtype='<U8')
    """

    classes_: np.ndarray

    _parameter_constraints: ClassVar[dict] = {
        **SupervisedSiteNet._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        *,
        pretrained=None,
        freeze=None,
        hidden_layer_sizes=(64,),
        class_weight=None,
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
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None) -> Self:
        """Train on labelled crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : array-like of shape (n_crystals,)
            Labels of the classes: numbers, strings or booleans.
        sample_weight : array-like of shape (n_crystals,), default=None
            Weight of each crystal in the loss. Crystals with weight 0 are ignored.

        Returns
        -------
        self : SiteNetClassifier
        """
        self._validate_params()
        X = check_crystals(X, type(self).__name__)
        y = check_classes(X, y)
        weight = check_sample_weight(sample_weight, y)
        classes = np.unique(y[weight > 0])
        if len(classes) < 2:
            raise ValueError(
                f"SiteNetClassifier needs at least two classes, but all labels are one class: {classes.tolist()[0]!r}"
            )
        if self.warm_start and hasattr(self, "classes_") and classes.tolist() != self.classes_.tolist():
            raise ValueError(f"warm_start continues with the classes {self.classes_}, but y has {classes}")
        # These modules import torch, which takes seconds.
        from .._regressor.supervise import supervise
        from .classes import ClassPriors, class_weighted

        codes = np.searchsorted(classes, np.where(weight > 0, y, classes[0]))
        weight = class_weighted(weight, self.class_weight, classes, codes)
        priors = ClassPriors(len(classes), self.standardize)
        supervise(self, X, codes, weight, priors, "cross_entropy", classes=codes)
        self.classes_ = classes
        return self

    def decision_function(self, X) -> np.ndarray:
        """Logits of the classes.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals,) or (n_crystals, n_classes)
            With two classes, the log-odds of ``classes_[1]``. NaN for rows that failed to featurize.
        """
        logits = self._outputs(X)
        return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits

    def predict_log_proba(self, X) -> np.ndarray:
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals, n_classes)
            In the order of ``classes_``; NaN for rows that failed to featurize.
        """
        return log_softmax(self._outputs(X), axis=1)

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float64 of shape (n_crystals, n_classes)
            In the order of ``classes_``; NaN for rows that failed to featurize.
        """
        return np.exp(self.predict_log_proba(X))

    def predict(self, X) -> np.ndarray:
        """Predict the most probable classes.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of shape (n_crystals,)
            Labels, of the dtype of ``classes_``.

        Raises
        ------
        ValueError
            If a row failed to featurize: there is no label for it.
        """
        outputs = self._outputs(X)
        if X.failed.any():
            raise ValueError(
                f"X has rows that failed to featurize, which have no class: {row_names(X, np.flatnonzero(X.failed))}. "
                "Leave them out: predict(X[~X.failed]); predict_proba gives NaN for them"
            )
        return self.classes_[outputs.argmax(axis=1)]

    def score(self, X, y, sample_weight=None) -> float:
        """Mean accuracy of the predictions.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
        y : array-like of shape (n_crystals,)
        sample_weight : array-like of shape (n_crystals,), default=None

        Returns
        -------
        float
        """
        return super().score(X, y, sample_weight)
