"""
Why this prediction?
====================

A network predicts a formation energy. Which sites lower it, and which labelled crystals are similar?
"""

# %%
# A network is trained on 250 labels, from pre-trained weights.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import load_formation_energy
from skdim.inspection import nearest_labelled, site_contributions
from skdim.plotting import SiteContributionDisplay

data = load_formation_energy()
training, test = (np.flatnonzero(data.split == part)[:n] for part, n in (("train", 250), ("test", 60)))
X_train, X_test = (SiteNetFeaturizer().fit_transform([data.structures[k] for k in rows]) for rows in (training, test))
y_train, y_test = data.target[training], data.target[test]

embedder = DeepInfoMaxEmbedder.from_pretrained()
model = SiteNetRegressor(pretrained=FrozenEstimator(embedder), max_epochs=30, random_state=0).fit(X_train, y_train)

# %%
# Contributions of sites
# ----------------------
# The contributions of the sites of a crystal sum to its prediction minus a baseline: the prediction for a crystal whose
# sites all look like the average site of the training set.

result = site_contributions(model, X_test, X_train)
sums = result.sites.groupby("crystal")["contribution"].sum()
error_of_sums = np.abs(result.baseline + sums - result.predictions).max()
print(f"baseline: {result.baseline:.3f} eV/atom; the sums agree to {error_of_sums:.0e}")

most_stable = np.argsort(result.predictions)[:2]
figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
for ax, row in zip(axes, most_stable, strict=True):
    SiteContributionDisplay.from_contributions(
        data.structures[test[row]],
        result.sites.loc[result.sites["crystal"] == row, "contribution"],
        prediction=result.predictions[row],
        baseline=result.baseline,
        unit="eV/atom",
        ax=ax,
    )
plt.show()

# %%
# Over all test crystals: which elements lower the formation energy most, per site?

sites = result.sites.assign(
    per_site=result.sites["contribution"] * np.diff(X_test.site_offsets)[result.sites["crystal"]]
)
by_element = sites.groupby("element")["per_site"].agg(["mean", "size"])
print(by_element[by_element["size"] >= 10].sort_values("mean").head(5).round(2).to_string())

# %%
# Nearest labelled crystals
# -------------------------
# The labelled crystals that are nearest in the inputs of the network's head. Are their labels close to the prediction?

neighbours = nearest_labelled(model, X_test[most_stable], X_train, y_train)
neighbours["prediction"] = result.predictions[most_stable][neighbours["crystal"]]
print(neighbours.round(2).to_string(index=False))

# %%
# A prediction far from all labels is less certain: the error of crystals near to a label, and of the others.

nearest = nearest_labelled(model, X_test, X_train, y_train, n_neighbors=1)
error = np.abs(result.predictions - y_test)
near = (nearest["distance"] < nearest["distance"].median()).to_numpy()
print(f"mean absolute error: {error[near].mean():.2f} eV/atom near to a label, {error[~near].mean():.2f} of the others")
