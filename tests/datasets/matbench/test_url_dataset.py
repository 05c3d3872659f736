"""Tables of crystals from the network: what is read of them, and that nothing in them is executed."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Species, Structure

from skdim.datasets import _tables
from tests.datasets.matbench.tables import ROWS, STRUCTURES, Y, changed, fetch, table


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_table_of_structures_and_targets(pack):
    data = fetch(pack(table()))
    assert data.structures == STRUCTURES
    assert all(type(structure) is Structure for structure in data.structures)
    np.testing.assert_array_equal(data.target, Y)
    assert data.target.dtype == np.float64
    assert data.target_name == "y"
    assert list(data.frame) == ["y"]
    assert Path(data.filename).name == "crystals.json.gz"


def test_return_X_y():
    structures, target = fetch(table(), return_X_y=True)
    assert structures == STRUCTURES
    np.testing.assert_array_equal(target, Y)


def test_other_columns_are_in_the_frame():
    rows = [[f"mp-{k}", None, row[0], bool(k % 2)] for k, row in enumerate(ROWS)]
    data = fetch(table(rows, ("id", "note", "cell", "y")), structure="cell")
    assert data.structures == STRUCTURES
    assert data.target.dtype == bool
    assert data.frame["id"].tolist() == [f"mp-{k}" for k in range(23)]
    assert fetch(table(rows, ("id", "note", "cell", "y")), structure="cell", target=None).target is None


def test_keys_may_have_any_order():
    parts = json.loads(table())
    data = fetch(json.dumps({name: parts[name] for name in ("data", "index", "columns")}, indent=2))
    assert data.structures == STRUCTURES


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_text_is_parsed_in_pieces_of_any_size(size, monkeypatch):
    monkeypatch.setattr(_tables, "_CHUNK", size)
    rows = [[row[0], 1.25e2] for row in ROWS[:3]]
    text = table(rows).replace("125.0", " 1.25e2 ").removeprefix("{")
    # A number ends where something else begins, which may be in the next piece.
    data = fetch(('{"note": 1234567890123, ' + text).encode())
    assert data.structures == STRUCTURES[:3]
    assert data.target.tolist() == [125, 125, 125]


def test_files_of_matminer_are_read_as_matminer_does(tmp_path):
    io = pytest.importorskip("matminer.utils.io", reason="needs the extra 'baselines'")
    decorated = STRUCTURES[0].copy(site_properties={"magmom": np.arange(len(STRUCTURES[0])) * 0.5})
    decorated.add_oxidation_state_by_site(np.arange(len(decorated)).tolist())
    half = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.25}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    frame = pd.DataFrame({"structure": [decorated, half, *STRUCTURES[1:]], "y": range(24)})
    path = tmp_path / "matminer.json.gz"
    io.store_dataframe_as_json(frame, str(path), compression="gz", pbar=False)
    reference = io.load_dataframe_from_json(str(path), pbar=False)
    data = fetch(path.read_bytes())
    assert data.structures[1:] == reference["structure"].tolist()[1:]
    assert data.structures[0] == reference["structure"][0].copy().remove_site_property("magmom")
    assert all(isinstance(site.specie, Species) for site in data.structures[0])
    assert data.target.tolist() == reference["y"].tolist()


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module that creates a file when it is imported or its class is instantiated."""
    (tmp_path / "trap.py").write_text(
        "from pathlib import Path\n"
        f"mark = Path({str(tmp_path / 'sprung')!r})\n"
        "mark.touch()\n"
        "class Structure:\n"
        "    from_dict = classmethod(lambda cls, d: mark.touch())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield {"@module": "trap", "@class": "Structure", "a": 1}
    assert not (tmp_path / "sprung").exists()
    assert "trap" not in sys.modules


def test_monty_would_run_the_code_of_the_trap(tmp_path, trap):
    from monty.json import MontyDecoder

    MontyDecoder().process_decoded(trap)
    assert (tmp_path / "sprung").exists()
    (tmp_path / "sprung").unlink()
    del sys.modules["trap"]


def test_other_classes_are_refused(trap):
    rows = [[ROWS[0][0], 1.0], [trap, 2.0]]
    with pytest.raises(ValueError, match=r"row 1: an object of class 'Structure' from 'trap'; only pymatgen's"):
        fetch(table(rows))


def test_objects_inside_a_structure_are_ignored(trap):
    def change(structure):
        structure["properties"] = trap
        structure["sites"][0]["properties"] = {"magmom": trap}
        structure["sites"][0]["label"] = trap
        structure["charge"] = trap

    assert fetch(changed(change)).structures == STRUCTURES


@pytest.mark.parametrize("place", ["lattice", "sites"])
def test_objects_instead_of_lattice_or_sites_are_refused(trap, place):
    with pytest.raises(ValueError, match="row 3: the structure lacks"):
        fetch(changed(lambda structure: structure.update({place: trap})))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("Molecule", "pymatgen.core.structure"),
        ("Structure", "pymatgen.core.structure.x"),
        ("Structure", None),
        (None, "pymatgen.core.structure"),
        (["Structure"], "pymatgen.core.structure"),
    ],
)
def test_other_module_and_class_names_are_refused(name, module):
    with pytest.raises(ValueError, match="row 3: an object of class"):
        fetch(changed(lambda structure: structure.update({"@class": name, "@module": module})))


def site(**values):
    return lambda structure: structure["sites"][0].update(values)


def species(*entries):
    return site(species=list(entries))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("lattice"), "lacks 'lattice'"),
        (lambda s: s["lattice"].pop("matrix"), "lacks 'matrix'"),
        (lambda s: s["lattice"].update(matrix=[[1, 0, 0], [0, 1, 0]]), "lattice matrix must be finite numbers"),
        (lambda s: s["lattice"].update(matrix=[[1, 0, 0], [0, 1, 0], [0, 0]]), "lattice matrix must be finite"),
        (lambda s: s["lattice"].update(matrix=[[1, 0, 0], [0, 1, 0], [0, 0, float("nan")]]), "lattice matrix must"),
        (lambda s: s["lattice"].update(matrix=[["1", "0", "0"]] * 3), "lattice matrix must be finite"),
        (lambda s: s["lattice"].update(matrix=[[10**400, 0, 0]] * 3), "lattice matrix must be finite"),
        (lambda s: s["lattice"].update(pbc=[True, True]), "pbc is"),
        (lambda s: s["lattice"].update(pbc="all"), "pbc is"),
        (lambda s: s.update(sites=[]), "no sites"),
        (lambda s: s.update(sites=["Na"]), "or a site is not an object"),
        (lambda s: s["sites"][0].pop("abc"), "lacks 'abc'"),
        (site(abc=[0, 0]), "coordinates must be finite"),
        (site(abc=[0, 0, float("inf")]), "coordinates must be finite"),
        (site(abc=[0, 0, None]), "coordinates must be finite"),
        (site(species="Na"), "lacks 'species'"),
        (species(), "a site is empty"),
        (species("Na"), "species is not an object"),
        (species({"element": "Xx", "occu": 1}), "'Xx', which is not an element"),
        (species({"element": None, "occu": 1}), "not an element"),
        (species({"element": "Na"}), "the occupancy None of Na"),
        (species({"element": "Na", "occu": 2}), "the occupancy 2 of Na"),
        (species({"element": "Na", "occu": True}), "the occupancy True of Na"),
        (species({"element": "Na", "occu": 0.8}, {"element": "K", "occu": 0.8}), "sum to more than 1"),
        (species({"element": "Na", "occu": 1, "oxidation_state": "I"}), "oxidation state 'I'"),
    ],
)
def test_bad_structures_are_refused(change, message):
    with pytest.raises(ValueError, match=rf"crystals\.json\.gz is not a table of crystals: row 3: .*{message}"):
        fetch(changed(change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'{' is missing"),
        ("[]", "'{' is missing"),
        ("<html>Log in</html>", "'{' is missing"),
        ("{", "truncated"),
        ('{"data"', "':' is missing"),
        ('{"data": [', "truncated"),
        ('{"data": [[1]', "truncated"),
        ('{"data": {}}', r"'\[' is missing"),
        ('{"data": [{}]}', "row 0 is not a list"),
        ('{"data": [[[1]]]}', "row 0: a list instead of"),
        ('{"data": [[tru]]}', "Expecting value"),
        ('{"data": []}', "needs the keys"),
        ('{"columns": ["a"]}', "needs the keys"),
        ('{"columns": [1], "data": []}', "needs the keys"),
        ('{"columns": ["a", "a"], "data": []}', "not unique"),
        ('{"columns": ["a"], "data": [], "data": []}', "'data' is repeated"),
        ('{"columns": ["a"], "data": [[1, 2]]}', "row 0 has 2 values for the 1 columns"),
        ('{"columns": ["a"], "data": []} {}', "text after its end"),
        ('{"data": [' + "[" * 100_000, "recursion"),
        ('{"data": [[' + "9" * 5000 + "]]}", "Exceeds the limit"),
        (gzip.compress(table().encode())[:-500], "end-of-stream"),
        (gzip.compress(table().encode())[:200] + b"?" * 500, "invalid|incorrect|distance"),
        (b"\x1f\x8bmore", "compression method|Not a gzipped file|end-of-stream"),
        (b'{"\xff": 1}', "utf-8"),
        (gzip.compress(b"{" + b" " * 10**8), "decompresses to more than 100 times"),
    ],
)
def test_bad_tables_are_refused(text, message):
    with pytest.raises(ValueError, match=rf"crystals\.json\.gz is not a table of crystals: .*({message})"):
        fetch(text.encode() if isinstance(text, str) else text)


def test_an_endless_value_is_given_up(monkeypatch):
    monkeypatch.setattr(_tables, "_CHUNK", 100)
    monkeypatch.setattr(_tables, "_MAX_VALUE", 1000)
    read = []
    scanner = _tables._Scanner(lambda n: read.append(n) or "1, " * (n // 3))
    scanner._text = "["
    with pytest.raises(json.JSONDecodeError):
        scanner.value()
    assert sum(read) < 5000


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ([1.0, 1.0], {}, r"row 23: its 'structure' is 1\.0, not a structure"),
        ([None, 1.0], {}, "row 23: its 'structure' is None"),
        ([ROWS[0][0], None], {}, "row 23: its 'y' is None, not a number"),
        ([ROWS[0][0], "1"], {}, "row 23: its 'y' is '1', not a number"),
        ([ROWS[0][0], float("nan")], {}, "row 23: its 'y' is nan, not a number"),
        ([ROWS[0][0], 1.0], {"target": "z"}, "no column 'z'; it has 'structure', 'y'"),
        ([ROWS[0][0], 1.0], {"structure": "cell"}, "no column 'cell'"),
    ],
)
def test_bad_columns_are_refused(row, options, message):
    with pytest.raises(ValueError, match=message):
        fetch(table([*ROWS, row]), **options)
