"""DeepInfoMaxEmbedder: pre-trains the encoder without labels and embeds crystals."""

from __future__ import annotations

from functools import partial
from numbers import Real

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._crystals import check_crystals
from ._net import InfoMaxCriterion, seed_of
from ._training import (
    ENCODER_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    dataset,
    encoder_settings,
    hold_out,
    make_crystal_net,
    train,
    without_failed,
)
from .nn.infomax import NEGATIVES, DeepInfoMax
from .nn.sitenet import embed, embedding_width


class DeepInfoMaxEmbedder(TransformerMixin, BaseEstimator):
    """Learn a vector for each crystal from structures alone, by Deep InfoMax on the Site-Net encoder.

    The encoder reads a crystal as sites and distances. Two small score networks train it without labels: one asks
    whether a site's local vector belongs to a neighbour, the other whether a crystal's vector belongs to a site. What
    tells true from false partners is what the vectors come to hold.

    PARAMETERS_PLACEHOLDER
    """

    _parameter_constraints: dict = {
        **ENCODER_CONSTRAINTS,
        "representation": [StrOptions({"global", "local", "both"})],
        "objective": [StrOptions({"jsd", "infonce"})],
        "negatives": ["array-like"],
        "kl_weight": [Interval(Real, 0, None, closed="left")],
        "kl_form": [StrOptions({"gaussian", "reference"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance_power": [Interval(Real, 0, None, closed="left")],
        "self_weight": [Interval(Real, 0, None, closed="left")],
        **TRAINING_CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        n_components=64,
        local_dim=32,
        n_blocks=1,
        n_heads=1,
        encoder_params=None,
        representation="both",
        objective="infonce",
        negatives=NEGATIVES,
        kl_weight=0.1,
        kl_form="gaussian",
        temperature=0.1,
        distance_power=2.0,
        self_weight=1.0,
        max_epochs=20,
        batch_sites=1200,
        learning_rate_init=1e-3,
        learning_rate="one_cycle",
        weight_decay=1e-4,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        callbacks=None,
        device="auto",
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
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose

    @classmethod
    def paper(cls, **params):
        """The compact model of Moran et al. 2025: Jensen-Shannon objective, the 64 global components, rate 1e-4.

        Parameters
        ----------
        **params
            Override single settings of it.

        Returns
        -------
        DeepInfoMaxEmbedder
        """
        settings = {
            "representation": "global",
            "objective": "jsd",
            "kl_weight": 0.1,
            "kl_form": "reference",
            "learning_rate_init": 1e-4,
            "learning_rate": "constant",
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
        negatives = self._checked_negatives()
        X = without_failed(check_crystals(X, "DeepInfoMaxEmbedder", min_crystals=2), "DeepInfoMaxEmbedder.fit")
        check_crystals(X, "DeepInfoMaxEmbedder", min_crystals=2)
        rng = check_random_state(self.random_state)
        seed = seed_of(rng)
        rows, held_out = hold_out(len(X), self, rng, least=2)
        module_params = {
            "encoder": encoder_settings(self, X),
            "negatives": negatives,
            **{
                name: getattr(self, name)
                for name in ("objective", "kl_weight", "kl_form", "temperature", "distance_power", "self_weight")
            },
        }
        make_net = partial(
            make_crystal_net, DeepInfoMax, InfoMaxCriterion, module_params, seed=seed, min_crystals=2
        )
        parts = ("local", "global", "kl") if self.kl_weight else ("local", "global")
        self.site_features_ = X.site_features
        train(self, "pre-train", make_net, dataset(X[rows]), dataset(X[held_out]), parts)
        self._n_features_out = embedding_width(self.net_.module_.encoder, self.representation)
        return self

    def transform(self, X):
        """Embed crystals.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        ndarray of float32 of shape (n_crystals, n_features_out)
            ``n_components`` columns for the global vector, ``2 * local_dim`` for mean and standard deviation of the
            local ones, or both. NaN for rows that failed to featurize.
        """
        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", site_features=self.site_features_)
        vectors = np.full((len(X), self._n_features_out), np.nan, dtype=np.float32)
        good = ~X.failed
        if good.any():
            encoder = self.net_.module_.encoder.eval()
            with torch.no_grad():
                parts = [embed(encoder, batch, self.representation).cpu() for batch in self.net_.batches(X[good])]
            vectors[good] = torch.cat(parts).numpy()
        return vectors

    def transform_sites(self, X):
        """Embed every site of every input structure.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)

        Returns
        -------
        vectors : ndarray of float32 of shape (n_sites_total, local_dim)
            The local vectors, crystal after crystal, in the order of each structure's own sites. Sites that symmetry
            makes equal can differ a little where the supercell is less symmetric than the crystal.
        rows : ndarray of int64 of shape (n_sites_total,)
            Which row of X each belongs to. Rows that failed to featurize have no sites.
        """
        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", site_features=self.site_features_)
        rows = np.repeat(np.arange(len(X)), np.diff(X.site_offsets))
        encoder = self.net_.module_.encoder.eval()
        parts = [np.zeros((0, encoder.local_dim), dtype=np.float32)]
        good = ~X.failed
        if good.any():
            with torch.no_grad():
                parts += [encoder(batch)[0].cpu().numpy() for batch in self.net_.batches(X[good])]
        # Failed rows have neither classes nor sites, so classes count the same with and without them.
        return np.concatenate(parts)[X.class_offsets[rows] + X.site_class], rows

    def score(self, X, y=None):
        """Minus the Deep InfoMax loss on crystals that were held out, so that more is better.

        Scores of two embedders compare only if they have the same ``objective``, ``negatives``, ``temperature`` and
        Kullback-Leibler term. False partners are drawn the same way at every call.

        Parameters
        ----------
        X : Crystals of shape (n_crystals,)
            At least two.
        y : object, default=None
            Ignored.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        X = check_crystals(X, "DeepInfoMaxEmbedder", site_features=self.site_features_, min_crystals=2)
        X = check_crystals(without_failed(X, "DeepInfoMaxEmbedder.score"), "DeepInfoMaxEmbedder", min_crystals=2)
        return -self.net_.evaluate_loss(X)

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_features_out,)
            "global0", ..., "local_mean0", ..., "local_std0", ...
        """
        check_is_fitted(self)
        encoder = self.net_.module_.encoder
        names = []
        if self.representation in ("global", "both"):
            names += [f"global{k}" for k in range(encoder.n_components)]
        if self.representation in ("local", "both"):
            names += [f"local_{what}{k}" for what in ("mean", "std") for k in range(encoder.local_dim)]
        return np.asarray(names, dtype=object)

    def _checked_negatives(self):
        negatives = (self.negatives,) if isinstance(self.negatives, str) else tuple(self.negatives)
        unknown = [n for n in negatives if n not in NEGATIVES]
        if unknown or not negatives:
            raise ValueError(f"negatives must be one or more of {NEGATIVES}; got {self.negatives!r}")
        return negatives
