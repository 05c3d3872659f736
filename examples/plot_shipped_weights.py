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
# Test crystals of the bundled formation energies: no crystal of their formulas was pre-trained on.

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
# Neighbours on the map have similar vectors. Formation energies vary smoothly over it, and oxides keep to themselves,
# though the encoder was told neither.
#
# A hundred labels
# ----------------
# The vectors beside statistics of the structure, under a Gaussian process. Its length scale is about the distance of
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
# The median over four draws of labels, in eV/atom, on test crystals of other formulas. Composition alone, under
# trees, is the usual way to do without a network.
