"""
A vector for every site
=======================

The encoder computes a local vector for each site, which describes an atom in its local environment. This example shows
what these vectors encode about oxygen.
"""

# %%
# Oxygen atoms
# ------------
# ``transform_sites`` returns the vectors of all sites, crystal by crystal, in the order of the sites in each
# structure. The crystals have the bundled test formulas, which were not used to train the encoder:

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import formula_groups

data = load_formation_energy()
structures = [s for s, part in zip(data.structures, data.split, strict=True) if part == "test" and "O" in s.composition]
X = SiteNetFeaturizer().fit_transform(structures)
vectors, rows = DeepInfoMaxEmbedder.from_pretrained().transform_sites(X)

elements = np.array([site.specie.symbol for structure in structures for site in structure])
oxygen = elements == "O"
print(f"{len(vectors)} sites in {len(X)} crystals, {oxygen.sum()} of them oxygen; {vectors.shape[1]} numbers each")

# %%
# Local environments
# ------------------
# For comparison, computed from the structures: the distance to the nearest atom, and the electronegativity of that
# atom.

nearest, electronegativity = [], []
for structure in structures:
    centre, other, _, distance = structure.get_neighbor_list(4.0)
    for site in range(len(structure)):
        around = np.flatnonzero(centre == site)
        closest = around[np.argmin(distance[around])]
        nearest.append(distance[closest])
        electronegativity.append(structure[int(other[closest])].specie.X)
nearest, electronegativity = np.array(nearest)[oxygen], np.array(electronegativity)[oxygen]

# %%
# A map of oxygen
# ---------------
# The encoder was trained without labels and without any definition of a bond.

position = PCA(2).fit_transform(StandardScaler().fit_transform(vectors[oxygen]))
fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharex=True, sharey=True)
for ax, values, label in [
    (axes[0], nearest, "distance to the nearest atom (Å)"),
    (axes[1], electronegativity, "electronegativity of the nearest atom"),
]:
    points = ax.scatter(*position.T, c=values, s=12, cmap="viridis", vmax=np.quantile(values, 0.98))
    fig.colorbar(points, label=label)
    ax.set(xlabel="First principal component", ylabel="Second principal component")
plt.show()

# %%
# Oxygen atoms in similar environments are close to each other. Can a linear model predict both quantities from the
# vectors, for crystals of other formulas?

groups = formula_groups(X)[rows[oxygen]]
for name, target in {"distance": nearest, "electronegativity": electronegativity}.items():
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    scores = cross_val_score(model, vectors[oxygen], target, groups=groups, cv=GroupKFold(5), scoring="r2")
    print(f"{name} of the nearest atom, predicted by a linear model: R2 {scores.mean():.2f}")
