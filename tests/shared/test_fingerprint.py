"""Fingerprints: equal for equal content, also in another process, and different for what makes a difference."""

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


def test_different_things_differ():
    marks = [fingerprint(value) for value in DIFFERENT]
    assert len(set(marks)) == len(marks)
    assert marks == [fingerprint(value) for value in DIFFERENT]


def test_what_holds_itself():
    loop = [1]
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop) != fingerprint([1, [1]])


def test_order_of_a_dict_and_kind_of_a_sequence_do_not_count():
    assert fingerprint({"a": 1, 2: "b"}) == fingerprint({2: "b", "a": 1})
    assert fingerprint((1, [2])) == fingerprint([1, (2,)])


def test_how_is_not_what():
    quiet = RandomForestRegressor(n_jobs=2, verbose=1)
    assert fingerprint(quiet) == fingerprint(RandomForestRegressor())
    assert fingerprint(RandomForestRegressor(random_state=0)) != fingerprint(RandomForestRegressor())


def test_unfitted_estimators_count_by_their_parameters(X, y):
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
def test_frozen_estimators_count_by_what_they_have_learnt(model):
    rng = np.random.default_rng(0)
    table, target = rng.normal(size=(30, 3)), rng.normal(size=30)
    mark = fingerprint(FrozenEstimator(model.fit(table, target)))
    assert fingerprint(FrozenEstimator(pickle.loads(pickle.dumps(model)))) == mark
    assert fingerprint(FrozenEstimator(model.fit(table, target))) == mark  # though the search took another time
    assert fingerprint(FrozenEstimator(model.fit(table, target + rng.normal(size=30)))) != mark


def test_embedders_count_by_their_weights(embedder, X):
    mark = fingerprint(FrozenEstimator(embedder))
    copy = pickle.loads(pickle.dumps(embedder))
    assert fingerprint(FrozenEstimator(copy)) == mark
    assert fingerprint(FrozenEstimator(embedder.__sklearn_clone__().fit(X))) == mark  # durations differ
    embedder.transform(X)  # leaves the net in another mode
    assert fingerprint(FrozenEstimator(embedder)) == mark
    arm = SiteNetRegressor(pretrained=FrozenEstimator(embedder))
    assert fingerprint(arm) == fingerprint(SiteNetRegressor(pretrained=FrozenEstimator(copy)))
    with torch.no_grad():
        next(copy.net_.module_.encoder.parameters()).view(-1)[0] += 1e-3
    assert fingerprint(FrozenEstimator(copy)) != mark
    assert fingerprint(arm) != fingerprint(SiteNetRegressor(pretrained=FrozenEstimator(copy)))
    other = pickle.loads(pickle.dumps(embedder)).set_params(representation="global")
    assert fingerprint(FrozenEstimator(other)) != mark


def test_embedders_are_known_again_after_they_were_shared(embedder, tmp_path):
    embedder.save_pretrained(tmp_path / "weights", metadata={"name": "mine"})
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights", verbose=1, device="auto")
    assert fingerprint(FrozenEstimator(loaded)) == fingerprint(FrozenEstimator(embedder))


SCRIPT = """
import pickle, sys
from skdim._shared.fingerprint import fingerprint
print([fingerprint(value) for value in pickle.load(sys.stdin.buffer)])
"""


def test_another_process_finds_the_same(embedder, X, structures):
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


def test_crystals_count_by_their_columns(X, structures):
    assert fingerprint(X) == fingerprint(SiteNetFeaturizer().transform(structures))
    assert fingerprint(X) != fingerprint(SiteNetFeaturizer(max_sites=30).transform(structures))
    assert fingerprint(X[5:9]) == fingerprint(X[[5, 6, 7, 8]])


def test_what_lies_between_the_fields_of_an_array_does_not_count():
    kind = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8]})
    first, second = np.full(32, 1, np.uint8).view(kind), np.full(32, 2, np.uint8).view(kind)
    for array in (first, second):
        array["a"], array["b"] = 1, 2
    assert first.tobytes() != second.tobytes()
    assert fingerprint(first) == fingerprint(second)


def test_what_has_no_content():
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
