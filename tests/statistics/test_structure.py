"""StructureStatistics: the right numbers, the right names, and how it joins with scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetFeaturizer, StructureStatistics
from skdim._chemistry.elements import ALL_SITE_FEATURES
from skdim._statistics import structure as _statistics
from tests.helpers.plain_sitenet import dense_crystal
from tests.helpers.small_estimators import SMALL

GEOMETRY = ["neighbour_distance", "log_packing", "log_coordination"]


@pytest.fixture(scope="module")
def with_failed(structures):
    rows = [structures[0], "no structure", structures[1], None]
    with pytest.warns(UserWarning, match="2 of 4 structures"):
        return SiteNetFeaturizer(on_error="warn").fit_transform(rows)


def by_hand(structure, name):
    """All of a structure's columns for one property: each primitive site with each site of pymatgen's supercell."""
    crystal = dense_crystal(structure, site_features=[name])
    own, other = crystal.features[:, 0].numpy(), crystal.column_features[:, 0].numpy()
    rows = []
    for i, distances in enumerate(crystal.distances.numpy()):
        near = np.flatnonzero(np.arange(len(distances)) != i)
        weight = distances[near] ** -6
        share = weight / weight.sum()
        geometry = [share @ distances[near], np.log(weight.sum()), -np.log((share**2).sum())]
        rows.append([own[i], share @ (other[near] - own[i]), *geometry])
    return [*np.mean(rows, axis=0), *np.std(rows, axis=0)]


@pytest.mark.parametrize("name", ["electronegativity", "covalent_radius"])
def test_values_are_those_of_the_sites_and_their_neighbours(formation_crystals, name):
    structures = formation_crystals[::4]
    X = SiteNetFeaturizer(distance_tol=1e-6).fit_transform(structures)
    expected = np.array([by_hand(structure, name) for structure in structures])
    assert_allclose(StructureStatistics(site_features=[name]).fit_transform(X), expected, rtol=1e-4, atol=1e-4)
    assert (expected.std(axis=0) > 0.01).all(), "a constant would agree with little"


def test_names_and_order(X):
    transformer = StructureStatistics()
    names = list(transformer.get_feature_names_out())
    values = transformer.transform(X)
    assert values.shape == (40, 106)
    assert values.dtype == np.float32
    assert len(set(names)) == 106
    columns = [*ALL_SITE_FEATURES, *(f"{name}_difference" for name in ALL_SITE_FEATURES), *GEOMETRY]
    assert names == [f"{statistic}_{column}" for statistic in ("mean", "std") for column in columns]
    part = StructureStatistics(site_features=["density", "row"])
    assert list(part.get_feature_names_out())[:2] == ["mean_density", "mean_row"]
    chosen = [names.index(name) for name in part.get_feature_names_out()]
    assert_allclose(part.transform(X), values[:, chosen], rtol=1e-6, atol=1e-6)


def test_does_not_depend_on_what_was_featurized(structures, X):
    """Neither on the site features of the crystals nor on their oxidation states."""
    other = SiteNetFeaturizer(site_features=["row"], oxidation_states="guess").fit_transform(structures)
    assert_array_equal(StructureStatistics().transform(other), StructureStatistics().transform(X))
    assert other.site_features == ("row", "oxidation_state")


def test_does_not_depend_on_the_other_rows_or_on_batches(X, monkeypatch):
    values = StructureStatistics().transform(X)
    assert_allclose(StructureStatistics().transform(X[[3, 1]]), values[[3, 1]], rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(_statistics, "_BATCH_SITES", 7)
    assert_allclose(StructureStatistics().transform(X), values, rtol=1e-6, atol=1e-6)


def test_failed_rows_are_nan_and_leave_the_others_alone(with_failed):
    values = StructureStatistics().transform(with_failed)
    assert_array_equal(np.isnan(values).all(axis=1), [False, True, False, True])
    assert_array_equal(values[[0, 2]], StructureStatistics().transform(with_failed[[0, 2]]))
    assert np.isnan(StructureStatistics().transform(with_failed[[1, 3]])).all()


def test_set_output(X):
    frame = StructureStatistics().set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert frame.shape == (40, 106)
    assert frame.columns[-1] == "std_log_coordination"


def test_joins_vectors_and_composition_under_a_gaussian_process(X, y):
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)
    union = FeatureUnion(
        [
            ("vectors", FrozenEstimator(embedder)),
            ("structure", StructureStatistics()),
            ("composition", CompositionStatistics()),
        ]
    )
    joined = union.fit(X).transform(X)
    assert joined.shape == (40, 12 + 106 + 100)
    assert_array_equal(joined[:, 12:118].astype(np.float32), StructureStatistics().transform(X))
    assert union.get_feature_names_out()[12] == "structure__mean_atomic_number"
    gaussian = GaussianProcessRegressor(RBF(20.0) + WhiteKernel(0.1), optimizer=None, normalize_y=True)
    scores = cross_val_score(make_pipeline(union, StandardScaler(), gaussian), X, y, cv=4, error_score="raise")
    assert scores.mean() > 0.3


def test_is_stateless(X):
    transformer = StructureStatistics(site_features=["row", "density"])
    before = transformer.transform(X)  # without fit
    copy = pickle.loads(pickle.dumps(clone(transformer).fit(X)))
    assert vars(copy) == vars(transformer)
    assert_array_equal(copy.fit(X[:3]).transform(X), before)


def test_leaves_its_input_alone(X):
    before = pickle.dumps(X)
    StructureStatistics(site_features=["row"]).fit_transform(X)
    assert pickle.dumps(X) == before


@pytest.mark.parametrize(
    ("site_features", "match"),
    [
        (["densty"], "did you mean 'density'"),
        ([], "at least one property"),
        (["row", "row"], "each once"),
        ("row", "site_features"),
        (3, "The 'site_features' parameter of StructureStatistics"),
        (["oxidation_state"], "unknown element properties: 'oxidation_state'"),
    ],
)
def test_bad_parameters(X, site_features, match):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=match):
            getattr(StructureStatistics(site_features=site_features), method)(X)


def test_wrong_input_says_what_to_do(structures):
    for method in ("fit", "transform"):
        with pytest.raises(TypeError, match=r"StructureStatistics.*put a SiteNetFeaturizer before it"):
            getattr(StructureStatistics(), method)(structures)
