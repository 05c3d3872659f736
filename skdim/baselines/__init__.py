"""Established features of crystals, as baselines for learned representations.

Stateless transformers from structures (of any kind that :class:`skdim.SiteNetFeaturizer` reads) to rows of numbers:

- :class:`MagpieFeatures`: 132 statistics of the composition. No structure.
- :class:`OrbitalFieldMatrix`: pairs of valence orbitals of neighbouring atoms. Local structure.
- :class:`XRDPattern`: powder diffraction pattern, computed by pymatgen. Global structure.
- :class:`MLIPFeatures`: vectors and energies of CHGNet, an interatomic potential trained by others.
- :class:`CalculatorFeatures`: site vectors of any function, such as another potential.

In a pipeline::

    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from skdim.baselines import MagpieFeatures

    make_pipeline(MagpieFeatures(n_jobs=2), RandomForestRegressor()).fit(structures, y)

OrbitalFieldMatrix needs matminer, ``pip install "skdim-crystals[baselines]"``, and MLIPFeatures chgnet,
``pip install "skdim-crystals[mlip]"``. All but Magpie take 10 to 25 ms per crystal: transform once if you fit many
models.
"""

from ._calculator import CalculatorFeatures
from ._magpie import MagpieFeatures
from ._mlip import MLIPFeatures
from ._orbital_field import OrbitalFieldMatrix
from ._xrd import XRDPattern

__all__ = ["CalculatorFeatures", "MLIPFeatures", "MagpieFeatures", "OrbitalFieldMatrix", "XRDPattern"]
