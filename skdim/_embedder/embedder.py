"""DeepInfoMaxEmbedder: pre-trains the encoder without labels and embeds crystals."""

from __future__ import annotations

from numbers import Real
from os import PathLike
from typing import ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from .._crystals.checks import check_crystals, usable_rows
from .._training.attention import AttentionMixin
from .._training.parameters import ENCODER_CONSTRAINTS, TRAINING_CONSTRAINTS
from ..nn.choices import NEGATIVES
from .embedding import EmbeddingMixin
from .pretrained import PretrainedMixin


class DeepInfoMaxEmbedder(PretrainedMixin, EmbeddingMixin, AttentionMixin, BaseEstimator):
    """Learn a vector for each crystal from structures alone, by Deep InfoMax on the Site-Net encoder.

    The encoder reads a crystal as sites and distances. Two small score networks train it without labels: one asks
    whether a site's local vector belongs to a neighbour, the other whether a crystal's vector belongs to a site. What
    tells true from false partners is what the vectors come to hold; a third task, to read the structure's own
    statistics off them, keeps what this alone would forget.

    Parameters
    ----------
    n_components : int, default=64
        Width of the crystal's (global) vector.
    local_dim : int, default=64
        Width of the local vectors, the bottleneck between sites and crystal. None leaves the bottleneck out.
    n_blocks, n_heads : int, default=1
        Rounds of attention, and attention heads in each.
    encoder_params : dict, default=None
        Further settings of the encoder: ``site_width`` and ``pair_width`` (a head; 64), ``attention_hidden`` and
        ``value_hidden`` (64), ``pre_pool`` ((64, 128)) and ``post_pool`` ((64,)), ``pooling`` ("mean" or "max"),
        ``element_embedding`` (width of a learnt vector for each element; 0) and ``log_coulomb`` (False).
    representation : {"global", "local", "both"}, default="both"
        What :meth:`transform` returns: the crystal's vector, mean and standard deviation of the local vectors over its
        sites, or both side by side. The paper uses "global"; "both" measures better under every regressor.
    objective : {"infonce", "jsd"}, default="infonce"
        How true partners are told from false ones: among all of a batch (InfoNCE), or one by one (the paper's
        Jensen-Shannon estimator, "jsd"). InfoNCE measures better.
    negatives : tuple of {"batch", "composition", "structure", "permuted"}
        False partners. "batch": sites of other crystals. The others are crystals put together wrongly, whose local
        vectors the global block must tell from true ones: "composition" (own distances, species of another crystal),
        "structure" (own species, distances of another crystal), "permuted" (own species and distances, mismatched).
        The local block always uses other crystals of the batch. Default: all four.
    kl_weight : float, default=0.0
        Weight of the Kullback-Leibler terms that pull local and global vectors, as noisy codes, towards a unit normal.
        At 0 there is no noise. The paper has 0.1, which costs the vectors part of what they know.
    kl_form : {"gaussian", "reference"}, default="gaussian"
        The divergence of a normal from the unit normal, or the form of the authors' code, mu^2/2 + var - log var.
    temperature : float, default=0.1
        Of InfoNCE.
    distance_power : float, default=2.0
        In the local block a neighbour at distance d (angstrom) weighs (d + 1)^-distance_power.
    self_weight : float, default=1.0
        Factor on the weight of a site's pair with itself there, which has d = 0 and so weighs most.
    descriptor_weight : float, default=10.0
        Weight of a further task that needs no label: to read statistics of the structure (elemental properties of a
        site, how its neighbours' differ, how far and how dense they are; and their mean and deviation over the crystal)
        off the vectors by a linear map. At 0, as in the paper, there is none.
    max_epochs : int, default=10
        Passes over the crystals. 0 gives the untrained encoder. On the bundled set 30 measured worse than 10.
    batch_sites : int, default=1200
        Upper limit of the primitive sites in a batch. Batches are ragged, without padding.
    learning_rate_init : float, default=1e-3
        Learning rate of AdamW; with "one_cycle" its peak.
    learning_rate : {"one_cycle", "constant"}, default="one_cycle"
        "one_cycle" rises over the first fifth of the epochs and falls to almost nothing over the rest.
    weight_decay : float, default=1e-4
        Of AdamW.
    early_stopping : bool, default=False
        Hold out crystals, stop when their loss has not improved for ``n_iter_no_change`` epochs, and keep the best
        weights.
    validation_fraction : float, default=0.1
        Share of the crystals held out with ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs to wait with ``early_stopping``.
    callbacks : list of skorch callbacks, default=None
        Copied, then given to the net.
    checkpoint : str or Path, default=None
        File that keeps the training run after every epoch. A fit with the same settings and crystals that finds it goes
        on from there and ends with the same weights as an unbroken run; one with others refuses it. Needs a
        ``random_state``. The state of one's own ``callbacks`` is not in it.
    device : str, default="auto"
        A torch device; "auto" takes CUDA where there is one. "accelerate": the device that ``accelerate launch`` or
        ``torchrun`` gave this process; all that it started share every batch (docs/scaling.md).
    n_jobs : int, default=None
        Threads of the CPU; None means 1 and -1 all cores. The networks are small: two threads on two idle cores are one
        and a half times as fast with the extra ``[fast]``, a fifth faster without. With one, results are the same on
        every number of cores.
    random_state : int, RandomState instance or None, default=None
        Weights, order of the crystals, and every draw of negatives and noise.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last one, for ``max_epochs`` more. Parameters that make another
        network must then be as they were.
    verbose : int, default=0
        1 shows a progress bar (in a log file: a line an epoch), 2 and more a table of the losses.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.module_.encoder`` is the Site-Net encoder.
    history_ : skorch History
        One record an epoch: "train_loss" and its parts "train_local", "train_global", "train_kl", and the same with
        ``valid_`` under early stopping.
    n_iter_ : int
        Epochs trained.
    site_features_ : tuple of str
        Site features that the encoder reads.
    featurizer_settings_ : dict
        Settings of the :class:`SiteNetFeaturizer` that made the crystals. Those to embed should share ``max_sites`` and
        ``supercell``; a warning says where they do not.
    n_crystals_ : int
        Crystals fitted on.
    pretrained_info_ : dict
        Only after :meth:`from_pretrained`: what is known about the weights.

    See Also
    --------
    SiteNetFeaturizer : Makes the input.
    SiteNetRegressor : Takes a fitted embedder as ``pretrained`` (transfer).

    Notes
    -----
    Defaults differ from the paper where another value measured better (docs/recipe.md has the measurements);
    ``DeepInfoMaxEmbedder.paper()`` has the paper's. :meth:`from_pretrained` loads an encoder that is trained already.

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
        "objective": [StrOptions({"jsd", "infonce"})],
        "negatives": ["array-like"],
        "kl_weight": [Interval(Real, 0, None, closed="left")],
        "kl_form": [StrOptions({"gaussian", "reference"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance_power": [Interval(Real, 0, None, closed="left")],
        "self_weight": [Interval(Real, 0, None, closed="left")],
        "descriptor_weight": [Interval(Real, 0, None, closed="left")],
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
        kl_weight=0.0,
        kl_form="gaussian",
        temperature=0.1,
        distance_power=2.0,
        self_weight=1.0,
        descriptor_weight=10.0,
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
    ):
        self.n_components = n_components
        self.local_dim = local_dim
        self.n_blocks = n_blocks
        self.n_heads = n_heads
        self.encoder_params = encoder_params
        self.representation = representation
        self.objective = objective
        self.negatives = negatives
        self.kl_weight = kl_weight
        self.kl_form = kl_form
        self.temperature = temperature
        self.distance_power = distance_power
        self.self_weight = self_weight
        self.descriptor_weight = descriptor_weight
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
    def paper(cls, **params):
        """The compact model of Moran et al. 2025: Jensen-Shannon objective, the 64 global components, rate 1e-4.

        Featurize with ``site_features=skdim.PAPER_SITE_FEATURES`` for it.

        Parameters
        ----------
        **params
            Override single settings of it.

        Returns
        -------
        DeepInfoMaxEmbedder
        """
        settings = {
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

    def fit(self, X, y=None):
        """Pre-train on crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            At least two: false partners come from other crystals. Rows that failed to featurize are left out, with a
            warning.
        y : object, default=None
            Ignored: no label is used.

        Returns
        -------
        self : DeepInfoMaxEmbedder
        """
        self._validate_params()
        X = check_crystals(X, "DeepInfoMaxEmbedder", min_crystals=2)
        rows = usable_rows(X, "DeepInfoMaxEmbedder.fit", least=2)
        from .pretrain import pretrain  # torch takes seconds to import, and only what trains or embeds needs it

        return pretrain(self, X, rows)
