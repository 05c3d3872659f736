"""ApplicabilityDomain against distances computed one by one; its warning and its place in a Pipeline."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skdim import ApplicabilityDomain, Crystals, SiteNetFeaturizer, StructureStatistics
from skdim.model_selection import make_arm

XENON = Structure(Lattice.cubic(12.0), ["Xe"], [[0, 0, 0]])


@pytest.fixture(scope="module")
def strange():
    return SiteNetFeaturizer().transform([XENON])


@pytest.fixture(scope="module")
def domain(X):
    return ApplicabilityDomain().fit(X)


def standardised(train, X):
    scale = train.std(axis=0)
    scale[scale <= 1e-6 * abs(train.mean(axis=0))] = np.inf
    return np.clip((X - train.mean(axis=0)) / scale, -8, 8)


def test_scores_are_distances_to_the_nearest_training_crystal(crystals, X, domain):
    train, features = (StructureStatistics().fit_transform(each).astype(float) for each in (X, crystals))
    difference = standardised(train, features)[:, None] - standardised(train, train)
    expected = np.sqrt((difference**2).mean(axis=2)).min(axis=1)
    assert_allclose(domain.score_samples(crystals), -expected, rtol=1e-6)
    assert_allclose(domain.score_samples(X), 0, atol=1e-6)


@pytest.mark.parametrize("quantile", [0.99, 0.8])
def test_the_threshold_is_a_quantile_among_the_training_crystals(crystals, quantile):
    domain = ApplicabilityDomain(quantile=quantile).fit(crystals)
    features = StructureStatistics().fit_transform(crystals).astype(float)
    Z = standardised(features, features)
    distance = np.sqrt(((Z[:, None] - Z) ** 2).mean(axis=2))
    np.fill_diagonal(distance, np.inf)
    assert_allclose(domain.offset_, -np.quantile(distance.min(axis=1), quantile), rtol=1e-6)
    assert_allclose(domain.decision_function(crystals), domain.score_samples(crystals) - domain.offset_)


def test_unlike_crystals_are_outside(X, strange, domain):
    assert domain.predict(X).tolist() == [1] * len(X)
    assert domain.predict(strange).tolist() == [-1]
    assert domain.decision_function(strange)[0] < 0


def test_unseen_elements(X, domain):
    structures = [XENON, Structure(Lattice.cubic(4), ["Rn", "Xe"], [[0, 0, 0], [0.5] * 3])]
    others = SiteNetFeaturizer().transform(structures)
    both = Crystals.concatenate([X[:3], others])
    assert domain.unseen_elements(both) == [(), (), (), ("Xe",), ("Xe", "Rn")]
    assert set(domain.elements_) == {symbol for s in X for symbol in _elements(s)}


def _elements(crystal):
    from skdim._chemistry.elements import SYMBOLS

    return {SYMBOLS[number] for number in crystal.numbers}


def test_other_features(X, embedder):
    domain = ApplicabilityDomain(features=FrozenEstimator(embedder)).fit(X[:30])
    vectors = embedder.transform(X).astype(float)
    Z = standardised(vectors[:30], vectors)
    expected = np.sqrt(((Z[30:, None] - Z[:30]) ** 2).mean(axis=2)).min(axis=1)
    assert_allclose(-domain.score_samples(X[30:]), expected, rtol=1e-4)


# ---- warnings ----


def test_one_warning_with_counts_and_the_first_row(X, strange, domain):
    mixed = Crystals.concatenate([X[:2], strange, X[2:4], strange])
    with pytest.warns(UserWarning, match="less reliable") as record:
        assert domain.transform(mixed) is mixed
    assert [str(w.message) for w in record] == [
        "predictions for some of 6 crystals are less reliable: 2 are unlike all training crystals (first: row 2, Xe); "
        "2 have elements that no training crystal has: Xe (first: row 2, Xe)"
    ]
    mixed.index = pd.Index(list("abcdef"))
    with pytest.warns(UserWarning, match=r"first: row 2, c, Xe"):
        domain.transform(mixed)


def test_no_warning_for_the_training_crystals(X, domain, recwarn):
    assert domain.transform(X) is X
    assert ApplicabilityDomain().fit_transform(X) is X
    assert not recwarn.list


def test_first_step_of_a_pipeline(X, y, strange):
    model = make_pipeline(ApplicabilityDomain(), make_arm("structure"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    mixed = Crystals.concatenate([X[:5], strange])
    with pytest.warns(UserWarning, match="1 are unlike all training crystals") as record:
        predictions, std = model.predict(mixed, return_std=True)
    assert len(record) == 1
    assert_array_equal(predictions, make_arm("structure").fit(X, y).predict(mixed))
    assert std.shape == (6,)


# ---- rows that failed, and errors ----


def test_failed_rows(structures, domain):
    with pytest.warns(UserWarning, match="could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").transform([structures[0], "no cif", *structures[1:5]])
    assert_array_equal(np.isnan(domain.score_samples(X)), X.failed)
    assert domain.predict(X).tolist() == [1, -1, 1, 1, 1, 1]
    assert domain.transform(X) is X
    with pytest.warns(UserWarning, match="leaves out 1 of 6 rows"):
        fitted = ApplicabilityDomain().fit(X)
    assert fitted.n_crystals_ == 5
    assert np.isnan(domain.score_samples(X[[1]])).all()


def test_bad_input(X, structures):
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        ApplicabilityDomain().fit(X[:1])
    with pytest.raises(TypeError, match="needs the Crystals"):
        ApplicabilityDomain().fit(structures)
    with pytest.raises(ValueError, match="quantile"):
        ApplicabilityDomain(quantile=1.6).fit(X)
