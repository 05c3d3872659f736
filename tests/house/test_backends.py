"""joblib backends for processes and machines: workers of dask and ray give the results of one process."""

import itertools
import os
import signal
import warnings

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed
from joblib.pool import PicklingPool
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_even_slices

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, StructureStatistics
from skdim.baselines import XRDPattern
from skdim.datasets import make_crystals
from tests.helpers import processes
from tests.helpers.assertions import assert_same_crystals
from tests.helpers.small_estimators import SMALL


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")
    from dask import config

    # Processes, so that what goes to a worker is pickled as it would be to another machine; no web pages.
    options = {"dashboard_address": None, "worker_dashboard_address": None}
    processes.context()  # started before Dask starts another
    with (
        config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **options) as cluster,
        distributed.Client(cluster),
    ):
        yield "dask"


@pytest.fixture(scope="module")
def ray():
    ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
    from ray.util.joblib import register_ray

    with pytest.MonkeyPatch.context() as environment:
        # By default its workers get only what other processes leave, which is next to nothing on a busy machine.
        environment.setenv("RAY_worker_niceness", "0")
        # Otherwise ray replaces the built-in print, and nothing that refers to it can be pickled.
        environment.setenv("RAY_TQDM_PATCH_PRINT", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        register_ray()
        yield "ray"
        ray.shutdown()


@pytest.fixture(params=["dask", "ray"])
def backend(request):
    """A joblib backend of another package."""
    bases = PicklingPool.__bases__
    yield request.getfixturevalue(request.param)
    PicklingPool.__bases__ = bases  # ray changes this class of joblib, for the backend "multiprocessing" as well


@pytest.fixture
def pipeline():
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=2)
    return Pipeline([("featurize", SiteNetFeaturizer()), ("embed", embedder), ("regress", Ridge())])


def test_backends_give_the_same_crystals(backend, structures, X):
    with joblib.parallel_config(backend=backend):
        parallel = SiteNetFeaturizer(n_jobs=2).transform(structures)
    assert_same_crystals(parallel, X)


def test_featurizer_uses_the_workers_of_the_context(backend, structures, X):
    with joblib.parallel_config(backend=backend, n_jobs=2):
        parallel = SiteNetFeaturizer().transform(structures)
    assert_same_crystals(parallel, X)


# Python 3.12 and newer warn of a fork in a process with threads, which is intended here.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("name", ["threading", "multiprocessing", "loky"])
def test_joblib_backends_give_the_same_crystals(name, structures, X):
    with joblib.parallel_config(backend=name):
        parallel = SiteNetFeaturizer(n_jobs=2).transform(structures)
    assert_same_crystals(parallel, X)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("name", ["threading", "multiprocessing", "loky"])
def test_warnings_come_from_all_workers(name, structures):
    """With the caller as their location; and reading, which catches pymatgen's warnings, restores the filters."""
    cifs = [structure.to(fmt="cif") for structure in structures]
    before = list(warnings.filters)
    for _ in range(3):
        with joblib.parallel_config(backend=name):
            SiteNetFeaturizer(n_jobs=4).transform(cifs)
    assert warnings.filters == before
    both = "\n".join(cifs[:2])
    with (
        joblib.parallel_config(backend=name),
        pytest.warns(UserWarning, match="row . .*: it holds 2 structures, of which the first is used") as caught,
    ):
        SiteNetFeaturizer(n_jobs=2).transform([both, cifs[3], both])
    user_warnings = [
        warning for warning in caught if warning.category is UserWarning
    ]  # newer Pythons warn of forks too
    assert [str(warning.message)[:5] for warning in user_warnings] == ["row 0", "row 2"]
    assert {warning.filename for warning in user_warnings} == {__file__}


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("name", ["threading", "multiprocessing"])
def test_joblib_backends_give_the_same_baseline_features(name, structures):
    with joblib.parallel_config(backend=name):
        parallel = XRDPattern(n_jobs=2).transform(structures[:6])
    assert_array_equal(parallel, XRDPattern().transform(structures[:6]))


def test_backends_give_the_same_cross_validation_scores(backend, pipeline, structures, y):
    serial = cross_validate(pipeline, structures, y, cv=2)
    with joblib.parallel_config(backend=backend):
        parallel = cross_validate(pipeline, structures, y, cv=2, n_jobs=2)
    assert_array_equal(parallel["test_score"], serial["test_score"])


def test_backends_give_the_same_search_scores(backend, pipeline, structures, y):
    search = GridSearchCV(pipeline, {"embed__representation": ["global", "both"]}, cv=2)
    serial = search.fit(structures, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend=backend):
        search.set_params(n_jobs=2).fit(structures, y)
    assert_array_equal(search.cv_results_["mean_test_score"], serial)
    assert np.isfinite(search.predict(structures)).all()


def embed_stored(embedder, path, rows):
    return embedder.transform(Crystals.load(path, mmap_mode="r")[rows])


def test_parts_embedded_by_workers_equal_the_whole(backend, X, tmp_path):
    """As in docs/scaling.md: crystals are sent to the workers, or read by them from a shared disk."""
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)
    X.save(tmp_path / "crystals")
    parts = list(gen_even_slices(len(X), 4))
    with joblib.parallel_config(backend=backend):
        sent = Parallel(n_jobs=2)(delayed(embedder.transform)(X[rows]) for rows in parts)
        read = Parallel(n_jobs=2)(delayed(embed_stored)(embedder, tmp_path / "crystals", rows) for rows in parts)
    # The last digit of a row depends on the other rows of its batch.
    for parallel in (sent, read):
        assert_allclose(np.concatenate(parallel), embedder.transform(X), rtol=1e-5, atol=1e-6)


class KillsItsProcess(Ridge):
    """Ridge regression that records the process of every fit in a file; the 100th fit kills its process.

    An appended line is as long as the others, so its end is the number of the fit.
    """

    def __init__(self, alpha=1.0, file=None):
        super().__init__(alpha=alpha)
        self.file = file

    def fit(self, X, y):
        if self.file is not None:
            with open(self.file, "ab") as file:
                line = b"%10d\n" % os.getpid()
                file.write(line)
                file.flush()
                if file.tell() == 100 * len(line):
                    os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y)


def parameters_against_loss(backend, data):
    """Parameters of `joblib.parallel_config` as in docs/scaling.md."""
    if backend == "ray":
        return {"ray_remote_args": {"max_restarts": -1, "max_task_retries": -1}}
    from dask.distributed import default_client

    default_client().amm.stop()
    return {"scatter": data}


def test_search_loses_no_fit_when_a_worker_is_killed(backend, tmp_path):
    structures, y = make_crystals(200, random_state=0)
    X = SiteNetFeaturizer().transform(structures)
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1)
    pipeline = Pipeline(
        [("features", StructureStatistics()), ("scale", StandardScaler()), ("regress", KillsItsProcess())]
    )
    grid = [
        {"regress__alpha": np.logspace(-2, 6, 48)},
        {"features": [embedder], "regress__alpha": [1e-3, 1]},
    ]
    cv = list(KFold(4, shuffle=True, random_state=0).split(X))  # indices that Dask would hold on one worker only
    search = GridSearchCV(pipeline, grid, cv=cv, refit=False, error_score="raise")
    serial = search.fit(X, y).cv_results_
    scores = [f"split{fold}_test_score" for fold in range(4)]
    assert sum(np.isfinite(serial[name]).sum() for name in scores) == 200

    pipeline.set_params(regress__file=str(tmp_path / "fits"))
    with joblib.parallel_config(backend=backend, **parameters_against_loss(backend, [X, y, *itertools.chain(*cv)])):
        parallel = search.set_params(n_jobs=2).fit(X, y).cv_results_
    for name in scores:
        assert_array_equal(parallel[name], serial[name])
    started = [int(process) for process in (tmp_path / "fits").read_text().split()]
    killed = started[99]
    assert len(started) > 200, "the fit of the killed process is repeated"
    assert killed not in started[100:]
    assert set(started[100:]) - {killed, os.getpid()}
    with pytest.raises(ProcessLookupError):
        os.kill(killed, 0)
