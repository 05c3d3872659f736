"""
From a crystal to its vectors, in shapes
========================================

One crystal, rutile, in the featurizer and the encoder: figure S2 of the paper, with shapes taken from the running
code.
"""

# %%
# What the featurizer computes
# ----------------------------
# The M sites of the primitive cell are rows, the N sites of a supercell are columns, and each pair has a minimum-image
# distance. ``compress=False`` stores the full arrays.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch
from pymatgen.core import Element, Lattice, Structure
from torch.nn import Linear

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer

lattice = Lattice.tetragonal(4.594, 2.959)
rutile = Structure.from_spacegroup("P4_2/mnm", lattice, ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]])
full = SiteNetFeaturizer(compress=False).fit_transform([rutile])
M, F = len(full.numbers), len(full.site_features)
N = len(full.distance) // M
print(f"{M} sites in the primitive cell, {N} in the supercell, {F} elemental properties per site")

# %%
# A network that reads elements and distances cannot distinguish many of these rows and columns. By default they are
# merged, with counts: the results are equal, and the arrays are several times smaller.

merged = SiteNetFeaturizer().fit_transform([rutile])
print(f"{M} sites -> {len(merged.numbers)} classes; {M} x {N} = {M * N} pairs -> {len(merged.distance)} with counts")

symbols = [Element.from_Z(z).symbol for z in full.numbers.tolist()]
fig, ax = plt.subplots(figsize=(9, 2.4), layout="constrained")
image = ax.imshow(np.sort(full.distance.reshape(M, N), axis=1), aspect="auto", cmap="viridis")
fig.colorbar(image, label="distance (Å)")
ax.set(
    xlabel=f"N = {N} sites of the supercell, nearest first", ylabel=f"M = {M} sites", title="Distances from each site"
)
ax.set_yticks(range(M), symbols)
plt.show()

# %%
# Equal rows are sites in the same local environment: the two titanium atoms are one class, the four oxygen atoms
# another. The first column is the site itself, at distance 0.
#
# Widths inside the network
# -------------------------
# The last linear layer of each part of the encoder has its width.

embedder = DeepInfoMaxEmbedder.from_pretrained()
encoder = embedder.net_.module_.encoder
names = ["lift_site", "blocks.0", "bottleneck", "pre_pool", "post_pool"]
linear = {name: layer for name, layer in encoder.named_modules() if isinstance(layer, Linear)}
widths = {name: [layer for key, layer in linear.items() if key.startswith(name)][-1].out_features for name in names}
vector = embedder.transform(full)
pair, heads = encoder.lift_pair.linear.out_features, encoder.blocks[0].n_heads
local, crystal = encoder.local_dim, encoder.n_components
print(widths)

# %%
# The drawing
# -----------
# A batch has B crystals; for one crystal omit B. Blue: Site-Net. Orange: the two blocks of Deep InfoMax, which are
# used only in pre-training. Each decides whether two things belong together: the local vector of a site and its local
# environment (local block), or the vector of a crystal and that of a site (global block).

SITE, DIM = "#0072B2", "#D55E00"
fig, ax = plt.subplots(figsize=(11, 4.9), layout="constrained")
ax.set(xlim=(-0.1, 8.85), ylim=(-2.3, 3.05))
ax.axis("off")


def box(x, y, title, shape, color=SITE, width=0.98):
    tint = (*to_rgb(color), 0.13)
    for face, edge in (("white", "white"), (tint, tint)):  # white hides the arrows behind the box
        ax.add_patch(FancyBboxPatch((x, y), width, 0.86, boxstyle="round,pad=0.02", facecolor=face, edgecolor=edge))
    ax.text(x + width / 2, y + (0.58 if shape else 0.43), title, ha="center", va="center", fontsize=9)
    ax.text(x + width / 2, y + 0.18, shape, ha="center", va="center", fontsize=9, color=color, weight="bold")


def arrow(start, end, color="0.35", style="-"):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "linestyle": style}, zorder=0)


box(0, 1, "crystal\n(CIF)", "")
box(1.3, 2, "elements of sites", f"B, M, {F}")
box(1.3, 0, "distances", "B, M, N")
box(2.6, 2, "lifted sites", f"B, M, {widths['lift_site']}")
box(2.6, 0, "lifted pairs", f"B, M, N, {pair}")
box(3.9, 1, "bonds\n$x_i, x_j, e_{ij}$", f"\nB, M, N, {2 * widths['lift_site'] + pair}")
box(5.2, 2, "attention over j", f"B, M, N, {heads}")
box(5.2, 0, "new sites", f"B, M, {widths['blocks.0']}")
box(6.5, 0, "local vectors", f"B, M, {local}")
box(6.5, 2, "dense layers", f"B, M, {widths['pre_pool']}")
box(7.8, 2, "mean over sites", f"B, {widths['pre_pool']}")
box(7.8, 0, "crystal vector", f"B, {crystal}")
for y in (0.43, 2.43):
    arrow((0.98, 1.43), (1.3, y))
    arrow((2.28, y), (2.6, y))
    arrow((3.58, y), (3.9, 1.43))
arrow((4.88, 1.43), (5.2, 2.43))
arrow((5.69, 2), (5.69, 0.88))
arrow((6.18, 0.43), (6.5, 0.43))
arrow((6.99, 0.88), (6.99, 2))
arrow((7.48, 2.43), (7.8, 2.43))
arrow((8.29, 2), (8.29, 0.88))

box(1.3, -1.9, "local block: does this site belong to this environment?", "", DIM, width=5.6)
box(7.1, -1.9, "global block: does this\nsite belong to this crystal?", "", DIM, width=1.68)
for x in (1.79, 6.75):
    arrow((x, 0), (x, -1.02), DIM, "--")
arrow((1.5, 2), (1.5, -1.02), DIM, "--")
arrow((7.25, 0), (7.25, -1.02), DIM, "--")
arrow((8.29, 0), (8.29, -1.02), DIM, "--")
ax.text(4.4, -0.45, f"B crystals; rutile: M = {M}, N = {N}", ha="center", fontsize=10, style="italic")
plt.show()

# %%
# :meth:`~skdim.DeepInfoMaxEmbedder.transform` concatenates the vector of the crystal with mean and standard deviation
# of its local vectors; :meth:`~skdim.DeepInfoMaxEmbedder.transform_sites` returns the local vectors.

sites, rows = embedder.transform_sites(full)
print(f"transform: {crystal} + 2 x {local} = {vector.shape[1]} numbers per crystal; transform_sites: {sites.shape}")
