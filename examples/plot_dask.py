"""
Many crystals with Dask
=======================

Crystals are featurized and embedded one by one, so the work can be distributed over a Dask cluster. This example
starts a cluster in its own process; replace it by the address of yours. (``pip install "dask[distributed]"``.)
"""

# %%
# A cluster
# ---------
# ``Client("tcp://scheduler:8786")`` connects to a running cluster.

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
# Everything with ``n_jobs``, the featurizer of skdim as well as the searches of scikit-learn, runs on joblib, and
# joblib can run on Dask.

with joblib.parallel_config(backend="dask"):
    X = SiteNetFeaturizer(n_jobs=2).fit_transform(structures)
print(X)

# %%
# As tasks
# --------
# For data larger than the memory of one process: each task reads, featurizes and embeds its own files, and returns the
# crystals and vectors.


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
# The rows are in order. The batches are different, so the vectors agree up to rounding.

alone = DeepInfoMaxEmbedder.from_pretrained().transform(X)
print(f"{len(parts)} tasks, {len(vectors)} crystals in the same order: {together.formulas == X.formulas}")
print(f"largest difference of a component: {np.abs(vectors - alone).max():.0e} of {np.abs(alone).max():.1f}")
