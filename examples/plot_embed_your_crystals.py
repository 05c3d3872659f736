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
structures, target, prototypes = make_crystals(n_crystals, return_prototypes=True, random_state=0)
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
# The target of the synthetic crystals, which is about their bonds, was never told. Yet crystals of similar target lie
# near each other: that is what saves labels.

position = PCA(2).fit_transform(scaled)
fig, ax = plt.subplots(layout="constrained")
points = ax.scatter(*position.T, c=target, s=14, cmap="viridis")
fig.colorbar(points, label="Target, not used")
ax.set(xlabel="First principal component", ylabel="Second principal component")
plt.show()
