"""DensityStatistics: values, limits, and invariance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure

from skdim import DensityStatistics, SiteNetFeaturizer
from skdim._chemistry.elements import element_table
from skdim.datasets import make_crystals

NAMES = ["number", "mass", "valence_electron"]
RADII = ["atomic_radius", "covalent_radius", "van_der_waals_radius"]


@pytest.fixture(scope="module")
def structures():
    return make_crystals(30, random_state=0)[0]


@pytest.fixture(scope="module")
def crystals(structures):
    return SiteNetFeaturizer().fit_transform(structures)


def table_of(X):
    return DensityStatistics().set_output(transform="pandas").fit_transform(X)


def test_volumes_are_those_of_primitive_cells(structures, crystals):
    assert_allclose(crystals.volume / crystals.n_sites, [s.volume / len(s) for s in structures], rtol=1e-6)


def test_values_equal_those_of_pymatgen(structures, crystals):
    table = table_of(crystals)
    assert_allclose(np.exp(table["log_mass_density"]), [s.density for s in structures], rtol=1e-4)
    assert_allclose(np.exp(table["log_number_density"]), [len(s) / s.volume for s in structures], rtol=1e-6)
    for name in RADII:
        radius = element_table([name], scaled=False)[:, 0]
        filled = [sum(4 / 3 * np.pi * radius[site.specie.Z] ** 3 for site in s) / s.volume for s in structures]
        assert_allclose(np.exp(table[f"log_{name}_filling"]), filled, rtol=1e-6)


def test_valence_electrons_and_elements():
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.615), ["Cu"], [[0, 0, 0]])
    table = np.exp(table_of(SiteNetFeaturizer().transform([salt, copper])))
    assert_allclose(table["log_valence_electron_density"], [4 * (1 + 7) / 5.64**3, 4 * 11 / 3.615**3], rtol=1e-6)
    assert table["log_molar_volume_filling"][1] == pytest.approx(1, abs=0.01), "copper has the volume of copper"
    assert table["log_mass_density"].to_list() == pytest.approx([2.16, 8.93], abs=0.01)


def test_gaps_between_layers_lower_all_densities():
    def layered(c):
        return Structure(Lattice.hexagonal(2.46, c), ["C", "C"], [[0, 0, 0], [1 / 3, 2 / 3, 0]])

    near, far = table_of(SiteNetFeaturizer().transform([layered(20), layered(40)])).to_numpy()
    assert_allclose(near - far, np.log(2), rtol=1e-5)


def test_supercells_have_the_same_densities(structures, crystals):
    supercells = [s * (2, 1, 1) for s in structures[:8]]
    assert_allclose(table_of(SiteNetFeaturizer().transform(supercells)), table_of(crystals)[:8], rtol=1e-5, atol=1e-6)
    rows = [5, 2]
    assert_array_equal(table_of(crystals[rows]), table_of(crystals).iloc[rows])


def test_rows_that_failed_are_nan(structures):
    with pytest.warns(UserWarning, match="1 of 3 structures"):
        X = SiteNetFeaturizer(on_error="warn").fit_transform([structures[0], None, structures[1]])
    values = DensityStatistics().transform(X)
    assert np.isnan(values[1]).all()
    assert np.isfinite(values[[0, 2]]).all()
    assert X.volume[1] == 0
    assert np.isnan(DensityStatistics().transform(X[[1]])).all()


def test_names_of_columns(crystals):
    names = DensityStatistics().get_feature_names_out()
    assert [f"log_{name}_density" for name in NAMES] == list(names[:3])
    assert len(names) == DensityStatistics().transform(crystals).shape[1] == 7


def test_columns_are_selected(crystals):
    few = DensityStatistics(columns=["log_covalent_radius_filling", "log_mass_density"])
    assert_array_equal(few.set_output(transform="pandas").transform(crystals), table_of(crystals)[few.columns])
    for columns in ([], ["log_mass_density"] * 2, ["mass"]):
        with pytest.raises(ValueError, match=r"columns must be a selection of \('log_number_density', .* got"):
            DensityStatistics(columns=columns).fit(crystals)


def test_other_input_is_refused(structures):
    with pytest.raises(TypeError, match="DensityStatistics"):
        DensityStatistics().fit(structures)
