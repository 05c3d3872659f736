"""Every format is recognised by its content and gives the crystal that was written; ambiguous files are errors."""

import bz2
import gzip
import json
import lzma
import re
import sys

import numpy as np
import pytest
from pymatgen.core import Structure
from pymatgen.io.cssr import Cssr
from pymatgen.io.res import ResWriter
from pymatgen.io.vasp import Poscar
from pymatgen.io.xcrysden import XSF

from skdim import SiteNetFeaturizer
from skdim._structures.errors import StructureError
from skdim._structures.formats.detect import format_of, has_known_name, without_suffix
from skdim._structures.read import read_structure, site_numbers
from skdim._structures.source_rows import Text

pytest.importorskip("ase", reason="needs the extra 'ase'")

import ase.io
from ase.build import bulk, molecule

from tests.helpers.structure_files import dicts, files, jarvis, optimade, sample, to_atoms, trajectories, written_by_ase

FILES = [
    *("a.cif", "a.mcif", "POSCAR", "CONTCAR_a", "a.vasp", "a.poscar", "a.extxyz", "a.xyz", "a.xsf", "b.xsf", "a.res"),
    *("b.res", "a.cssr", "a.traj", "ase.json", "pymatgen.json", "ComputedStructureEntry.json"),
    *("Materials_Project.json", "OPTIMADE_entry.json", "OPTIMADE_attributes.json", "OPTIMADE_response.json"),
    *("JARVIS.json", "JARVIS,_Cartesian.json", "JARVIS_entry.json", "ASE.json"),
]
TRAJECTORIES = [
    *("a.cif", "XDATCAR", "a.extxyz", "a.axsf", "a.res", "a.traj", "ase.json", "list.json", "optimade.json"),
]


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return files(sample(), folder)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return trajectories(sample(), moved(), folder)


def moved():
    """Another crystal of the same elements, with its atoms in other places."""
    structure = sample()
    structure.translate_sites([1], [0.02, -0.03, 0.05])
    return structure


def assert_same_crystal(read, expected):
    """The same elements at the same distances: formats round coordinates and turn cells."""
    assert type(read) is Structure
    order, others = (np.argsort(site_numbers(one), kind="stable") for one in (read, expected))
    np.testing.assert_array_equal(site_numbers(read)[order], site_numbers(expected)[others])
    np.testing.assert_allclose(
        read.distance_matrix[np.ix_(order, order)], expected.distance_matrix[np.ix_(others, others)], atol=2e-3
    )
    assert read.volume == pytest.approx(expected.volume, rel=1e-3)


def test_all_files_are_tried(contents, pairs):
    assert sorted(contents) == sorted(FILES)
    assert sorted(pairs) == sorted(TRAJECTORIES)


@pytest.mark.parametrize("name", FILES)
def test_each_format_gives_the_crystal(name, contents, tmp_path):
    """As a path, with any file name, and as a text."""
    for path in (tmp_path / name, tmp_path / "unnamed"):
        path.write_bytes(contents[name])
        assert_same_crystal(read_structure(path, 0), sample())
        assert_same_crystal(read_structure(str(path), 0), sample())
    if name != "a.traj":
        text = contents[name].decode()
        assert_same_crystal(read_structure(text, 0), sample())
        assert_same_crystal(read_structure(text.replace("\n", "\r\n"), 0), sample())
        assert_same_crystal(read_structure(Text(text), 0), sample())


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("name", ["a.cif", "POSCAR", "a.extxyz", "a.traj", "pymatgen.json"])
def test_compressed_files(compress, name, contents, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(compress(contents[name]))
    assert_same_crystal(read_structure(path, 0), sample())
    path.write_bytes(compress(contents[name])[:-20])
    with pytest.raises(StructureError, match=r"row 0, .*: cannot open the file \("):
        read_structure(path, 0)


@pytest.mark.parametrize("name", list(dicts(sample())))
def test_dicts(name):
    assert_same_crystal(read_structure(dicts(sample())[name], 0), sample())


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_the_first_crystal_of_a_file_is_read_with_a_warning(name, pairs, tmp_path):
    path = tmp_path / name
    path.write_bytes(pairs[name])
    with pytest.warns(UserWarning, match=rf"row 3, .*{name} \(\w+\): .*2 structures, of which the first is used"):
        assert_same_crystal(read_structure(path, 3), sample())


def test_the_first_crystal_of_a_dict_is_read_with_a_warning():
    response = {"data": [optimade(sample()), optimade(moved())]}
    with pytest.warns(UserWarning, match=r"row 3 \(\w+\): it contains 2 structures, of which the first is used"):
        assert_same_crystal(read_structure(response, 3), sample())


def test_utf_16(contents, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(contents["a.cif"].decode().encode("utf-16"))
    assert_same_crystal(read_structure(path, 0), sample())


# Contents that are refused


def poscar(scale="1.0", symbols="Na Cl\n", counts="1 1\n", sites="0 0 0\n0.5 0.5 0.5\n"):
    return f"NaCl\n{scale}\n4.1 0 0\n0 4.1 0\n0 0 4.1\n{symbols}{counts}Direct\n{sites}"


XYZ = '2\nLattice="4.1 0 0 0 4.1 0 0 0 4.1" Properties=species:S:1:pos:R:3\nCs 0 0 0\nCl 2.05 2.05 2.05\n'
XSF_TEXT = "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n2 1\n55 0 0 0\nCl 2 2 2\n"
RES = "TITL x\nCELL 1.0 4.1 4.1 4.1 90 90 90\nLATT -1\nSFAC Cs Cl\nCs 1 0 0 0 1.0\nCl 2 0.5 0.5 0.5 1.0\nEND\n"
CSSR = "4.1 4.1 4.1\n90 90 90 SPGR = 1 P 1 OPT = 1\n2 0\n0 x\n1 Cs 0 0 0\n2 Cl 0.5 0.5 0.5\n"


def test_the_texts_below_are_read_as_they_are():
    for text in (poscar(), XYZ, XSF_TEXT, RES, CSSR, RES.replace(" 1.0\n", " 11.00 0.05\n")):
        assert read_structure(text, 0).reduced_formula in ("CsCl", "NaCl"), text


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (poscar(symbols=""), r"the POSCAR does not name its elements \(VASP 4\): add a line"),
        (poscar(symbols="Na Cl O\n"), "names 3 elements and has 2 counts"),
        (poscar(counts="1 1 1\n"), "names 2 elements and has 3 counts"),
        (poscar(symbols="Na Xx\n"), "site 1 is 'Xx', which is not an element"),
        (poscar(sites="0 0 0\n"), "cannot be read as POSCAR"),
        (poscar(counts="1 99999\n"), "its cell has 100000 sites, and no more than 10000 are read"),
        (XYZ.replace("Lattice", "Cell"), r'the XYZ text has no cell: extended XYZ has it as Lattice="..."'),
        (XYZ.replace('Lattice="', 'pbc="T T F" Lattice="'), "periodic along a, b only"),
        (XYZ.replace("2\n", "3\n", 1), "the XYZ text says 3 atoms and has 2"),
        (XYZ.replace("Cs", "Qq"), "cannot be read as XYZ"),
        (XYZ.replace("2\n", "200000\n", 1), "its cell has 200000 sites"),
        (XSF_TEXT.replace("CRYSTAL", "SLAB"), "an XSF file of a slab is not periodic in three directions"),
        (XSF_TEXT.replace("2 1\n", "3 1\n"), "the XSF file says 3 atoms and has 2"),
        (XSF_TEXT.replace("Cl 2", "Qq 2"), "'Qq' is not an element"),
        (XSF_TEXT.replace("PRIMVEC", "CONVVEC"), "no PRIMVEC before its PRIMCOORD"),
        (RES.replace("LATT -1", "LATT 1"), r"the RES file has symmetry \(LATT 1\)"),
        (RES.replace("SFAC", "SYMM -X, Y, -Z\nSFAC"), r"the RES file has symmetry \(SYMM -X, Y, -Z\)"),
        (RES.replace("0.5 1.0", "0.5 0.5"), "atom Cl of the RES file has the occupancy 0.5"),
        (RES.replace("Cl 2 ", "Cl 3 "), "atom Cl of the RES file is of the element 3, which SFAC does not list"),
        (CSSR.replace("= 1 P 1", "= 2 P -1"), "the CSSR file has symmetry"),
        (CSSR.replace("2 0\n", "3 0\n"), "the CSSR file says 3 atoms and has 2"),
        (CSSR.replace("Cs", "CA1"), "'CA1' is not an element"),
        ("{\n", "the text is not valid JSON"),
        ('{"a": 1}', "the JSON has no structure of pymatgen, OPTIMADE, JARVIS or ASE"),
        ("[1, 2]\n", "the JSON has no structure"),
        ("Some notes\non crystals\n", "the text is in none of the formats that are read: CIF, POSCAR"),
    ],
)
def test_texts_that_are_refused(text, match):
    with pytest.raises(StructureError, match=f"row 4.*: .*{match}"):
        read_structure(text, 4)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dimension_types": [1, 1, 0]}, r"dimension_types are \[1, 1, 0\]"),
        ({"structure_features": ["implicit_atoms"]}, "implicit_atoms: atoms without coordinates"),
        ({"structure_features": ["site_attachments"]}, "site_attachments: atoms without coordinates"),
        ({"species_at_sites": ["Na"]}, r"1 species need as many coordinates of three numbers; they are \(4, 3\)"),
        ({"species_at_sites": ["Na", "Cl", "O", "X"]}, "'X' is not an element"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0]]}, r"three vectors of three numbers; its shape is \(2, 3\)"),
        ({"lattice_vectors": [[4, 0, 0], [0, 4, 0], [None] * 3]}, "not finite, or not independent"),
        ({"cartesian_site_positions": [[0, 0, 0]] * 3 + [["a", 0, 0]]}, "not numbers"),
        ({"cartesian_site_positions": [[0, 0, 0]] * 3 + [[None, 0, 0]]}, "coordinates of site 3 are not finite"),
    ],
)
def test_invalid_optimade_entries_are_refused(changes, match):
    entry = optimade(sample())
    entry["attributes"] |= changes
    with pytest.raises(StructureError, match=match):
        read_structure(entry, 0)


def test_optimade_with_shared_and_vacant_sites():
    entry = optimade(sample())
    entry["attributes"]["species"][0] = {"name": "Na", "chemical_symbols": ["Na", "K"], "concentration": [0.3, 0.7]}
    with pytest.raises(StructureError, match=r"site 0 is disordered or partly vacant \(.*K 0\.7"):
        read_structure(entry, 0)
    assert site_numbers(read_structure(entry, 0, disordered="majority"))[0] == 19
    entry["attributes"]["species"][0] = {
        "name": "Na",
        "chemical_symbols": ["Na", "vacancy"],
        "concentration": [0.8, 0.2],
    }
    with pytest.raises(StructureError, match=r"site 0 is disordered or partly vacant \(Na 0\.8\)"):
        read_structure(entry, 0)


def test_jarvis_without_the_kind_of_its_coordinates_is_refused():
    value = jarvis(sample())
    del value["cartesian"]
    with pytest.raises(StructureError, match="must state with 'cartesian'"):
        read_structure(value, 0)


def test_a_molecule_in_xyz_is_refused(tmp_path):
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"), format="xyz")
    with pytest.raises(StructureError, match=r"water\.xyz: the XYZ text has no cell"):
        read_structure(tmp_path / "water.xyz", 0)


def test_cell_vectors_after_the_atoms(tmp_path):
    """As ADF writes them."""
    text = "2\n\nCs 0 0 0\nCl 2.05 2.05 2.05\nVEC1 4.1 0 0\nVEC2 0 4.1 0\nVEC3 0 0 4.1\n"
    assert_same_crystal(read_structure(text, 0), read_structure(XYZ, 0))


def test_a_scaled_poscar():
    """A negative scale is a volume, as in VASP."""
    for scale, volume in (("2.0", 8 * 4.1**3), ("-100.0", 100)):
        assert read_structure(poscar(scale=scale), 0).volume == pytest.approx(volume)


def test_json_of_properties_makes_no_objects(contents):
    value = sample().as_dict()
    value["properties"] = {"a": {"@module": "antigravity", "@class": "x"}}
    assert_same_crystal(read_structure(json.dumps({"structure": value}), 0), sample())
    assert "antigravity" not in sys.modules


def test_formats_are_recognised(contents):
    kinds = {name: format_of(content.decode()) for name, content in contents.items() if name != "a.traj"}
    expected = {"a.cif": "CIF", "POSCAR": "POSCAR", "a.xyz": "XYZ", "b.xsf": "XSF", "b.res": "RES", "a.cssr": "CSSR"}
    assert {name: kinds[name].name for name in expected} == expected
    for text in (
        "",
        "\n\n",
        "a,b\n1,2\n",
        "# notes\n",
        "data_dir = 3\nx = 1\n",
        "5\nfive lines\n",
        "x y z\n0 0 0\n1 1 1\n2 2 2\n3 3 3\n4.5 4 4\n5 5 5\n",
        "\x00\x01",
    ):
        assert format_of(text) is None, text


@pytest.mark.parametrize(
    ("name", "known", "bare"),
    [
        ("MgO.cif", True, "MgO"),
        ("MgO.CIF.gz", True, "MgO"),
        ("POSCAR", True, "POSCAR"),
        ("POSCAR.MgO", True, "POSCAR.MgO"),
        ("MgO_CONTCAR", True, "MgO_CONTCAR"),
        ("run.xyz#12", False, "run#12"),
        ("a.json", False, "a"),
        ("notes.txt", False, "notes.txt"),
        ("mp-1.2", False, "mp-1.2"),
        (".cif", True, ".cif"),
    ],
)
def test_names_of_files(name, known, bare):
    assert has_known_name(name) == known
    assert without_suffix(name) == bare


def test_missing_ase_is_named(contents, tmp_path, monkeypatch):
    (tmp_path / "a.xyz").write_bytes(contents["a.xyz"])
    (tmp_path / "a.traj").write_bytes(contents["a.traj"])
    monkeypatch.setitem(sys.modules, "ase", None)
    monkeypatch.setitem(sys.modules, "ase.io", None)
    for name in ("a.xyz", "a.traj"):
        with pytest.raises(StructureError, match=r'needs? ase: pip install "skdim-crystals\[ase\]"'):
            read_structure(tmp_path / name, 0)


@pytest.mark.parametrize("write", [lambda s: str(Poscar(s)), lambda s: str(ResWriter(s)), lambda s: XSF(s).to_str()])
def test_vectors_do_not_depend_on_the_format(write, structures):
    expected = SiteNetFeaturizer().transform(structures[:5])
    X = SiteNetFeaturizer().transform([write(structure) for structure in structures[:5]])
    assert X.formulas == expected.formulas
    np.testing.assert_array_equal(X.n_sites, expected.n_sites)
    np.testing.assert_allclose(X.distance, expected.distance, atol=1e-3)


def test_a_rounded_cssr_is_near(structures):
    read = read_structure(str(Cssr(structures[0])), 0)
    assert re.sub(r"\d", "", read.formula) == re.sub(r"\d", "", structures[0].formula)


def test_trajectories_of_one_frame_give_no_warning(tmp_path):
    (tmp_path / "a.traj").write_bytes(written_by_ase("traj", bulk("Cu", cubic=True), tmp_path))
    assert len(read_structure(tmp_path / "a.traj", 0)) == 4
    assert len(to_atoms(read_structure(tmp_path / "a.traj", 0))) == 4
