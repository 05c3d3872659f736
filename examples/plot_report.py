"""
A report in one file
====================

Predictions of a model as a web page that needs no network and no server: it can be sent by mail, read on a phone, and
printed. On the command line, ``skdim evaluate`` and ``skdim predict`` write it with ``--report report.html``.
"""

# %%
# Predictions with standard deviations
# ------------------------------------
# A Gaussian process on the vectors of the included weights, cross-validated over reduced formulas: no polymorph of a
# crystal is in its training set.

from pathlib import Path
from tempfile import mkdtemp

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import FormulaKFold, make_arm
from skdim.plotting import EmbeddingDisplay
from skdim.reports import write_report

data = load_formation_energy()
rows = np.arange(0, len(data.structures), 13)
X, y = SiteNetFeaturizer().fit_transform([data.structures[k] for k in rows]), data.target[rows]
embedder = DeepInfoMaxEmbedder.from_pretrained()
model = make_arm("representation", embedder)

prediction, std = np.empty(len(X)), np.empty(len(X))
for train, test in FormulaKFold(5).split(X):
    prediction[test], std[test] = clone(model).fit(X[train], y[train]).predict(X[test], return_std=True)

# %%
# The report
# ----------
# The vectors are for the maps, and for the nearest labelled crystal of each crystal.

predictions = pd.DataFrame({"id": rows, "formula": X.formulas, "label": y, "prediction": prediction, "std": std})
vectors = embedder.transform(X)
file = Path(mkdtemp()) / "report.html"
write_report(
    file,
    predictions,
    title="Formation energies, 5-fold cross-validation",
    target="formation energy",
    unit="eV/atom",
    vectors=vectors,
    settings={"model": "representation", "data": "load_formation_energy, every 13th row"},
)
text, size = file.read_text(encoding="utf-8"), file.stat().st_size / 1000
print(f"{file.name}: {size:.0f} kB, {len(predictions)} crystals")

# %%
# One of its figures, in Python: where on the map are the errors large?

error = pd.Series(np.abs(prediction - y), name="absolute error")
EmbeddingDisplay.from_vectors(vectors, error, units="eV/atom")
plt.show()
