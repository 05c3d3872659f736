"""
Your own pre-training set
=========================

Structures without labels are useful. This example pre-trains an encoder from random weights on its own set of
structures, plots the losses, and measures what pre-training gains.
"""

# %%
# Structures for pre-training and for tests
# -----------------------------------------
# Formulas of the test set must not be used in pre-training, or the test errors would be too small.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import label_efficiency, make_arm, summarize
from skdim.plotting import PretrainingHistoryDisplay

data = load_formation_energy()
train, test = np.flatnonzero(data.split == "train")[::5], np.flatnonzero(data.split == "test")
featurizer = SiteNetFeaturizer()
pretraining, X = (featurizer.fit_transform([data.structures[row] for row in rows]) for rows in (train, test))
y = data.target[test]
print(pretraining)

# %%
# Pre-train
# ---------
# With ``checkpoint="run.pt"`` a killed run can be resumed; ``verbose=1`` shows a progress bar. Six epochs on 630
# crystals are few: with thousands of structures, start with the default of ten.

embedder = DeepInfoMaxEmbedder(max_epochs=6, random_state=0).fit(pretraining)
untrained = clone(embedder).set_params(max_epochs=0).fit(pretraining)
print(f"loss on held-out crystals: {-untrained.score(X):.2f} before, {-embedder.score(X):.2f} after")

PretrainingHistoryDisplay.from_estimator(embedder)
plt.show()

# %%
# All three losses decrease: recognising the local environment of a site (local), recognising the sites of a crystal
# (global), and predicting statistics of the structure (descriptors).
#
# What pre-training gains
# -----------------------
# The same Gaussian process on the vectors of the untrained encoder, of this one, and of the one included in skdim,
# which was trained on 39 907 structures.

encoders = {"untrained": untrained, "own set": embedder, "shipped": DeepInfoMaxEmbedder.from_pretrained()}
arms = {name: make_arm("representation", encoder) for name, encoder in encoders.items()}
draws = label_efficiency(arms, X, y, test_size=0.5, train_sizes=[50, 100], n_repeats=8)
print(summarize(draws)[["arm", "n_labels", "median"]].to_string(index=False))

# %%
# Similar crystals
# ----------------
# The vectors can also be used to find similar crystals.

vectors = StandardScaler().fit_transform(embedder.transform(X))
_, neighbours = NearestNeighbors(n_neighbors=4).fit(vectors).kneighbors(vectors[:4])
for row, *similar in neighbours:
    print(f"{X.formula(row)} is similar to {', '.join(X.formula(k) for k in similar)}")
