"""Leading steps that learn nothing from labels: applied once, shared between models, cached."""

import pickle
from typing import ClassVar

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.datasets import make_regression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, FewLabelsRegressor, SiteNetFeaturizer
from skdim.model_selection import label_draws, label_efficiency
from tests.helpers.small_estimators import SMALL

SIZES = {"train_sizes": [10, 20], "n_repeats": 3}


class Counter(TransformerMixin, BaseEstimator):
    """Records the number of rows of each call of transform."""

    rows: ClassVar = []

    def fit(self, X, y=None):
        self.is_fitted_ = True
        return self

    def transform(self, X):
        self.rows.append(len(X))
        return X

    def __sklearn_is_fitted__(self):
        return hasattr(self, "is_fitted_")


class Add(TransformerMixin, BaseEstimator):
    """Stateless; records each call of transform."""

    log: ClassVar = []

    def __init__(self, number=0):
        self.number = number

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        self.log.append((self.number, len(X)))
        return X + self.number

    def get_feature_names_out(self, input_features=None):
        return np.array([f"x{k}" for k in range(5)], dtype=object)


@pytest.fixture(autouse=True)
def _empty_logs():
    Counter.rows.clear()
    Add.log.clear()


@pytest.fixture
def table():
    """The first column is the row number."""
    X, y = make_regression(100, 4, noise=1.0, random_state=0)
    return np.column_stack([np.arange(100.0), X]), y


def maes(*args, **options):
    return label_efficiency(*args, **{**SIZES, **options})["mae"].to_numpy()


# -- applied once ------------------------------------------------------------------------------------------------------


def test_frozen_steps_are_applied_once_and_do_not_change_errors(table):
    X, y = table
    scaler = StandardScaler().fit(X)
    frozen = make_pipeline(Counter().fit(X), scaler)
    arms = {
        "one": make_pipeline(FrozenEstimator(frozen), Ridge()),
        "two": make_pipeline(FrozenEstimator(frozen), DummyRegressor()),
    }
    errors = label_efficiency(arms, X, y, train_sizes=[10, 20], n_repeats=3)
    assert len(Counter.rows) == 2  # the drawn rows, and the test rows
    plain = {"one": make_pipeline(StandardScaler(), Ridge()), "two": DummyRegressor()}
    plain["one"] = Pipeline([("frozen", FrozenEstimator(scaler)), ("model", Ridge())])
    again = label_efficiency(plain, X, y, train_sizes=[10, 20], n_repeats=3)
    assert_allclose(errors["mae"], again["mae"])


def test_steps_after_a_step_that_learns_are_applied_in_each_draw(table):
    X, y = table
    counter = FrozenEstimator(Counter().fit(X))
    label_efficiency({"a": make_pipeline(StandardScaler(), counter, Ridge())}, X, y, train_sizes=[10], n_repeats=3)
    assert Counter.rows == [10, 20] * 3


def test_only_drawn_rows_are_embedded(table):
    X, y = table
    arm = make_pipeline(FrozenEstimator(Counter().fit(X)), Ridge())
    label_efficiency({"a": arm}, X, y, train_sizes=[3], n_repeats=2, test_size=10)
    assert Counter.rows[0] <= 6
    assert Counter.rows[1] == 10


class FirstColumn(RegressorMixin, BaseEstimator):
    """Predicts the labels by row number, and requires rows as they are without features."""

    def fit(self, X, y):
        assert X.shape[1] == 5
        self.line_ = np.polyfit(X[:, 0], y, 1)
        return self

    def predict(self, X):
        assert X.shape[1] == 5
        return np.polyval(self.line_, X[:, 0])


def few_labels(features):
    return FewLabelsRegressor(
        [("bayes", BayesianRidge())],
        features=features,
        networks=[("network", FirstColumn())],
        selection="all",
        cv=2,
        random_state=0,
    )


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_features_of_few_labels_are_computed_once_and_networks_get_the_rows(table, in_pipeline):
    X, y = table
    columns = FunctionTransformer(lambda X: X[:, :3])
    model = few_labels(make_pipeline(Add(1), columns))
    arms = {"few": make_pipeline(Add(0), model) if in_pipeline else model, "ridge": make_pipeline(Add(1), Ridge())}
    options = {"X_test": X[80:], "y_test": y[80:], "train_sizes": [10, 20], "n_repeats": 3}
    errors = label_efficiency(arms, X[:80], y[:80], **options)
    first = [each for each in Add.log if each[0] == 1]
    assert len(first) == (4 if in_pipeline else 2), "once for the training and once for the test rows"
    few = errors[errors["arm"] == "few"].set_index(["n_labels", "repeat"])["mae"]
    for draw in label_draws(80, train_sizes=[10, 20], n_repeats=3, random_state=0):
        alone = few_labels(make_pipeline(Add(1), columns)).fit(X[draw.rows], y[draw.rows])
        assert_allclose(few[draw.n_labels, draw.repeat], np.abs(alone.predict(X[80:]) - y[80:]).mean())


def test_features_that_learn_are_computed_in_each_draw(table):
    X, y = table
    model = few_labels(make_pipeline(Add(1), StandardScaler()))
    label_efficiency({"few": model}, X, y, train_sizes=[10], n_repeats=3)
    assert Add.log == [(1, 10), (1, 20)] * 3


# -- shared between models ---------------------------------------------------------------------------------------------


def test_models_share_equal_steps(table):
    arms = {
        "short": make_pipeline(Add(1), Ridge()),
        "long": make_pipeline(Add(1), Add(2), Ridge()),
        "nested": make_pipeline(make_pipeline(Add(1), Add(2)), DummyRegressor()),
        "passed": make_pipeline("passthrough", Add(1), Add(3), Ridge()),
        "frozen": make_pipeline(FrozenEstimator(make_pipeline(Add(1), Add(2))), Ridge()),
    }
    label_efficiency(arms, *table, train_sizes=[80], n_repeats=1)
    assert sorted(Add.log) == [(1, 20), (1, 80), (2, 20), (2, 80), (3, 20), (3, 80)]


def test_steps_in_another_order_are_not_shared(table):
    arms = {"a": make_pipeline(Add(1), Add(2), Ridge()), "b": make_pipeline(Add(2), Add(1), Ridge())}
    label_efficiency(arms, *table, train_sizes=[80], n_repeats=1)
    assert len(Add.log) == 8


def test_different_lambdas_are_not_shared(table):
    X, y = table
    arms = {
        "near": make_pipeline(FunctionTransformer(lambda x: x[:, 1:]), Ridge()),
        "far": make_pipeline(FunctionTransformer(lambda x: x[:, :1]), Ridge()),
    }
    errors = maes(arms, X, y).reshape(2, 6)
    assert_array_equal(errors[0], maes({"near": Ridge()}, X[:, 1:], y))
    assert_array_equal(errors[1], maes({"far": Ridge()}, X[:, :1], y))


class Opaque:
    """A callable that can be copied, but has no fingerprint."""

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle me")

    def __deepcopy__(self, memo):
        return self

    def __call__(self, X):
        Add.log.append(self)
        return X


def test_steps_without_fingerprint_are_shared_by_identity(table, tmp_path):
    one, other = FunctionTransformer(Opaque()), FunctionTransformer(Opaque())
    maes({name: make_pipeline(step, Ridge()) for name, step in [("a", one), ("b", one), ("c", other)]}, *table)
    assert Add.log == [one.func] * 2 + [other.func] * 2
    with pytest.raises(
        TypeError, match=r"cannot be kept in memory.*Opaque has no comparable content.*Pass memory=None"
    ):
        maes({"a": make_pipeline(one, Ridge())}, *table, memory=str(tmp_path))


def test_unions_share_their_parts(table):
    X, y = table
    scaler = FrozenEstimator(StandardScaler().fit(X))
    unions = {
        "a": make_union(Add(1), scaler),
        "b": FeatureUnion([("one", Add(1)), ("two", make_pipeline(Add(1), Add(2)))], n_jobs=2),
        "c": FeatureUnion([("x", "passthrough"), ("none", "drop"), ("s", scaler)], transformer_weights={"s": 10.0}),
    }
    arms = {arm: make_pipeline(union, Ridge()) for arm, union in unions.items()}
    errors = label_efficiency(arms, X, y, train_sizes=[80], n_repeats=1)
    assert sorted(Add.log) == [(1, 20), (1, 80), (2, 20), (2, 80)]
    for arm, union in unions.items():
        vectors = union.set_params(n_jobs=None).fit_transform(X)
        plain = label_efficiency({arm: Ridge()}, vectors, y, train_sizes=[80], n_repeats=1)
        assert_array_equal(errors.query("arm == @arm")["mae"], plain["mae"])


def test_unions_keep_their_output_container(table):
    X, y = table
    seen = []

    class Columns(DummyRegressor):
        def fit(self, X, y):
            seen.append(list(X.columns))
            return super().fit(X, y)

    union = FeatureUnion([("one", Add(1)), ("two", Add(2))])
    arm = make_pipeline(union, Columns()).set_output(transform="pandas")
    label_efficiency({"a": arm}, X, y, train_sizes=[10], n_repeats=1)
    assert seen == [[f"{part}__x{k}" for part in ("one", "two") for k in range(5)]]


def test_structures_are_featurized_once(structures, y):
    featurizer = FunctionTransformer(featurize_and_count)
    X = SiteNetFeaturizer().fit_transform(structures)
    embedder = FrozenEstimator(DeepInfoMaxEmbedder(max_epochs=0, **SMALL).fit(X))
    union = make_union(embedder, CompositionStatistics())
    heads = {
        "trees": (CompositionStatistics(), ExtraTreesRegressor(5)),
        "vectors": (embedder, Ridge()),
        "both": (union, Ridge()),
    }
    arms = {name: make_pipeline(featurizer, *steps) for name, steps in heads.items()}
    Add.log.clear()
    errors = maes(arms, structures, y, test_size=0.3)
    assert len(Add.log) == 2
    plain = maes({name: make_pipeline(*steps) for name, steps in heads.items()}, X, y, test_size=0.3)
    assert_allclose(errors, plain, rtol=1e-6)


def featurize_and_count(structures):
    Add.log.append(len(structures))
    return SiteNetFeaturizer().transform(structures)


# -- memory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["str", "Memory"])
def test_memory_is_used_by_later_calls(table, tmp_path, kind):
    X, y = table
    memory = str(tmp_path) if kind == "str" else joblib.Memory(tmp_path, verbose=0)
    frozen = FrozenEstimator(make_pipeline(Counter().fit(X), StandardScaler().fit(X)))
    arms = {"a": make_pipeline(Add(1), Ridge()), "b": make_pipeline(frozen, Ridge())}
    errors = maes(arms, X, y, memory=memory)
    assert Add.log == [(1, 100)]  # all rows
    assert Counter.rows == [100]
    assert_allclose(errors, maes(arms, X, y))
    # Other draws, other test rows, other models, a copy of the frozen step: nothing is computed again.
    Add.log.clear()
    Counter.rows.clear()
    arms["b"].steps[0] = ("copy", FrozenEstimator(pickle.loads(pickle.dumps(frozen.estimator))))
    arms["c"] = make_pipeline(make_union(Add(1), frozen), Ridge())
    assert_array_equal(maes(arms, X, y, memory=memory)[: len(errors)], errors)
    maes(arms, X, y, memory=memory, train_sizes=[5, 40], random_state=3, test_size=0.4)
    assert not Add.log
    assert not Counter.rows


def test_memory_skips_the_steps_before_a_cached_step(table, tmp_path):
    """They are not even loaded."""
    arms = {"a": make_pipeline(Add(1), Add(2), Ridge())}
    maes(arms, *table, memory=str(tmp_path))
    kept = [path for path in tmp_path.rglob("output.pkl") if joblib.load(path)[0, 0] == 1]
    assert len(kept) == 1
    kept[0].unlink()
    Add.log.clear()
    maes(arms, *table, memory=str(tmp_path))
    assert not Add.log


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("change", ["X", "X_test", "parameter", "fitted", "container"])
def test_memory_recomputes_what_changed(table, tmp_path, change):
    X, y = table
    frozen = FrozenEstimator(StandardScaler().fit(X))
    arms = {"a": make_pipeline(Add(1), frozen, Add(3), Ridge())}
    given = {"X_test": X[80:], "y_test": y[80:]}
    maes(arms, X[:80], y[:80], memory=str(tmp_path), **given)
    Add.log.clear()
    rows, config = X[:80].copy(), {}
    if change == "X":
        rows[7, 2] += 1
    elif change == "X_test":
        given["X_test"] = X[80:][::-1]
    elif change == "parameter":
        arms["a"].steps[0][1].number = 2
    elif change == "fitted":
        arms["a"].steps[1] = ("standardscaler", FrozenEstimator(StandardScaler().fit(X[1:])))
    else:
        config = {"transform_output": "pandas"}
    with sklearn.config_context(**config):
        errors = maes(arms, rows, y[:80], memory=str(tmp_path), **given)
        calls = {
            "X": [(1, 80), (3, 80)],
            "X_test": [(1, 20), (3, 20)],
            "parameter": [(2, 80), (3, 80), (2, 20), (3, 20)],
            "fitted": [(3, 80), (3, 20)],
            "container": [(1, 80), (3, 80), (1, 20), (3, 20)],
        }
        assert sorted(Add.log) == sorted(calls[change])
        assert_array_equal(errors, maes(arms, rows, y[:80], **given))


def test_memory_keeps_parts_of_unions(table, tmp_path):
    X, y = table
    maes({"a": make_pipeline(make_union(Add(1), Add(2)), Ridge())}, X, y, memory=str(tmp_path))
    Add.log.clear()
    arms = {"b": make_pipeline(make_union(Add(2), Add(3)), Ridge()), "c": make_pipeline(Add(1), Ridge())}
    maes(arms, X, y, memory=str(tmp_path))
    assert Add.log == [(3, 100)]


def test_memory_keeps_crystals_and_vectors(structures, y, tmp_path, monkeypatch):
    X = SiteNetFeaturizer().transform(structures)
    embedder = FrozenEstimator(DeepInfoMaxEmbedder(max_epochs=0, **SMALL).fit(X))
    arms = {
        "trees": make_pipeline(SiteNetFeaturizer(), CompositionStatistics(), ExtraTreesRegressor(5)),
        "vectors": make_pipeline(SiteNetFeaturizer(), embedder, Ridge()),
        "last": make_pipeline(SiteNetFeaturizer(), Crystalline()),
    }
    errors = maes(arms, structures, y, memory=str(tmp_path))
    for kind in (SiteNetFeaturizer, CompositionStatistics, DeepInfoMaxEmbedder):
        monkeypatch.setattr(kind, "transform", None)
    assert_array_equal(maes(arms, structures, y, memory=str(tmp_path)), errors)


class Crystalline(DummyRegressor):
    """Reads Crystals."""

    def fit(self, X, y):
        assert X.site_features
        return super().fit(X, y)
