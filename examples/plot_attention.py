"""
Attention against distance
==========================

Site-Net forms the vector of a site from all sites of a supercell, and weighs them by attention. How far does it look,
and whom does it look at?
"""

# %%
# One crystal
# -----------
# A point is a pair of sites: its marker tells the site that pays attention, its colour the neighbour. The dashed line
# is what each neighbour would get if all were alike to the site.

import matplotlib.pyplot as plt
import numpy as np

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.plotting import AttentionDistanceDisplay

data = load_formation_energy()
structures = [s for s, part in zip(data.structures, data.split, strict=True) if part == "test"]
X = SiteNetFeaturizer().fit_transform(structures[::4])

embedder = DeepInfoMaxEmbedder.from_pretrained()
chosen = next(k for k in range(len(X)) if len(set(X[k].numbers)) == 3)
one = AttentionDistanceDisplay.from_estimator(embedder, X[chosen])
one.ax_.set_title(X.formula(chosen))
plt.show()

# %%
# Many crystals
# -------------
# Medians and quartiles of the pairs at each distance, after pre-training and before it.

untrained = DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(X)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
for ax, network, title in [(axes[0], embedder, "pre-trained"), (axes[1], untrained, "untrained")]:
    AttentionDistanceDisplay.from_estimator(network, X, ax=ax)
    ax.set_title(title)
plt.show()

# %%
# The untrained encoder spreads its attention evenly. Pre-training has taught it, without a label, that near atoms
# matter.
#
# The numbers behind it
# ---------------------
# A table, for questions of one's own: how far away is what a site looks at, and which elements look most at
# their own site?

tables = {"untrained": untrained.attention(X), "pre-trained": embedder.attention(X)}
distance = {}
for name, table in tables.items():
    others = table[table["distance"] > 0]
    distance[name] = np.average(others["distance"], weights=others["attention"] * others["multiplicity"])
    print(f"{name}: what is looked at is {distance[name]:.2f} Å away on average")

itself = table[table["distance"] == 0].groupby("element", observed=True)["attention"].mean()
print(itself.nlargest(5).round(3).to_string())
