"""The table of elemental properties is complete, agrees with its sources, and does not change."""

import ast
import importlib.util
import math
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pymatgen.core import Element

from skdim._chemistry import elements as _elements
from skdim._chemistry.elements import (
    ALL_SITE_FEATURES,
    MAX_Z,
    PAPER_SITE_FEATURES,
    SYMBOLS,
    element_sources,
    element_table,
    table_hash,
)

ROOT = Path(__file__).parents[2]
CSV = Path(_elements.__file__).with_name("elements.csv")

# To update after an intended change:
# python -c "from skdim._chemistry.elements import *; print(table_hash(), table_hash(PAPER_SITE_FEATURES))"
HASH_ALL = "d46277e529cd545687bd6c48e460783297e53d66983b5cf5c275301a67dc17ca"
HASH_FIRST_17 = "960d2ac6cf9fdbcd6e85f2480bde07f7723b66efb454c20f4e2cbac895dd61cd"
HASH_SITE = "78dbe944bec1c37c66cc5b8fbae13858b3d800f9acc28db07897c1c3a40ba3ca"

MAY_BE_ZERO = {"n_valence_s", "n_valence_p", "n_valence_d", "n_valence_f", "max_oxidation_state", "min_oxidation_state"}
MAY_BE_NEGATIVE = {"electron_affinity", "min_oxidation_state"}

# Cells that have changed since the oldest supported pymatgen, besides all electron affinities.
CHANGED_IN_PYMATGEN = {
    ("Kr", "max_oxidation_state"),
    ("Kr", "min_oxidation_state"),
    ("Xe", "max_oxidation_state"),
    ("Xe", "min_oxidation_state"),
    ("Br", "max_oxidation_state"),
    ("Re", "max_oxidation_state"),
    ("Mn", "ionic_radius"),
    ("Pa", "van_der_waals_radius"),
}

# (value, relative tolerance) from the literature
KNOWN = {
    ("Fe", "atomic_number"): (26, 0),
    ("Fe", "atomic_weight"): (55.845, 1e-4),
    ("U", "atomic_weight"): (238.029, 1e-4),
    ("Fe", "first_ionization_energy"): (7.9024, 1e-4),
    ("He", "first_ionization_energy"): (24.5874, 1e-4),
    ("Cs", "first_ionization_energy"): (3.8939, 1e-4),
    ("Fe", "electronegativity"): (1.83, 0),
    ("H", "electronegativity"): (2.20, 0),
    ("F", "electronegativity"): (3.98, 0),
    ("Fe", "density"): (7.87, 2e-3),
    ("Os", "density"): (22.59, 2e-3),
    ("Li", "density"): (0.534, 5e-3),
    ("Cl", "density"): (1.56, 5e-3),
    ("O", "density"): (1.141, 2e-3),
    ("H", "density"): (0.0708, 5e-3),
    ("He", "density"): (0.125, 5e-3),
    ("N", "density"): (0.807, 5e-3),
    ("Br", "density"): (3.10, 5e-3),
    ("Hg", "density"): (13.534, 1e-3),
    ("Xe", "density"): (2.94, 5e-3),
    ("Fe", "atomic_radius"): (1.40, 0),
    ("Cs", "atomic_radius"): (2.60, 0),
    ("O", "atomic_radius"): (0.60, 0),
    ("O", "row"): (2, 0),
    ("O", "group"): (16, 0),
    ("Ce", "row"): (6, 0),
    ("Ce", "group"): (3, 0),
    ("Hf", "group"): (4, 0),
    ("Lr", "row"): (7, 0),
    ("He", "group"): (18, 0),
    ("O", "covalent_radius"): (0.66, 0),
    ("Bk", "covalent_radius"): (1.68, 0),
    ("H", "mendeleev_number"): (103, 0),
    ("Cl", "electron_affinity"): (3.6127, 1e-3),
    ("W", "melting_point"): (3695, 1e-3),
    ("Fe", "second_ionization_energy"): (16.199, 1e-4),
    ("Fe", "third_ionization_energy"): (30.651, 1e-4),
    ("He", "second_ionization_energy"): (54.418, 1e-4),
    ("He", "third_ionization_energy"): (54.418, 1e-4),
    ("H", "third_ionization_energy"): (13.598, 1e-4),
    ("Li", "third_ionization_energy"): (122.454, 1e-4),
    ("Fe", "max_oxidation_state"): (3, 0),
    ("Fe", "min_oxidation_state"): (2, 0),
    ("O", "max_oxidation_state"): (-2, 0),
    ("Cl", "min_oxidation_state"): (-1, 0),
    ("Cl", "max_oxidation_state"): (7, 0),
    ("Ar", "max_oxidation_state"): (0, 0),
    ("Fe", "boiling_point"): (3134, 2e-3),
    ("C", "boiling_point"): (4098, 1e-3),
    ("Cu", "boiling_point"): (2833, 1e-3),
    ("Si", "boiling_point"): (3538, 1e-3),
    ("S", "boiling_point"): (717.8, 1e-3),
    ("N", "boiling_point"): (77.36, 1e-3),
    ("Fm", "boiling_point"): (1800, 0),
    ("Na", "ionic_radius"): (1.16, 0),
    ("O", "ionic_radius"): (1.26, 0),
    ("Lu", "ionic_radius"): (1.001, 0),
    ("Lr", "ionic_radius"): (1.039, 0),
    ("Fe", "molar_volume"): (7.09, 2e-3),
    ("Tm", "molar_volume"): (18.12, 2e-3),
    ("O", "molar_volume"): (14.02, 2e-3),
    ("Hg", "molar_volume"): (14.82, 2e-3),
    ("C", "van_der_waals_radius"): (1.70, 0),
    ("Lr", "van_der_waals_radius"): (2.46, 0),
    ("Fe", "n_valence"): (8, 0),
    ("Fe", "n_valence_d"): (6, 0),
    ("Pd", "n_valence_s"): (0, 0),
    ("Pd", "n_valence_d"): (10, 0),
    ("O", "n_valence_p"): (4, 0),
    ("Gd", "n_valence_f"): (7, 0),
    ("He", "n_valence"): (2, 0),
    ("Pb", "n_valence"): (28, 0),
}


def column(name):
    return element_table([name], scaled=False)[1:, 0]


def may_differ(symbol, name):
    """Whether pymatgen's value depends on its version."""
    return name == "electron_affinity" or (symbol, name) in CHANGED_IN_PYMATGEN


def from_pymatgen(name, element):
    """pymatgen's value or None, read independently of the build script."""
    if name in ("second_ionization_energy", "third_ionization_energy"):
        return dict(enumerate(element.ionization_energies)).get(1 if name[0] == "s" else 2)
    if name in ("max_oxidation_state", "min_oxidation_state"):
        states = sorted(element.common_oxidation_states or element.oxidation_states)
        return float(states[0 if name[:3] == "min" else -1]) if states else None
    if name == "ionic_radius":
        return float(np.mean(list(element.ionic_radii.values()))) if element.ionic_radii else None
    attribute = {
        "atomic_weight": "atomic_mass",
        "first_ionization_energy": "ionization_energy",
        "electronegativity": "X",
        "atomic_radius": "atomic_radius",
        "density": "density_of_solid",
        "mendeleev_number": "mendeleev_no",
        "melting_point": "melting_point",
        "electron_affinity": "electron_affinity",
        "boiling_point": "boiling_point",
        "molar_volume": "molar_volume",
        "van_der_waals_radius": "van_der_waals_radius",
    }[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns at each gap
        value = getattr(element, attribute)
    if value is None or math.isnan(value):
        return None
    return float(value) / (1000 if name == "density" else 1)


@pytest.mark.parametrize("name", ALL_SITE_FEATURES)
def test_table_is_complete(name):
    values = column(name)
    assert values.shape == (103,)
    assert np.isfinite(values).all()
    if name not in MAY_BE_ZERO:
        assert (values != 0).all()
    if name not in MAY_BE_NEGATIVE | {"max_oxidation_state"}:
        assert (values >= 0).all()
    sources = element_sources(name)
    assert tuple(sources) == SYMBOLS[1:]
    assert all(sources.values())


@pytest.mark.parametrize(("symbol", "name"), KNOWN)
def test_known_values(symbol, name):
    value, tolerance = KNOWN[symbol, name]
    assert_allclose(column(name)[SYMBOLS.index(symbol) - 1], value, rtol=max(tolerance, 1e-12))


def test_densities_are_those_of_condensed_phases():
    # gases have about 1e-4 g/cm3; the lightest condensed phase is liquid hydrogen
    assert column("density").min() > 0.07


def test_molar_volumes_are_those_of_the_same_phases():
    ratio = column("molar_volume") * column("density") / column("atomic_weight")
    different = {symbol for symbol, x in zip(SYMBOLS[1:], ratio, strict=True) if not 0.96 < x < 1.04}
    # pymatgen's two sources differ: monoclinic S, and uncertain values of Yb and Ra
    assert different == {"S", "Yb", "Ra"}
    assert_allclose(ratio, 1, atol=0.1)


def test_ionization_energies_increase():
    energies = element_table([f"{n}_ionization_energy" for n in ("first", "second", "third")], scaled=False)[1:]
    steps = np.diff(energies, axis=1)
    assert (steps[2:] > 0).all()
    assert_allclose(steps[0], 0)
    assert steps[1, 0] > 0 == steps[1, 1]


def test_oxidation_states_are_integers_in_order():
    high, low = column("max_oxidation_state"), column("min_oxidation_state")
    assert_allclose(np.concatenate([high, low]) % 1, 0)
    assert (low <= high).all()
    # both are 0 only if pymatgen has no states
    without_states = [source == "imputed:bare-atom" for source in element_sources("max_oxidation_state").values()]
    assert ((high == 0) & (low == 0)).tolist() == without_states


def test_boiling_points_are_above_melting_points():
    inverted = column("boiling_point") < column("melting_point")
    # As sublimes at 1 atm
    assert [symbol for symbol, x in zip(SYMBOLS[1:], inverted, strict=True) if x] == ["As"]


def test_valence_electrons_add_up():
    parts = element_table([f"n_valence_{kind}" for kind in "spdf"], scaled=False)[1:].sum(axis=1)
    assert_allclose(parts, column("n_valence"))


def test_valence_electrons_are_those_outside_the_noble_gas_core():
    cores = np.array([0, 2, 10, 18, 36, 54, 86])
    z = np.arange(1, MAX_Z + 1)
    assert_allclose(column("n_valence"), z - cores[np.searchsorted(cores, z) - 1])


@pytest.mark.parametrize(
    "name",
    [
        "atomic_weight",
        "first_ionization_energy",
        "electronegativity",
        "atomic_radius",
        "density",
        "mendeleev_number",
        "melting_point",
        "electron_affinity",
        "second_ionization_energy",
        "third_ionization_energy",
        "max_oxidation_state",
        "min_oxidation_state",
        "boiling_point",
        "ionic_radius",
        "molar_volume",
        "van_der_waals_radius",
    ],
)
def test_values_are_those_of_pymatgen_if_it_has_one(name):
    values = dict(zip(SYMBOLS[1:], column(name), strict=True))
    replaced = {
        "boiling_point": {"C", "Si", "Cu", "Pr", "U"},
        "molar_volume": {"H", "He", "N", "O", "F", "Ne", "Cl", "Ar", "Br", "Kr", "Xe", "Tm", "Hg", "Rn"},
    }.get(name, ())
    for symbol, source in element_sources(name).items():
        if symbol in replaced:
            assert source == ("crc" if name == "boiling_point" else "from-density"), symbol
            continue
        if (symbol, name) in CHANGED_IN_PYMATGEN:
            continue
        reference = from_pymatgen(name, Element(symbol))
        assert (source == "pymatgen") == (reference is not None), (symbol, source, reference)
        if reference is not None and not may_differ(symbol, name):
            assert_allclose(values[symbol], reference, rtol=0.01, err_msg=symbol)


def test_imputed_values_are_the_documented_ones():
    imputed = {
        name: [symbol for symbol, source in element_sources(name).items() if source.startswith("imputed:")]
        for name in ALL_SITE_FEATURES
    }
    assert {name: symbols for name, symbols in imputed.items() if symbols} == {
        "electronegativity": ["He", "Ne", "Ar"],
        "atomic_radius": ["He", "Ne", "Kr", "Xe", "At", "Rn", "Fr", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr"],
        "density": ["At", "Fr", "Fm", "Md", "No", "Lr"],
        "covalent_radius": ["Bk", "Cf", "Es", "Fm", "Md", "No", "Lr"],
        "second_ionization_energy": ["H"],
        "third_ionization_energy": ["H", "He"],
        "max_oxidation_state": ["He", "Ne", "Ar", "Rn"],
        "min_oxidation_state": ["He", "Ne", "Ar", "Rn"],
        "boiling_point": ["At", "Fr", "Pa", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr"],
        "ionic_radius": ["H", "He", "Ne", "Ar", "Kr", "Rn", "Es", "Fm", "Md", "No", "Lr"],
        "molar_volume": ["At", "Fr", "Fm", "Md", "No", "Lr"],
    }


def test_csv_explains_its_columns_and_source_keys():
    head = [line for line in CSV.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    explained = {match[1] for line in head if (match := re.match(r"#   (\S+) = .+", line))}
    used = set(ALL_SITE_FEATURES).union(*(element_sources(name).values() for name in ALL_SITE_FEATURES))
    assert explained == used


def test_symbols_are_those_of_pymatgen_and_of_the_file():
    assert len(SYMBOLS) == MAX_Z + 1 == 104
    assert SYMBOLS[0] == ""
    assert SYMBOLS[1:] == tuple(Element.from_Z(z).symbol for z in range(1, 104))
    assert SYMBOLS[1:] == _elements._columns()["symbol"]
    assert_allclose(column("atomic_number"), np.arange(1, 104))


def test_all_columns_of_the_file_are_available():
    columns = [name for name in _elements._columns() if name != "symbol" and not name.endswith("_source")]
    assert tuple(columns) == ALL_SITE_FEATURES
    assert ALL_SITE_FEATURES[:8] == PAPER_SITE_FEATURES


def test_default_table_has_the_scaled_features_of_the_paper():
    table = element_table()
    assert table.shape == (104, 8)
    assert table.dtype == np.float64
    assert np.isnan(table[0]).all()
    assert np.isfinite(table[1:]).all()


def test_properties_are_standardised_over_the_elements():
    raw, scaled = (element_table(ALL_SITE_FEATURES, scaled=scaled)[1:] for scaled in (False, True))
    assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    assert_allclose(scaled.std(axis=0), 1)
    assert_allclose(scaled * raw.std(axis=0) + raw.mean(axis=0), raw, atol=1e-9)


def test_columns_are_in_the_order_of_the_names():
    both = element_table(["density", "row"], scaled=False)
    assert_allclose(both[1:], np.stack([column("density"), column("row")], axis=1))
    assert_allclose(element_table("density", scaled=False)[1:, 0], column("density"))


def test_table_is_read_only_and_cached():
    table = element_table()
    assert element_table(list(PAPER_SITE_FEATURES)) is table
    with pytest.raises(ValueError, match="read-only"):
        table[1, 0] = 0.0


@pytest.mark.parametrize("function", [element_table, table_hash])
def test_unknown_names_are_listed_with_suggestions(function):
    with pytest.raises(ValueError, match="unknown element properties") as caught:
        function(["row", "densty", "Electronegativity", "zzz", 3])
    message = str(caught.value)
    assert "'densty' (did you mean 'density'?)" in message
    assert "'Electronegativity' (did you mean 'electronegativity'?)" in message
    assert "'zzz', 3." in message
    assert "'row'" not in message


def test_sources_of_an_unknown_name_are_refused():
    with pytest.raises(ValueError, match="did you mean 'group'"):
        element_sources("groups")


def test_hash_is_pinned():
    # saved weights record it: after a change, they are refused
    assert table_hash() == HASH_ALL
    assert table_hash(PAPER_SITE_FEATURES) == HASH_SITE
    assert table_hash(ALL_SITE_FEATURES[:17]) == HASH_FIRST_17


def test_hash_depends_on_values_only(monkeypatch):
    columns = dict(_elements._columns())
    monkeypatch.setattr(_elements, "_columns", lambda: columns)
    columns["density_source"] = ("elsewhere",) * 103
    columns["row"] = tuple(f"{text}.0" for text in columns["row"])
    assert table_hash(PAPER_SITE_FEATURES) == HASH_SITE
    columns["density"] = ("0.07086", *columns["density"][1:])
    assert table_hash(PAPER_SITE_FEATURES) != HASH_SITE
    assert table_hash(["row"]) != table_hash(["group"])


def test_imports_only_numpy_and_the_standard_library():
    tree = ast.parse(Path(_elements.__file__).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module.split(".")[0])
    assert imported <= {"numpy"} | set(sys.stdlib_module_names)


def load(path):
    spec = importlib.util.spec_from_file_location(f"fresh_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_import_does_not_read_the_file():
    assert load(Path(_elements.__file__))._columns.cache_info().currsize == 0


def test_build_script_reproduces_the_file():
    # numbers within 1 %, because versions of pymatgen differ (in a few cells by more); all other text exactly
    def cells(text):
        rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
        return {(row[0], name): cell for row in rows[1:] for name, cell in zip(rows[0], row, strict=True)}

    script = load(ROOT / "tools" / "build_elements.py")
    committed, rebuilt = CSV.read_text(encoding="utf-8"), script.build()
    assert [x for x in rebuilt.splitlines() if x[0] == "#"] == [x for x in committed.splitlines() if x[0] == "#"]
    committed, rebuilt = cells(committed), cells(rebuilt)
    assert list(rebuilt) == list(committed)
    for (symbol, name), cell in committed.items():
        if may_differ(symbol, name.removesuffix("_source")) and name != "electron_affinity_source":
            continue
        if name == "symbol" or name.endswith("_source"):
            assert rebuilt[symbol, name] == cell
        else:
            assert_allclose(float(rebuilt[symbol, name]), float(cell), rtol=0.01, err_msg=f"{name} of {symbol}")
