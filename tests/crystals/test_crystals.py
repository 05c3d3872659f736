"""Crystals behave like a one-dimensional array of rows, also in scikit-learn."""

import io
import pickle
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition, Lattice, Structure
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import _num_samples

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._crystals.checks import check_crystals
from skdim._crystals.columns import COLUMNS
from skdim._shared.ragged import offsets_of, reduce_rows, take_rows
from tests.helpers.assertions import assert_same_crystals


def rows_of(X):
    """Arrays of each row by plain slicing, as a reference for indexing."""
    result = []
    for k in range(len(X)):
        classes = slice(X.class_offsets[k], X.class_offsets[k + 1])
        sites = slice(X.site_offsets[k], X.site_offsets[k + 1])
        pairs = slice(X.pair_offsets[classes.start], X.pair_offsets[classes.stop])
        lengths = np.diff(X.pair_offsets)[classes]
        flat = [X.numbers[classes], X.oxidation_states[classes], X.multiplicity[classes], lengths, X.site_class[sites]]
        result.append([v.tolist() for v in (*flat, X.neighbour[pairs], X.distance[pairs], X.count[pairs])])
    return result


@pytest.fixture(scope="module")
def with_errors(formation_crystals):
    """Six rows, of which rows 1 and 4 failed."""
    rows = [*formation_crystals[:6]]
    rows[1], rows[4] = "no.cif", None
    with pytest.warns(UserWarning, match="2 of 6"):
        return SiteNetFeaturizer(on_error="warn").transform(rows)


# ---- rows ----


def test_length_and_shape(crystals, formation_crystals):
    assert len(crystals) == len(formation_crystals) == _num_samples(crystals)
    assert crystals.shape == (len(formation_crystals),)
    assert crystals[:0].shape == (0,)


N = 54
KEYS = {
    "integer": (3, [3]),
    "numpy integer": (np.int64(3), [3]),
    "negative": (-1, [N - 1]),
    "slice": (slice(2, 7), range(2, 7)),
    "open slice": (slice(None), range(N)),
    "stepped slice": (slice(40, 3, -4), range(40, 3, -4)),
    "negative slice": (slice(-3, None), range(N - 3, N)),
    "slice past the end": (slice(50, 99), range(50, N)),
    "list": ([5, 1, 1, -2], [5, 1, 1, N - 2]),
    "range": (range(4, 9, 2), [4, 6, 8]),
    "index array": (np.array([9, 8, 7], dtype=np.uint8), [9, 8, 7]),
    "consecutive": (np.array([9, 10, 11]), [9, 10, 11]),
    "boolean mask": (np.arange(N) % 7 == 2, range(2, N, 7)),
    "boolean list": ([k == 4 for k in range(N)], [4]),
    "series": (pd.Series([2, 0], index=[7, 8]), [2, 0]),
    "sklearn": ((np.array([2, 0]), ...), [2, 0]),
    "sklearn mask": ((np.arange(N) < 2, ...), [0, 1]),
    "empty slice": (slice(4, 4), []),
    "empty list": ([], []),
    "empty array": (np.array([], dtype=int), []),
    "empty mask": (np.zeros(N, dtype=bool), []),
}


@pytest.mark.parametrize(("key", "expected"), KEYS.values(), ids=KEYS)
def test_indexing_selects_rows(key, expected, crystals):
    part = crystals[key]
    assert isinstance(part, Crystals)
    assert part.shape == (len(expected),)
    rows = rows_of(crystals)
    assert rows_of(part) == [rows[k] for k in expected]
    assert part.formulas == [crystals.formulas[k] for k in expected]
    assert (part.site_features, part.settings) == (crystals.site_features, crystals.settings)
    for name, dtype in COLUMNS.items():
        assert getattr(part, name).dtype == dtype


@pytest.mark.parametrize(
    "key", [N, -N - 1, "NaCl", 1.5, None, True, (1, 2), (..., 1), [[0, 1]], [0.5], [True], [N]], ids=str
)
def test_invalid_keys_are_refused(key, crystals):
    with pytest.raises(IndexError):
        crystals[key]


def test_consecutive_rows_share_memory(crystals):
    assert np.shares_memory(crystals[5:20].distance, crystals.distance)
    assert not np.shares_memory(crystals[[3, 1]].distance, crystals.distance)


def test_iteration_yields_single_rows(crystals):
    rows = list(crystals)
    assert all(isinstance(row, Crystals) and len(row) == 1 for row in rows)
    assert_same_crystals(Crystals.concatenate(rows), crystals)


def test_conversion_to_arrays_is_refused(crystals):
    with pytest.raises(TypeError, match="embed them"):
        np.asarray(crystals)
    with pytest.raises(TypeError, match="embed them"):
        Ridge().fit(crystals, np.zeros(N))


def test_take_rows_of_ragged_arrays():
    offsets = offsets_of([2, 0, 3])
    np.testing.assert_array_equal(offsets, [0, 2, 2, 5])
    elements, new = take_rows(offsets, np.array([2, 0, 1]))
    np.testing.assert_array_equal(elements, [2, 3, 4, 0, 1])
    np.testing.assert_array_equal(new, [0, 3, 5, 5])
    assert take_rows(offsets, np.array([1, 2]))[0] == slice(2, 5)


def test_reduction_of_ragged_arrays_is_nan_for_empty_rows():
    values = np.array([[1.0, 2], [3, 4], [5, 6], [7, 9], [8, 0]])
    expected = [[np.nan] * 2, [4, 6], [np.nan] * 2, [20, 15], [np.nan] * 2]
    np.testing.assert_array_equal(reduce_rows(np.add, values, offsets_of([0, 2, 0, 3, 0])), expected)
    np.testing.assert_array_equal(reduce_rows(np.maximum, values, offsets_of([4, 1])), [[7, 9], [8, 0]])
    assert np.isnan(reduce_rows(np.add, values[:0], offsets_of([0, 0]))).all()


# ---- concatenation ----


def test_concatenation_joins_rows(crystals):
    parts = [crystals[:3], crystals[3:3], crystals[3:20], crystals[20:]]
    assert_same_crystals(Crystals.concatenate(parts), crystals)
    assert_same_crystals(Crystals.concatenate(iter(parts[:1])), crystals[:3])


def test_concatenation_of_other_types_and_settings_is_refused(crystals, formation_crystals):
    with pytest.raises(ValueError, match="at least one"):
        Crystals.concatenate([])
    with pytest.raises(TypeError, match="part 1 is a list"):
        Crystals.concatenate([crystals, []])
    for settings in ({"max_sites": 60}, {"site_features": ["row", "group"]}, {"oxidation_states": "species"}):
        other = SiteNetFeaturizer(**settings).transform(formation_crystals[:1])
        with pytest.raises(ValueError, match="part 1 was featurized with other settings") as error:
            Crystals.concatenate([crystals, other])
        assert next(iter(settings)) in str(error.value)
        assert "compress" not in str(error.value), "settings that are equal are named"


# ---- errors of rows ----


def test_indexing_and_concatenation_keep_errors(with_errors):
    X = with_errors
    assert set(X.errors_) == {1, 4}
    assert X.errors_[1].startswith("row 1, no.cif: cannot open the file")
    np.testing.assert_array_equal(X.failed, [False, True, False, False, True, False])
    assert X[[4, 0, 1]].errors_ == {0: X.errors_[4], 2: X.errors_[1]}
    assert X[[1, 1]].errors_ == {0: X.errors_[1], 1: X.errors_[1]}
    assert X[-2].errors_ == {0: X.errors_[4]}
    assert X[~X.failed].errors_ == {}
    assert Crystals.concatenate([X[2:], X]).errors_ == {2: X.errors_[4], 5: X.errors_[1], 8: X.errors_[4]}
    assert (X.n_sites == 0).tolist() == X.failed.tolist()
    assert [f == "?" for f in X.formulas] == X.failed.tolist()
    assert np.diff(X.site_offsets)[X.failed].tolist() == [0, 0]


# ---- properties of rows ----


def test_formulas_and_numbers_of_sites(crystals, formation_crystals):
    assert crystals.n_sites.tolist() == [len(s) for s in formation_crystals]
    for k, structure in enumerate(formation_crystals):
        assert crystals.formula(k) == crystals.formulas[k]
        divisor = np.gcd.reduce([int(amount) for amount in structure.composition.values()])
        assert Composition(crystals.formulas[k]) == structure.composition / int(divisor)
        assert crystals.formula(k - len(crystals)) == crystals.formulas[k]
    for wrong in (len(crystals), -len(crystals) - 1):
        with pytest.raises(IndexError, match=f"row {wrong} is out of bounds"):
            crystals.formula(wrong)
    rutile = Structure(Lattice.cubic(4), ["O", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]])
    assert SiteNetFeaturizer().transform([rutile]).formulas == ["TiO2"]


def test_repr_counts_crystals_sites_and_failures(crystals, with_errors):
    n_sites, n_classes, n_pairs = crystals.n_sites.sum(), len(crystals.numbers), len(crystals.distance)
    expected = f"Crystals(54 crystals, {n_sites} sites in {n_classes} classes, {n_pairs} pairs, 0.1 MB)"
    assert repr(crystals) == expected
    assert repr(with_errors).endswith("2 failed)")
    assert repr(crystals[:0]).startswith("Crystals(0 crystals, 0 sites")


def test_a_hundred_thousand_crystals_stay_small(formation_data):
    sample = SiteNetFeaturizer().transform(formation_data.structures[::13])
    X = sample[np.random.default_rng(0).integers(len(sample), size=100_000)]
    assert len(X) == 100_000
    assert X.nbytes < 400e6
    assert X.nbytes == sum(getattr(X, name).nbytes for name in COLUMNS)


def test_check_crystals_names_the_caller_and_the_difference(crystals):
    assert check_crystals(crystals, "Caller") is crystals
    with pytest.raises(TypeError, match="Caller needs the Crystals that SiteNetFeaturizer returns, not list"):
        check_crystals([1], "Caller")
    with pytest.raises(ValueError, match="minimum of 2 is required by Caller"):
        check_crystals(crystals[:1], "Caller", min_crystals=2)
    names = crystals.site_features
    for other, match in (
        (("ionic_mass", *names), "X has no ionic_mass. Featurize"),
        (names[1:], f"X has also {names[0]}. Featurize"),
        (("ionic_mass", *names[1:]), f"X has no ionic_mass and has also {names[0]}. Featurize"),
        (names[::-1], "X has them in another order. Featurize"),
    ):
        with pytest.raises(ValueError, match=f"Caller was fitted on the site features of other crystals: {match}"):
            check_crystals(crystals, "Caller", like=SimpleNamespace(site_features_=other))
    like = SimpleNamespace(site_features_=crystals.site_features, featurizer_settings_={"max_sites": 7})
    with pytest.warns(UserWarning, match=r"max_sites=.* \(fit: 7\), unlike the crystals that Caller was fitted on"):
        assert check_crystals(crystals, "Caller", like=like) is crystals


# ---- copies ----


def test_pickled_crystals_are_equal(crystals, with_errors, tmp_path):
    for X in (crystals, with_errors, crystals[:0]):
        assert_same_crystals(pickle.loads(pickle.dumps(X)), X)
        buffer = io.BytesIO()
        joblib.dump(X, buffer)
        buffer.seek(0)
        assert_same_crystals(joblib.load(buffer), X)
    crystals.save(tmp_path / "store")
    mapped = Crystals.load(tmp_path / "store", mmap_mode="r")
    assert_same_crystals(pickle.loads(pickle.dumps(mapped)), crystals)
    joblib.dump(mapped, tmp_path / "mapped.joblib")
    assert_same_crystals(joblib.load(tmp_path / "mapped.joblib"), crystals)


# ---- scikit-learn ----


class MeanOfSites(RegressorMixin, BaseEstimator):
    """Predict the mean label plus a shift; check that X is Crystals with matching labels."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y):
        assert isinstance(X, Crystals)
        np.testing.assert_array_equal(X.n_sites, y)
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        assert isinstance(X, Crystals)
        return np.full(len(X), self.mean_ + self.shift)


def test_train_test_split_keeps_rows_and_labels_together(crystals):
    y = crystals.n_sites
    train, test, y_train, y_test = train_test_split(crystals, y, test_size=10, random_state=0)
    assert isinstance(train, Crystals)
    assert isinstance(test, Crystals)
    assert (len(train), len(test)) == (44, 10)
    np.testing.assert_array_equal(train.n_sites, y_train)
    np.testing.assert_array_equal(test.n_sites, y_test)


def test_cross_validation_keeps_rows_and_labels_together(crystals, tmp_path):
    crystals.save(tmp_path / "store")
    y = crystals.n_sites
    for X in (crystals, Crystals.load(tmp_path / "store", mmap_mode="r")):
        scores = cross_validate(MeanOfSites(), X, y, cv=KFold(3, shuffle=True, random_state=0), return_train_score=True)
        assert np.isfinite(scores["test_score"]).all()
        np.testing.assert_allclose(scores["train_score"], 0, atol=1e-12)
        sizes, train_scores, _ = learning_curve(MeanOfSites(), X, y, cv=3, train_sizes=[5, 20], error_score="raise")
        assert sizes.tolist() == [5, 20]
        np.testing.assert_allclose(train_scores, 0, atol=1e-12)
        search = GridSearchCV(MeanOfSites(), {"shift": [0.0, 5.0]}, cv=3, error_score="raise").fit(X, y)
        assert search.best_params_ == {"shift": 0.0}
        assert search.predict(X[:4]).shape == (4,)


def test_embedder_and_ridge_in_cross_validation(crystals):
    model = make_pipeline(DeepInfoMaxEmbedder(max_epochs=0, random_state=0, device="cpu"), Ridge())
    y = np.array([np.log(d[d > 0].min()) for d in (x.distance for x in crystals)])
    predicted = cross_val_predict(model, crystals, y, cv=3)
    assert predicted.shape == y.shape
    search = GridSearchCV(model, {"ridge__alpha": [1e-2, 1.0]}, cv=2, error_score="raise").fit(crystals, y)
    assert search.predict(crystals[:5]).shape == (5,)


def test_with_site_features_shares_arrays(X):
    fewer = X.with_site_features(["electronegativity", "row"])
    assert fewer.site_features == ("electronegativity", "row")
    assert X.site_features != fewer.site_features
    assert len(fewer) == len(X)
    assert np.shares_memory(fewer.distance, X.distance)
    for wrong, message in ((["mass"], "mass"), ([], "at least one"), (["oxidation_state"], "oxidation_state")):
        with pytest.raises(ValueError, match=message):
            X.with_site_features(wrong)
    known = Crystals({name: getattr(X, name) for name in COLUMNS}, (*X.site_features, "oxidation_state"))
    assert known.with_site_features(["oxidation_state"]).site_features == ("oxidation_state",)
