"""
Use the included weights
========================

skdim includes an encoder that was pre-trained on 39 907 structures of the Materials Project. This example draws a map
of crystals that were not used in its training, and fits a regressor on its vectors with 100 labels.
"""

# %%
# Load the encoder
# ----------------
# The weights are plain numbers and JSON; loading them never runs code. ``pretrained_info_`` describes their origin.

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, make_pipeline

from skdim import BlockGaussianProcessRegressor, DeepInfoMaxEmbedder, SiteNetFeaturizer, StructureStatistics
from skdim.datasets import load_formation_energy
from skdim.model_selection import label_efficiency, make_arm, summarize
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
# The vectors and statistics of the structure, with a Gaussian process that has a kernel for each of the two.

features = FeatureUnion([("vectors", FrozenEstimator(embedder)), ("statistics", StructureStatistics())])
model = make_pipeline(features, BlockGaussianProcessRegressor()).set_output(transform="pandas")
arms = {"vectors and statistics": model, "composition": make_arm("composition")}
draws = label_efficiency(arms, X, y, test_size=0.5, train_sizes=[100], n_repeats=4)
print(summarize(draws)[["arm", "n_labels", "median"]].to_string(index=False))

# %%
# Median error over four draws of labels, in eV/atom, on test crystals of other formulas. Trees on the composition are
# the usual baseline without a network.
