"""StructureStatistics: values, column names, and use with scikit-learn."""

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
from skdim._statistics import structure as structure_module
from tests.helpers.plain_sitenet import dense_crystal
from tests.helpers.small_estimators import SMALL

GEOMETRY = ["neighbour_distance", "log_packing", "log_coordination"]


@pytest.fixture(scope="module")
def with_failed(structures):
    rows = [structures[0], "no structure", structures[1], None]
    with pytest.warns(UserWarning, match="2 of 4 structures"):
        return SiteNetFeaturizer(on_error="warn").fit_transform(rows)


def reference(structure, name):
    """All columns for one property, from each pair of a primitive site and a site of pymatgen's supercell."""
    crystal = dense_crystal(structure, site_features=[name])
    values, neighbour_values = crystal.features[:, 0].numpy(), crystal.column_features[:, 0].numpy()
    rows = []
    for i, distances in enumerate(crystal.distances.numpy()):
        near = np.flatnonzero(np.arange(len(distances)) != i)
        weight = distances[near] ** -6
        share = weight / weight.sum()
        geometry = [share @ distances[near], np.log(weight.sum()), -np.log((share**2).sum())]
        rows.append([values[i], share @ (neighbour_values[near] - values[i]), *geometry])
    return [*np.mean(rows, axis=0), *np.std(rows, axis=0)]


@pytest.mark.parametrize("name", ["electronegativity", "covalent_radius"])
def test_values_equal_a_reference(formation_crystals, name):
    structures = formation_crystals[::4]
    X = SiteNetFeaturizer(distance_tol=1e-6).fit_transform(structures)
    expected = np.array([reference(structure, name) for structure in structures])
    assert_allclose(StructureStatistics(site_features=[name]).fit_transform(X), expected, rtol=1e-4, atol=1e-4)
    assert (expected.std(axis=0) > 0.01).all(), "every column varies"


def test_column_names_follow_the_order_of_the_parameters(X):
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


def test_values_do_not_depend_on_the_site_features_of_the_crystals(structures, X):
    other = SiteNetFeaturizer(site_features=["row"], oxidation_states="guess").fit_transform(structures)
    assert_array_equal(StructureStatistics().transform(other), StructureStatistics().transform(X))
    assert other.site_features == ("row", "oxidation_state")


def test_values_depend_neither_on_other_rows_nor_on_batches(X, monkeypatch):
    values = StructureStatistics().transform(X)
    assert_allclose(StructureStatistics().transform(X[[3, 1]]), values[[3, 1]], rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(structure_module, "_BATCH_SITES", 7)
    assert_allclose(StructureStatistics().transform(X), values, rtol=1e-6, atol=1e-6)


def test_failed_rows_are_nan_and_do_not_change_others(with_failed):
    values = StructureStatistics().transform(with_failed)
    assert_array_equal(np.isnan(values).all(axis=1), [False, True, False, True])
    assert_array_equal(values[[0, 2]], StructureStatistics().transform(with_failed[[0, 2]]))
    assert np.isnan(StructureStatistics().transform(with_failed[[1, 3]])).all()


def test_set_output_gives_named_columns(X):
    frame = StructureStatistics().set_output(transform="pandas").fit_transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert frame.shape == (40, 106)
    assert frame.columns[-1] == "std_log_coordination"


def test_feature_union_with_vectors_and_composition_in_a_gaussian_process(X, y):
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


def test_fit_remembers_only_how_the_crystals_were_featurized(X):
    transformer = StructureStatistics(site_features=["row", "density"])
    before = transformer.transform(X)  # without fit
    copy = pickle.loads(pickle.dumps(clone(transformer).fit(X)))
    assert vars(copy) == vars(transformer) | {"featurizer_settings_": X.settings}
    assert_array_equal(copy.fit(X[:3]).transform(X), before)


def test_transform_does_not_change_its_input(X):
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
def test_invalid_parameters_are_refused(X, site_features, match):
    for method in ("fit", "transform"):
        with pytest.raises(ValueError, match=match):
            getattr(StructureStatistics(site_features=site_features), method)(X)


def test_structures_are_refused_with_advice(structures):
    for method in ("fit", "transform"):
        with pytest.raises(TypeError, match=r"StructureStatistics.*add a SiteNetFeaturizer before it"):
            getattr(StructureStatistics(), method)(structures)


def test_crystals_of_other_supercells_raise_a_warning(structures, X):
    small = SiteNetFeaturizer(max_sites=20).fit_transform(structures[:5])
    fitted = StructureStatistics().fit(X)
    with pytest.warns(UserWarning, match=r"max_sites=20 \(fit: 50\), unlike the crystals that StructureStatistics"):
        values = fitted.transform(small)
    assert_array_equal(values, StructureStatistics().transform(small))
    fitted.transform(X[:5])  # warnings are errors in tests
