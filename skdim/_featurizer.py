"""SiteNetFeaturizer: structures -> Crystals."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator
from sklearn.utils import gen_even_slices
from sklearn.utils._param_validation import Interval, StrOptions

from ._columns import MIN_DISTANCE, featurize_rows
from ._crystals import Crystals
from ._elements import OXIDATION_FEATURE, check_features, element_table
from ._stateless import StatelessTransformer
from ._structures import as_rows


class SiteNetFeaturizer(StatelessTransformer, BaseEstimator, auto_wrap_output_keys=None):
    """Turn crystal structures into the sites and distances that Site-Net reads.

    For each structure: find the primitive cell; grow from it a supercell of at most ``max_sites`` sites, as close to
    an orthorhombic box with equal edges as integers allow; take the minimum-image distance in it from every primitive
    site to every supercell site; and merge what is the same to the network (see :class:`Crystals`). The result does
    not depend on the orientation, the origin, the order of the sites or the choice of the cell.

    The transformer is stateless: ``fit`` only checks the parameters.

    Parameters
    ----------
    max_sites : int, default=50
        Upper limit of the supercell's sites. A structure whose primitive cell is larger is an error. The paper used 50
        for Deep InfoMax and 100 or 500 for supervised Site-Nets.
    supercell : {"orthorhombic", "primitive", "none"}, default="orthorhombic"
        "orthorhombic" grows the supercell; "primitive" stops at the primitive cell; "none" takes each cell as it was
        handed over.
    site_features : sequence of str, default=None
        Elemental properties that the networks are given. None takes all of ``skdim.ALL_SITE_FEATURES``, which measures
        better than the paper's eight (``skdim.PAPER_SITE_FEATURES``) with every model.
    oxidation_states : {"species", "guess"} or None, default=None
        Adds the oxidation state as a further feature: the one that the structure's species carry, or guessed from the
        composition by pymatgen (at most ``guess_time_limit`` seconds a formula, remembered per reduced formula).
        0 where unknown.
    guess_time_limit : float, default=5.0
        In seconds, for ``oxidation_states="guess"``.
    distance_tol : float, default=1e-3
        In angstrom. Distances closer than this count as equal when sites and pairs are merged.
    symprec : float, default=1e-3
        In angstrom. How far sites may be from where a lattice translation puts them for the cell to count as not
        primitive.
    compress : bool, default=True
        False stores every primitive site and every supercell column. Networks give the same output on both; the
        compressed form is several times smaller and faster.
    disordered : {"raise", "majority"}, default="raise"
        What to do with a partially occupied site: refuse the structure, or take the species of largest occupancy.
    on_error : {"raise", "warn"}, default="raise"
        What to do with a structure that cannot be featurized. "warn" keeps its row, empty: it embeds as NaN, and
        ``Crystals.errors_`` says why.
    n_jobs : int, default=None
        Processes (joblib). None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar.

    See Also
    --------
    DeepInfoMaxEmbedder : Learns vectors from featurized crystals without labels.

    References
    ----------
    Moran, Gaultois, Gusev, Antypov, Rosseinsky, Digital Discovery 2025, 10.1039/D4DD00202D;
    Moran, Gaultois, Gusev, Rosseinsky, Digital Discovery 2023, 10.1039/D3DD00005B.

    Examples
    --------
    >>> from skdim import SiteNetFeaturizer
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(20, random_state=0)
    >>> SiteNetFeaturizer().fit_transform(structures).shape
    (20,)
    """

    _parameter_constraints: ClassVar = {
        # Counts and site classes are stored in 16 bits.
        "max_sites": [Interval(Integral, 1, 2**16 - 1, closed="both")],
        "supercell": [StrOptions({"orthorhombic", "primitive", "none"})],
        "site_features": ["array-like", None],
        "oxidation_states": [StrOptions({"species", "guess"}), None],
        "guess_time_limit": [Interval(Real, 0, None, closed="neither")],
        # Any wider, and a site could merge with its neighbour.
        "distance_tol": [Interval(Real, 0, MIN_DISTANCE, closed="left")],
        "symprec": [Interval(Real, 0, None, closed="neither")],
        "compress": ["boolean"],
        "disordered": [StrOptions({"raise", "majority"})],
        "on_error": [StrOptions({"raise", "warn"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        max_sites=50,
        supercell="orthorhombic",
        site_features=None,
        oxidation_states=None,
        guess_time_limit=5.0,
        distance_tol=1e-3,
        symprec=1e-3,
        compress=True,
        disordered="raise",
        on_error="raise",
        n_jobs=None,
        verbose=0,
    ):
        self.max_sites = max_sites
        self.supercell = supercell
        self.site_features = site_features
        self.oxidation_states = oxidation_states
        self.guess_time_limit = guess_time_limit
        self.distance_tol = distance_tol
        self.symprec = symprec
        self.compress = compress
        self.disordered = disordered
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.dict = True
        return tags

    def fit(self, X, y=None):
        """Check the parameters and that X is a kind of input that can be read.

        Parameters
        ----------
        X : sequence of structures of length n_crystals
            As for :meth:`transform`.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : SiteNetFeaturizer
        """
        self._checked_features()
        as_rows(X)
        return self

    def transform(self, X):
        """Featurize structures.

        Parameters
        ----------
        X : sequence of structures of length n_crystals
            A list, tuple, object array, pandas Series or one-column DataFrame of pymatgen Structures, ASE Atoms, paths
            of CIF files, CIF texts or pymatgen dicts, also mixed. They are not changed.

        Returns
        -------
        Crystals of shape (n_crystals,)

        Raises
        ------
        StructureError
            With ``on_error="raise"``, where a row cannot be featurized; it names row, formula and remedy. (A
            ValueError with the attributes ``row``, ``formula`` and ``reason``.)
        """
        features = self._checked_features()
        rows = as_rows(X)
        settings = self._settings()
        options = {**settings, "guess_time_limit": self.guess_time_limit, "keep_errors": self.on_error == "warn"}
        n_jobs = effective_n_jobs(self.n_jobs)
        if n_jobs == 1:
            parts = [featurize_rows(_progress(rows, self.verbose, "structure"), 0, options)]
        else:
            # Several chunks a process even out slow structures.
            chunks = list(gen_even_slices(len(rows), min(len(rows), 8 * n_jobs)))
            # One by one the progress bar wants them; ray and multiprocessing only return all at once.
            one_by_one = get_active_backend()[0].supports_return_generator
            results = Parallel(n_jobs=self.n_jobs, return_as="generator" if one_by_one else "list")(
                delayed(featurize_rows)(rows[chunk], chunk.start, options) for chunk in chunks
            )
            parts = list(_progress(results, self.verbose, "chunk", total=len(chunks)))
        result = Crystals.concatenate([Crystals(columns, features, settings, errors) for columns, errors in parts])
        if result.errors_:
            warnings.warn(
                f"{len(result.errors_)} of {len(result)} structures could not be featurized; their rows stay, empty, "
                f"and errors_ of the Crystals says why. The first: {next(iter(result.errors_.values()))}",
                stacklevel=2,
            )
        return result

    def get_feature_names_out(self, input_features=None):
        """Name of the one column that a Crystals is to a Pipeline.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (1,)
        """
        return np.array(["crystal"], dtype=object)

    def set_output(self, *, transform=None):
        """Do nothing: a Crystals is no table, so it stays a Crystals. Defined so that ``Pipeline.set_output`` works.

        Parameters
        ----------
        transform : object, default=None
            Ignored.

        Returns
        -------
        self : SiteNetFeaturizer
        """
        return self

    def _checked_features(self):
        self._validate_params()
        names = check_features(self.site_features)
        return names + ((OXIDATION_FEATURE,) if self.oxidation_states else ())

    def _settings(self):
        names = ("max_sites", "supercell", "oxidation_states", "distance_tol", "symprec", "compress", "disordered")
        # Plain Python values: the settings are written to JSON.
        return {name: _plain(getattr(self, name)) for name in names}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _progress(iterable, verbose, unit, total=None):
    if not verbose:
        return iterable
    from tqdm import tqdm

    return tqdm(iterable, total=total, desc="featurize", unit=unit)


def site_inputs(crystals):
    """Features of every class as the networks take them, float32 ndarray of shape (n_classes, n_features).

    Elemental properties are standardised over the periodic table; an oxidation state is divided by 4.
    """
    names = crystals.site_features
    elemental = tuple(n for n in names if n != OXIDATION_FEATURE)
    table = element_table(elemental).astype(np.float32)
    inputs = table[crystals.numbers]
    if OXIDATION_FEATURE in names:
        inputs = np.column_stack([inputs, crystals.oxidation_states / np.float32(4)])
    return inputs
