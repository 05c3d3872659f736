"""
A Gaussian process on several sources of features
=================================================

:class:`~skdim.BlockGaussianProcessRegressor` has a kernel for each block of columns. Lengths, variances and noise are
fitted to the labels with priors, so that blocks can be combined without a choice: one that does not help gets a small
share. It also returns standard deviations.
"""

# %%
# Three blocks of columns
# -----------------------
# Statistics of composition and structure, and the vectors of the pre-trained encoder. Labels are formation energies of
# 100 crystals. With pandas output, a ``FeatureUnion`` names the blocks.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import FeatureUnion, make_pipeline

from skdim import (
    BlockGaussianProcessRegressor,
    CompositionStatistics,
    DeepInfoMaxEmbedder,
    SiteNetFeaturizer,
    StructureStatistics,
)
from skdim.datasets import load_formation_energy
from skdim.model_selection import label_draws, make_arm

data = load_formation_energy()
train, test = np.flatnonzero(data.split == "train")[:1000], np.flatnonzero(data.split == "test")
labelled = train[label_draws(len(train), train_sizes=[100], n_repeats=1)[0].rows]
X = SiteNetFeaturizer().fit_transform([data.structures[row] for row in np.concatenate([labelled, test])])
X, X_test, y, y_test = X[:100], X[100:], data.target[labelled], data.target[test]

embedder = DeepInfoMaxEmbedder.from_pretrained()
features = FeatureUnion(
    [
        ("composition", CompositionStatistics()),
        ("structure", StructureStatistics()),
        ("vectors", FrozenEstimator(embedder)),
    ]
)
model = make_pipeline(features, BlockGaussianProcessRegressor()).set_output(transform="pandas").fit(X, y)
mean, std = model.predict(X_test, return_std=True)

fixed = make_arm("representation", embedder).fit(X, y)
errors = {
    "vectors, fixed kernel": mean_absolute_error(y_test, fixed.predict(X_test)),
    "three blocks, fitted kernels": mean_absolute_error(y_test, mean),
}
for name, error in errors.items():
    print(f"{name}: {error:.3f} eV/atom")

# %%
# What each block contributes, and how reliable the predictions are
# -----------------------------------------------------------------
# Crystals with a small predicted standard deviation have small errors. The standard deviations are rather too large:
# more than 90 % of the labels are within the 90 % interval.

head = model[-1]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.barh(list(head.shares_), list(head.shares_.values()), color="#0072B2")
left.invert_yaxis()
left.set_xlabel("Fraction of the variance")

order = np.argsort(std)
groups = np.array_split(order, 6)
errors_by_std = [np.abs(y_test - mean)[group].mean() for group in groups]
right.plot([std[group].mean() for group in groups], errors_by_std, "o-", color="#D55E00")
right.set(xlabel="Predicted standard deviation (eV/atom)", ylabel="Mean absolute error (eV/atom)")
inside = np.mean(np.abs(y_test - mean) < 1.645 * std)
print(f"{inside:.0%} of the test crystals are within the predicted 90 % interval")
plt.show()
