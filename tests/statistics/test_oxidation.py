"""OxidationStatistics: values, limits, and invariance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Composition, Lattice, Structure

from skdim import OxidationStatistics, SiteNetFeaturizer
from skdim.datasets import make_crystals


def rock_salt(cation, anion, a=5.0):
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])


def table_of(structures):
    X = SiteNetFeaturizer().fit_transform(structures)
    return OxidationStatistics().set_output(transform="pandas").fit_transform(X)


def test_salts_are_neutral_and_alloys_are_not():
    table = table_of([rock_salt("Mg", "O", 4.21), rock_salt("Ti", "N", 4.24), rock_salt("Cu", "Au", 5.3)])
    assert table["charge_common"].to_list() == [0, 0.5, 2.5]
    assert table["absolute_charge_common"].to_list() == [0, 0.5, 2.5]
    assert table["is_neutral_common"].to_list() == [1, 0, 0]
    assert table["charge_observed"].to_list() == [0, 0, 2]
    assert table["is_neutral_observed"].to_list() == [1, 1, 0]


def test_electrons_that_are_left():
    table = table_of([rock_salt("Ni", "O", 4.17), rock_salt("Zn", "O", 4.28), rock_salt("Eu", "O", 5.14)])
    assert table["d_electrons_common"].to_list() == [4, 5, 0]  # Ni2+ is d8, Zn2+ is d10
    assert table["open_d_shells_common"].to_list() == [0.5, 0, 0]
    assert table["open_f_shells_common"].to_list() == [0, 0, 0.5]
    tin, lead = table_of([rock_salt("Sn", "O"), rock_salt("Pb", "S", 5.94)])["lone_electrons"]
    assert (tin, lead) == (1, 1)  # 5s2 and 6s2, per atom


def test_electronegativities_and_states():
    row = table_of([rock_salt("Na", "Cl", 5.64)]).iloc[0]
    assert row["min_anion_electronegativity"] == pytest.approx(3.16)
    assert row["max_cation_electronegativity"] == pytest.approx(0.93)
    assert row["electronegativity_gap"] == pytest.approx(2.23)
    assert row["mean_state_times_electronegativity"] == pytest.approx((0.93 - 3.16) / 2)
    assert row[["mean_absolute_state", "max_state", "min_state", "anion_fraction"]].to_list() == [1, 1, -1, 0.5]
    assert row[["valence_electrons", "octet_excess"]].to_list() == [4, 0]
    metal = table_of([Structure(Lattice.cubic(2.87), ["Fe", "Fe"], [[0, 0, 0], [0.5, 0.5, 0.5]])]).iloc[0]
    assert metal[["min_anion_electronegativity", "electronegativity_gap", "anion_fraction"]].to_list() == [0, -1, 0]


def test_parity_of_electrons_is_that_of_the_primitive_cell():
    # the conventional cells have 4 and 2 times the electrons of the primitive ones
    aluminium = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.05), ["Al"], [[0, 0, 0]])
    table = table_of([aluminium, rock_salt("Na", "Cl", 5.64), rock_salt("Na", "O")])
    assert table["odd_electrons"].to_list() == [1, 0, 1]


def test_supercells_and_the_order_of_sites_change_nothing():
    structures = make_crystals(12, random_state=1)[0]
    expected = table_of(structures)
    assert_allclose(table_of([s * (2, 1, 1) for s in structures]), expected)
    assert_allclose(table_of([Structure.from_sites(s.sites[::-1]) for s in structures]), expected)


def test_per_atom_columns_do_not_depend_on_the_size_of_the_formula():
    small, large = table_of([rock_salt("Mg", "O", 4.21), rock_salt("Mg", "O", 4.5)]).to_numpy()
    assert_array_equal(small, large)


def test_valence_electrons_agree_with_groups():
    structures = make_crystals(30, random_state=0)[0]
    table = table_of(structures)
    for structure, value in zip(structures, table["valence_electrons"], strict=True):
        if not any(e.is_lanthanoid or e.is_actinoid or e.symbol == "He" for e in structure.composition):
            n = [n * (e.group if e.group <= 12 else e.group - 10) for e, n in structure.composition.items()]
            assert value == pytest.approx(sum(n) / structure.composition.num_atoms)
    neutral = [bool(Composition(s.composition.reduced_formula).oxi_state_guesses()) for s in structures]
    assert np.mean(neutral == (table["is_neutral_observed"] == 1)) > 0.7, "pymatgen's guesses are mostly the same"


def test_rows_that_failed_are_nan():
    structures = make_crystals(2, random_state=0)[0]
    with pytest.warns(UserWarning, match="1 of 3 structures"):
        X = SiteNetFeaturizer(on_error="warn").fit_transform([structures[0], None, structures[1]])
    values = OxidationStatistics().transform(X)
    assert np.isnan(values[1]).all()
    assert np.isfinite(values[[0, 2]]).all()


def test_columns_are_selected():
    structures = make_crystals(5, random_state=0)[0]
    X = SiteNetFeaturizer().fit_transform(structures)
    names = ["odd_electrons", "charge_common"]
    few = OxidationStatistics(columns=names).set_output(transform="pandas").transform(X)
    assert_array_equal(few, table_of(structures)[names])
    for columns in ([], ["max_state"] * 2, ["charge"]):
        with pytest.raises(ValueError, match=r"columns must be a selection of \('charge_common', .* got"):
            OxidationStatistics(columns=columns).fit(X)


def test_names_and_other_input():
    names = OxidationStatistics().get_feature_names_out()
    assert len(set(names)) == 24
    assert (names[0], names[6], names[-1]) == ("charge_common", "charge_observed", "odd_electrons")
    with pytest.raises(TypeError, match="OxidationStatistics"):
        OxidationStatistics().fit(make_crystals(2, random_state=0)[0])
