"""
Look inside a network
=====================

What a pre-training run did, whom the sites of a crystal listen to, and how predictions compare with labels.
"""

# %%
# The losses of a pre-training run
# --------------------------------
# With ``early_stopping`` there is a validation loss as well. The losses travel with saved weights.

import os

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import PredictionErrorDisplay

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import load_formation_energy
from skdim.plotting import AttentionDistanceDisplay, PretrainingHistoryDisplay

small = os.environ.get("SKDIM_EXAMPLE_SIZE") == "small"
every = 40 if small else 4

data = load_formation_energy()
X = SiteNetFeaturizer().fit_transform(data.structures[::every])
y, test = data.target[::every], data.split[::every] == "test"

embedder = DeepInfoMaxEmbedder(max_epochs=2 if small else 10, early_stopping=True, random_state=0).fit(X[~test])
losses = PretrainingHistoryDisplay.from_estimator(embedder)

# %%
# Attention against distance
# --------------------------
# Each site weighs its neighbours by attention, which adds up to 1 in each head; here that of the weights that come with
# skdim, which have one. Of one crystal, a point is a pair of sites: its marker tells the site that pays attention, its
# colour the neighbour. The dashed line is what each neighbour would get if all were alike to the site.

shipped = DeepInfoMaxEmbedder.from_pretrained()
chosen = next(k for k in range(len(X)) if len(set(X[k].numbers)) == 3)
one = AttentionDistanceDisplay.from_estimator(shipped, X[chosen])
one.ax_.set_title(X.formula(chosen))

# %%
# Of a set of crystals, medians and quartiles of the pairs at each distance.

many = AttentionDistanceDisplay.from_estimator(shipped, X[test])

# %%
# The numbers behind it are a table, for questions of one's own: which elements pay most attention to themselves?

table = shipped.attention(X[test])
itself = table[table["distance"] == 0].groupby("element", observed=True)["attention"].mean()
print(itself.nlargest(5).round(3))

# %%
# Predictions against labels
# --------------------------
# scikit-learn's own display takes a network on crystals as it takes any other regressor.

model = SiteNetRegressor(pretrained=FrozenEstimator(shipped), max_epochs=2 if small else 50, random_state=0)
model.fit(X[~test][:250], y[~test][:250])
_, ax = plt.subplots(figsize=(5, 5), layout="constrained")
parity = PredictionErrorDisplay.from_estimator(
    model, X[test], y[test], kind="actual_vs_predicted", ax=ax, scatter_kwargs={"alpha": 0.5, "s": 12}
)
ticks = range(-4, 3)
ax.set(xlabel="Predicted formation energy (eV/atom)", ylabel="Formation energy (eV/atom)", xticks=ticks, yticks=ticks)
