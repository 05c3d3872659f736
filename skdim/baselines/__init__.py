"""Features that random forests are usually given: what a learnt representation has to be compared with.

Stateless transformers from structures (anything that :class:`skdim.SiteNetFeaturizer` reads) to rows of numbers:

- :class:`MagpieFeatures`: 132 statistics of the composition, by matminer. No structure.
- :class:`OrbitalFieldMatrix`: which valence orbitals are neighbours, how near and how much. Local structure.
- :class:`XRDPattern`: the powder pattern, by pymatgen. Global structure.

In a pipeline::

    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from skdim.baselines import MagpieFeatures

    make_pipeline(MagpieFeatures(n_jobs=2), RandomForestRegressor()).fit(structures, y)

The first two need matminer: ``pip install "skdim-crystals[baselines]"``. All three together take some 25 ms a crystal;
where many models are fitted, transform once and let them share the rows.
"""

from ._magpie import MagpieFeatures
from ._orbital_field import OrbitalFieldMatrix
from ._xrd import XRDPattern

__all__ = ["MagpieFeatures", "OrbitalFieldMatrix", "XRDPattern"]
