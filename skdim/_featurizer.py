"""SiteNetFeaturizer: structures -> Crystals."""

from __future__ import annotations

import warnings
from numbers import Integral, Real

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import gen_even_slices
from sklearn.utils._param_validation import Interval, StrOptions

from ._compression import compress_sites, keep_all
from ._crystals import Crystals
from ._elements import ALL_FEATURES, SITE_FEATURES, element_table
from ._geometry import Cell, GeometryError, nearest_pair, primitive_cell, supercell_distances
from ._oxidation import oxidation_states
from ._ragged import offsets_of
from ._structures import StructureError, as_rows, formula_of, read_structure, site_numbers

#: Sites nearer than this, in angstrom, are one site written twice; no two nuclei in a solid are (H-H: 0.74).
MIN_DISTANCE = 0.5
#: Name of the site feature that ``oxidation_states`` adds.
OXIDATION_FEATURE = "oxidation_state"


class SiteNetFeaturizer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
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
        Elemental properties that the networks are given, of ``skdim.ALL_SITE_FEATURES``. None takes the paper's eight:
        atomic number, atomic weight, row, group, first ionisation energy, electronegativity, atomic radius, density.
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

    _parameter_constraints: dict = {
        "max_sites": [Interval(Integral, 1, None, closed="left")],
        "supercell": [StrOptions({"orthorhombic", "primitive", "none"})],
        "site_features": ["array-like", None],
        "oxidation_states": [StrOptions({"species", "guess"}), None],
        "guess_time_limit": [Interval(Real, 0, None, closed="neither")],
        "distance_tol": [Interval(Real, 0, None, closed="left")],
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
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.dict = True
        return tags

    def __sklearn_is_fitted__(self):
        return True

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
            With ``on_error="raise"``, for the first row that cannot be featurized; it names row, formula and remedy.
        """
        features = self._checked_features()
        rows = as_rows(X)
        settings = self._settings()
        n_chunks = min(len(rows), max(1, effective_n_jobs(self.n_jobs) * 8 if self.n_jobs not in (None, 1) else 1))
        chunks = list(gen_even_slices(len(rows), n_chunks))
        options = {**settings, "guess_time_limit": self.guess_time_limit, "keep_errors": self.on_error == "warn"}
        if n_chunks == 1:
            parts = [_featurize_chunk(_progress(rows, self.verbose, "structure"), 0, features, options)]
        else:
            results = Parallel(n_jobs=self.n_jobs, return_as="generator")(
                delayed(_featurize_chunk)(rows[chunk], chunk.start, features, options) for chunk in chunks
            )
            parts = list(_progress(results, self.verbose, "chunk", total=n_chunks))
        result = Crystals.concatenate([Crystals(columns, features, settings, errors) for columns, errors in parts])
        if result.errors_:
            row, why = next(iter(result.errors_.items()))
            warnings.warn(
                f"{len(result.errors_)} of {len(result)} structures could not be featurized and will embed as NaN "
                f"(see errors_ of the Crystals); the first: {why}",
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
        names = SITE_FEATURES if self.site_features is None else tuple(self.site_features)
        if not names or len(set(names)) != len(names):
            raise ValueError(f"site_features must name at least one property, each once; got {list(names)}")
        element_table(names)  # raises on unknown names, with the nearest spelling
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


def _featurize_chunk(raws, first_row, features, options):
    """Columns of a Crystals, and the errors by row, of some structures."""
    sites, errors = [], {}
    for k, raw in enumerate(raws):
        try:
            sites.append(_featurize(raw, first_row + k, options))
        except StructureError as error:
            if not options["keep_errors"]:
                raise
            errors[k] = str(error)
            sites.append(None)
    return _to_columns(sites), errors


def _featurize(raw, row, options):
    """Numbers and oxidation states of the kinds, compressed sites, and class of each input site, of one structure."""
    structure = read_structure(raw, row, disordered=options["disordered"])
    numbers = site_numbers(structure)
    if options["oxidation_states"] is None:
        oxidation = np.zeros(len(numbers), dtype=np.float32)
    else:
        oxidation = oxidation_states(structure, options["oxidation_states"], time_limit=options["guess_time_limit"])
    # Sites are alike to start with if element and oxidation state agree.
    kinds = numbers.astype(np.int64)
    if oxidation.any():
        species = np.unique(np.column_stack([numbers, oxidation]), axis=0, return_inverse=True)
        # Labels that keep the element recognisable, so that the choice of a supercell does not depend on the labels.
        kinds = numbers.astype(np.int64) * 1000 + species[1].ravel()
    lattice = np.array(structure.lattice.matrix, dtype=float)
    coords = np.array(structure.frac_coords, dtype=float)
    try:
        if options["supercell"] == "none":
            cell = Cell(lattice, coords, kinds, np.arange(len(kinds)))
        else:
            # A cell that no reduction can bring under the limit: its reduction would only take time.
            cell = primitive_cell(lattice, coords, kinds, options["symprec"])
        distances = supercell_distances(cell, options["max_sites"], grow=options["supercell"] == "orthorhombic")
        nearest, i, j = nearest_pair(distances)
        if nearest < MIN_DISTANCE:
            first = [int(np.flatnonzero(cell.site_of == s)[0]) for s in (i, j)]
            what = f"sites {first[0]} and {first[1]} are" if i != j else f"site {first[0]} and its image are"
            raise GeometryError(
                f"{what} {nearest:.3g} angstrom apart (less than {MIN_DISTANCE}): remove the duplicate site or mend "
                "the cell"
            )
    except GeometryError as error:
        raise StructureError(row, formula_of(structure), str(error)) from error
    compressed = (
        compress_sites(distances, cell.kinds, options["distance_tol"])
        if options["compress"]
        else keep_all(distances, cell.kinds)
    )
    class_of_input = compressed.class_of[cell.site_of]
    # One input site of each class tells the class's element and oxidation state.
    example = np.zeros(len(compressed.kinds), dtype=np.int64)
    example[class_of_input] = np.arange(len(numbers))
    return numbers[example], oxidation[example], compressed, class_of_input


def _to_columns(sites):
    present = [s for s in sites if s is not None]
    compressed = [s[2] for s in present]

    def lengths(values):
        iterator = iter(values)
        return offsets_of([0 if s is None else next(iterator) for s in sites])

    def flat(values, dtype):
        return np.concatenate([np.zeros(0, dtype=dtype), *values]).astype(dtype)

    return {
        "class_offsets": lengths(len(c.kinds) for c in compressed),
        "site_offsets": lengths(len(s[3]) for s in present),
        "numbers": flat((s[0] for s in present), np.uint8),
        "oxidation_states": flat((s[1] for s in present), np.float32),
        "multiplicity": flat((c.multiplicity for c in compressed), np.int64),
        "row_offsets": offsets_of(flat((c.row_lengths for c in compressed), np.int64)),
        "site_class": flat((s[3] for s in present), np.int64),
        "neighbour": flat((c.neighbour for c in compressed), np.int64),
        "distance": flat((c.distance for c in compressed), np.float64),
        "count": flat((c.count for c in compressed), np.int64),
    }


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


__all__ = ["ALL_FEATURES", "SiteNetFeaturizer"]
