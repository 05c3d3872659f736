"""MagpieFeatures: statistics of the composition, as in matminer's preset "magpie"."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np

from ._base import StructureTransformer, import_matminer


class MagpieFeatures(StructureTransformer):
    """Magpie's 132 statistics of the composition, computed by matminer.

    Minimum, maximum, range, mean, mean absolute deviation and mode of 22 elemental properties, weighted by atomic
    fractions. Polymorphs of one formula have equal rows. ``fit`` only checks the parameters. Requires matminer
    (``pip install "skdim-crystals[baselines]"``).

    Parameters
    ----------
    impute : bool, default=True
        Magpie's tables lack a few values, such as the electronegativities of He, Ne, Ar and Rn and the covalent radii
        from Bk on. True takes the mean of the property over the elements, as matminer's preset does; False raises an
        error for structures with such elements.
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
    skdim.CompositionStatistics : Composition statistics of Crystals, without matminer.

    References
    ----------
    Ward, Agrawal, Choudhary, Wolverton, npj Computational Materials 2016, 10.1038/npjcompumats.2016.28;
    Ward et al., Computational Materials Science 2018 (matminer), 10.1016/j.commatsci.2018.05.018.

    Examples
    --------
    >>> from skdim.baselines import MagpieFeatures
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(20, random_state=0)
    >>> MagpieFeatures().fit_transform(structures).shape
    (20, 132)
    """

    _parameter_constraints: ClassVar = {**StructureTransformer._parameter_constraints, "impute": ["boolean"]}

    def __init__(self, *, impute=True, disordered="raise", on_error="raise", n_jobs=None, verbose=0):
        self.impute = impute
        self.disordered = disordered
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _function(self):
        preset = _preset(bool(self.impute))

        def features(structure):
            composition = structure.composition.element_composition
            if not self.impute:
                _check_known(preset, composition)
            return preset.featurize(composition)

        return features

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (132,)
            "minimum Number", "maximum Number", ...: matminer's names without "MagpieData".
        """
        labels = _preset(bool(self.impute)).feature_labels()
        return np.array([label.removeprefix("MagpieData ") for label in labels], dtype=object)


@lru_cache(maxsize=2)
def _preset(impute):
    """Make matminer's featurizer; cached, as reading its tables takes 50 ms."""
    return import_matminer("featurizers.composition").ElementProperty.from_preset("magpie", impute_nan=impute)


def _check_known(preset, composition):
    for element in composition:
        lacking = [p for p in preset.features if np.isnan(preset.data_source.get_elemental_property(element, p))]
        if lacking:
            raise ValueError(
                f"Magpie's tables lack {', '.join(lacking)} of {element}; impute=True takes the mean over the elements"
            )
