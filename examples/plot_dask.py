"""
Many crystals with Dask
=======================

Featurizing and embedding go crystal by crystal, so they spread over the workers of a Dask cluster. This page starts a
cluster within its own process; the address of yours goes in its place. (``pip install "dask[distributed]"``.)
"""

# %%
# A cluster
# ---------
# ``Client("tcp://scheduler:8786")`` would join one that runs already.

import joblib
import numpy as np
from dask.distributed import Client, LocalCluster

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy

data = load_formation_energy()
structures = [s for s, part in zip(data.structures, data.split, strict=True) if part == "test"][:400]
cluster = LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
client = Client(cluster)

# %%
# Through joblib
# --------------
# Whatever takes ``n_jobs``, skdim's featurizer and scikit-learn's searches alike, hands its work to joblib, and
# joblib to Dask.

with joblib.parallel_config(backend="dask"):
    X = SiteNetFeaturizer(n_jobs=2).fit_transform(structures)
print(X)

# %%
# As tasks
# --------
# For folders that do not fit into one process: each task reads its own files, featurizes and embeds them, and only the
# vectors travel back.


def embed(part):
    crystals = SiteNetFeaturizer(on_error="warn").fit_transform(part)
    return crystals, DeepInfoMaxEmbedder.from_pretrained().transform(crystals)


parts = [structures[k : k + 100] for k in range(0, len(structures), 100)]
results = client.gather([client.submit(embed, part, pure=False) for part in parts])
together = Crystals.concatenate([crystals for crystals, _ in results])
vectors = np.concatenate([vectors for _, vectors in results])
client.close()
cluster.close()

# %%
# The same as in one process
# --------------------------
# Rows come back in order. Batches are cut elsewhere, so vectors agree to rounding.

alone = DeepInfoMaxEmbedder.from_pretrained().transform(X)
print(f"{len(parts)} tasks, {len(vectors)} crystals in the same order: {together.formulas == X.formulas}")
print(f"largest difference of a vector's component: {np.abs(vectors - alone).max():.0e} of {np.abs(alone).max():.1f}")
