"""
Similar crystals, duplicates, and crystals unlike the training set
==================================================================

Which crystals are like mine? Does the data set hold some of them twice? Can I trust a prediction for this one?
"""

# %%
# Nearest crystals
# ----------------
# By the vectors of the pre-trained encoder, without any labels. ``search`` returns a table, ``kneighbors`` arrays as in
# scikit-learn. (In a shell: ``skdim search query.cif my_cifs/``.)

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline

from skdim import ApplicabilityDomain, NearestCrystals, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import duplicate_groups, formula_groups, make_arm

data = load_formation_energy()
rows = np.flatnonzero(data.split == "test")
structures = [data.structures[row] for row in rows]
y = data.target[rows]
X = SiteNetFeaturizer().fit_transform(structures)

nearest = NearestCrystals(n_neighbors=5).fit(X)
found = nearest.search(X[[0, 100]])
print(found.round(3).to_string(index=False))

# %%
# The first neighbour is the crystal itself. Neighbours have similar formation energies:

_, neighbours = nearest.kneighbors(n_neighbors=1)
difference = np.abs(y - y[neighbours[:, 0]])
any_two = np.abs(y - np.random.default_rng(0).permutation(y))
nearest_median, any_median = np.median(difference), np.median(any_two)
print(f"median difference (eV/atom): {nearest_median:.2f} to the nearest, {any_median:.2f} to any")

# %%
# Near-duplicates
# ---------------
# Groups for ``GroupKFold``, so that no copy of a test crystal is in the training set. pymatgen's StructureMatcher
# confirms each pair. Groups of formulas are stricter: they also keep polymorphs together. (In a shell:
# ``skdim duplicates my_cifs/``.)

groups, formulas = duplicate_groups(X, structures), formula_groups(X)
sizes = pd.Series(groups).value_counts()
print(f"{len(X)} crystals: {len(set(formulas))} formulas, {len(set(groups))} groups, {(sizes > 1).sum()} of several")
for group in sizes.index[sizes > 1][:3]:
    copies = np.flatnonzero(groups == group)
    print(f"{X.formulas[copies[0]]}: rows {copies.tolist()}, {np.round(y[copies], 3)} eV/atom")

# %%
# Like the training set?
# ----------------------
# As the first step of a Pipeline, :class:`~skdim.ApplicabilityDomain` gives one warning about crystals that are unlike
# the training crystals, or have elements that these lack. Models of ``skdim fit`` have it.

train = np.random.default_rng(1).choice(len(X), 250, replace=False)
test = np.setdiff1d(np.arange(len(X)), train)
test = test[~np.isin(formulas[test], formulas[train])]
domain = ApplicabilityDomain()
model = make_pipeline(domain, make_arm("structure")).fit(X[train], y[train])
predicted, std = model.predict(X[test], return_std=True)
error = np.abs(predicted - y[test])

# %%
# How well does a score predict the error? Sort the test crystals by the score, and leave out the worst:

scores = {
    "distance to the training crystals": -domain.score_samples(X[test]),
    "standard deviation of the Gaussian process": std,
    "error itself (best possible)": error,
}
fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
kept = np.arange(1, len(test) + 1)
for (name, score), color in zip(scores.items(), ("#0072B2", "#E69F00", "black"), strict=True):
    ax.plot(100 * (1 - kept / len(test)), np.cumsum(error[np.argsort(score)]) / kept, color=color, label=name)
ax.axhline(error.mean(), color="0.6", linestyle=":", label="in random order")
ax.set(
    xlabel="Crystals left out (%)", ylabel="Mean absolute error of the others (eV/atom)", xlim=(0, 90), ylim=(0, None)
)
ax.legend()
plt.show()

# %%
# Measured on training rows only, Gaussian processes on frozen vectors; the area between the curve and that of a random
# order, as a fraction of that of the error itself (1 is best, 0 is a random order; means over four splits by formula):
#
# ====================================  =========  =========  =========  =========
# ..                                    formation energy      band gap
# ------------------------------------  --------------------  --------------------
# labels                                50         1000       50         1000
# ====================================  =========  =========  =========  =========
# standard deviation of the process     0.41       0.46       -0.08      -0.08
# distance, vectors of the encoder      0.38       0.42       -0.09      -0.05
# distance, ``StructureStatistics``     0.41       0.47       0.14       0.13
# distance, ``CompositionStatistics``   0.33       0.38       0.00       0.01
# fraction of unseen elements           0.00       -0.01      -0.07      0.00
# ====================================  =========  =========  =========  =========
#
# Hence the default features. For band gaps, no score predicts the error well.
