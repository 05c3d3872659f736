"""
The pipeline on your CIF folder
===============================

You have a folder of CIF files and a table with a measured value for each. This example builds one scikit-learn
pipeline from them, estimates its error, and predicts files without a label.
"""

# %%
# A folder and a table
# --------------------
# 160 crystals of the bundled formation energies take the place of yours. One file is broken.

import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import PredictionErrorDisplay, mean_absolute_error
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import formula_groups, make_arm

folder = Path(tempfile.mkdtemp())
data = load_formation_energy()
rows = np.flatnonzero(data.split == "test")[::5]
for k, row in enumerate(rows):
    data.structures[row].to(folder / f"{k:03d}.cif", fmt="cif")
table = pd.DataFrame({"file": [f"{k:03d}.cif" for k in range(len(rows))], "energy": data.target[rows]})
(folder / "007.cif").write_text("data_broken\n_cell_length_a 4.2\n")

# %%
# Read the files
# --------------
# Pass the paths. With ``on_error="warn"`` a file that cannot be read keeps an empty row, so that rows stay aligned
# with the table, and a warning gives the reason.

files = [folder / name for name in table["file"]]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    X = SiteNetFeaturizer(on_error="warn").fit_transform(files)
print(X)
print(f"{len(caught)} warning; {table['file'][7]} failed: {X.failed[7]}")

X, y = X[~X.failed], table["energy"][~X.failed].to_numpy()

# %%
# Estimate the error
# ------------------
# The encoder included in skdim turns each crystal into a vector, and a Gaussian process learns from the labels. All
# crystals of a formula are in the same fold: polymorphs have nearly the same energy, and would make the error too
# small.

embedder = DeepInfoMaxEmbedder.from_pretrained()
model = make_arm("representation", embedder)

predicted = cross_val_predict(model, X, y, groups=formula_groups(X), cv=GroupKFold(5))
error, spread = mean_absolute_error(y, predicted), np.abs(y - np.median(y)).mean()
print(f"mean absolute error {error:.2f} eV/atom; predicting the median: {spread:.2f}")

fig, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
PredictionErrorDisplay.from_predictions(y, predicted, kind="actual_vs_predicted", ax=ax, scatter_kwargs={"s": 14})
ticks = np.arange(np.floor(y.min()), np.ceil(y.max()) + 1)
ax.set(xticks=ticks, yticks=ticks)
ax.set(xlabel="Predicted, held out (eV/atom)", ylabel="Formation energy (eV/atom)")
plt.show()

# %%
# Points near the line are predicted well. The spread around it is what to expect with about 125 labels.
#
# Files without a label
# ---------------------
# With the featurizer as the first step, one estimator predicts energies from file names.

pipeline = make_pipeline(SiteNetFeaturizer(), model)
labelled = [file for file in files if file.name != "007.cif"]
pipeline.fit(labelled[20:], y[20:])
for file, energy, true in zip(labelled[:3], pipeline.predict(labelled[:3]), y[:3], strict=True):
    print(f"{file.name}: {energy:+.2f} eV/atom (true value {true:+.2f})")
