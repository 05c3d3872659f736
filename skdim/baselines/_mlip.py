"""MLIPFeatures: vectors and energies of a pre-trained interatomic potential."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from ._base import StructureTransformer, attempt

#: What each model was trained on, as names of properties that follow from its targets.
_LEAKS = {
    "chgnet": (
        "energy_per_atom",
        "formation_energy_per_atom",
        "e_above_hull",
        "forces",
        "stress",
        "magnetic_moments",
    ),
}


class MLIPFeatures(StructureTransformer):
    """Features from a machine-learned interatomic potential (MLIP) that others have trained.

    The vector of the crystal (the mean over the sites in the last layer), mean and standard deviation of the vectors of
    its sites, energy per atom, standard deviation of the site energies, mean and standard deviation of the magnetic
    moments: 196 columns. ``fit`` only checks the parameters. The weights are those of version 0.3.0, which the chgnet
    package contains (``pip install "skdim-crystals[mlip]"``, Python 3.11 or 3.12); nothing is downloaded.

    Parameters
    ----------
    model : {"chgnet"}, default="chgnet"
        The potential. For others, see :class:`CalculatorFeatures`.
    batch_size : int, default=1
        Number of crystals that the network computes together. Features do not depend on other rows with 1; with 4 or
        more it is about a quarter faster, and rounding (1e-6) depends on the other crystals of the batch.
    disordered : {"raise", "majority"}, default="raise"
        What to do with a partially occupied site: raise an error, or take the species of largest occupancy.
    on_error : {"raise", "warn"}, default="raise"
        What to do if a structure has no features: raise an error, or warn and set its row to NaN. CHGNet has none for
        crystals with an atom that is 6 angstrom away from all others, or with elements after Pu.
    n_jobs : int, default=None
        Number of processes (joblib), of one thread each. None means 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        1 shows a progress bar; in a log file, occasional lines.

    Attributes
    ----------
    leaks : tuple of str
        Properties that the potential was trained on, or that follow from these. CHGNet was trained on energies, forces,
        stresses and magnetic moments of MPtrj, relaxations of 145 923 crystals of the Materials Project: on these
        crystals, errors for formation energies and energies above the hull are too low. It has not seen other
        properties, such as band gaps.

    See Also
    --------
    CalculatorFeatures : Features from the site vectors of any function.
    skdim.DeepInfoMaxEmbedder : Vectors of a network that is trained here.

    References
    ----------
    Deng, Zhong, Jun, Riebesell, Han, Bartel, Ceder, Nature Machine Intelligence 2023 (CHGNet),
    10.1038/s42256-023-00716-3.

    Examples
    --------
    >>> from skdim.baselines import MLIPFeatures
    >>> from skdim.datasets import make_crystals
    >>> structures, y = make_crystals(5, random_state=0)
    >>> features = MLIPFeatures()
    >>> features.fit_transform(structures).shape
    (5, 196)
    >>> features.leaks[:2]
    ('energy_per_atom', 'formation_energy_per_atom')
    """

    _parameter_constraints: ClassVar = {
        **StructureTransformer._parameter_constraints,
        "model": [StrOptions(set(_LEAKS))],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self, *, model="chgnet", batch_size=1, disordered="raise", on_error="raise", n_jobs=None, verbose=0
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.disordered = disordered
        self.on_error = on_error
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def leaks(self) -> Any:
        """Properties that the potential was trained on, or that follow from these."""
        return _LEAKS[self.model]

    def _batch_size(self):
        return self.batch_size

    def _function(self):
        from ._chgnet import CHGNetFeatures

        return CHGNetFeatures()

    def _features(self, function, structures):
        graphs = [attempt(function.graph, structure) for structure in structures]
        rows = iter(function.rows([graph for graph in graphs if not isinstance(graph, ValueError)]))
        return [graph if isinstance(graph, ValueError) else next(rows) for graph in graphs]

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str of shape (196,)
            "crystal 0", ..., "mean site 0", ..., "std site 0", ..., "energy per atom", "std site energy" (eV), "mean
            magnetic moment" and "std magnetic moment" (Bohr magnetons).
        """
        from ._chgnet import NAMES

        return np.array(NAMES, dtype=object)
