"""
Attention against distance
==========================

Site-Net forms the vector of a site from all sites of a supercell, and weighs them by attention. How far does it look,
and whom does it look at?
"""

# %%
# Weights of attention
# --------------------
# The encoder's attention block returns a weight for each pair that the crystals store; a hook collects them. A stored
# pair stands for ``count`` equal neighbours, and its weight is the sum of theirs.

import matplotlib.pyplot as plt
import numpy as np

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy

data = load_formation_energy()
structures = [s for s, part in zip(data.structures, data.split, strict=True) if part == "test"]
X = SiteNetFeaturizer().fit_transform(structures[::4])


def attention_of(embedder):
    """Weight of each pair of X, in the order of X.distance."""
    weights = []
    block = embedder.net_.module_.encoder.blocks[-1]
    hook = block.register_forward_hook(lambda module, inputs, output: weights.append(output[2].detach().numpy()))
    embedder.transform(X)
    hook.remove()
    return np.concatenate(weights).mean(axis=1)  # over the heads


trained = attention_of(DeepInfoMaxEmbedder.from_pretrained())
untrained = attention_of(DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu").fit(X))
rows = np.repeat(np.arange(len(X.numbers)), np.diff(X.row_offsets))
print(f"{len(trained)} pairs; the weights of a site add up to {np.bincount(rows, trained).mean():.3f}")

# %%
# How far it looks
# ----------------
# Attention a neighbour gets, over what it would get if all were equal. Above 1 the network looks closer.

n_neighbours = np.bincount(rows, X.count)[rows]
own = X.distance == 0
edges = np.arange(1.5, 8.5, 0.5)
places = np.digitize(X.distance, edges)

fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, weights, color in [("pre-trained", trained, "#D55E00"), ("untrained", untrained, "0.6")]:
    relative = weights / X.count * n_neighbours
    means, low, high = [], [], []
    for place in range(1, len(edges)):
        here = relative[(places == place) & ~own]
        means.append(np.median(here))
        low.append(np.quantile(here, 0.25))
        high.append(np.quantile(here, 0.75))
    middle = (edges[:-1] + edges[1:]) / 2
    ax.plot(middle, means, "o-", color=color, label=f"{name}; the site itself: {np.median(relative[own]):.1f}")
    ax.fill_between(middle, low, high, color=color, alpha=0.15, linewidth=0)
ax.axhline(1, color="0.8", zorder=0)
ax.set(xlabel="distance of the neighbour (Å)", ylabel="attention, relative to equal shares")
ax.legend(title="median and quartiles over pairs")
plt.show()

# %%
# The untrained encoder spreads its attention evenly. Pre-training has taught it, without a label, that near atoms
# matter: those at 2 Å get several times an equal share, those beyond 4 Å little. The width of the band is the part
# that the species decide, not the distance.

by_distance = [np.average(X.distance[~own], weights=w[~own]) for w in (untrained, trained)]
print("mean distance of what is looked at: {:.2f} Å untrained, {:.2f} Å pre-trained".format(*by_distance))
