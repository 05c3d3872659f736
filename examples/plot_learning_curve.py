"""
Learning curves with scikit-learn
=================================

``learning_curve`` takes featurized crystals as it takes an array: one call an arm draws the error against the number of
labels. Groups by reduced formula keep polymorphs of a training crystal out of the test rows.
"""

# %%
# Unlabelled and labelled crystals
# --------------------------------
# Every third formula counts as labelled. The encoder learns from the structures of all others, and no label.

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, RationalQuadratic, WhiteKernel
from sklearn.model_selection import GroupShuffleSplit, LearningCurveDisplay
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import formula_groups

small = os.environ.get("SKDIM_EXAMPLE_SIZE") == "small"
every, epochs, n_splits, train_sizes = (8, 1, 2, [30, 60]) if small else (1, 10, 6, [50, 100, 200, 400])

data = load_formation_energy()
X, y = SiteNetFeaturizer().fit_transform(data.structures[::every]), data.target[::every]
groups = formula_groups(X)
labelled = groups % 3 == 0
encoder = DeepInfoMaxEmbedder(max_epochs=epochs, random_state=0).fit(X[~labelled])
X, y, groups = X[labelled], y[labelled], groups[labelled]

# %%
# One curve an arm
# ----------------
# The same Gaussian process reads the composition alone, the vectors, or both side by side. Bars show the standard
# deviation over the splits.


def arm(features):
    # Two rows of standardised columns are about sqrt(2 * columns) apart: that sets the length of the kernel.
    length = np.sqrt(len(features.get_feature_names_out()))
    kernel = ConstantKernel(3.0) * RationalQuadratic(length) + WhiteKernel(0.1)
    return make_pipeline(features, StandardScaler(), GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True))


vectors, composition = FrozenEstimator(encoder), CompositionStatistics()
arms = {
    "composition": arm(composition),
    "representation": arm(vectors),
    "both": arm(FeatureUnion([("vectors", vectors), ("composition", composition)])),
}

fig, ax = plt.subplots(layout="constrained")
for estimator, marker, color in zip(arms.values(), "os^", ("#D55E00", "#0072B2", "#009E73"), strict=True):
    LearningCurveDisplay.from_estimator(
        estimator,
        X,
        y,
        groups=groups,
        cv=GroupShuffleSplit(n_splits, test_size=0.3, random_state=0),
        train_sizes=train_sizes,
        shuffle=True,
        random_state=0,
        scoring="neg_mean_absolute_error",
        negate_score=True,
        score_type="test",
        std_display_style="errorbar",
        errorbar_kw={"color": color, "marker": marker, "capsize": 3},
        ax=ax,
    )
ax.legend(ax.containers, arms)
ax.set(xlabel="Number of labels", ylabel="Test mean absolute error (eV/atom)", xscale="log")
ax.set_xticks(train_sizes, [str(n) for n in train_sizes])
ax.minorticks_off()
plt.show()
