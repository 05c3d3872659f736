"""label_draws and label_efficiency: which rows are drawn, what all models share, and errors."""

import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import make_regression
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import make_crystals
from skdim.model_selection import formula_groups, label_draws, label_efficiency


class Spy(RegressorMixin, BaseEstimator):
    """Records the rows and the seed of each fit; predicts zeros."""

    log: ClassVar = []  # shared by the clones

    def __init__(self, name="", random_state=None):
        self.name = name
        self.random_state = random_state

    def fit(self, X, y):
        self.log.append((self.name, np.asarray(X)[:, 0].copy(), np.asarray(y).copy(), self.random_state))
        self.is_fitted_ = True
        return self

    def predict(self, X):
        self.log.append((f"{self.name} tests", np.asarray(X)[:, 0].copy()))
        return np.zeros(len(X))


class Broken(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        if len(X) > 10:
            raise ZeroDivisionError("no luck")
        return self

    def predict(self, X):
        return np.zeros(len(X))


@pytest.fixture(autouse=True)
def _empty_logs():
    Spy.log.clear()


@pytest.fixture
def table():
    """The first column is the row number."""
    X, y = make_regression(100, 4, noise=1.0, random_state=0)
    return np.column_stack([np.arange(100.0), X]), y


@pytest.fixture(scope="module")
def crystals_and_target():
    structures, y = make_crystals(60, random_state=0)
    return SiteNetFeaturizer().fit_transform(structures), y


def fits(name):
    return [entry for entry in Spy.log if entry[0] == name]


# -- label_draws -------------------------------------------------------------------------------------------------------


def test_draws_are_nested_distinct_and_ordered():
    draws = label_draws(50, train_sizes=[20, 5], n_repeats=4, random_state=3)
    assert [(d.n_labels, d.repeat) for d in draws] == [(n, r) for r in range(4) for n in (5, 20)]
    for small, large in zip(draws[::2], draws[1::2], strict=True):
        assert len(set(large.rows)) == len(large.rows) == 20
        assert_array_equal(small.rows, large.rows[:5])
    assert len({tuple(d.rows) for d in draws}) == 8


def test_a_draw_does_not_depend_on_other_sizes_or_the_number_of_repeats():
    few = {(d.n_labels, d.repeat): d.rows for d in label_draws(50, train_sizes=[10], n_repeats=2)}
    many = {(d.n_labels, d.repeat): d.rows for d in label_draws(50, train_sizes=[5, 10, 50], n_repeats=9)}
    for key, rows in few.items():
        assert_array_equal(rows, many[key])


def test_draws_depend_on_the_seed_and_not_on_the_global_state():
    np.random.seed(0)  # noqa: NPY002
    first, again, other = (label_draws(50, train_sizes=[10], n_repeats=1, random_state=s)[0].rows for s in (0, 0, 1))
    assert_array_equal(first, again)
    assert (first != other).any()
    assert np.random.randint(10**6) == np.random.RandomState(0).randint(10**6)  # noqa: NPY002


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        ([51], r"has 51 labels, but there are only 50 rows.*pass train_sizes=\[50\]"),
        ([10, 50, 51], r"pass train_sizes=\[10, 50\]"),
        ([0], "positive"),
        ([0.5], "positive integers"),
        ([5, 5], "distinct"),
        ([], "distinct positive"),
        (5, "a sequence of distinct positive integers; got 5"),
    ],
)
def test_bad_train_sizes_are_refused(sizes, match, table):
    with pytest.raises(ValueError, match=match):
        label_draws(50, train_sizes=sizes)
    with pytest.raises(ValueError, match=match):
        label_efficiency({"a": Ridge()}, *table, test_size=50, train_sizes=sizes)


@pytest.mark.parametrize("n_repeats", [0, -1, 2.5])
def test_bad_n_repeats_are_refused(n_repeats):
    with pytest.raises(ValueError, match=f"n_repeats must be a positive integer; got {n_repeats}"):
        label_draws(50, train_sizes=[5], n_repeats=n_repeats)


def test_draws_as_cv_of_a_search_give_the_same_errors(table):
    X, y = table
    draws = label_draws(80, train_sizes=[10, 40], n_repeats=3)
    test = np.arange(80, 100)
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("model", Ridge())]),
        [{"model": [Ridge()]}, {"scale": ["passthrough"], "model": [DummyRegressor()]}],
        cv=[(d.rows, test) for d in draws],
        scoring="neg_mean_absolute_error",
    ).fit(X, y)
    arms = {"ridge": make_pipeline(StandardScaler(), Ridge()), "mean": DummyRegressor()}
    frame = label_efficiency(arms, X[:80], y[:80], X_test=X[80:], y_test=y[80:], train_sizes=[10, 40], n_repeats=3)
    maes = frame.set_index(["arm", "n_labels", "repeat"])["mae"]
    for k, draw in enumerate(draws):
        scores = [-score for score in search.cv_results_[f"split{k}_test_score"]]
        assert_allclose(scores, [maes[arm, draw.n_labels, draw.repeat] for arm in arms])


# -- label_efficiency: draws and models --------------------------------------------------------------------------------


def test_results_are_tidy_and_sorted(table):
    arms = {"z": Ridge(), "a": DummyRegressor()}
    frame = label_efficiency(arms, *table, train_sizes=[20, 10], n_repeats=3)
    assert list(frame.columns) == ["arm", "n_labels", "repeat", "mae", "fit_time", "predict_time"]
    expected = [(arm, n, r) for arm in ("z", "a") for n in (10, 20) for r in range(3)]
    assert list(frame[["arm", "n_labels", "repeat"]].itertuples(index=False, name=None)) == expected
    assert np.isfinite(frame["mae"]).all()
    assert (frame[["fit_time", "predict_time"]] > 0).all(axis=None)


def test_all_models_are_fitted_on_the_same_rows(table):
    X, y = table
    label_efficiency({"a": Spy("a"), "b": Spy("b")}, X, y, train_sizes=[10, 20], n_repeats=3)
    assert len(fits("a")) == len(fits("b")) == 6
    for (_, rows_a, y_a, seed_a), (_, rows_b, _, seed_b) in zip(fits("a"), fits("b"), strict=True):
        assert_array_equal(rows_a, rows_b)
        assert_array_equal(y_a, y[rows_a.astype(int)])
        assert seed_a == seed_b
    assert len({tuple(np.sort(rows)) for _, rows, *_ in fits("a")}) == 6


def test_test_rows_are_fixed_and_never_trained_on(table):
    label_efficiency({"a": Spy("a")}, *table, train_sizes=[10, 80], n_repeats=3, test_size=0.2)
    tested = {tuple(rows) for _, rows in fits("a tests")}
    assert len(tested) == 1
    trained = set(np.concatenate([rows for _, rows, *_ in fits("a")]))
    assert trained | set(*tested) == set(range(100))
    assert not trained & set(*tested)


def test_a_draw_does_not_depend_on_the_other_models(table):
    alone = label_efficiency({"trees": ExtraTreesRegressor(5)}, *table, train_sizes=[20], n_repeats=2)
    arms = {"first": Ridge(), "trees": ExtraTreesRegressor(5), "last": Spy()}
    among = label_efficiency(arms, *table, train_sizes=[10, 20], n_repeats=3)
    among = among.query("arm == 'trees' and n_labels == 20 and repeat < 2")
    assert_array_equal(alone["mae"], among["mae"])


def test_only_unset_random_states_are_seeded(table):
    arms = {"unset": Spy("unset"), "set": Spy("set", 7), "nested": make_pipeline(StandardScaler(), Spy("nested"))}
    label_efficiency(arms, *table, train_sizes=[10, 20], n_repeats=3)
    assert {seed for *_, seed in fits("set")} == {7}
    assert len({seed for *_, seed in fits("unset")}) == 6
    assert all(isinstance(seed, int) for *_, seed in fits("unset") + fits("nested"))
    assert arms["unset"].random_state is None  # estimators are cloned
    assert not hasattr(arms["unset"], "is_fitted_")


def test_results_depend_on_the_seed_and_not_on_n_jobs(table):
    arms = {"trees": ExtraTreesRegressor(5), "ridge": Ridge()}
    options = {"train_sizes": [10, 20], "n_repeats": 2}
    columns = ["arm", "n_labels", "repeat", "mae"]
    first = label_efficiency(arms, *table, **options)[columns]
    assert_frame_equal(label_efficiency(arms, *table, n_jobs=2, **options)[columns], first)
    assert (label_efficiency(arms, *table, random_state=1, **options)["mae"] != first["mae"]).all()


def test_n_repeats_by_model_takes_the_first_draws(table):
    arms = {"many": Spy("many"), "few": Spy("few")}
    frame = label_efficiency(arms, *table, train_sizes=[10], n_repeats={"many": 4, "few": 2})
    assert frame.groupby("arm")["repeat"].max().to_dict() == {"many": 3, "few": 1}
    for (_, many, *_), (_, few, *_) in zip(fits("many"), fits("few"), strict=False):
        assert_array_equal(many, few)


@pytest.mark.parametrize(
    ("n_repeats", "expected"),
    [
        ({10: 3, 20: 1}, {"a": {10: 3, 20: 1}, "b": {10: 3, 20: 1}}),
        ({"a": {10: 1, 20: 2}, "b": 3}, {"a": {10: 1, 20: 2}, "b": {10: 3, 20: 3}}),
    ],
)
def test_n_repeats_by_size_takes_the_first_draws(table, n_repeats, expected):
    arms = {"a": Ridge(), "b": DummyRegressor()}
    options = {"train_sizes": [10, 20], "n_repeats": n_repeats}
    frame = label_efficiency(arms, *table, **options)
    assert frame.groupby(["arm", "n_labels"])["repeat"].agg(list).to_dict() == {
        (arm, n): list(range(repeats)) for arm, by_size in expected.items() for n, repeats in by_size.items()
    }
    every = label_efficiency(arms, *table, train_sizes=[10, 20], n_repeats=3)
    draw = ["arm", "n_labels", "repeat"]
    both = frame.merge(every, on=draw, suffixes=("", "_all"))
    assert len(both) == len(frame)
    assert_array_equal(both["mae"], both["mae_all"])


def test_default_sizes_are_those_of_the_paper():
    X, y = make_regression(1300, 3, random_state=0)
    frame = label_efficiency({"mean": DummyRegressor()}, X, y, n_repeats=1)
    assert list(frame["n_labels"]) == [50, 100, 250, 1000]
    assert sorted({draw.n_labels for draw in label_draws(1000, n_repeats=1)}) == [50, 100, 250, 1000]
    with pytest.raises(ValueError, match=r"only 800 rows to draw from: pass train_sizes=\[50, 100, 250\]"):
        label_efficiency({"mean": DummyRegressor()}, X[:1000], y[:1000])


def test_groups_are_held_out_together(table):
    groups = np.arange(100) // 5
    label_efficiency({"a": Spy("a")}, *table, train_sizes=[60], n_repeats=3, test_size=0.3, groups=groups)
    trained = np.concatenate([rows for _, rows, *_ in fits("a")]).astype(int)
    tested = fits("a tests")[0][1].astype(int)
    assert len(tested) == 30
    assert not set(groups[trained]) & set(groups[tested])


@pytest.mark.parametrize("kind", ["frame", "list"])
def test_accepts_dataframes_and_lists(table, kind):
    X, y = table
    given = pd.DataFrame(X).rename(columns=str) if kind == "frame" else X.tolist()
    target = pd.Series(y, index=np.arange(100)[::-1]) if kind == "frame" else y.tolist()
    options = {"train_sizes": [10], "n_repeats": 2}
    errors = label_efficiency({"a": Ridge()}, given, target, **options)
    assert_allclose(errors["mae"], label_efficiency({"a": Ridge()}, X, y, **options)["mae"])


def test_mae_is_the_mean_over_targets(table):
    X, y = table
    frame = label_efficiency({"a": Ridge()}, X, np.column_stack([y, 2 * y]), train_sizes=[10], n_repeats=2)
    assert_allclose(frame["mae"], 1.5 * label_efficiency({"a": Ridge()}, X, y, train_sizes=[10], n_repeats=2)["mae"])


def test_progress_bar_is_only_shown_on_request(table, capsys):
    label_efficiency({"a": Ridge()}, *table, train_sizes=[10], n_repeats=2)
    assert capsys.readouterr().err == ""
    label_efficiency({"a": Ridge()}, *table, train_sizes=[10], n_repeats=2, verbose=1)
    assert "label draws: 2 of 2 fits" in capsys.readouterr().err


# -- label_efficiency: crystals ----------------------------------------------------------------------------------------


def test_crystals_in_models_of_all_kinds(crystals_and_target):
    X, y = crystals_and_target
    embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(X)
    union = FeatureUnion([("vectors", FrozenEstimator(embedder)), ("composition", CompositionStatistics())])
    arms = {
        "mean": DummyRegressor(),
        "composition": make_pipeline(CompositionStatistics(), ExtraTreesRegressor(20)),
        "representation": make_pipeline(FrozenEstimator(embedder), StandardScaler(), Ridge()),
        "both": make_pipeline(union, StandardScaler(), Ridge()),
        "transfer": SiteNetRegressor(pretrained=FrozenEstimator(embedder), max_epochs=1),
    }
    frame = label_efficiency(arms, X, y, train_sizes=[10, 20], n_repeats=2)
    assert len(frame) == 20
    assert np.isfinite(frame["mae"]).all()
    before = embedder.transform(X)
    rows = label_draws(40, train_sizes=[10], n_repeats=1)[0].rows
    one = {"representation": arms["representation"]}
    check = label_efficiency(one, X[:40], y[:40], X_test=X[40:], y_test=y[40:], train_sizes=[10], n_repeats=1)
    model = make_pipeline(StandardScaler(), Ridge()).fit(before[:40][rows], y[:40][rows])
    assert_allclose(check["mae"].item(), np.abs(model.predict(before[40:]) - y[40:]).mean(), rtol=1e-6)


def test_crystals_are_held_out_by_formula():
    structures, y = make_crystals(20, random_state=0)
    X = SiteNetFeaturizer().fit_transform(structures)
    X, y = Crystals.concatenate([X, X, X]), np.tile(y, 3)
    seen = []

    class Formulas(DummyRegressor):
        def fit(self, X, y):
            seen.append(set(X.formulas))
            return super().fit(X, y)

        def predict(self, X):
            seen.append(set(X.formulas))
            return super().predict(X)

    label_efficiency({"a": Formulas()}, X, y, train_sizes=[40], n_repeats=2)
    assert seen[1] == seen[3]
    assert not (seen[0] | seen[2]) & seen[1]


def test_structures_are_held_out_by_formula():
    structures, y = make_crystals(20, random_state=0)
    arm = {"trees": make_pipeline(SiteNetFeaturizer(), CompositionStatistics(), ExtraTreesRegressor(5))}
    options = {"train_sizes": [30], "n_repeats": 2}
    rows, target = structures * 3, np.tile(y, 3)
    errors = label_efficiency(arm, rows, target, **options)
    by_formula = label_efficiency(arm, rows, target, groups=formula_groups(rows), **options)
    assert_array_equal(errors["mae"], by_formula["mae"])
    assert errors["mae"].min() > 0.01  # trees would predict the label of a formula in the training rows


# -- label_efficiency: errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"estimators": {}}, ValueError, "at least one model"),
        ({"estimators": [Ridge()]}, TypeError, "must be a dict"),
        ({"estimators": {"a": Ridge}}, TypeError, "model 'a' must be an estimator instance"),
        ({"estimators": {"a": StandardScaler()}}, TypeError, "model 'a' must be an estimator instance"),
        ({"n_repeats": 0}, ValueError, "positive integer"),
        ({"n_repeats": {"b": 2}}, ValueError, r"n_repeats has the models \['b'\]"),
        ({"n_repeats": {20: 2}}, ValueError, r"n_repeats has the sizes \[20\], but train_sizes has \[10\]"),
        ({"n_repeats": {"a": {20: 2}}}, ValueError, r"n_repeats of model 'a' has the sizes \[20\]"),
        ({"n_repeats": {"a": {10: 0}}}, ValueError, "positive integers; got 0 for model 'a' and 10 labels"),
        ({"n_repeats": {"a": 2, 10: 2}}, ValueError, "n_repeats has the sizes"),
        ({"n_repeats": {}}, ValueError, "pass exactly these"),
        ({"train_sizes": [81]}, ValueError, "has 81 labels, but there are only 80"),
        ({"X_test": np.zeros((3, 5))}, ValueError, "X_test was passed without y_test"),
        ({"y_test": np.zeros(3)}, ValueError, "y_test was passed without X_test"),
        ({"X_test": np.zeros((3, 5)), "y_test": np.zeros(4)}, ValueError, "inconsistent numbers"),
        ({"y": np.zeros(99)}, ValueError, "inconsistent numbers"),
        ({"y": np.where(np.arange(100) == 7, np.nan, 1.0)}, ValueError, "y has 1 labels that are not finite.*row 7"),
    ],
)
def test_bad_arguments_are_refused(table, change, error, match):
    arguments = {"estimators": {"a": Ridge()}, "X": table[0], "y": table[1], "train_sizes": [10], "n_repeats": 2}
    with pytest.raises(error, match=match):
        label_efficiency(**{**arguments, **change})


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_errors_name_the_model_that_failed(table, n_jobs):
    arms = {"good": Ridge(), "bad": Broken()}
    with pytest.raises(RuntimeError, match="model 'bad' failed at 20 labels, repeat 0: ZeroDivisionError: no luck"):
        label_efficiency(arms, *table, train_sizes=[10, 20], n_repeats=1, n_jobs=n_jobs)


def test_failed_rows_are_refused(crystals_and_target):
    structures, y = make_crystals(10, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X = SiteNetFeaturizer(on_error="warn").fit_transform([*structures[:9], None])
    with pytest.raises(ValueError, match=r"X has 1 rows that failed to featurize.*keep = ~X\.failed"):
        label_efficiency({"a": DummyRegressor()}, X, y, train_sizes=[2], n_repeats=1)
    good, good_y = crystals_and_target
    with pytest.raises(ValueError, match="X_test has 1 rows"):
        label_efficiency({"a": DummyRegressor()}, good, good_y, X_test=X, y_test=y, train_sizes=[2], n_repeats=1)
