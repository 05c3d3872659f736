"""MagpieFeatures: values by definition, and those of matminer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Composition, Element, Lattice, Structure

from skdim.baselines import MagpieFeatures, _magpie

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
OXIDE = Structure(Lattice.cubic(5), ["Fe", "O", "O"], [[0, 0, 0], [0.31, 0.42, 0.53], [0.7, 0.6, 0.1]])


@pytest.fixture(scope="module")
def preset():
    composition = pytest.importorskip("matminer.featurizers.composition", reason="needs the extra 'baselines'")
    return composition.ElementProperty.from_preset("magpie")


def test_features_are_those_of_matminer(formation_crystals, preset):
    transformer = MagpieFeatures()
    expected = [preset.featurize(structure.composition) for structure in formation_crystals]
    assert_array_equal(transformer.transform(formation_crystals), expected)
    assert [f"MagpieData {name}" for name in transformer.get_feature_names_out()] == preset.feature_labels()


def test_all_elements_have_the_values_of_matminer(preset):
    """Also in compounds of many elements, some without values, where the order of summation matters."""
    features = MagpieFeatures()._function()
    rng = np.random.default_rng(0)
    drawn = [rng.choice(np.arange(1, 119), n_elements, replace=False).tolist() for n_elements in [2, 5, 12] * 60]
    for numbers in [*([z] for z in range(1, 119)), *drawn]:
        composition = Composition({Element.from_Z(z): float(rng.integers(1, 9)) for z in numbers})
        assert_array_equal(features(FakeStructure(composition)), preset.featurize(composition))


class FakeStructure:
    """Has nothing but a composition."""

    def __init__(self, composition):
        self.composition = composition


def test_features_of_a_known_composition():
    frame = MagpieFeatures().set_output(transform="pandas").transform([OXIDE])
    assert frame.shape == (1, 132)
    expected = {"minimum Number": 8, "maximum Number": 26, "range Number": 18, "mean Number": 14, "mode Number": 8}
    expected |= {"avg_dev Number": 8.0, "mean NdValence": 2.0, "maximum Electronegativity": 3.44}
    assert_allclose(frame.loc[0, list(expected)].to_numpy(float), list(expected.values()))


def test_missing_values_are_imputed_or_refused():
    argon = Structure(Lattice.cubic(5), ["Ar", "Na"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    frame = MagpieFeatures().set_output(transform="pandas").transform([argon])
    names, table = _magpie._table()
    column = table[:, names.index("Electronegativity")]
    assert np.isnan(column[18])
    assert frame.loc[0, "maximum Electronegativity"] == pytest.approx(np.nanmean(column), rel=1e-12)
    refuse = MagpieFeatures(impute=False)
    with pytest.raises(ValueError, match=r"row 1 \(NaAr\): Magpie's tables lack Electronegativity of Ar; impute=True"):
        refuse.transform([ROCK_SALT, argon])
    assert_array_equal(refuse.transform([OXIDE]), MagpieFeatures().transform([OXIDE]))


def test_table_carries_its_source_and_licence():
    text = _magpie.files("skdim.baselines").joinpath("magpie.csv").read_text(encoding="utf-8")
    for words in ("10.1038/npjcompumats.2016.28", "matminer Copyright (c) 2015", "AS IS", "Empty: missing"):
        assert words in text
    names, table = _magpie._table()
    assert table.shape == (119, 22)
    assert_array_equal(table[1:113, names.index("Number")], np.arange(1, 113))
