"""
Start from the weights that come with skdim
===========================================

Nothing to pre-train: an encoder that has seen 42 038 structures of the Materials Project comes with the package. Here
are a map of crystals it has not been trained on, and a regressor for 100 labels on its vectors.
"""

# %%
# Load it
# -------
# The weights are plain numbers and JSON; loading them runs no code. ``pretrained_info_`` says where they come from.

import os

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetFeaturizer, StructureStatistics
from skdim.datasets import load_formation_energy
from skdim.model_selection import label_efficiency, summarize
from skdim.plotting import EmbeddingDisplay

small = os.environ.get("SKDIM_EXAMPLE_SIZE") == "small"

embedder = DeepInfoMaxEmbedder.from_pretrained()
about = embedder.pretrained_info_["metadata"]
print(f"{about['data']}; {about['licence']}; held-out loss {about['held_out_loss']:.2f}")

# %%
# A map
# -----
# Test crystals of the bundled formation energies: no crystal of their formulas was pre-trained on.

data = load_formation_energy()
every = 20 if small else 1
X = SiteNetFeaturizer().fit_transform(data.structures[::every])
y, test = data.target[::every], data.split[::every] == "test"

oxides = np.where(["O" in structure.composition for structure in data.structures[::every]], "oxide", "other")
display = EmbeddingDisplay.from_estimator(
    embedder,
    X[test],
    {"formation energy": y[test], "kind": oxides[test]},
    units={"formation energy": "eV/atom"},
    method="pca" if small else "tsne",
)

# %%
# A hundred labels
# ----------------
# The vectors beside statistics of the structure, under a Gaussian process. Its length scale is about the distance of
# two crystals in standardised columns.

features = make_union(FrozenEstimator(embedder), StructureStatistics())
length = 2 * np.sqrt(len(features.get_feature_names_out()))
kernel = ConstantKernel(5.0) * Matern(length, nu=1.5) + WhiteKernel(0.1)
head = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
model = make_pipeline(features, StandardScaler(), head)
composition = make_pipeline(CompositionStatistics(), ExtraTreesRegressor(300))
arms = {"vectors and statistics": model, "composition": composition}
draws = label_efficiency(
    arms, X[~test], y[~test], X_test=X[test], y_test=y[test], train_sizes=[20 if small else 100], n_repeats=3
)
print(summarize(draws)[["arm", "n_labels", "median"]])
