"""CalculatorFeatures: site vectors of any function, pooled to features of crystals."""

from __future__ import annotations

from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from .._structures.errors import describe
from ._base import StructureTransformer
from ._pooled import pooled, pooled_names


class CalculatorFeatures(StructureTransformer):
    """Features from the site vectors of any function, such as another interatomic potential.

    The vector of the crystal, if the function returns one, and mean and standard deviation of the vectors of its sites.
    ``fit`` only checks the parameters.

    Parameters
    ----------
    function : callable
        Takes an ordered pymatgen Structure. Returns an array of shape (n_sites, n_site), or a tuple of this and an
        array of shape (n_crystal,). If it raises an error, the crystal has no features. Pickles of the transformer hold
        only its name: define it in a module if you save models.
    n_site : int
        Length of the vector of a site.
    n_crystal : int, default=0
        Length of the vector of the crystal; 0 if the function returns site vectors only.
    leaks : tuple of str, default=()
        Names of properties that the calculator was trained on; not used, only kept with the results.
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
    MLIPFeatures : Features from CHGNet.

    Examples
    --------
    Distance to the nearest neighbour and atomic number as vector of a site, density as vector of the crystal:

    >>> import numpy as np
    >>> from skdim.baselines import CalculatorFeatures
    >>> from skdim.datasets import make_crystals
    >>> def calculate(structure):
    ...     distances = structure.distance_matrix
    ...     np.fill_diagonal(distances, min(structure.lattice.abc))
    ...     return np.column_stack([distances.min(axis=1), structure.atomic_numbers]), [structure.density]
    >>> structures, y = make_crystals(5, random_state=0)
    >>> features = CalculatorFeatures(function=calculate, n_site=2, n_crystal=1)
    >>> features.fit_transform(structures).shape
    (5, 5)
    >>> list(features.get_feature_names_out())
    ['crystal 0', 'mean site 0', 'mean site 1', 'std site 0', 'std site 1']
    """

    _parameter_constraints: ClassVar = {
        **StructureTransformer._parameter_constraints,
        "function": [callable],
        "n_site": [Interval(Integral, 1, None, closed="left")],
        "n_crystal": [Interval(Integral, 0, None, closed="left")],
        "leaks": [tuple],
    }

    def __init__(
        self,
        *,
        function,
        n_site,
        n_crystal=0,
        leaks=(),
        disordered="raise",
        on_error="raise",
        n_jobs=None,
        verbose=0,
    ) -> None:
        self.function = function
        self.n_site = n_site
        self.n_crystal = n_crystal
        self.leaks = leaks
        self.disordered = disordered
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _function(self):
        def features(structure):
            try:
                result = self.function(structure.copy())  # which it may change
                sites, crystal = result if isinstance(result, tuple) else (result, np.zeros(0))
                sites, crystal = np.asarray(sites, dtype=np.float64), np.asarray(crystal, dtype=np.float64)
            except Exception as error:
                raise ValueError(f"the function failed: {describe(error)}") from error
            shapes, expected = (sites.shape, crystal.shape), ((len(structure), self.n_site), (self.n_crystal,))
            if shapes != expected:
                raise ValueError(
                    f"the function must return site vectors of shape {expected[0]} and a crystal vector of shape "
                    f"{expected[1]}, as n_site and n_crystal say; got {shapes[0]} and {shapes[1]}"
                )
            return pooled(sites, crystal)

        return features

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (n_crystal + 2 * n_site,)
            "crystal 0", ..., "mean site 0", ..., "std site 0", ....
        """
        return np.array(pooled_names(self.n_site, self.n_crystal), dtype=object)
