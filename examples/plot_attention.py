"""
Attention against distance
==========================

Site-Net computes the vector of a site from all sites of a supercell, weighted by attention. At which distances and
elements are the weights large?
"""

# %%
# One crystal
# -----------
# Each point is a pair of sites: the marker shows the site, the colour its neighbour. The dashed line is uniform
# attention.

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
# Medians and quartiles of the pairs at each distance, after and before pre-training.

untrained = DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(X)
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained", sharey=True)
for ax, network, title in [(axes[0], embedder, "pre-trained"), (axes[1], untrained, "untrained")]:
    AttentionDistanceDisplay.from_estimator(network, X, ax=ax)
    ax.set_title(title)
plt.show()

# %%
# The attention of the untrained encoder is nearly uniform. After pre-training, without labels, it is concentrated on
# near atoms.
#
# The numbers
# -----------
# The attention as a table: what is the mean distance of attention, and which elements attend most to their own site?

tables = {"untrained": untrained.attention(X), "pre-trained": embedder.attention(X)}
distance = {}
for name, table in tables.items():
    others = table[table["distance"] > 0]
    distance[name] = np.average(others["distance"], weights=others["attention"] * others["multiplicity"])
    print(f"{name}: mean distance of attention to other sites {distance[name]:.2f} Å")

itself = table[table["distance"] == 0].groupby("element", observed=True)["attention"].mean()
print(itself.nlargest(5).round(3).to_string())
