"""SiteNetFeaturizer: from structures to Crystals."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import ClassVar, Self

import numpy as np
from joblib import delayed, effective_n_jobs
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar, gen_even_slices
from sklearn.utils._param_validation import Interval, StrOptions

from .._chemistry.elements import OXIDATION_FEATURE, check_features
from .._crystals.crystals import Crystals
from .._shared.index import index_of
from .._shared.processes import in_processes
from .._shared.progress import progress
from .._shared.stateless import StatelessTransformer
from .._structures.containers import as_rows
from .._structures.errors import StructureError
from .featurize_rows import MIN_DISTANCE, featurize_rows


class SiteNetFeaturizer(StatelessTransformer, BaseEstimator, auto_wrap_output_keys=None):
    """Convert crystal structures to the sites and distances that Site-Net takes.

    For each structure, the featurizer finds the primitive cell and makes a nearly cubic supercell of at most
    ``max_sites`` sites. It computes the minimum-image distances from every primitive site to every site of the
    supercell and merges sites and pairs that are identical for the network (see :class:`Crystals`). The result does not
    depend on the orientation, the origin, the order of the sites or the choice of the cell.

    The transformer is stateless: ``fit`` checks the parameters only.

    Parameters
    ----------
    max_sites : int, default=50
        Maximum number of sites of the supercell. A larger primitive cell is an error. The paper used 50 for Deep
        InfoMax and 100 or 500 for supervised Site-Nets.
    supercell : {"orthorhombic", "primitive", "none"}, default="orthorhombic"
        "orthorhombic" makes a nearly cubic supercell; "primitive" uses the primitive cell; "none" uses the cell as
        given.
    site_features : sequence of str, default=None
        Elemental properties that networks are given. None takes all of ``skdim.ALL_SITE_FEATURES``, which performed
        better in our benchmarks than the eight of the paper (``skdim.PAPER_SITE_FEATURES``) with every model.
    oxidation_states : {"species", "guess"} or None, default=None
        Add the oxidation state as a site feature: that of the species, or a guess of pymatgen from the composition,
        cached per reduced formula. 0 if unknown.
    guess_time_limit : float, default=5.0
        In seconds per formula, for ``oxidation_states="guess"``.
    distance_tol : float, default=1e-3
        In angstrom. Sites and pairs are merged if their distances differ by at most this much.
    symprec : float, default=1e-3
        In angstrom. Tolerance of the search for the primitive cell.
    compress : bool, default=True
        Whether to merge equivalent sites and pairs. This does not change the output of networks and makes the data
        several times smaller and faster.
    disordered : {"raise", "majority"}, default="raise"
        What to do with partially occupied sites: raise an error, or use the species with the largest occupancy.
    strict_cif : bool, default=False
        Whether inconsistent CIFs are an error instead of a warning: the formula, Z, formula weight, density, cell
        volume or multiplicities in the file differ from those of the crystal that was read.
    on_error : {"raise", "warn"}, default="raise"
        What to do with structures that cannot be featurized. "warn" keeps an empty row, whose vector is NaN, and the
        reason in ``Crystals.errors_``.
    n_jobs : int, default=None
        Number of processes (joblib). None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar, or lines in a log file.

    See Also
    --------
    DeepInfoMaxEmbedder : Learn vectors of crystals without labels.

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
        # With a larger tolerance, a site could be merged with its neighbour.
        "distance_tol": [Interval(Real, 0, MIN_DISTANCE, closed="left")],
        "symprec": [Interval(Real, 0, None, closed="neither")],
        "compress": ["boolean"],
        "disordered": [StrOptions({"raise", "majority"})],
        "strict_cif": ["boolean"],
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
        strict_cif=False,
        on_error="raise",
        n_jobs=None,
        verbose=0,
    ) -> None:
        self.max_sites = max_sites
        self.supercell = supercell
        self.site_features = site_features
        self.oxidation_states = oxidation_states
        self.guess_time_limit = guess_time_limit
        self.distance_tol = distance_tol
        self.symprec = symprec
        self.compress = compress
        self.disordered = disordered
        self.strict_cif = strict_cif
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.dict = True
        return tags

    def fit(self, X, y=None) -> Self:
        """Check the parameters and the type of X.

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

    def transform(self, X) -> Crystals:
        """Featurize structures.

        Parameters
        ----------
        X : sequence of structures of length n_crystals
            A list, tuple, object array, Series or one-column DataFrame (pandas, polars, pyarrow). Its rows can be
            pymatgen Structures, ASE Atoms, paths or texts of structure files and dicts, in any mixture. They are not
            changed.

        Returns
        -------
        Crystals of shape (n_crystals,)
            With the index of a pandas Series or DataFrame.

        Raises
        ------
        StructureError
            If a structure cannot be featurized and ``on_error="raise"``. A ValueError with the attributes ``row``,
            ``name``, ``formula`` and ``reason``.
        """
        features = self._checked_features()
        parts = list(self._parts(as_rows(X), verbose=self.verbose))
        result = Crystals.concatenate(
            Crystals(part.columns, features, self._settings(), {row: str(error) for row, error in part.errors.items()})
            for part in parts
        )
        result.index = index_of(X)
        for warning in (warning for part in parts for warning in part.warnings):
            warnings.warn(str(StructureError(*warning)), stacklevel=2)
        _warn_of_failures(result, "errors_ of the Crystals")
        return result

    def transform_to_disk(self, source, path, *, chunk_size=1000) -> Crystals:
        """Featurize any number of structures into a store on disk, in constant memory.

        The store is written atomically. Until it is complete, the work is saved in a hidden folder next to it: if the
        run is killed, call the method again with the same source and settings to resume it. (The source is read again
        from the start to check that it has not changed, which takes little time.)

        Parameters
        ----------
        source : str, Path, iterator, or sequence of structures
            One of

            - a folder, of which the files of structures and archives are read at any depth (a warning counts and
              names the others);
            - a file of structures (CIF, POSCAR, XDATCAR, extended XYZ, XSF, RES, CSSR, ASE trajectory, JSON), also
              compressed by gzip, bzip2 or xz; each structure in it is a row;
            - an archive of such files (zip or tar), which is not extracted;
            - a Parquet table (``*.parquet``) with the columns "lattice" (9 numbers, row-major, angstrom), "species"
              (atomic numbers) and "frac_coords" (3 numbers a site), or a column "cif" or "structure" with the
              texts of structure files; and, optionally, "id" or "material_id";
            - a CSV table (``*.csv``, UTF-8) with such a column "cif" or "structure";
            - an ASE database (``*.db``);
            - what :meth:`transform` takes, or an iterator over it.

            A file of more than 64 MB after decompression fails.
        path : str or Path
            The new store. Besides the columns, it contains ``failures.csv`` (row, id, formula and reason of each row
            that failed), ``warnings.csv`` (row, id, formula and warning, for example of CIFs with several crystals)
            and, if the rows of the source have names, ``ids.csv`` (name of the file, or id of the material, of each
            row).
        chunk_size : int, default=1000
            Number of rows that are read, featurized by ``n_jobs`` processes and written at a time. If the run is
            killed, at most this many rows are lost, or twice as many with several processes.

        Returns
        -------
        Crystals of shape (n_crystals,)
            Memory-mapped.

        Raises
        ------
        FileExistsError
            If ``path`` exists. It is complete and can be opened by ``Crystals.load(path, mmap_mode="r")``.
        StructureError
            If a structure cannot be featurized and ``on_error="raise"``. A run with ``on_error="warn"`` resumes there.
        ValueError
            If the source is empty, of another kind, or differs from that of the run to resume.

        Examples
        --------
        >>> import tempfile
        >>> from skdim import SiteNetFeaturizer
        >>> from skdim.datasets import make_crystals
        >>> structures, y = make_crystals(20, random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     SiteNetFeaturizer().transform_to_disk(iter(structures), f"{folder}/crystals").shape
        (20,)
        """
        from .to_disk import featurize_to_disk

        features = self._checked_features()
        check_scalar(chunk_size, "chunk_size", Integral, min_val=1)
        result = featurize_to_disk(
            self._parts,
            source,
            path,
            site_features=features,
            settings=self._settings(),
            identity={"guess_time_limit": self.guess_time_limit, "strict_cif": bool(self.strict_cif)},
            chunk_size=chunk_size,
            overlap=effective_n_jobs(self.n_jobs) > 1,
            verbose=self.verbose,
        )
        _warn_of_failures(result, f"{path}/failures.csv")
        return result

    def _parts(self, rows, first_row=0, *, verbose=0):
        """Iterable of FeaturizedRows for consecutive parts of the rows."""
        options = {
            **self._settings(),
            "guess_time_limit": self.guess_time_limit,
            "strict_cif": self.strict_cif,
            "keep_errors": self.on_error == "warn",
        }
        n_jobs = effective_n_jobs(self.n_jobs)
        if n_jobs == 1:
            counted = progress(rows, verbose=verbose, desc="featurize", unit="structure")
            return [featurize_rows(counted, first_row, options)]
        # Several parts per process balance slow structures.
        parts = list(gen_even_slices(len(rows), min(len(rows), 8 * n_jobs)))
        calls = (delayed(featurize_rows)(rows[part], first_row + part.start, options) for part in parts)
        results = in_processes(calls, self.n_jobs)
        return progress(results, verbose=verbose, total=len(parts), desc="featurize", unit="chunk")

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Return the name of the only column.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (1,)
        """
        return np.array(["crystal"], dtype=object)

    def set_output(self, *, transform=None) -> Self:
        """Do nothing: the output is always Crystals. Defined for ``Pipeline.set_output``.

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
        # Python values, because the settings are written to JSON.
        return {name: _to_python(getattr(self, name)) for name in names}


def _to_python(value):
    return value.item() if isinstance(value, np.generic) else value


def _warn_of_failures(crystals, where):
    if crystals.errors_:
        warnings.warn(
            f"{len(crystals.errors_)} of {len(crystals)} structures could not be featurized; their rows are empty, see "
            f"{where}. The first: {next(iter(crystals.errors_.values()))}",
            stacklevel=3,
        )
