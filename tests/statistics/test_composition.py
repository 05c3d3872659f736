"""CompositionStatistics: values, column names, and use with scikit-learn."""

import time

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline

from skdim import CompositionStatistics, Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._chemistry.elements import ALL_SITE_FEATURES, element_table
from skdim.datasets import make_crystals


@pytest.fixture(scope="module")
def structures_and_target():
    return make_crystals(30, random_state=0)


@pytest.fixture(scope="module")
def crystals(structures_and_target):
    return SiteNetFeaturizer().fit_transform(structures_and_target[0])


@pytest.fixture(scope="module")
def with_failed(structures_and_target):
    # The second row has two sites at the same position, the last is not a structure.
    overlapping = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.001]])
    rows = [structures_and_target[0][0], overlapping, structures_and_target[0][1], None]
    with pytest.warns(UserWarning, match="2 of 4 structures"):
        return SiteNetFeaturizer(on_error="warn").fit_transform(rows)


def reference(structure, name):
    """Statistics of one property, from pymatgen's primitive cell."""
    table = element_table([name], scaled=False)[:, 0]
    values = np.array([table[site.specie.Z] for site in structure.get_primitive_structure()])
    return values.mean(), values.std(), values.min(), values.max()


@pytest.mark.parametrize("name", ["electronegativity", "density", "melting_point"])
def test_values_equal_a_reference(structures_and_target, crystals, name):
    values = CompositionStatistics(site_features=[name]).fit_transform(crystals)
    expected = [reference(structure, name) for structure in structures_and_target[0]]
    assert_allclose(values, expected, rtol=1e-9, atol=1e-9)


def test_column_names_follow_the_order_of_the_parameters(crystals):
    transformer = CompositionStatistics()
    names = transformer.get_feature_names_out()
    values = transformer.transform(crystals)
    assert values.shape == (30, 100)
    assert len(set(names)) == 100
    assert list(names[:25]) == [f"mean_{name}" for name in ALL_SITE_FEATURES]
    part = CompositionStatistics(site_features=["row", "density"], statistics=["max", "std"])
    assert list(part.get_feature_names_out()) == ["max_row", "max_density", "std_row", "std_density"]
    columns = [list(names).index(name) for name in part.get_feature_names_out()]
    assert_array_equal(part.transform(crystals), values[:, columns])


def test_values_depend_neither_on_the_cell_nor_on_other_rows(structures_and_target, crystals):
    structures = structures_and_target[0][:5]
    supercells = SiteNetFeaturizer().fit_transform([s.make_supercell([1, 1, 2], in_place=False) for s in structures])
    values = CompositionStatistics().transform(crystals)
    assert_allclose(CompositionStatistics().transform(supercells), values[:5], rtol=1e-9)
    assert_array_equal(CompositionStatistics().transform(crystals[[3, 1]]), values[[3, 1]])


def test_uncompressed_crystals_give_the_same_values(structures_and_target, crystals):
    full = SiteNetFeaturizer(compress=False).fit_transform(structures_and_target[0])
    assert_allclose(CompositionStatistics().transform(full), CompositionStatistics().transform(crystals), rtol=1e-12)


def test_failed_rows_are_nan_and_do_not_change_others(with_failed):
    values = CompositionStatistics().transform(with_failed)
    assert_array_equal(np.isnan(values).all(axis=1), [False, True, False, True])
    assert_array_equal(values[[0, 2]], CompositionStatistics().transform(with_failed[[0, 2]]))
    assert np.isnan(CompositionStatistics().transform(with_failed[[1, 3]])).all()


def test_set_output_gives_named_columns(crystals):
    frame = CompositionStatistics().set_output(transform="pandas").fit_transform(crystals)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns[0] == "mean_atomic_number"


def test_feature_union_with_an_embedder(crystals):
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(crystals)
    union = FeatureUnion([("vectors", FrozenEstimator(embedder)), ("composition", CompositionStatistics())])
    joined = union.fit(crystals, None).transform(crystals)
    width = embedder.transform(crystals).shape[1]
    assert_allclose(joined[:, width:], CompositionStatistics().transform(crystals))
    assert union.get_feature_names_out()[-1] == f"composition__max_{ALL_SITE_FEATURES[-1]}"


def test_pipeline_from_structures_in_cross_validation(structures_and_target):
    structures, y = structures_and_target
    model = make_pipeline(SiteNetFeaturizer(), CompositionStatistics(), ExtraTreesRegressor(20, random_state=0))
    assert cross_val_score(model, structures, y, cv=3, error_score="raise").mean() > 0


def test_fit_sets_no_attributes(crystals):
    transformer = CompositionStatistics()
    before = transformer.transform(crystals)  # without fit
    assert vars(clone(transformer).fit(crystals)).keys() == vars(transformer).keys()
    assert_array_equal(transformer.fit(crystals[:3]).transform(crystals), before)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"site_features": ["densty"]}, "did you mean 'density'"),
        ({"site_features": []}, "at least one property"),
        ({"site_features": ["row", "row"]}, "each once"),
        ({"site_features": "row"}, "site_features"),
        ({"statistics": ["median"]}, "statistics must be a selection of"),
        ({"statistics": []}, "statistics must be a selection of"),
        ({"statistics": ["mean", "mean"]}, "statistics must be a selection of"),
        ({"statistics": 3}, "statistics"),
    ],
)
def test_invalid_parameters_are_refused(crystals, params, match):
    with pytest.raises(ValueError, match=match):
        CompositionStatistics(**params).fit(crystals)


def test_structures_are_refused_with_advice(structures_and_target):
    with pytest.raises(TypeError, match="add a SiteNetFeaturizer before it"):
        CompositionStatistics().fit(structures_and_target[0])


def test_30_000_crystals_take_less_than_3_seconds(crystals):
    many = Crystals.concatenate([crystals] * 1000)
    start = time.process_time()
    CompositionStatistics().transform(many)
    # Measured: 0.2 s of CPU time. A Python loop over crystals would take several seconds.
    assert time.process_time() - start < 3
