"""Rows of all types are read unchanged; errors name the row and the reason."""

import copy
import gzip
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from pymatgen.core import DummySpecies, Element, IStructure, Lattice, Molecule, Species, Structure
from pymatgen.core.sites import PeriodicSite
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.ase import AseAtomsAdaptor

from skdim import SiteNetFeaturizer
from skdim._structures.containers import as_rows
from skdim._structures.errors import StructureError
from skdim._structures.read import formula_of, read_structure, site_numbers
from tests.helpers.small_structures import CORNER_AND_CENTRE, cif_of, pair, sorted_numbers

pytest.importorskip("ase", reason="needs the extra 'ase'")

import ase
import ase.io
from ase.build import bulk, fcc111

# Containers


@pytest.mark.parametrize("n", [1, 2, 3])
def test_containers_return_the_same_objects(n):
    structures = [pair() for _ in range(n)]
    array = np.empty(n, dtype=object)
    for i, structure in enumerate(structures):
        array[i] = structure
    containers = [
        structures,
        tuple(structures),
        array,
        array[:, None],
        pd.Series(structures, index=range(10, 10 + n)),
        pd.DataFrame({"structure": structures}),
    ]
    for X in containers:
        rows = as_rows(X)
        assert type(rows) is list
        assert all(row is structure for row, structure in zip(rows, structures, strict=True))


@pytest.mark.parametrize("make", [list, np.array, pd.Series, pd.Index, lambda x: np.array(x, dtype=object)[:, None]])
def test_containers_of_file_names(make):
    if make is pd.Index:
        with pytest.raises(TypeError, match="make it a list first"):
            as_rows(make(["a.cif", "b.cif"]))
    else:
        rows = as_rows(make(["a.cif", "b.cif"]))
        assert rows == ["a.cif", "b.cif"]
        assert all(isinstance(row, str) for row in rows)


def test_rows_of_mixed_types_are_unchanged():
    mixed = [pair(), "a.cif", None, bulk("Cu"), pair().as_dict(), float("nan"), Path("b.cif")]
    assert all(a is b for a, b in zip(as_rows(mixed), mixed, strict=True))
    assert all(a is b for a, b in zip(as_rows(pd.Series(mixed, dtype=object)), mixed, strict=True))


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        (pair(), TypeError, r"X is a Structure, a single row; pass a list of one"),
        (IStructure.from_sites(list(pair())), TypeError, "X is a IStructure, a single row"),
        (bulk("Cu"), TypeError, "X is a Atoms, a single row"),
        (pair().as_dict(), TypeError, "X is a dict, a single row"),
        ("NaCl.cif", TypeError, "X is a str, a single row"),
        (Path("NaCl.cif"), TypeError, "Path, a single row"),
        (pd.DataFrame({"x": [1], "y": [pair()]}), ValueError, r"2 columns \('x', 'y'\); pass the one"),
        (pd.DataFrame(np.zeros((2, 9))), ValueError, r"9 columns .*\.\.\."),
        (pd.DataFrame({"x": [1.0, 2.0]}), ValueError, "X holds numbers"),
        (pd.Series([1.0, 2.0]), ValueError, "X holds numbers"),
        (np.zeros((3, 4)), ValueError, "array of float64, not of structures"),
        (np.zeros(3, dtype=int), ValueError, "array of int64, not of structures"),
        (np.zeros((3, 1), dtype=complex), ValueError, "array of complex128"),
        (np.array([pair(), pair()], dtype=object), ValueError, r"shape \(2, 2\).*takes Structures apart"),
        (np.array(None, dtype=object), ValueError, r"shape \(\)"),
        (scipy.sparse.csr_matrix(np.eye(3)), TypeError, "sparse data was passed"),
        ((s for s in [pair()]), TypeError, r"X is a generator; make it a list first: list\(X\)"),
        (iter([pair()]), TypeError, "make it a list first"),
        (SiteNetFeaturizer().transform([pair()]), TypeError, "X is a Crystals, which is featurized already: pass the"),
        (None, TypeError, "X is a NoneType. Accepted: a list"),
        (3, TypeError, "X is a int. Accepted"),
        ([], ValueError, r"0 sample\(s\) \(shape=\(0,\)\) while a minimum of 1 is required"),
        ((), ValueError, "minimum of 1 is required"),
        (np.empty(0, dtype=object), ValueError, "minimum of 1 is required"),
        (np.empty((0, 1), dtype=object), ValueError, r"shape=\(0, 1\)"),
        (pd.Series([], dtype=object), ValueError, "minimum of 1 is required"),
        (pd.DataFrame({"s": pd.Series([], dtype=object)}), ValueError, "minimum of 1 is required"),
    ],
)
def test_other_containers_are_errors(X, error, match):
    with pytest.raises(error, match=match):
        as_rows(X)


def test_other_libraries_are_imported_only_when_needed():
    script = (
        "import sys, skdim._structures.read, skdim._structures.containers as s, skdim._chemistry.oxidation\n"
        "s.as_rows(['a.cif'])\n"
        "sys.exit(', '.join({'pymatgen', 'ase', 'monty'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


# Rows that can be read


def test_an_ordered_structure_is_returned_unchanged():
    structure = pair("Cs+", "Cl-")
    assert read_structure(structure, 0) is structure


def test_every_kind_of_row_gives_the_same_crystal(tmp_path):
    structure = pair()
    path = tmp_path / "a.cif"
    path.write_text(cif_of(structure))
    with gzip.open(tmp_path / "b.cif.gz", "wt") as file:
        file.write(cif_of(structure))
    rows = [
        IStructure.from_sites(list(structure)),
        AseAtomsAdaptor.get_atoms(structure),
        ase.Atoms("CsCl", scaled_positions=CORNER_AND_CENTRE, cell=[4.1] * 3, pbc=True),
        path,
        str(path),
        str(tmp_path / "b.cif.gz"),
        cif_of(structure),
        structure.as_dict(),
        ComputedStructureEntry(structure, 0),
        ComputedStructureEntry(structure, 0).as_dict(),
    ]
    for index, raw in enumerate(as_rows(rows)):
        read = read_structure(raw, index)
        assert type(read) is Structure
        np.testing.assert_array_equal(site_numbers(read), [55, 17])
        np.testing.assert_allclose(read.lattice.matrix, structure.lattice.matrix, atol=1e-9)
        np.testing.assert_allclose(read.frac_coords, structure.frac_coords, atol=1e-9)


def test_inputs_are_unchanged():
    decorated = pair("Cs+", "Cl-")
    decorated.add_site_property("magmom", [1.0, 2.0])
    mixed = pair({"Na": 0.6, "K": 0.4}, {"Cl-": 0.5})
    atoms = AseAtomsAdaptor.get_atoms(decorated)
    for raw in [decorated, mixed, IStructure.from_sites(list(mixed)), mixed.as_dict(), decorated.as_dict()]:
        before = copy.deepcopy(raw if isinstance(raw, dict) else raw.as_dict())
        read_structure(raw, 0, disordered="majority")
        formula_of(raw)
        assert (raw if isinstance(raw, dict) else raw.as_dict()) == before
    before = atoms.copy()
    read_structure(atoms, 0)
    assert atoms == before
    assert atoms.info == before.info
    assert all(np.array_equal(atoms.arrays[key], before.arrays[key]) for key in before.arrays)


def test_oxidation_states_survive():
    structure = pair("Cs+", "Cl-")
    cif = cif_of(structure)
    if "_atom_type_oxidation_number" not in cif:  # some versions of pymatgen write it
        table = "loop_\n _atom_type_symbol\n _atom_type_oxidation_number\n  Cs+ 1\n  Cl- -1\n"
        cif = cif.replace("loop_\n _atom_site_type", f"{table}loop_\n _atom_site_type")
    oxidised = {"CIF": cif, "ASE": AseAtomsAdaptor.get_atoms(structure), "dict": structure.as_dict()}
    for kind, raw in oxidised.items():
        assert [site.specie.oxi_state for site in read_structure(raw, 0)] == [1, -1], kind


def test_symmetry_in_a_cif_is_applied():
    lattice = "".join(f"_cell_length_{x} 5.6\n" for x in "abc")
    lattice += "".join(f"_cell_angle_{x} 90\n" for x in ("alpha", "beta", "gamma"))
    shifts = ["x, y, z", "x, y+1/2, z+1/2", "x+1/2, y, z+1/2", "x+1/2, y+1/2, z"]
    symmetry = "loop_\n_symmetry_equiv_pos_as_xyz\n" + "".join(f"'{shift}'\n" for shift in shifts)
    atoms = "loop_\n" + "".join(f"_atom_site_{key}\n" for key in ("label", "fract_x", "fract_y", "fract_z"))
    read = read_structure(
        f"data_salt\n_chemical_formula_sum 'Na Cl'\n{lattice}{symmetry}{atoms}Na 0 0 0\nCl 0.5 0 0\n", 0
    )
    assert sorted_numbers(read) == [11] * 4 + [17] * 4


def test_atomic_numbers_have_their_dtype():
    numbers = site_numbers(pair("Lr", "D"))
    assert numbers.dtype == np.uint8
    np.testing.assert_array_equal(numbers, [103, 1])


@pytest.mark.parametrize("isotope", ["D", "T", "D+"])
def test_isotopes_count_as_hydrogen(isotope):
    structure = pair(isotope, "O")
    assert read_structure(structure, 0) is structure
    assert sorted_numbers(structure) == [1, 8]
    assert sorted_numbers(read_structure(cif_of(structure).replace("  H  H0", "  D  D0"), 0)) == [1, 8]


def test_left_handed_and_skewed_cells_are_read():
    for matrix in [np.diag([3.0, 3.0, -3.0]), [[3.0, 0, 0], [30.0, 3.0, 0], [0, 30.0, 3.0]]]:
        structure = Structure(matrix, ["Cu"], [[0, 0, 0]])
        assert read_structure(structure, 0) is structure


# Disorder


def test_majority_keeps_every_site_and_breaks_ties_by_atomic_number():
    species = [{"K": 0.5, "Na": 0.5}, {"Cl": 0.2}, {"Fe2+": 0.4, "Fe3+": 0.6}, "O", {"D": 0.9}]
    structure = Structure(Lattice.cubic(6), species, np.linspace(0, 0.8, 5)[:, None].repeat(3, axis=1))
    with pytest.raises(
        StructureError, match=r"row 3 .*site 0 is disordered.*\(K 0\.5, Na 0\.5\).*disordered='majority'"
    ):
        read_structure(structure, 3)
    read = read_structure(structure, 3, disordered="majority")
    assert read.is_ordered
    np.testing.assert_array_equal(site_numbers(read), [11, 17, 26, 8, 1])
    assert read[2].specie == Species("Fe", 3)
    np.testing.assert_allclose(read.frac_coords, structure.frac_coords)


def test_a_vacancy_counts_as_disorder():
    with pytest.raises(StructureError, match=r"row 0 \(.*\): site 1 is disordered or partly vacant \(Cl 0\.8\)"):
        read_structure(pair("Na", {"Cl": 0.8}), 0)


def test_occupancies_close_to_one_are_rounded():
    read = read_structure(pair("Na", {"Cl": 0.9995}), 0)
    assert read.is_ordered


def test_disorder_in_ase_atoms_is_detected(tmp_path):
    # ase.io gives the majority species, and the occupancies in info.
    path = tmp_path / "mixed.cif"
    path.write_text(cif_of(pair({"Na": 0.6, "K": 0.4}, "Cl")))
    atoms = ase.io.read(path)
    with pytest.raises(StructureError, match="site 0 is disordered"):
        read_structure(atoms, 0)
    np.testing.assert_array_equal(site_numbers(read_structure(atoms, 0, disordered="majority")), [11, 17])
    atoms.symbols[0] = "Cs"  # chosen by the user
    np.testing.assert_array_equal(site_numbers(read_structure(atoms, 0)), [55, 17])


def test_unknown_value_of_disordered():
    with pytest.raises(ValueError, match="disordered must be 'raise' or 'majority', got 'drop'"):
        read_structure(pair(), 0, disordered="drop")


# Rows that cannot be read


def text_coordinates():
    """The result of some pymatgen releases for a dict whose coordinates are strings."""
    structure = pair()
    structure[1]._frac_coords = np.array([0.5, "x", {}], dtype=object)
    return structure


def no_sites():
    structure = pair()
    structure.remove_sites([0, 1])
    return structure


def atoms_with(**changes):
    atoms = ase.Atoms("CsCl", scaled_positions=CORNER_AND_CENTRE, cell=[4.1] * 3, pbc=True)
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


BAD = {
    "none": (None, r"row 7: the structure is missing \(None\)"),
    "nan": (float("nan"), r"row 7: the structure is missing \(nan\)"),
    "pandas NA": (pd.NA, r"row 7: the structure is missing \(<NA>\)"),
    "molecule": (Molecule(["H"], [[0, 0, 0]]), r"row 7 \(H\): a Molecule is not periodic"),
    "site": (PeriodicSite("Na", [0, 0, 0], Lattice.cubic(3)), "row 7: a PeriodicSite is one site: np.array takes"),
    "number": (3.5, r"row 7: cannot use a float as a structure\. Rows may be pymatgen Structures"),
    "bytes": (b"data_", "row 7: cannot use a bytes"),
    "list": ([pair()], "row 7: cannot use a list"),
    "missing file": ("nowhere.cif", r"row 7, nowhere\.cif: cannot open the file \(No such file"),
    "formula": ("NaCl", r"row 7, NaCl: cannot open .*: a string must be the path or the text of a structure file"),
    "empty name": ("", r"row 7: cannot open the file \(No such file"),
    "missing path": (Path("nowhere.cif"), r"row 7, nowhere\.cif: cannot open the file"),
    "null in name": ("a\0b", "row 7, a\0b: cannot open the file .*null"),
    "text": ("Na Cl\n0 0 0\n", "row 7: the text is in none of the formats that are read: CIF, POSCAR"),
    "dict": ({"a": 1}, "row 7: the dict lacks 'lattice'; it must be of pymatgen, OPTIMADE"),
    "molecule dict": (
        Molecule(["C", "O"], [[0, 0, 0], [0, 0, 1]]).as_dict(),
        r"row 7 \(CO\): the dict lacks 'lattice'; it must be of",
    ),
    "empty dict": ({**pair().as_dict(), "sites": []}, "row 7: the dict cannot be read"),
    "empty": (no_sites(), "row 7: it has no sites"),
    "empty immutable": (IStructure(Lattice.cubic(3), [], []), "row 7: .*site"),
    "empty atoms": (ase.Atoms(cell=[3] * 3, pbc=True), "row 7: it has no sites"),
    "slab": (fcc111("Cu", (1, 1, 2), vacuum=5), r"row 7 \(Cu\): the Atoms is periodic along a, b only"),
    "cluster": (ase.Atoms("Cu"), r"row 7 \(Cu\): the Atoms is periodic along no axis only"),
    "no cell": (atoms_with(cell=None), r"row 7 \(CsCl\): the cell of the Atoms has no volume"),
    "ase dummy": (atoms_with(numbers=[0, 17]), r"row 7.*: site 0 has the atomic number 0, which is not an element"),
    "not periodic": (
        Structure(Lattice(np.eye(3) * 4, pbc=(True, True, False)), ["Cu"], [[0, 0, 0]]),
        r"row 7 \(Cu\): its lattice is not periodic in all three",
    ),
    "nan coordinates": (
        Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0.5, np.nan, 0]]),
        r"row 7 \(NaCl\): the coordinates of site 1 are not finite",
    ),
    "text coordinates": (text_coordinates(), r"row 7 \(CsCl\): its coordinates are not three numbers a site"),
    "infinite": (atoms_with(positions=[[0, 0, 0], [np.inf, 0, 0]]), r"row 7 \(CsCl\): the coordinates of site 1 are"),
    "nan lattice": (Structure(np.full((3, 3), np.nan), ["Na"], [[0, 0, 0]]), r"row 7 \(Na\): its lattice has values"),
    "flat": (
        Structure([[3, 0, 0], [0, 3, 0], [3, 3, 0]], ["Na"], [[0, 0, 0]]),
        r"row 7 \(Na\): its cell has a volume of 0 cubic angstrom for 1 site",
    ),
    "nanometres": (pair(a=0.41), r"row 7 \(CsCl\): its cell has a volume of 0\.0689 .*in angstrom\?"),
    "dummy": (pair("X", "Cl"), r"row 7 .*: site 0 is 'X', which is not an element"),
    "dummy species": (pair(DummySpecies("Xv", 1), "Cl"), "row 7.*site 0 is 'Xv', which is not an element"),
    # Some pymatgen versions cannot sort rutherfordium in a formula.
    "heavy": (pair("Rf", "Cl"), r"row 7 \((ClRf|RfCl)\): site 0 is Rf \(Z = 104\); elements are known up to Z = 103"),
    "heavy share": (pair("Na", {"Cl": 0.5, "Og": 0.5}), r"row 7 .*: site 1 is Og \(Z = 118\)"),
    "nothing there": (pair({}, "Cl"), "row 7 .*: site 0 is empty"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("disordered", ["raise", "majority"])
def test_bad_rows_name_row_and_formula(name, disordered):
    raw, match = BAD[name]
    with pytest.raises(StructureError, match=f"(?s){match}") as caught:
        read_structure(raw, 7, disordered=disordered)
    assert caught.value.row == 7
    assert str(caught.value).startswith("row 7")
    assert isinstance(caught.value, ValueError)


def test_error_survives_pickling():
    error = StructureError(17, "NaCl", "sites 0 and 3 are 0.02 angstrom apart")
    assert str(error) == "row 17 (NaCl): sites 0 and 3 are 0.02 angstrom apart"
    assert str(StructureError(2, None, "it is missing")) == "row 2: it is missing"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(error, protocol))
        assert (type(again), again.row, again.formula, again.reason) == (StructureError, 17, "NaCl", error.reason)
        assert str(again) == str(error)
    assert str(copy.copy(error)) == str(error)


# Formulas


def test_formula_of_never_raises():
    atoms = AseAtomsAdaptor.get_atoms(pair())
    for raw in [pair(), pair("Cs+", "Cl-"), atoms, pair().as_dict(), cif_of(pair())]:
        assert formula_of(raw) == "CsCl"
    assert formula_of(Structure(Lattice.cubic(3), ["Xe"] * 2, CORNER_AND_CENTRE)) == "Xe"
    for raw in [None, "a.cif", Path("a.cif"), float("nan"), 3, {}, {"sites": 3}, [], object(), no_sites()]:
        assert formula_of(raw) is None


def test_all_elements_up_to_lawrencium_are_read():
    for z in range(1, 104):
        structure = pair(Element.from_Z(z), "O", 5.0)
        assert read_structure(structure, z) is structure


def test_many_atoms_under_the_operations_of_a_named_group():
    """Without a list of operations, those of the named space group count."""
    coords = np.random.default_rng(0).uniform(size=(800, 3))
    structure = Structure(Lattice.cubic(60), ["Na"] * 800, coords)
    text = cif_of(structure)
    text = text[: text.index("loop_\n _symmetry_equiv")] + text[text.index("loop_\n _atom_site_type") :]
    assert len(read_structure(text, 0)) == 800
    text = re.sub("_symmetry_Int_Tables_number.*\n", "", text).replace("'P 1'", "'F m -3 m'")
    with pytest.raises(
        StructureError, match="lists 800 atoms under 192 symmetry operations, which give more than 10000"
    ):
        read_structure(text, 0)
