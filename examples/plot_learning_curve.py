"""
Learning curves with scikit-learn
=================================

``learning_curve`` takes featurized crystals as it takes an array: one call an arm draws the error against the number of
labels. Groups by reduced formula keep polymorphs of a training crystal out of the test rows.
"""

# %%
# Crystals, and an encoder pre-trained without labels
# ---------------------------------------------------
# The encoder learns from the structures of the formation-energy set; their labels are not used.

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, RationalQuadratic, WhiteKernel
from sklearn.model_selection import GroupShuffleSplit, LearningCurveDisplay
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._composition import CompositionStatistics
from skdim.datasets import load_band_gap, load_formation_energy
from skdim.model_selection import formula_groups

small = os.environ.get("SKDIM_EXAMPLE_SIZE") == "small"
every, epochs, n_splits, train_sizes = (20, 1, 2, [30, 60]) if small else (2, 10, 6, [50, 100, 200, 400])

unlabelled = load_formation_energy()
structures = [s for s, part in zip(unlabelled.structures, unlabelled.split, strict=True) if part == "train"][::every]
encoder = DeepInfoMaxEmbedder(max_epochs=epochs, random_state=0).fit(SiteNetFeaturizer().fit_transform(structures))

# %%
# Labelled crystals
# -----------------
# The refractive indices of another set. Crystals whose formula the encoder has met are left out, so that every test row
# is new to it.

labelled = load_band_gap()
formulas = formula_groups(structures + labelled.structures)
new = np.flatnonzero(~np.isin(formulas[len(structures) :], formulas[: len(structures)]))
X = SiteNetFeaturizer().fit_transform([labelled.structures[row] for row in new])
y = np.log(labelled.extra_targets["n"][new])
groups = formula_groups(X)

# %%
# One curve an arm
# ----------------
# The same Gaussian process reads the composition alone, the vectors, or both side by side.

kernel = ConstantKernel(1.0, (1e-3, 1e5)) * RationalQuadratic(10.0, 1.0, (0.1, 1e4), "fixed")
kernel += WhiteKernel(0.1, "fixed")
head = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True))
vectors = FrozenEstimator(encoder)
arms = {
    "composition": make_pipeline(CompositionStatistics(), head),
    "representation": make_pipeline(vectors, head),
    "both": make_pipeline(FeatureUnion([("vectors", vectors), ("composition", CompositionStatistics())]), head),
}

fig, ax = plt.subplots(layout="constrained")
for arm, marker in zip(arms.values(), "os^", strict=True):
    LearningCurveDisplay.from_estimator(
        arm,
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
        line_kw={"marker": marker, "capsize": 3},
        ax=ax,
    )
ax.legend(ax.containers, arms)
ax.set(xlabel="Number of labels", ylabel="Test mean absolute error of ln(refractive index)", xscale="log")
ax.set_xticks(train_sizes, [str(n) for n in train_sizes])
ax.minorticks_off()
plt.show()
