"""
Save a model and share it
=========================

How to share the weights of an encoder and featurized crystals as files that cannot run code, and a whole pipeline with
people who trust you.
"""

# %%
# A small encoder
# ---------------

import json
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import make_crystals

folder = Path(tempfile.mkdtemp())
structures, y = make_crystals(120, random_state=0)
X = SiteNetFeaturizer().fit_transform(structures)
embedder = DeepInfoMaxEmbedder(max_epochs=3, random_state=0).fit(X)


def show(path):
    for file in sorted(path.iterdir()):
        print(f"{path.name}/{file.name}: {file.stat().st_size / 1000:.0f} kB")


# %%
# Weights
# -------
# The settings are JSON and the numbers safetensors: loading them never runs code, so a folder from anyone is safe to
# load. Describe the data in ``metadata``.

embedder.save_pretrained(folder / "weights", metadata={"data": "120 synthetic crystals", "licence": "CC0"})
show(folder / "weights")

loaded = DeepInfoMaxEmbedder.from_pretrained(folder / "weights")
print("vectors are equal to the bit:", np.array_equal(loaded.transform(X), embedder.transform(X)))
print("metadata:", loaded.pretrained_info_["metadata"])
print("config.json holds:", list(json.loads((folder / "weights" / "config.json").read_text())))

# %%
# The embedder knows how its crystals were featurized, and raises an error for crystals with other site features.

other = SiteNetFeaturizer(site_features=["atomic_number", "electronegativity"]).fit_transform(structures[:3])
try:
    loaded.transform(other)
except ValueError as error:
    print(f"ValueError: {str(error)[:60]} ... {str(error)[-130:]}")

# %%
# Crystals
# --------
# Featurized crystals are plain ``.npy`` columns. ``mmap_mode="r"`` opens any number of them at once, and reads rows
# when they are used.

X.save(folder / "crystals")
show(folder / "crystals")
mapped = Crystals.load(folder / "crystals", mmap_mode="r")
print(mapped, "->", mapped[5:8].formulas)

# %%
# A whole pipeline
# ----------------
# joblib saves everything, including the regressor. Loading such a file can run any code: load it only from sources you
# trust, and with the same versions of the packages. With skops, files cannot run code: see
# :func:`skdim.trusted_types`.

pipeline = make_pipeline(SiteNetFeaturizer(), FrozenEstimator(loaded), RidgeCV()).fit(structures[:100], y[:100])
joblib.dump(pipeline, folder / "pipeline.joblib")
again = joblib.load(folder / "pipeline.joblib")
print("predictions are equal:", np.array_equal(again.predict(structures[100:]), pipeline.predict(structures[100:])))
