"""
Your own pre-training set
=========================

Structures need no labels to be useful. Here an encoder is pre-trained from random weights on a set of one's own,
watched while it learns, and asked what it is worth.
"""

# %%
# Structures, and what is held out
# --------------------------------
# Formulas that are tested later must not be pre-trained on, or the vectors of test crystals would know too much.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import label_efficiency, summarize
from skdim.plotting import PretrainingHistoryDisplay

data = load_formation_energy()
train, test = np.flatnonzero(data.split == "train")[::5], np.flatnonzero(data.split == "test")
featurizer = SiteNetFeaturizer()
mine, X = (featurizer.fit_transform([data.structures[row] for row in rows]) for rows in (train, test))
y = data.target[test]
print(mine)

# %%
# Pre-train
# ---------
# ``checkpoint="run.pt"`` would let a run that was killed go on where it was; ``verbose=1`` shows a progress bar. Six
# epochs on 630 crystals are little: with thousands of structures the default of ten is a good start.

embedder = DeepInfoMaxEmbedder(max_epochs=6, random_state=0).fit(mine)
untrained = clone(embedder).set_params(max_epochs=0).fit(mine)
print(f"loss on crystals that were held out: {-untrained.score(X):.2f} before, {-embedder.score(X):.2f} after")

PretrainingHistoryDisplay.from_estimator(embedder)
plt.show()

# %%
# All three tasks get easier: to tell a site's surroundings from those of others (local), to tell a crystal's sites from
# those of others (global), and to read off the structure's statistics (descriptors).
#
# What it is worth
# ----------------
# The same Gaussian process on the vectors of the untrained encoder, of this one, and of the one that comes with skdim,
# which has seen 42 038 structures.


def arm(encoder):
    length = 2 * np.sqrt(len(encoder.get_feature_names_out()))
    kernel = ConstantKernel(5.0) * Matern(length, nu=1.5) + WhiteKernel(0.1)
    head = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
    return make_pipeline(FrozenEstimator(encoder), StandardScaler(), head)


encoders = {"untrained": untrained, "mine": embedder, "shipped": DeepInfoMaxEmbedder.from_pretrained()}
arms = {name: arm(encoder) for name, encoder in encoders.items()}
draws = label_efficiency(arms, X, y, test_size=0.5, train_sizes=[50, 100], n_repeats=8)
print(summarize(draws)[["arm", "n_labels", "median"]].to_string(index=False))

# %%
# Similar crystals
# ----------------
# No label was used for the vectors, so they can also answer what a crystal is like.

vectors = StandardScaler().fit_transform(embedder.transform(X))
_, neighbours = NearestNeighbors(n_neighbors=4).fit(vectors).kneighbors(vectors[:4])
for row, *similar in neighbours:
    print(f"{X.formula(row)} is like {', '.join(X.formula(k) for k in similar)}")
