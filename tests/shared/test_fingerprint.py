"""Fingerprints are equal for equal content, also in other processes, and different otherwise."""

import os
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skdim
from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor, baselines, model_selection, plotting
from skdim._shared.fingerprint import fingerprint
from skdim._training.callbacks import OneCycle


def shifted(shift):
    return lambda x: x + shift


DIFFERENT = [
    1,
    1.0,
    True,
    "1",
    b"1",
    None,
    (1,),
    [[1]],
    {1},
    {1: 2},
    {"1": 2},
    "",
    (),
    {},
    np.array([1, 2]),
    np.array([1.0, 2.0]),
    np.array([[1, 2]]),
    np.array([1, 2], dtype=np.int32),
    np.array([1, "a"], dtype=object),
    np.array([(1, 2.0)], dtype="i4,f8"),
    torch.tensor([1, 2]),
    torch.tensor([1.0, 2.0]),
    torch.tensor(1.0, dtype=torch.bfloat16),
    pd.DataFrame({"a": [1, 2]}),
    pd.DataFrame({"b": [1, 2]}),
    pd.Series([1, 2]),
    pd.Series([1, 2], index=[5, 6]),
    int,
    float,
    np.log,
    np.log1p,
    shifted(1),
    shifted(2),
    lambda x: x - 1,
    partial(max, 1),
    partial(max, 2),
    np.random.RandomState(0),
    np.random.RandomState(1),
    torch.nn.Linear(1, 1, dtype=torch.float64),
    torch.nn.ReLU(),
    torch.nn.LeakyReLU(0.1),
    torch.nn.LeakyReLU(0.2),
    Ridge(),
    Ridge(alpha=2.0),
    ExtraTreesRegressor(),
    RandomForestRegressor(),
    make_pipeline(Ridge()),
    make_pipeline(Ridge(alpha=2.0)),
    FunctionTransformer(np.log),
    FunctionTransformer(shifted(1)),
    StandardScaler().set_output(transform="pandas"),
    StandardScaler(),
    FrozenEstimator(StandardScaler()),
    FrozenEstimator(StandardScaler().fit([[1.0], [2.0]])),
    FrozenEstimator(StandardScaler().fit([[1.0], [3.0]])),
]


def test_different_objects_have_different_fingerprints():
    fingerprints = [fingerprint(value) for value in DIFFERENT]
    assert len(set(fingerprints)) == len(fingerprints)
    assert fingerprints == [fingerprint(value) for value in DIFFERENT]


def test_objects_that_contain_themselves():
    loop = [1]
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop) != fingerprint([1, [1]])


def test_order_of_dicts_and_type_of_sequences_do_not_matter():
    assert fingerprint({"a": 1, 2: "b"}) == fingerprint({2: "b", "a": 1})
    assert fingerprint((1, [2])) == fingerprint([1, (2,)])


def test_parameters_that_do_not_change_results_are_ignored():
    quiet = RandomForestRegressor(n_jobs=2, verbose=1)
    assert fingerprint(quiet) == fingerprint(RandomForestRegressor())
    assert fingerprint(RandomForestRegressor(random_state=0)) != fingerprint(RandomForestRegressor())


def test_estimators_are_identified_by_their_parameters(X, y):
    fitted = Ridge().fit(np.zeros((4, 1)), np.arange(4))
    assert fingerprint(fitted) == fingerprint(Ridge())
    assert fingerprint(SiteNetRegressor(max_epochs=1)) != fingerprint(SiteNetRegressor(max_epochs=2))


@pytest.mark.parametrize(
    "model",
    [
        RandomForestRegressor(5, random_state=0),
        GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=3),
        make_pipeline(StandardScaler(), GaussianProcessRegressor(ConstantKernel(1.0) * RBF(), optimizer=None)),
    ],
    ids=["forest", "search", "pipeline"],
)
def test_frozen_estimators_are_identified_by_their_fitted_attributes(model):
    rng = np.random.default_rng(0)
    table, target = rng.normal(size=(30, 3)), rng.normal(size=30)
    expected = fingerprint(FrozenEstimator(model.fit(table, target)))
    assert fingerprint(FrozenEstimator(pickle.loads(pickle.dumps(model)))) == expected
    assert fingerprint(FrozenEstimator(model.fit(table, target))) == expected  # the durations of the search differ
    assert fingerprint(FrozenEstimator(model.fit(table, target + rng.normal(size=30)))) != expected


def test_frozen_embedders_are_identified_by_their_weights(embedder, X):
    expected = fingerprint(FrozenEstimator(embedder))
    copy = pickle.loads(pickle.dumps(embedder))
    assert fingerprint(FrozenEstimator(copy)) == expected
    assert fingerprint(FrozenEstimator(embedder.__sklearn_clone__().fit(X))) == expected  # durations differ
    embedder.transform(X)  # changes the mode of the net
    assert fingerprint(FrozenEstimator(embedder)) == expected
    regressor = SiteNetRegressor(pretrained=FrozenEstimator(embedder))
    assert fingerprint(regressor) == fingerprint(SiteNetRegressor(pretrained=FrozenEstimator(copy)))
    with torch.no_grad():
        next(copy.net_.module_.encoder.parameters()).view(-1)[0] += 1e-3
    assert fingerprint(FrozenEstimator(copy)) != expected
    assert fingerprint(regressor) != fingerprint(SiteNetRegressor(pretrained=FrozenEstimator(copy)))
    other = pickle.loads(pickle.dumps(embedder)).set_params(representation="global")
    assert fingerprint(FrozenEstimator(other)) != expected


def test_saved_and_loaded_embedders_have_the_same_fingerprint(embedder, tmp_path):
    embedder.save_pretrained(tmp_path / "weights", metadata={"name": "test"})
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights", verbose=1, device="auto")
    assert fingerprint(FrozenEstimator(loaded)) == fingerprint(FrozenEstimator(embedder))


SCRIPT = """
import pickle, sys
from skdim._shared.fingerprint import fingerprint
print([fingerprint(value) for value in pickle.load(sys.stdin.buffer)])
"""


def test_fingerprints_are_the_same_in_other_processes(embedder, X, structures):
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=3).fit(np.zeros((9, 1)), np.arange(9))
    values = [FrozenEstimator(embedder), X, structures, {"a", "b", "c"}, FrozenEstimator(search), Ridge(), np.log1p]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=pickle.dumps(values),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "11"},
    )
    assert done.stdout.decode().strip() == str([fingerprint(value) for value in values])


def test_crystals_are_identified_by_their_columns_and_settings(X, structures):
    assert fingerprint(X) == fingerprint(SiteNetFeaturizer().transform(structures))
    assert fingerprint(X) != fingerprint(SiteNetFeaturizer(max_sites=30).transform(structures))
    assert fingerprint(X[5:9]) == fingerprint(X[[5, 6, 7, 8]])
    other = X[:]
    other.index = [f"mp-{k}" for k in range(len(X))]
    assert fingerprint(other) == fingerprint(X), "the index changes no result"
    other.errors_[3] = "row 3 failed"
    assert fingerprint(other) != fingerprint(X)


def test_padding_of_structured_arrays_is_ignored():
    kind = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8]})
    first, second = np.full(32, 1, np.uint8).view(kind), np.full(32, 2, np.uint8).view(kind)
    for array in (first, second):
        array["a"], array["b"] = 1, 2
    assert first.tobytes() != second.tobytes()
    assert fingerprint(first) == fingerprint(second)


def test_objects_without_comparable_content_are_refused():
    with pytest.raises(TypeError, match="generator has no comparable content"):
        fingerprint({"a": [1, 2], "b": (x for x in (1, 2))})


def test_moving_a_class_of_skdim_does_not_change_its_fingerprint(monkeypatch):
    """Results files and caches stay valid when a file of skdim is moved."""
    estimator = make_pipeline(SiteNetFeaturizer(), DeepInfoMaxEmbedder(max_epochs=1))
    frozen = FrozenEstimator(DeepInfoMaxEmbedder())
    values = [estimator, frozen, SiteNetFeaturizer, OneCycle]
    before = [fingerprint(value) for value in values]
    for one in (SiteNetFeaturizer, DeepInfoMaxEmbedder, OneCycle):
        monkeypatch.setattr(one, "__module__", "skdim.elsewhere.file")
    assert [fingerprint(value) for value in values] == before
    for module in ("other.elsewhere", "skdim2"):
        monkeypatch.setattr(SiteNetFeaturizer, "__module__", module)
        assert fingerprint(estimator) != before[0]


def test_public_classes_have_different_names():
    """Their fingerprints name the package and the class, not the file."""
    classes = {
        getattr(module, name) for module in (skdim, baselines, model_selection, plotting) for name in module.__all__
    }
    names = [one.__qualname__ for one in classes if isinstance(one, type)]
    assert len(set(names)) == len(names) > 10
