"""
Save a model and share it
=========================

What to hand to a colleague: the weights of an encoder in a form that cannot run code, featurized crystals as plain
arrays, and, among those who trust each other, a whole pipeline.
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
# JSON for the settings and safetensors for the numbers: loading them runs no code, so a folder from anyone is safe to
# open. Say under ``metadata`` what others will ask.

embedder.save_pretrained(folder / "weights", metadata={"data": "120 synthetic crystals", "licence": "CC0"})
show(folder / "weights")

loaded = DeepInfoMaxEmbedder.from_pretrained(folder / "weights")
print("vectors are equal to the bit:", np.array_equal(loaded.transform(X), embedder.transform(X)))
print("what its maker says:", loaded.pretrained_info_["metadata"])
print("config.json holds:", list(json.loads((folder / "weights" / "config.json").read_text())))

# %%
# It remembers how its crystals were featurized, and refuses crystals with other site features instead of giving wrong
# numbers.

two = SiteNetFeaturizer(site_features=["atomic_number", "electronegativity"]).fit_transform(structures[:3])
try:
    loaded.transform(two)
except ValueError as error:
    print(f"ValueError: {str(error)[:60]} ... {str(error)[-130:]}")

# %%
# Crystals
# --------
# Featurized crystals are plain ``.npy`` columns. ``mmap_mode="r"`` opens any number of them at once and reads rows as
# they are used.

X.save(folder / "crystals")
show(folder / "crystals")
mapped = Crystals.load(folder / "crystals", mmap_mode="r")
print(mapped, "->", mapped[5:8].formulas)

# %%
# A whole pipeline
# ----------------
# joblib keeps everything, the regressor on top included. Loading such a file runs what is in it: only from people you
# trust, and with the same versions of the packages.

pipeline = make_pipeline(SiteNetFeaturizer(), FrozenEstimator(loaded), RidgeCV()).fit(structures[:100], y[:100])
joblib.dump(pipeline, folder / "pipeline.joblib")
again = joblib.load(folder / "pipeline.joblib")
print("predictions are equal:", np.array_equal(again.predict(structures[100:]), pipeline.predict(structures[100:])))
