"""
Learning curves with scikit-learn
=================================

``learning_curve`` accepts featurized crystals like an array: one call per model draws the error against the number of
labels. Groups by reduced formula keep polymorphs of training crystals out of the test set.
"""

# %%
# Crystals
# --------
# The test formulas of the bundled formation energies, which were not used to train the encoder included in skdim.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupShuffleSplit, LearningCurveDisplay
from sklearn.pipeline import make_pipeline

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import formula_groups, make_arm

data = load_formation_energy()
test = np.flatnonzero(data.split == "test")
X = SiteNetFeaturizer().fit_transform([data.structures[row] for row in test])
y, groups = data.target[test], formula_groups(X)

# %%
# One curve per model
# -------------------
# Pre-trained and untrained vectors with the same Gaussian process, and trees on the composition. Bars show the
# standard deviation over the splits.

arms = {
    "composition, trees": make_pipeline(CompositionStatistics(), ExtraTreesRegressor(50, random_state=0)),
    "untrained vectors": make_arm("representation", DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(X)),
    "pre-trained vectors": make_arm("representation", DeepInfoMaxEmbedder.from_pretrained()),
}
train_sizes = [50, 100, 200, 400]

fig, ax = plt.subplots(layout="constrained")
for estimator, marker, color in zip(arms.values(), "os^", ("#E69F00", "0.6", "#0072B2"), strict=True):
    LearningCurveDisplay.from_estimator(
        estimator,
        X,
        y,
        groups=groups,
        cv=GroupShuffleSplit(4, test_size=0.4, random_state=0),
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

# %%
# The gap between the grey and the blue curve is the gain from pre-training for frozen vectors: the grey one needs
# about twice as many labels for the error that the blue one has with 100.
