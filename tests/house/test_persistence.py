"""Pickles give the same numbers in other processes; seeds make results reproducible."""

import pickle
import random
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from skorch.callbacks import Callback
from skorch.exceptions import DeviceWarning

from skdim import DeepInfoMaxEmbedder, SiteNetClassifier, SiteNetFeaturizer, SiteNetRegressor
from skdim.nn.compiled import autograd as fused
from tests.helpers.small_estimators import SMALL


@pytest.fixture(scope="module")
def y(synthetic):
    """Targets that are also classes."""
    return (synthetic[1] > np.median(synthetic[1])).astype(float)


@pytest.fixture(scope="module")
def classifier(X, y, embedder):
    return SiteNetClassifier(**SMALL, max_epochs=2, pretrained=FrozenEstimator(embedder)).fit(X, y)


@pytest.fixture(scope="module")
def regressor(X, y, embedder):
    return SiteNetRegressor(**SMALL, max_epochs=2, pretrained=FrozenEstimator(embedder)).fit(X, y)


@pytest.fixture(params=["embedder", "regressor", "classifier"])
def fitted(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[DeepInfoMaxEmbedder, SiteNetRegressor, SiteNetClassifier])
def kind(request):
    return request.param


def output(estimator, X):
    compute = next(name for name in ("predict_proba", "predict", "transform") if hasattr(estimator, name))
    return getattr(estimator, compute)(X)


# -- pickles -----------------------------------------------------------------------------------------------------------

LOAD = """
import sys
import joblib
import numpy as np
estimator, X, expected = joblib.load(sys.argv[1])
compute = next(name for name in ("predict_proba", "predict", "transform") if hasattr(estimator, name))
output = getattr(estimator, compute)(X)
np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-6)
"""


def test_a_fresh_process_gives_the_same_output(fitted, X, tmp_path):
    path = tmp_path / "model.joblib"
    joblib.dump((fitted, X, output(fitted, X)), path)
    result = subprocess.run([sys.executable, "-W", "error", "-c", LOAD, str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "estimator", [SiteNetFeaturizer(max_sites=30), DeepInfoMaxEmbedder(), SiteNetRegressor(), SiteNetClassifier()]
)
def test_pickles_of_unfitted_estimators_keep_parameters(estimator):
    copy = pickle.loads(pickle.dumps(estimator))
    assert copy.get_params() == estimator.get_params()


def test_pickles_of_fitted_estimators_give_the_same_output(fitted, structures, X):
    copy = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(output(copy, X), output(fitted, X))
    assert copy.history_ == fitted.history_
    featurizer = pickle.loads(pickle.dumps(SiteNetFeaturizer().fit(structures)))
    assert_array_equal(featurizer.transform(structures).distance, X.distance)


def test_parameters_may_be_numpy_scalars(kind, X, y):
    """As from a search over np.logspace or scipy.stats.loguniform."""
    rates = {"learning_rate_init": np.float64(1e-3), "weight_decay": np.float32(0.25)}
    model = kind(**SMALL, **rates, max_epochs=1, warm_start=True).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(output(copy, X), output(model, X))
    assert_array_equal(output(copy.fit(X, y), X), output(model.fit(X, y), X))


def test_a_pickle_holds_no_training_data(kind, structures):
    """Its size does not grow with the crystals."""
    model = kind(**SMALL, max_epochs=1, verbose=1)
    sizes = []
    for n in (10, 40):
        X = SiteNetFeaturizer().transform(structures[:n])
        sizes.append(len(pickle.dumps(clone(model).fit(X, np.arange(n) % 2))))
    assert abs(sizes[1] - sizes[0]) < 500
    assert X.nbytes > 10_000


def test_a_pickle_of_a_pickle_resumes_like_the_first(kind, X, y):
    """Also if it was not trained in between, and has not yet created an optimizer from the loaded state."""
    first = kind(**SMALL, max_epochs=2, warm_start=True).fit(X, y)
    once = pickle.loads(pickle.dumps(first))
    twice = pickle.loads(pickle.dumps(once))
    expected = output(first.fit(X, y), X)
    for copy in (once, twice):
        assert_array_equal(output(copy.fit(X, y), X), expected)


def test_a_pickle_of_transfer_holds_the_embedder_once(X, y, embedder):
    transfer = SiteNetRegressor(**SMALL, max_epochs=1, pretrained=FrozenEstimator(embedder)).fit(X, y)
    alone = SiteNetRegressor(**SMALL, max_epochs=1).fit(X, y)
    assert len(pickle.dumps(transfer)) < len(pickle.dumps(alone)) + len(pickle.dumps(embedder)) + 1000


def test_a_state_from_a_gpu_loads_without_one(fitted, X):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU to load it on")
    copy = pickle.loads(pickle.dumps(fitted))
    copy.net_.device = "cuda"  # as in a net trained on a GPU
    data = pickle.dumps(copy)
    with pytest.warns(DeviceWarning):
        loaded = pickle.loads(data)
    assert torch.device(loaded.net_.device).type == "cpu"
    assert_array_equal(output(loaded, X), output(fitted, X))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_train_on_a_gpu(kind, X, y):
    model = kind(**{**SMALL, "device": "cuda"}, max_epochs=2).fit(X, y)
    assert next(model.net_.module_.parameters()).is_cuda
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(output(copy, X), output(model, X))
    on_cpu = kind(**SMALL, max_epochs=2).fit(X, y)
    assert output(model, X).shape == output(on_cpu, X).shape


# -- random states -----------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_output(kind, X, y):
    model = kind(**SMALL, max_epochs=3)
    first, second = clone(model).fit(X, y), clone(model).fit(X, y)
    assert_array_equal(output(first, X), output(second, X))
    assert first.history_[:, "train_loss"] == second.history_[:, "train_loss"]
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert not np.allclose(output(first, X), output(other, X))


def test_random_state_instances_and_none(kind, X, y):
    model = kind(**SMALL, max_epochs=1)
    once, again = (clone(model).set_params(random_state=np.random.RandomState(7)).fit(X, y) for _ in range(2))
    assert_array_equal(output(once, X), output(again, X))
    # As in all of scikit-learn, a RandomState instance continues its stream from call to call.
    shared = model.set_params(random_state=np.random.RandomState(7))
    assert not np.allclose(output(shared.fit(X, y), X), output(shared.fit(X, y), X))
    assert np.isfinite(output(model.set_params(random_state=None).fit(X, y), X)).all()


def test_global_random_states_are_left_alone(kind, X, y):
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()  # noqa: NPY002
    output(kind(**SMALL, max_epochs=2, early_stopping=True).fit(X, y), X)
    assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]


def test_results_do_not_depend_on_the_global_random_state(kind, X, y):
    outputs = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        outputs.append(output(kind(**SMALL, max_epochs=2).fit(X, y), X))
    assert_array_equal(*outputs)


class RecordThreads(Callback):
    """Append the number of threads to a list, which copies of the callback share."""

    def __init__(self, n_threads):
        self.n_threads = n_threads

    def __deepcopy__(self, memo):
        return self

    def on_batch_begin(self, net, **kwargs):
        # The compiled loops start their threads themselves; torch has one thread meanwhile.
        self.n_threads.append(max(torch.get_num_threads(), fused.n_threads()))


# The first test with n_jobs=2 waits for joblib's two processes, each of which imports torch and scikit-learn.
def test_processes_do_not_change_scores(kind, X, y):
    """To the bit, for any setting of torch: rounding depends on the number of threads, so fit sets it."""
    model = kind(**SMALL, max_epochs=2)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        serial = cross_val_score(model, X, y, cv=3)
        assert torch.get_num_threads() == 2
        assert_array_equal(cross_val_score(model, X, y, cv=3, n_jobs=2), serial)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("n_jobs", "threads"), [(1, 1), (2, 2), (-1, joblib.cpu_count())])
def test_n_jobs_are_threads(kind, X, y, n_jobs, threads):
    n_threads = []
    kind(**SMALL, max_epochs=1, n_jobs=n_jobs, callbacks=[RecordThreads(n_threads)]).fit(X, y)
    assert set(n_threads) == {threads}


def test_python_threads_can_fit_at_the_same_time(kind, X, y):
    models = [kind(**{**SMALL, "random_state": seed}, max_epochs=1) for seed in range(4)]
    alone = [output(clone(model).fit(X, y), X) for model in models]
    together = joblib.Parallel(n_jobs=4, backend="threading")(joblib.delayed(clone(m).fit)(X, y) for m in models)
    for one, model in zip(alone, together, strict=True):
        assert_allclose(output(model, X), one, rtol=1e-4, atol=1e-5)
