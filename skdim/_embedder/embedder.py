"""DeepInfoMaxEmbedder: pre-trains the encoder without labels and embeds crystals.

Here are its parameters and its training; ``embedding`` has the methods that compute vectors, ``persistence`` those that
save and load.
"""

from __future__ import annotations

from numbers import Real
from os import PathLike
from typing import ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._crystals.checks import check_crystals, usable_rows
from .._training.attention import AttentionMixin
from .._training.parameters import ENCODER_CONSTRAINTS, PUBLISHED_ENCODERS, TRAINING_CONSTRAINTS
from ..nn.choices import LOCAL_NEGATIVES, NEGATIVES
from .embedding import EmbeddingMixin
from .persistence import PersistenceMixin

# torch takes seconds to import: modules that need it are imported by the methods that train.


class DeepInfoMaxEmbedder(PersistenceMixin, AttentionMixin, EmbeddingMixin, BaseEstimator):
    """Learn a vector for each crystal from its structure alone, by Deep InfoMax on the Site-Net encoder.

    The encoder reads a crystal as sites and interatomic distances. Two score networks train it without labels: the
    local block scores whether a local vector belongs to a site's environment, the global block whether a local vector
    belongs to a crystal. The encoder learns what distinguishes positive from negative samples. A third task predicts
    statistics of the structure from the vectors; it retains information that the contrastive tasks alone lose.

    Parameters
    ----------
    n_components : int, default=64
        Length of the global vector, which describes the crystal.
    local_dim : int, default=64
        Length of the local vectors, the bottleneck between sites and crystal. None removes the bottleneck.
    n_blocks, n_heads : int, default=1
        Number of attention blocks, and of attention heads in each.
    encoder_params : dict, default=None
        Further settings of the encoder: ``site_width`` and ``pair_width`` (per head; 64), ``attention_hidden`` and
        ``value_hidden`` (64), ``pre_pool`` ((64, 128)) and ``post_pool`` ((64,)), ``pooling`` ("mean" or "max"),
        ``element_embedding`` (length of a learned vector for each element; 0) and ``log_coulomb`` (False). For the
        networks of the papers also ``value_network`` ("linear"), ``site_network`` (True), ``shared_values`` (False),
        ``local_activation`` ("mish" or "relu"), ``gains`` (False), ``cutoff`` (angstrom; None), ``output_layer``
        ("linear"), ``element_rows`` (104), ``element_norm_limit`` (None), ``idle_weights`` (False), all described in
        ``skdim.nn.encoder.SiteNetEncoder``, and ``input_scaling``: "standardized", "2025" or "2023", as the
        published networks scale site features.
    representation : {"global", "local", "both"}, default="both"
        What :meth:`transform` returns: the global vector, the mean and standard deviation of the local vectors over
        the sites, or all of these. The paper uses "global"; "both" performed better with every regressor in our
        benchmarks.
    objective : {"infonce", "jsd", None}, default="infonce"
        Contrastive objective: InfoNCE, which compares each positive sample with all negative samples of the batch, or
        the Jensen-Shannon estimator of the paper ("jsd"), which classifies samples one by one. InfoNCE performed
        better in our benchmarks. None turns both blocks off: the other tasks alone train the encoder.
    negatives : tuple of {"batch", "composition", "structure", "permuted"}
        Negative samples of the global block. "batch" takes sites of other crystals. The others take the sites of
        corrupted crystals: "composition" has the distances of the crystal and the species of another one, "structure"
        its species and the distances of another one, "permuted" its species and distances in a shuffled order. The
        default is all four. Crystals that occur more than once in a batch are not negatives of each other.
    local_negatives : tuple of the same, default=("batch",)
        Negative samples of the local block. "batch" takes neighbours of sites in other crystals. The others take
        neighbours with a wrong species ("composition"), a wrong distance ("structure"), or the distance of another
        neighbour of the same site ("permuted").
    kl_weight : float, default=0.0
        Weight of the Kullback-Leibler terms, which regularise local and global vectors towards a standard normal
        distribution; vectors are sampled during training if it is positive. The paper uses 0.1, which reduces the
        information in the embedding.
    kl_form : {"gaussian", "reference"}, default="gaussian"
        "gaussian" is the divergence from the standard normal, "reference" the expression in the authors' code,
        mu^2/2 + var - log var, with its mean over all sites of a batch.
    temperature : float, default=0.1
        Temperature of InfoNCE.
    distance_power : float, default=2.0
        The local block weights a neighbour at distance d (angstrom) by (d + 1)^-distance_power.
    self_weight : float, default=1.0
        Factor on the weight of a site's pair with itself in the local block, which has d = 0 and the largest weight.
    descriptor_weight : float, default=10.0
        Weight of the third task: a linear map from the vectors to statistics of the structure, which needs no labels.
        The statistics of a site are its elemental properties, how those of its neighbours differ, and how far and how
        dense the neighbours are; those of a crystal are their mean and standard deviation. 0, as in the paper, turns
        the task off.
    property_weight : float, default=0.0
        Weight of a fourth task: a linear map from the global vector and the mean and standard deviation of the local
        vectors to known properties of the crystals, such as computed energies, which are passed as ``y`` to
        :meth:`fit`. At 0, ``y`` is ignored.
    radial_weight : float, default=0.0
        Weight of a fifth task, which needs no labels: a linear map from the same vectors to the radial distribution of
        the structure (how many neighbours a site has in shells up to 6 angstrom) and the correlations of
        electronegativity and atomic radius at these distances. Next to known properties it keeps the structure in the
        vectors (docs/recipe.md).
    prior_weight : float, default=0.0
        Weight of an adversarial prior: a discriminator between vectors and samples of the uniform distribution on
        (0, 1), which the encoder is trained to mislead.
    composition_weight : float, default=0.0
        Weight of a composition adversary: a decoder of the element fractions from the global vector, whose loss the
        encoder is trained to increase.
    loss_params : dict, default=None
        Details of the loss: ``pairing``, whether negative samples are taken crystal by crystal ("crystals") or from one
        partner site for each site, as in the paper ("sites"); ``global_input``, whether the global block uses samples
        of the local vectors ("samples") or their means, as in the paper ("means"); they differ if ``kl_weight`` is
        positive; and ``score_norm``, whether score networks have layer normalization (True; False in the paper).
    pretrained : fitted DeepInfoMaxEmbedder, or FrozenEstimator of one, default=None
        Embedder with the same encoder settings whose weights training starts from, for example
        ``FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained())``.
    max_epochs : int, default=10
        Number of epochs. 0 gives the untrained encoder. 30 performed worse than 10 on the bundled data set.
    batch_sites : int, default=1200
        Maximum number of primitive sites in a batch. Batches are ragged, without padding.
    learning_rate_init : float, default=1e-3
        Learning rate of AdamW; the maximum with "one_cycle".
    learning_rate : {"one_cycle", "constant"}, default="one_cycle"
        Learning rate schedule. "one_cycle" increases the rate over the first fifth of the epochs and decreases it to
        nearly zero over the others.
    weight_decay : float, default=1e-4
        Weight decay of AdamW.
    early_stopping : bool, default=False
        Whether to hold out crystals, stop when their loss has not improved for ``n_iter_no_change`` epochs, and keep
        the best weights.
    validation_fraction : float, default=0.1
        Fraction of the crystals to hold out for ``early_stopping``.
    n_iter_no_change : int, default=10
        Number of epochs without improvement before ``early_stopping`` ends training.
    callbacks : list of skorch callbacks, default=None
        Copies of them are passed to the net. Of those that raise KeyboardInterrupt to end training, only skorch's
        EarlyStopping ends it without an error.
    checkpoint : str or Path, default=None
        File to save the training run to after every epoch. After Ctrl-C or a kill, ``fit`` with the same settings and
        crystals resumes from it and ends with the same weights as an uninterrupted run; with others it raises an error.
        Needs a ``random_state``. The state of ``callbacks`` is not saved.
    device : str, default="auto"
        A torch device. "auto" is CUDA if available, else the CPU. "accelerate" is the device assigned by
        ``accelerate launch`` or ``torchrun``; the launched processes share every batch (docs/scaling.md).
    n_jobs : int, default=None
        Number of CPU threads; -1 means all cores, and None those that other workers of joblib, Dask or Ray do not
        use, at most 4. With a second thread, embedding and pre-training are about 1.5 times as fast (docs/speed.md).
        Results do not depend on it; without numba, where torch computes in threads, their last digits do.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the crystals, and the random negative samples and noise.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous fit, for ``max_epochs`` more epochs. Parameters of
        the network must not have changed.
    verbose : int, default=0
        1 shows a progress bar (one line per epoch in a log file), 2 or more a table of the losses.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_.encoder`` is the Site-Net encoder.
    history_ : skorch History
        One record per epoch: "train_loss" and its parts "train_local", "train_global", "train_descriptors",
        "train_kl", "train_properties", "train_radial", "train_prior" and "train_composition" (where their weight is
        positive), and the same with the prefix ``valid_`` with early stopping.
    n_iter_ : int
        Number of epochs trained.
    site_features_ : tuple of str
        Site features that the encoder reads.
    featurizer_settings_ : dict
        Settings of the :class:`SiteNetFeaturizer` that made the crystals. Crystals to embed should have the same
        ``max_sites`` and ``supercell``; otherwise a warning is raised.
    n_crystals_ : int
        Number of crystals seen during ``fit``.
    known_properties_ : tuple of str
        Names of the properties that :meth:`predict_properties` predicts; empty without ``property_weight``.
    pretrained_info_ : dict
        Metadata of the weights. Exists only after :meth:`from_pretrained`.

    See Also
    --------
    SiteNetFeaturizer : Makes the input.
    SiteNetRegressor : Accepts a fitted embedder as ``pretrained`` (transfer learning).

    Notes
    -----
    Defaults differ from the paper where another value performed better (measurements in docs/recipe.md);
    ``DeepInfoMaxEmbedder.paper()`` has the settings of the paper. :meth:`from_pretrained` loads a trained encoder.

    References
    ----------
    Moran, Gaultois, Gusev, Antypov, Rosseinsky, "Establishing Deep InfoMax as an effective self-supervised learning
    methodology in materials informatics", Digital Discovery 2025, 10.1039/D4DD00202D.
    Hjelm et al., "Learning deep representations by mutual information estimation and maximization", ICLR 2019.

    Examples
    --------
    >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(40, random_state=0)
    >>> X = SiteNetFeaturizer().fit_transform(structures)
    >>> embedder = DeepInfoMaxEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> embedder.transform(X).shape
    (40, 192)
    """

    _parameter_constraints: ClassVar[dict] = {
        **ENCODER_CONSTRAINTS,
        "representation": [StrOptions({"global", "local", "both"})],
        "objective": [StrOptions({"jsd", "infonce"}), None],
        "negatives": ["array-like"],
        "local_negatives": ["array-like"],
        "kl_weight": [Interval(Real, 0, None, closed="left")],
        "kl_form": [StrOptions({"gaussian", "reference"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance_power": [Interval(Real, 0, None, closed="left")],
        "self_weight": [Interval(Real, 0, None, closed="left")],
        "descriptor_weight": [Interval(Real, 0, None, closed="left")],
        "property_weight": [Interval(Real, 0, None, closed="left")],
        "radial_weight": [Interval(Real, 0, None, closed="left")],
        "prior_weight": [Interval(Real, 0, None, closed="left")],
        "composition_weight": [Interval(Real, 0, None, closed="left")],
        "loss_params": [dict, None],
        "pretrained": [HasMethods(["fit", "transform"]), None],
        **TRAINING_CONSTRAINTS,
        "checkpoint": [str, PathLike, None],
    }

    def __init__(
        self,
        *,
        n_components=64,
        local_dim=64,
        n_blocks=1,
        n_heads=1,
        encoder_params=None,
        representation="both",
        objective="infonce",
        negatives=NEGATIVES,
        local_negatives=LOCAL_NEGATIVES,
        kl_weight=0.0,
        kl_form="gaussian",
        temperature=0.1,
        distance_power=2.0,
        self_weight=1.0,
        descriptor_weight=10.0,
        property_weight=0.0,
        radial_weight=0.0,
        prior_weight=0.0,
        composition_weight=0.0,
        loss_params=None,
        pretrained=None,
        max_epochs=10,
        batch_sites=1200,
        learning_rate_init=1e-3,
        learning_rate="one_cycle",
        weight_decay=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        callbacks=None,
        checkpoint=None,
        device="auto",
        n_jobs=None,
        random_state=None,
        warm_start=False,
        verbose=0,
    ) -> None:
        self.n_components = n_components
        self.local_dim = local_dim
        self.n_blocks = n_blocks
        self.n_heads = n_heads
        self.encoder_params = encoder_params
        self.representation = representation
        self.objective = objective
        self.negatives = negatives
        self.local_negatives = local_negatives
        self.kl_weight = kl_weight
        self.kl_form = kl_form
        self.temperature = temperature
        self.distance_power = distance_power
        self.self_weight = self_weight
        self.descriptor_weight = descriptor_weight
        self.property_weight = property_weight
        self.radial_weight = radial_weight
        self.prior_weight = prior_weight
        self.composition_weight = composition_weight
        self.loss_params = loss_params
        self.pretrained = pretrained
        self.max_epochs = max_epochs
        self.batch_sites = batch_sites
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    @classmethod
    def paper(cls, *, local_activation="mish", **params) -> Self:
        """The compact model of Moran et al. 2025, with its arithmetic: network, losses, negatives, noise and optimizer.

        Featurize with ``site_features=skdim.PAPER_SITE_FEATURES``; ``fit`` warns about other features. Its results
        equal reference values of the published network to 1e-5. Differences that are deliberate, and how to change
        them where that is possible:

        - The activation up to the local vectors is Mish, as the paper says; the published code ran ReLU there
          (``local_activation="relu"``).
        - The partner of a site is always in another crystal. The published code rolls the list of sites, which can
          end in the same crystal, and pads crystals of unequal supercells, which gives padding a weight.
        - Primitive cells are found with a tolerance of 0.001 angstrom, not 0.5, which merges distorted cells.
        - Densities of gases are those of the liquid, and no property is missing.
        - Log-variances are limited to plus and minus 10.

        Parameters
        ----------
        local_activation : {"mish", "relu"}, default="mish"
        **params
            Parameters that override these settings.

        Returns
        -------
        DeepInfoMaxEmbedder
            Unfitted.
        """
        settings = {
            "encoder_params": {**PUBLISHED_ENCODERS["2025"], "local_activation": local_activation},
            "local_negatives": ("batch", "composition", "structure"),
            "loss_params": {"pairing": "sites", "global_input": "means", "score_norm": False},
            "local_dim": 32,
            "representation": "global",
            "objective": "jsd",
            "kl_weight": 0.1,
            "kl_form": "reference",
            "descriptor_weight": 0.0,
            "learning_rate_init": 1e-4,
            "learning_rate": "constant",
            "max_epochs": 100,
        }
        return cls(**{**settings, **params})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X, y=None) -> Self:
        """Pre-train on crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            At least two, as negative samples come from other crystals. Rows that failed to featurize are left out,
            with a warning.
        y : array-like or DataFrame of shape (n_crystals,) or (n_crystals, n_properties), default=None
            Known properties, NaN where unknown; a crystal may have none. The names of the columns are kept. Ignored
            unless ``property_weight`` is positive.

        Returns
        -------
        self : DeepInfoMaxEmbedder

        Examples
        --------
        Continue from the pre-trained weights with two properties, one of which is unknown for most crystals:

        >>> import numpy as np
        >>> import pandas as pd
        >>> from sklearn.frozen import FrozenEstimator
        >>> from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
        >>> from skdim.datasets import make_crystals
        >>> structures, y = make_crystals(40, random_state=0)
        >>> X = SiteNetFeaturizer().fit_transform(structures)
        >>> Y = pd.DataFrame({"energy": y, "modulus": np.where(np.arange(40) < 10, 100 + y, np.nan)})
        >>> start = FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained())
        >>> embedder = DeepInfoMaxEmbedder(pretrained=start, property_weight=1.0, max_epochs=2, random_state=0)
        >>> embedder.fit(X, Y).predict_properties(X[:3]).columns.tolist()
        ['energy', 'modulus']
        """
        self._validate_params()
        X = check_crystals(X, "DeepInfoMaxEmbedder", min_crystals=2)
        rows = usable_rows(X, "DeepInfoMaxEmbedder.fit", least=2)
        from .pretrain import pretrain

        return pretrain(self, X, rows, y)

    def score(self, X, y=None) -> float:
        """Negative loss on held-out crystals, without that of known properties; higher is better.

        Scores of two embedders are comparable only if they have the same ``objective``, ``negatives``,
        ``temperature`` and Kullback-Leibler terms. Every call draws the same negative samples.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            At least two.
        y : object, default=None
            Ignored.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the embedder learned known properties alone (``objective=None``, and no weight of descriptors and
            radial statistics).
        """
        check_is_fitted(self)
        if self.objective is None and not (self.descriptor_weight or self.radial_weight):
            raise ValueError(
                "this embedder has no loss without known properties: compare them with predict_properties(X) instead"
            )
        X = check_crystals(X, "DeepInfoMaxEmbedder", like=self, min_crystals=2)
        return -self.net_.evaluate_loss(X, usable_rows(X, "DeepInfoMaxEmbedder.score", least=2))
