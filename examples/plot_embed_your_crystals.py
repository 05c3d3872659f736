"""
Embed your own crystals
=======================

From a folder of CIF files to vectors, a map of them and a search for similar crystals, all without labels.
"""

# %%
# A folder of CIF files
# ---------------------
# Synthetic crystals stand in for your files here.

import os
import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import make_crystals

small = os.environ.get("SKDIM_EXAMPLE_SIZE") == "small"
n_crystals, epochs = (40, 1) if small else (500, 20)

folder = Path(tempfile.mkdtemp())
structures, _, prototypes = make_crystals(n_crystals, return_prototypes=True, random_state=0)
for k, structure in enumerate(structures):
    structure.to(folder / f"crystal_{k:04d}.cif", fmt="cif")

# %%
# Pre-train
# ---------
# The pipeline takes file names as it takes structures. ``on_error="warn"`` keeps the row of a file that cannot be used:
# it becomes a row of NaN, and the rows stay aligned with your files.

files = sorted(folder.glob("*.cif"))
embed = make_pipeline(SiteNetFeaturizer(on_error="warn"), DeepInfoMaxEmbedder(max_epochs=epochs, random_state=0))
embed.set_output(transform="pandas")
vectors = embed.fit_transform(files)
vectors.index = [file.stem for file in files]
print(vectors.iloc[:5, :4])

# %%
# Keep the trained pipeline for later files. Load such a file only from those you trust: it is a pickle.

joblib.dump(embed, folder / "embedder.joblib")
again = joblib.load(folder / "embedder.joblib").transform(files[:5])
np.testing.assert_allclose(again, vectors[:5], rtol=1e-4, atol=1e-5)

# %%
# Similar crystals
# ----------------

scaled = StandardScaler().fit_transform(vectors)
_, neighbours = NearestNeighbors(n_neighbors=4).fit(scaled).kneighbors(scaled[:3])
for row, *similar in neighbours:
    names = ", ".join(f"{structures[k].composition.reduced_formula} ({prototypes[k]})" for k in similar)
    print(f"{structures[row].composition.reduced_formula} ({prototypes[row]}) is like {names}")

# %%
# A map
# -----
# The structure type was never told, and no label was.

position = PCA(2).fit_transform(scaled)
fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
colors = ["#0072B2", "#E69F00", "#56B4E9", "#D55E00", "#009E73", "#CC79A7"]
for k, name in enumerate(np.unique(prototypes)):
    x, y = position[prototypes == name].T
    ax.scatter(x, y, s=16, label=name, color=colors[k % 6], marker="os"[k // 6], alpha=0.8)
ax.set(xlabel="First principal component", ylabel="Second principal component")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plt.show()
