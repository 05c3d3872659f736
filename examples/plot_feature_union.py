"""
Vectors and composition in a FeatureUnion
=========================================

Learnt vectors, statistics of the composition and statistics of the structure are transformers with the same input. A
``FeatureUnion`` combines them, and a grid search shows which of them a task needs.
"""

# %%
# Crystals that the encoder was not trained on
# --------------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, GroupShuffleSplit
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetFeaturizer, StructureStatistics
from skdim.datasets import load_formation_energy
from skdim.model_selection import formula_groups

data = load_formation_energy()
test = np.flatnonzero(data.split == "test")[::2]
X = SiteNetFeaturizer().fit_transform([data.structures[row] for row in test])
y = data.target[test]

# %%
# Combine the features
# --------------------
# The union names its columns.

union = FeatureUnion(
    [
        ("vectors", FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained())),
        ("composition", CompositionStatistics()),
        ("structure", StructureStatistics()),
    ]
)
table = union.set_output(transform="pandas").fit_transform(X)
for name, _ in union.transformer_list:
    columns = [column for column in table if column.startswith(f"{name}__")]
    print(f"{name}: {len(columns)} columns, such as {columns[1]}")
union.set_output(transform="default")

# %%
# Which features does the task need?
# ----------------------------------
# "drop" omits a part. Each split has 150 labels, and all crystals of a formula are on the same side.

model = Pipeline([("features", union), ("scale", StandardScaler()), ("regress", None)])
subsets = [("vectors",), ("composition",), ("structure",), ("vectors", "composition"), ("vectors", "structure")]
parts = {part: dict(union.transformer_list)[part] for part in ("vectors", "composition", "structure")}
heads = {"ridge": RidgeCV(np.logspace(-1, 5, 13)), "trees": ExtraTreesRegressor(50, random_state=0)}
search = GridSearchCV(
    model,
    [
        {f"features__{part}": [transformer if part in subset else "drop"] for part, transformer in parts.items()}
        | {"regress": list(heads.values())}
        for subset in subsets
    ],
    cv=GroupShuffleSplit(3, train_size=150, random_state=0),
    scoring="neg_mean_absolute_error",
    refit=False,
).fit(X, y, groups=formula_groups(X))

errors = -search.cv_results_["mean_test_score"].reshape(len(subsets), len(heads))
labels = [" + ".join(subset) for subset in subsets]
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for k, (name, color) in enumerate(zip(heads, ("#0072B2", "#E69F00"), strict=True)):
    ax.plot(errors[:, k], labels, "o", color=color, markersize=8, label=name)
ax.invert_yaxis()
ax.grid(axis="x", alpha=0.3)
ax.set(xlabel="Test mean absolute error (eV/atom)")
ax.legend(title="model on top", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

best = np.unravel_index(errors.argmin(), errors.shape)
print(f"best here: {labels[best[0]]} with {list(heads)[best[1]]}, {errors.min():.3f} eV/atom")

# %%
# With a linear model, two kinds of features perform better than either of them; with trees, the statistics of the
# structure perform well alone. The best features depend on the model, so search both together.
