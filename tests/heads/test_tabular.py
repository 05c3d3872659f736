"""Heads of tabular foundation models: with stand-ins for their packages, and with the packages where installed."""

import inspect
import os
import sys
import types

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone

from skdim import CompositionStatistics
from skdim._heads.tabular import tabular_regressor
from skdim._shared.arms import TABULAR_HEADS
from skdim.model_selection import make_arm

CLASSES = {"tabpfn": "TabPFNRegressor", "tabicl": "TabICLRegressor"}


class Nearest(RegressorMixin, BaseEstimator):
    """Stand-in: reads its weights in fit, as the packages do, and predicts the label of the nearest row."""

    def __init__(self, *, model_path="auto", allow_auto_download=True, random_state=0):
        self.model_path = model_path
        self.allow_auto_download = allow_auto_download
        self.random_state = random_state

    def fit(self, X, y):
        with open(self.model_path, encoding="utf-8") as file:
            self.scale_ = float(file.read())
        self.X_, self.y_ = np.asarray(X), np.asarray(y)
        return self

    def predict(self, X):
        distances = ((np.asarray(X)[:, None] - self.X_) ** 2).sum(axis=-1)
        return self.scale_ * self.y_[distances.argmin(axis=1)]


@pytest.fixture(params=CLASSES)
def name(request):
    return request.param


@pytest.fixture
def weights(name, monkeypatch, tmp_path):
    """A stand-in of the package, and a file of weights that the environment names."""
    package = types.ModuleType(name)
    setattr(package, CLASSES[name], Nearest)
    monkeypatch.setitem(sys.modules, name, package)
    path = tmp_path / "weights.ckpt"
    path.write_text("2.0", encoding="utf-8")
    monkeypatch.setenv(f"SKDIM_{name.upper()}_WEIGHTS", str(path))
    return path


def test_heads_are_listed():
    assert set(TABULAR_HEADS) == set(CLASSES)


def test_a_model_of_features_ends_in_the_head(name, weights, X, y):
    model = make_arm("composition", head=name, random_state=3)
    assert [type(step) for _, step in model.steps] == [CompositionStatistics, Nearest]
    assert (model[-1].model_path, model[-1].random_state) == (str(weights), 3)
    model = clone(model).fit(X[:30], y[:30])
    features = CompositionStatistics().fit_transform(X[:30])
    expected = Nearest(model_path=weights).fit(features, y[:30]).predict(features)
    np.testing.assert_array_equal(model.predict(X[:30]), expected)
    assert np.abs(expected - 2 * y[:30]).min() == 0  # the weights were read


def test_nothing_is_downloaded(weights, name):
    regressor = tabular_regressor(name)
    assert os.path.samefile(regressor.model_path, weights)
    assert regressor.allow_auto_download == (name == "tabpfn")  # TabPFN has no such parameter


@pytest.mark.parametrize("path", [None, "", "missing.ckpt"])
def test_missing_weights_raise_an_error_that_names_the_variable(path, name, weights, monkeypatch):
    variable = f"SKDIM_{name.upper()}_WEIGHTS"
    if path is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, path)
    with pytest.raises(ValueError, match=f"head='{name}' needs the weights of a {name} regressor.*{variable}"):
        make_arm("structure", head=name)


def test_a_missing_package_raises_an_error_that_names_it(name, weights, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"head='{name}' needs the package {name}.*pip install {name}"):
        make_arm("structure", head=name)


@pytest.mark.parametrize(("package", "kind"), CLASSES.items())
def test_installed_packages_take_the_parameters(package, kind):
    regressor = getattr(pytest.importorskip(package, reason=f"the package {package} is not installed"), kind)
    assert {"model_path", "random_state"} <= set(inspect.signature(regressor).parameters)


@pytest.mark.parametrize("package", CLASSES)
def test_predictions_of_installed_weights(package, X, y):
    pytest.importorskip(package, reason=f"the package {package} is not installed")
    if not os.path.isfile(os.environ.get(f"SKDIM_{package.upper()}_WEIGHTS", "")):
        pytest.skip(f"SKDIM_{package.upper()}_WEIGHTS names no file")
    model = make_arm("composition", head=package, random_state=0).fit(X[:30], y[:30])
    assert np.abs(model.predict(X[:30]) - y[:30]).mean() < np.abs(y[:30].mean() - y[:30]).mean()
