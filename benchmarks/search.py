"""A grid search over a pipeline on structures: how often each structure is featurized, and the time of the search."""

import tempfile
import time
from unittest import mock

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._featurizer import featurize_rows as _columns
from skdim.datasets import load_formation_energy

from ._results import Result
from .speed import sample


def run(quick=False):
    """The search (5 folds, 8 settings) three ways.

    On structures, each fold of each setting featurizes again. The ``memory`` of the pipeline caches the features of the
    training rows of a fold only. The featurizer learns nothing, so running it once before the search leaks no
    information.
    """
    n = 20 if quick else 400
    data = load_formation_energy()
    structures, y = sample(data.structures, n), np.array(sample(data.target, n))
    featurizer, embedder = SiteNetFeaturizer(), FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained(device="cpu"))
    rest = [("embed", embedder), ("scale", StandardScaler()), ("ridge", Ridge())]
    grid = {"ridge__alpha": np.logspace(-1, 6, 8)}
    best = {}

    def search(pipeline, first=None):
        with mock.patch.object(_columns, "compress_sites", wraps=_columns.compress_sites) as counted:
            start = time.perf_counter()
            X = structures if first is None else first.fit_transform(structures)
            fitted = GridSearchCV(pipeline, grid, cv=5, refit=False).fit(X, y)
            seconds = time.perf_counter() - start
        best[len(best)] = fitted.cv_results_["mean_test_score"]
        return counted.call_count / n, seconds

    steps = [("featurize", featurizer), *rest]
    plain = search(Pipeline(steps))
    with tempfile.TemporaryDirectory() as folder:
        cached = search(Pipeline(steps, memory=folder))
    once = search(Pipeline(rest), featurizer)
    assert once[0] > 0
    assert all(np.allclose(scores, best[0]) for scores in best.values())
    return [
        Result("pipeline on structures: featurized", plain[0], "times each"),
        Result("pipeline on structures", plain[1], "s"),
        Result("the same with memory: featurized", cached[0], "times each"),
        Result("the same with memory", cached[1], "s"),
        Result("featurized before the search", once[0], "times each", ("<=", 1)),
        Result("featurized before the search", once[1], "s"),
    ]
