"""Fingerprints: equal for equal content, also in another process, and different for what makes a difference."""

import os
import pickle
import subprocess
import sys
import threading
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

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._shared.fingerprint import fingerprint, row_fingerprint
from skdim.datasets import make_crystals
from tests.helpers.small_estimators import SMALL

EMBEDDER = DeepInfoMaxEmbedder(max_epochs=1, **SMALL)


@pytest.fixture(scope="module")
def embedder(X):
    return EMBEDDER.__sklearn_clone__().fit(X)


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
from skdim._shared.fingerprint import fingerprint, row_fingerprint
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


def test_structures_count_by_what_they_hold(structures):
    fresh = make_crystals(40, random_state=0)[0]
    mark = row_fingerprint(fresh)
    SiteNetFeaturizer().fit_transform(fresh)  # lattices cache what they are asked for
    assert row_fingerprint(fresh) == mark == row_fingerprint(structures)
    moved = [*fresh[:-1], fresh[-1].copy()]
    moved[-1].translate_sites([0], [1e-4, 0, 0])
    assert row_fingerprint(moved) != mark
    swapped = [*fresh[:-1], fresh[-1].copy()]
    swapped[-1].replace(0, "Xe")
    assert row_fingerprint(swapped) != mark
    assert row_fingerprint(fresh[::-1]) != mark


def test_files_count_by_their_content(structures, tmp_path):
    for name, k in (("a.cif", 0), ("b.cif", 0), ("c.cif", 1)):
        structures[k].to(tmp_path / name, fmt="cif")
    a, b, c = (row_fingerprint([tmp_path / name]) for name in ("a.cif", "b.cif", "c.cif"))
    assert a == b == row_fingerprint([str(tmp_path / "a.cif")]) != c


def test_files_that_cannot_be_read_count_by_their_names(tmp_path):
    marks = [row_fingerprint([tmp_path / name]) for name in ("no.cif", "nor.cif", ".", "no.cif")]
    assert len(set(marks)) == 3
    assert marks[0] == marks[3]


def test_atoms_count_without_their_calculators():
    ase = pytest.importorskip("ase", reason="ASE is an extra: pip install 'skdim-crystals[ase]'")
    from ase.calculators.lj import LennardJones

    atoms = ase.Atoms("CsCl", [(0, 0, 0), (2, 2, 2)], cell=[4, 4, 4], pbc=True)
    mark = row_fingerprint([atoms])
    atoms.calc = LennardJones()
    atoms.get_potential_energy()
    atoms.calc.lock = threading.Lock()  # of a library: it has no content
    assert row_fingerprint([atoms]) == mark
    for name, value in (("pbc", False), ("positions", np.ones((2, 3))), ("numbers", [55, 35]), ("cell", [4, 4, 5])):
        other = atoms.copy()
        setattr(other, name, value)
        assert row_fingerprint([other]) != mark


def test_crystals_count_by_their_columns(X, structures):
    assert fingerprint(X) == fingerprint(SiteNetFeaturizer().transform(structures)) == row_fingerprint(X)
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
    with pytest.raises(TypeError, match="generator has no content that could be compared"):
        fingerprint({"a": [1, 2], "b": (x for x in (1, 2))})
