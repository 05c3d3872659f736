"""OrbitalFieldMatrix: pairs of valence orbitals of neighbouring atoms."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import ClassVar

import numpy as np

from .._structures.read import site_numbers
from ._base import StructureTransformer, import_matminer
from ._voronoi import voronoi_faces


class OrbitalFieldMatrix(StructureTransformer):
    r"""The orbital field matrix: pairs of valence orbitals of neighbouring atoms.

    Each element is a one-hot vector of the electrons in its valence s, p, d and f subshells (s1, s2, p1, ..., p6, d1,
    ..., f14). The matrix of a site is a sum over the neighbours with which it shares a Voronoi face: the product of the
    neighbour's vector (rows) and the site's vector (columns), weighted by the solid angle of the face relative to the
    largest of the site, and divided by the distance in bohr. The features are the mean over the sites, flattened.
    ``fit`` only checks the parameters.

    Vectors and definition are those of matminer (``pip install "skdim-crystals[baselines]"``). The tessellation is done
    once per crystal instead of once per site of a 3 x 3 x 3 supercell, about 20 times faster. Results agree with
    matminer's where its tessellation, cut off at 13 angstrom, is complete; here it always is.

    Parameters
    ----------
    period : bool, default=False
        Whether to add the period to the vector of an element: 39 x 39 instead of 32 x 32 features.
    disordered : {"raise", "majority"}, default="raise"
        What to do with a partially occupied site: raise an error, or take the species of largest occupancy.
    on_error : {"raise", "warn"}, default="raise"
        What to do if a structure has no features: raise an error, or warn and set its row to NaN.
    n_jobs : int, default=None
        Number of processes (joblib). None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar; in a log file, occasional lines.

    See Also
    --------
    skdim.StructureStatistics : Statistics of sites and neighbours, without matminer.

    References
    ----------
    Lam Pham, Kino, Terakura, Miyake, Tsuda, Takigawa, Chi Dam, Science and Technology of Advanced Materials 2017,
    10.1080/14686996.2017.1378060.

    Examples
    --------
    >>> from skdim.baselines import OrbitalFieldMatrix
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(5, random_state=0)
    >>> OrbitalFieldMatrix().fit_transform(structures).shape
    (5, 1024)
    """

    _parameter_constraints: ClassVar = {**StructureTransformer._parameter_constraints, "period": ["boolean"]}

    def __init__(self, *, period=False, disordered="raise", on_error="raise", n_jobs=None, verbose=0) -> None:
        self.period = period
        self.disordered = disordered
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _function(self):
        vectors, _, bohr = _orbitals(bool(self.period))

        def features(structure):
            numbers = site_numbers(structure)
            if numbers.max() >= len(vectors):
                raise ValueError(
                    f"no orbitals are tabulated for atomic number {numbers.max()}, only up to {len(vectors) - 1}: "
                    "remove the structure"
                )
            faces = voronoi_faces(np.array(structure.lattice.matrix), np.array(structure.frac_coords))
            largest = np.zeros(len(numbers))
            np.maximum.at(largest, faces.center, faces.solid_angle)
            weight = faces.solid_angle / largest[faces.center] / (faces.distance * bohr)
            # Sum over the few pairs of elements first: the matrix is bilinear.
            elements, kind = np.unique(numbers, return_inverse=True)
            pairs = np.zeros((len(elements), len(elements)))
            np.add.at(pairs, (kind[faces.neighbour], kind[faces.center]), weight)
            return (vectors[elements].T @ (pairs / len(numbers)) @ vectors[elements]).ravel()

        return features

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (1024,) or (1521,)
            "s^1 - s^1", "s^1 - s^2", ...: orbital of the neighbour, orbital of the site.
        """
        return np.array(_orbitals(bool(self.period))[1], dtype=object)


@lru_cache(maxsize=2)
def _orbitals(period):
    """Vector of each element by atomic number, names of the features, and bohr per angstrom, from matminer."""
    matrix = import_matminer("featurizers.structure.matrix")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # matminer stores the vectors as np.matrix
        reference = matrix.OrbitalFieldMatrix(period_tag=period, flatten=True)
    vectors = np.zeros((max(reference.ohvs) + 1, reference.size))
    for number, vector in reference.ohvs.items():
        vectors[number] = vector
    return vectors, [label.removeprefix("OFM: ") for label in reference.feature_labels()], matrix.ANG_TO_BOHR
