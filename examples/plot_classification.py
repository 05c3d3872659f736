"""
Wide gap or not: classes with few labels
========================================

Labels can be classes instead of numbers. :func:`~skdim.model_selection.make_arm` makes classifiers with
``task="classification"``, :class:`~skdim.SiteNetClassifier` trains the whole network, and
:func:`~skdim.model_selection.label_efficiency` compares them by any scorer of scikit-learn.
"""

# %%
# Which model, with how many labels?
# ----------------------------------
# Which semiconductors have a computed band gap of at least 2 eV? Label draws are stratified: each has both classes, in
# about their shares. The score is the area under the ROC curve: the probability that a crystal with a wide gap is
# ranked above one with a narrow gap.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay, roc_auc_score

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_band_gap
from skdim.model_selection import label_draws, label_efficiency, make_arm
from skdim.plotting import LabelEfficiencyDisplay

data = load_band_gap()
rows = np.r_[np.flatnonzero(data.split == "train")[:400], np.flatnonzero(data.split == "test")]
X = SiteNetFeaturizer().fit_transform([data.structures[row] for row in rows])
y = np.where(data.target[rows] >= 2, "wide", "narrow")
X, X_test, y, y_test = X[:400], X[400:], y[:400], y[400:]
print(f"{np.mean(y == 'wide'):.0%} of the crystals have a wide gap")

embedder = DeepInfoMaxEmbedder.from_pretrained()
names = ("composition", "structure", "representation", "best")
models = {name: make_arm(name, embedder, task="classification") for name in names}
sizes = {"train_sizes": [50, 200], "n_repeats": 4}
results = label_efficiency(models, X, y, X_test=X_test, y_test=y_test, scoring="roc_auc", **sizes)
LabelEfficiencyDisplay.from_results(results)

# %%
# Probabilities
# -------------
# Fitted to 200 labels, the model gives the probability of each class. A threshold other than 1/2 trades missed crystals
# for false alarms: the ROC curve shows all of them.

draw = label_draws(len(X), train_sizes=[200], n_repeats=1, stratify=y)[0].rows
model = make_arm("best", embedder, task="classification", random_state=0).fit(X[draw], y[draw])
wide = list(model.classes_).index("wide")
probability = model.predict_proba(X_test)[:, wide]

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
RocCurveDisplay.from_predictions(y_test, probability, pos_label="wide", ax=left, name="best", plot_chance_level=True)
ConfusionMatrixDisplay.from_predictions(y_test, model.predict(X_test), ax=right, colorbar=False, cmap="Blues")
print(f"area under the ROC curve: {roc_auc_score(y_test == 'wide', probability):.3f}")

# %%
# The network itself
# ------------------
# :class:`~skdim.SiteNetClassifier` starts from the pre-trained encoder and trains all of it. With
# ``class_weight="balanced"`` both classes count the same. It takes longer, and with these few labels the models of
# frozen vectors are better; compare them for your labels.

network = make_arm("transfer", embedder, task="classification", max_epochs=20, random_state=0)
network.set_params(class_weight="balanced").fit(X[draw], y[draw])
transferred = network.predict_proba(X_test)[:, wide]
print(f"transfer: area under the ROC curve {roc_auc_score(y_test == 'wide', transferred):.3f}")
plt.show()
