"""Readers of untrusted files read or refuse them in bounded time and memory."""

import copy
import re
import subprocess
import sys
import time
import traceback
import tracemalloc
import warnings
import zipfile
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from skdim import Crystals, SiteNetFeaturizer
from skdim._featurizer import to_disk as _to_disk
from skdim._geometry.lattice import GeometryError, without_panics
from skdim._structures.limits import MAX_SITES
from skdim._structures.source_rows import FlatStructure

pytest.importorskip("ase", reason="needs the extra 'ase'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

from ase import Atoms

from tests.helpers import fuzzing

N_INPUTS = 200


@pytest.fixture(scope="module")
def material():
    return fuzzing.make_material()


@pytest.mark.parametrize("name", fuzzing.READERS)
def test_mutated_inputs_are_read_or_refused(name, material, tmp_path):
    mutate, read = fuzzing.READERS[name](material, tmp_path)
    outcomes = Counter()
    for k in range(N_INPUTS):
        outcome, error = fuzzing.outcome_of(read, mutate(np.random.default_rng([1, k])))
        outcomes[outcome] += 1
        assert outcome != "fault", f"input {k}: " + "".join(traceback.format_exception(error))
    assert min(outcomes["read"], outcomes["refused"]) > N_INPUTS // 20, "inputs must be neither all right nor all wrong"


# ---- bounds ----

BIG = """
import resource, sys, time
from pathlib import Path
from skdim import SiteNetFeaturizer
from skdim._structures.errors import StructureError
SiteNetFeaturizer().transform([sys.argv[2]])  # what is imported at first use
begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
limit = 2**32  # of address space: allocations beyond it fail
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    SiteNetFeaturizer().transform([Path(sys.argv[1])])
except StructureError as error:
    print(error.reason)
print(time.process_time() - begin, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_cif_of_a_gigabyte_is_refused_in_little_memory(tmp_path):
    """Refused with less memory than its size; the file is sparse, so it takes no space on the disk."""
    path = tmp_path / "big.cif"
    with open(path, "wb") as file:
        file.write(fuzzing.PLAIN_CIF.encode())
        file.truncate(2**30)
    command = [sys.executable, "-c", BIG, str(path), fuzzing.PLAIN_CIF]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    reason, spent = done.stdout.splitlines()
    seconds, megabytes = map(float, spent.split())
    assert "has more than 64 million characters" in reason
    assert seconds < 20
    assert megabytes < 600


def refusal(raw):
    with pytest.raises(ValueError, match="row 0") as error:
        SiteNetFeaturizer().transform([raw])
    return str(error.value)


@pytest.mark.parametrize("kind", ["structure", "flat", "dict", "atoms", "CIF"])
def test_a_cell_of_a_million_atoms_is_refused(kind):
    """Refused before arrays of all pairs of sites or objects for each site are allocated."""
    n = 10**6
    rng = np.random.default_rng(0)
    if kind == "structure":
        one = Structure(Lattice.cubic(300), ["Na"], [[0, 0, 0]])
        raw = Structure.from_sites(one.sites)
        raw._sites = one._sites * n  # of which each would take microseconds to make
    elif kind == "flat":
        raw = FlatStructure(np.eye(3).ravel() * 300, np.full(n, 11), rng.random(3 * n))
    elif kind == "dict":
        raw = {"lattice": {"matrix": (np.eye(3) * 300).tolist()}, "sites": [{}] * n}
    elif kind == "atoms":
        raw = Atoms(numbers=np.full(n, 11), positions=rng.random((n, 3)), cell=[300] * 3, pbc=True)
    else:
        head = fuzzing.PLAIN_CIF.split("Na1 Na+")[0]
        raw = head + "Na1 Na 0.1 0.2 0.3 1\n" * (n // 10)
    assert re.search(f"cell has {n} sites, and no more than {MAX_SITES} are read|lists 100000 atoms", refusal(raw))


def test_large_cells_are_searched_in_little_memory():
    """A supercell of 4096 sites: arrays of all pairs are never held as a whole."""
    big = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]).make_supercell([16, 16, 8])
    expected = SiteNetFeaturizer().transform([Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3])])
    tracemalloc.start()
    X = SiteNetFeaturizer().transform([big])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert X.n_sites == [2]
    np.testing.assert_allclose(X.distance, expected.distance, atol=1e-4)
    assert peak < 300e6, "4096 x 4096 x 3 floats are 400 MB"
    # A cell that has no translations is refused at once.
    rng = np.random.default_rng(0)
    many = Structure(Lattice.cubic(90), ["Na"] * 4999 + ["Cl"] * 5001, rng.random((10_000, 3)))
    tracemalloc.start()
    assert "primitive cell has 10000 sites, more than max_sites=50" in refusal(many)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


@pytest.mark.parametrize("angle", [0.01, 1e-6, 179.99])
@pytest.mark.parametrize("edge", [5.0, 900.0])
def test_flat_cells_are_refused(angle, edge):
    text = re.sub(r"gamma 90", f"gamma {angle}", fuzzing.PLAIN_CIF).replace("5.64", f"{edge}")
    refusal(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = Structure(Lattice.from_parameters(edge, edge, edge, 90, 90, angle), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    refusal(raw)


@pytest.mark.parametrize(
    ("filling", "match"),
    [
        ("\n" * 10**6, "NaCl"),
        (" \t\n" * 10**6, "NaCl"),
        ("'x" * 400_000, "line 2 .*is not valid CIF"),
        ("_a 1\n" * 4 * 10**6, r"takes 19 million characters, more than 16"),
    ],
)
def test_texts_made_to_take_long_are_read_or_refused_fast(filling, match):
    """Each could take a CIF reader with regular expressions hours."""
    start = time.process_time()
    text = fuzzing.PLAIN_CIF.replace("_symmetry_space", filling + "\n_symmetry_space", 1)
    if match == "NaCl":
        assert SiteNetFeaturizer().transform([text]).formulas == ["NaCl"]
    else:
        assert re.search(match, refusal(text))
    assert time.process_time() - start < 20


def test_many_symmetry_operations_times_atoms_are_refused():
    cell = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [0.5] * 3]).make_supercell([10, 8, 5])
    assert SiteNetFeaturizer().transform([cell.to(fmt="cif")]).n_sites == [2], "800 atoms without symmetry are fine"
    begin, end = (fuzzing.PLAIN_CIF.index(name) for name in ("loop_\n_symmetry", "loop_\n_atom"))
    lines = (fuzzing.PLAIN_CIF[:begin] + fuzzing.PLAIN_CIF[end:]).replace("'P 1 1 2/m'", "'F m -3 m'")
    lines = lines.replace("Na1 Na+", "".join(f"Na{k} Na 0.{k} 0.1 0.2 1\n" for k in range(1000)) + "Na1 Na+")
    assert re.search("lists 1002 atoms under 192 symmetry operations, which give more than 10000", refusal(lines))


def test_archives_write_no_files_and_inflate_within_bounds(tmp_path, structures):
    """Member names with parent folders are only names, and decompression is limited."""
    path = tmp_path / "in" / "a.zip"
    path.parent.mkdir()
    text = structures[0].to(fmt="cif")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../climbed.cif", text)
        archive.writestr("/absolute.cif", text)
        archive.writestr("bomb.cif", text + " " * (80 * 2**20))
    tracemalloc.start()
    with pytest.warns(UserWarning, match="1 of 3"):
        X = SiteNetFeaturizer(on_error="warn").transform_to_disk(path, tmp_path / "store")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert X.formulas[:2] == [X.formulas[0]] * 2
    assert "it has more than 64 million characters" in X.errors_[2]
    assert peak < 400e6
    assert sorted(file.name for file in tmp_path.rglob("*.cif")) == []


def test_chunks_end_early_where_texts_are_large(tmp_path, structures, monkeypatch):
    text = structures[0].to(fmt="cif")
    monkeypatch.setattr(_to_disk, "_MAX_TEXT", 3 * len(text))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for k in range(8):
            archive.writestr(f"{k}.cif", text)
    sizes = []
    real = SiteNetFeaturizer._parts

    def parts(self, raws, *args, **options):
        sizes.append(len(raws))
        return real(self, raws, *args, **options)

    monkeypatch.setattr(SiteNetFeaturizer, "_parts", parts)
    assert len(SiteNetFeaturizer().transform_to_disk(tmp_path / "a.zip", tmp_path / "store")) == 8
    assert sizes == [3, 3, 2]


# ---- no code from files ----


def test_dicts_create_no_objects_of_named_classes(structures):
    """Site properties may name any class; no instance is created, and the dict is not changed."""
    raw = structures[0].as_dict()
    evil = {"@module": "tests.house.test_fuzz", "@class": "Evil", "value": 1}
    raw["properties"] = {"evil": evil}
    raw["sites"][0]["properties"] = {"evil": evil}
    before = copy.deepcopy(raw)
    assert SiteNetFeaturizer().transform([raw]).formulas == SiteNetFeaturizer().transform([structures[0]]).formulas
    assert raw == before
    assert Evil.made == 0


class Evil:
    made = 0

    @classmethod
    def from_dict(cls, value):
        cls.made += 1
        return cls()


def test_indices_beyond_their_arrays_are_refused(material, tmp_path):
    """A memory-mapped store is not checked on loading; each batch is, before the compiled loops read it."""
    _, _, embedder, X = material
    for column, value in (("neighbour", 60_000), ("pair_offsets", 2**40), ("class_offsets", -5), ("distance", np.nan)):
        X.save(tmp_path / column)
        array = getattr(X, column).copy()
        array[len(array) // 2] = value
        np.save(tmp_path / column / f"{column}.npy", array)
        with pytest.raises(ValueError, match=f"is damaged: its {column} "):
            Crystals.load(tmp_path / column)
        with pytest.raises((ValueError, IndexError)):
            embedder.transform(Crystals.load(tmp_path / column, mmap_mode="r"))


# ---- faults found by fuzzing ----


def test_huge_cells_and_coordinates_are_refused():
    assert "edges of more than 10000 angstrom" in refusal(Structure(Lattice.cubic(2e4), ["Na"], [[0, 0, 0]]))
    far = Structure(Lattice.cubic(4.1), ["Cs", "Cl"], [[0, 0, 0], [1e7, 0.5, 0.5]])
    assert "site 1 is more than a million cells away" in refusal(far)


def test_panics_of_compiled_code_are_errors():
    """Panics are not Exceptions: one bad row would end a run with on_error='warn'."""

    class PanicException(BaseException):
        pass

    with pytest.raises(GeometryError, match=r"moyopy failed for its cell \(overflow\)"), without_panics():
        raise PanicException("overflow")
    with pytest.raises(KeyboardInterrupt), without_panics():
        raise KeyboardInterrupt


def test_damaged_tables_and_archives_are_refused(structures, tmp_path):
    table = tmp_path / "a.parquet"
    pd.DataFrame({"cif": [s.to(fmt="cif") for s in structures]}).to_parquet(table)
    content = bytearray(table.read_bytes())
    content[40:400] = bytes(360)
    table.write_bytes(content)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.cif", "data_")
    content = bytearray(archive.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 6] = 234  # of a version that is not known
    archive.write_bytes(content)
    for path in (table, archive):
        with pytest.raises(ValueError, match=rf"{path.name} is (not a zip file, or )?damaged"):
            SiteNetFeaturizer().transform_to_disk(path, tmp_path / "store")
