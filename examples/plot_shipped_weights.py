"""
Use the included weights
========================

skdim includes an encoder that was pre-trained on 42 038 structures of the Materials Project. This example draws a map
of crystals that were not used in its training, and fits a regressor on its vectors with 100 labels.
"""

# %%
# Load the encoder
# ----------------
# The weights are plain numbers and JSON; loading them never runs code. ``pretrained_info_`` describes their origin.

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

embedder = DeepInfoMaxEmbedder.from_pretrained()
about = embedder.pretrained_info_["metadata"]
print(f"{about['data']}; {about['licence']}; held-out loss {about['held_out_loss']:.2f}")

# %%
# A map
# -----
# Test crystals of the bundled formation energies: no crystal of their formulas was used in pre-training.

data = load_formation_energy()
test = np.flatnonzero(data.split == "test")
structures, y = [data.structures[row] for row in test], data.target[test]
X = SiteNetFeaturizer().fit_transform(structures)

oxides = np.where(["O" in structure.composition for structure in structures], "oxide", "other")
display = EmbeddingDisplay.from_estimator(
    embedder,
    X,
    {"formation energy": y, "kind": oxides},
    units={"formation energy": "eV/atom"},
    method="tsne",
)

# %%
# Neighbours on the map have similar vectors. Formation energies vary smoothly over it, and oxides form their own
# regions, although the encoder was trained with neither.
#
# A hundred labels
# ----------------
# The vectors and statistics of the structure, with a Gaussian process whose length scale is about the distance between
# two crystals in standardised columns.

features = make_union(FrozenEstimator(embedder), StructureStatistics())
length = 2 * np.sqrt(len(features.get_feature_names_out()))
kernel = ConstantKernel(5.0) * Matern(length, nu=1.5) + WhiteKernel(0.1)
head = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
model = make_pipeline(features, StandardScaler(), head)
composition = make_pipeline(CompositionStatistics(), ExtraTreesRegressor(100))
arms = {"vectors and statistics": model, "composition": composition}
draws = label_efficiency(arms, X, y, test_size=0.5, train_sizes=[100], n_repeats=4)
print(summarize(draws)[["arm", "n_labels", "median"]].to_string(index=False))

# %%
# Median error over four draws of labels, in eV/atom, on test crystals of other formulas. Trees on the composition are
# the usual baseline without a network.
