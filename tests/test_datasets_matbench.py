"""Tables of crystals from the network, and Matbench: small tables from a server on this machine."""

import gzip
import hashlib
import importlib.util
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

from skdim.datasets import _matbench, _tables, fetch_matbench, fetch_url_dataset, make_crystals
from tests.loopback import Server, whole

STRUCTURES, Y = make_crystals(23, random_state=0)
ROWS = [[structure.as_dict(), float(y)] for structure, y in zip(STRUCTURES, Y, strict=True)]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SKDIM_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("SKDIM_MATBENCH_URL", "https://127.0.0.1:1/nothing/is/here")


def table(rows=ROWS, columns=("structure", "y"), **parts):
    return json.dumps({"index": list(range(len(rows))), "columns": list(columns), "data": list(rows)} | parts)


def fetch(text, **options):
    content = text if isinstance(text, bytes) else gzip.compress(text.encode(), mtime=0)
    with Server(whole(content)) as server:
        digest = hashlib.sha256(content).hexdigest()
        return fetch_url_dataset(f"{server.url}/mine.json.gz", sha256=digest, **{"target": "y", **options})


def changed(change, row=3):
    """The table after a change to the dict of one of its structures."""
    rows = json.loads(json.dumps(ROWS))
    change(rows[row][0])
    return table(rows)


# -- tables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())])
def test_table(pack):
    data = fetch(pack(table()))
    assert data.structures == STRUCTURES
    assert all(type(structure) is Structure for structure in data.structures)
    np.testing.assert_array_equal(data.target, Y)
    assert data.target.dtype == np.float64
    assert data.target_name == "y"
    assert list(data.frame) == ["y"]
    assert Path(data.filename).name == "mine.json.gz"


def test_return_X_y():
    structures, target = fetch(table(), return_X_y=True)
    assert structures == STRUCTURES
    np.testing.assert_array_equal(target, Y)


def test_other_columns_and_their_order():
    rows = [[f"mp-{k}", None, row[0], bool(k % 2)] for k, row in enumerate(ROWS)]
    data = fetch(table(rows, ("id", "note", "cell", "y")), structure="cell")
    assert data.structures == STRUCTURES
    assert data.target.dtype == bool
    assert data.frame["id"].tolist() == [f"mp-{k}" for k in range(23)]
    assert fetch(table(rows, ("id", "note", "cell", "y")), structure="cell", target=None).target is None


def test_parts_in_any_order():
    parts = json.loads(table())
    data = fetch(json.dumps({name: parts[name] for name in ("data", "index", "columns")}, indent=2))
    assert data.structures == STRUCTURES


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_text_in_small_pieces(size, monkeypatch):
    monkeypatch.setattr(_tables, "_CHUNK", size)
    rows = [[row[0], 1.25e2] for row in ROWS[:3]]
    text = table(rows).replace("125.0", " 1.25e2 ").removeprefix("{")
    # A number ends where something else begins, which may be in the next piece.
    data = fetch(('{"note": 1234567890123, ' + text).encode())
    assert data.structures == STRUCTURES[:3]
    assert data.target.tolist() == [125, 125, 125]


def test_as_matminer_writes_and_reads_it(tmp_path):
    pd = pytest.importorskip("pandas")
    io = pytest.importorskip("matminer.utils.io", reason="the extra 'baselines' is not installed")
    decorated = STRUCTURES[0].copy(site_properties={"magmom": np.arange(len(STRUCTURES[0])) * 0.5})
    decorated.add_oxidation_state_by_site(np.arange(len(decorated)).tolist())
    half = Structure(Lattice.cubic(4), [{"Na": 0.5, "K": 0.25}, "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    frame = pd.DataFrame({"structure": [decorated, half, *STRUCTURES[1:]], "y": range(24)})
    path = tmp_path / "matminer.json.gz"
    io.store_dataframe_as_json(frame, str(path), compression="gz", pbar=False)
    theirs = io.load_dataframe_from_json(str(path), pbar=False)
    ours = fetch(path.read_bytes())
    assert ours.structures[1:] == theirs["structure"].tolist()[1:]
    assert ours.structures[0] == theirs["structure"][0].copy().remove_site_property("magmom")
    assert all(isinstance(site.specie, Species) for site in ours.structures[0])
    assert ours.target.tolist() == theirs["y"].tolist()


# -- nothing is executed -----------------------------------------------------------------------------------------------


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module on the path that leaves a file when it is imported, and another when its class is made."""
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


def test_the_trap_would_spring(tmp_path, trap):
    from monty.json import MontyDecoder

    MontyDecoder().process_decoded(trap)
    assert (tmp_path / "sprung").exists()
    (tmp_path / "sprung").unlink()
    del sys.modules["trap"]


def test_other_classes_are_not_made(trap):
    rows = [[ROWS[0][0], 1.0], [trap, 2.0]]
    with pytest.raises(ValueError, match=r"row 1: an object of class 'Structure' from 'trap'; only pymatgen's"):
        fetch(table(rows))


def test_objects_inside_a_structure_are_not_made(trap):
    def change(structure):
        structure["properties"] = trap
        structure["sites"][0]["properties"] = {"magmom": trap}
        structure["sites"][0]["label"] = trap
        structure["charge"] = trap

    assert fetch(changed(change)).structures == STRUCTURES


@pytest.mark.parametrize("place", ["lattice", "sites"])
def test_objects_as_parts_of_a_structure(trap, place):
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
def test_other_names(name, module):
    with pytest.raises(ValueError, match="row 3: an object of class"):
        fetch(changed(lambda structure: structure.update({"@class": name, "@module": module})))


# -- bad tables --------------------------------------------------------------------------------------------------------


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
        (lambda s: s.update(sites=["Na"]), "or some that are not objects"),
        (lambda s: s["sites"][0].pop("abc"), "lacks 'abc'"),
        (site(abc=[0, 0]), "coordinates must be finite"),
        (site(abc=[0, 0, float("inf")]), "coordinates must be finite"),
        (site(abc=[0, 0, None]), "coordinates must be finite"),
        (site(species="Na"), "lacks 'species'"),
        (species(), "a site is empty"),
        (species("Na"), "species is not an object"),
        (species({"element": "Xx", "occu": 1}), "'Xx', which is no element"),
        (species({"element": None, "occu": 1}), "no element"),
        (species({"element": "Na"}), "the occupancy None of Na"),
        (species({"element": "Na", "occu": 2}), "the occupancy 2 of Na"),
        (species({"element": "Na", "occu": True}), "the occupancy True of Na"),
        (species({"element": "Na", "occu": 0.8}, {"element": "K", "occu": 0.8}), "more than 1 together"),
        (species({"element": "Na", "occu": 1, "oxidation_state": "I"}), "oxidation state 'I'"),
    ],
)
def test_bad_structures(change, message):
    with pytest.raises(ValueError, match=rf"mine\.json\.gz is not a table of crystals: row 3: .*{message}"):
        fetch(changed(change))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'{' is missing"),
        ("[]", "'{' is missing"),
        ("<html>Log in</html>", "'{' is missing"),
        ("{", "ends early"),
        ('{"data"', "':' is missing"),
        ('{"data": [', "ends early"),
        ('{"data": [[1]', "ends early"),
        ('{"data": {}}', r"'\[' is missing"),
        ('{"data": [{}]}', "row 0 is not a list"),
        ('{"data": [[[1]]]}', "row 0: a list where"),
        ('{"data": [[tru]]}', "Expecting value"),
        ('{"data": []}', "needs the parts"),
        ('{"columns": ["a"]}', "needs the parts"),
        ('{"columns": [1], "data": []}', "needs the parts"),
        ('{"columns": ["a", "a"], "data": []}', "not unique"),
        ('{"columns": ["a"], "data": [], "data": []}', "'data' comes twice"),
        ('{"columns": ["a"], "data": [[1, 2]]}', "row 0 has 2 values for the 1 columns"),
        ('{"columns": ["a"], "data": []} {}', "something follows"),
        ('{"data": [' + "[" * 100_000, "recursion"),
        ('{"data": [[' + "9" * 5000 + "]]}", "Exceeds the limit"),
        (gzip.compress(table().encode())[:-500], "end-of-stream"),
        (gzip.compress(table().encode())[:200] + b"?" * 500, "invalid|incorrect|distance"),
        (b"\x1f\x8bmore", "compression method|Not a gzipped file|end-of-stream"),
        (b'{"\xff": 1}', "utf-8"),
        (gzip.compress(b"{" + b" " * 10**8), "inflates to more than 100 times"),
    ],
)
def test_bad_tables(text, message):
    with pytest.raises(ValueError, match=rf"mine\.json\.gz is not a table of crystals: .*({message})"):
        fetch(text.encode() if isinstance(text, str) else text)


def test_a_value_without_end(monkeypatch):
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
def test_bad_columns(row, options, message):
    with pytest.raises(ValueError, match=message):
        fetch(table([*ROWS, row]), **options)


# -- Matbench ----------------------------------------------------------------------------------------------------------


def test_facts_are_those_that_matminer_publishes():
    found = importlib.util.find_spec("matminer")
    if found is None:
        pytest.skip("the extra 'baselines' is not installed")
    text = (Path(found.origin).parent / "datasets" / "dataset_metadata.json").read_text(encoding="utf-8")
    published = {name: facts for name, facts in json.loads(text).items() if name.startswith("matbench_")}
    with_structures = {name for name, facts in published.items() if "structure" in facts["columns"]}
    assert with_structures == {f"matbench_{task}" for task in _matbench.TASKS}
    for task, facts in _matbench.TASKS.items():
        theirs = published[f"matbench_{task}"]
        assert theirs["url"] == f"{_matbench.URL}/matbench_{task}.json.gz"
        assert (theirs["hash"], theirs["num_entries"]) == (facts.sha256, facts.n_rows)
        assert set(theirs["columns"]) == {"structure", facts.target}


@pytest.mark.parametrize("task", sorted(set(_matbench.TASKS) - {"mp_is_metal"}))
def test_folds_are_those_that_matbench_publishes(task):
    """By the digest of its own file of splits. (Those of mp_is_metal need its classes, which are not here.)"""
    facts = _matbench.TASKS[task]
    folds = _matbench._folds(np.zeros(facts.n_rows), facts)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(facts.n_rows))
    with pytest.raises(ValueError, match="not those of Matbench"):
        _matbench._folds(np.zeros(facts.n_rows - 1), facts)


def test_first_rows_of_a_fold():
    """As Matbench's file has them: mb-dielectric-0008, -0010, -0019, -0025."""
    assert _matbench._folds(np.zeros(4764), _matbench.TASKS["dielectric"])[0][1][:4].tolist() == [7, 9, 18, 24]


def digest_of(folds, n):
    number = np.zeros(n, dtype=np.uint8)
    for k, (_, test) in enumerate(folds):
        number[test] = k
    return hashlib.sha256(number.tobytes()).hexdigest()


@pytest.fixture
def small_task(monkeypatch):
    """Make a task a small one: a server with a table of 23 crystals, and the facts that belong to it."""
    servers = []

    def make(task, target=Y, **facts):
        rows = [[structure, value] for (structure, _), value in zip(ROWS, target.tolist(), strict=True)]
        content = gzip.compress(table(rows, ("structure", _matbench.TASKS[task].target)).encode())
        folds = digest_of(KFold(5, shuffle=True, random_state=18012019).split(target), len(target))
        facts = {"n_rows": 23, "sha256": hashlib.sha256(content).hexdigest(), "folds_sha256": folds} | facts
        monkeypatch.setitem(_matbench.TASKS, task, _matbench.TASKS[task]._replace(**facts))
        servers.append(Server(whole(content)))
        return servers[-1]

    yield make
    for server in servers:
        server.__exit__()


@pytest.mark.parametrize("name", ["jdft2d", "matbench_jdft2d"])
def test_fetch_matbench(small_task, name):
    server = small_task("jdft2d")
    data = fetch_matbench(name, base_url=f"{server.url}/mirror/")
    again = fetch_matbench(name, download_if_missing=False)
    assert [path for path, _ in server.requests] == ["/mirror/matbench_jdft2d.json.gz"]
    assert data.structures == again.structures == STRUCTURES
    np.testing.assert_array_equal(data.target, Y)
    assert (data.target_name, data.unit) == ("exfoliation_en", "meV/atom")
    assert data.ids[[0, -1]].tolist() == ["mb-jdft2d-01", "mb-jdft2d-23"]
    for (train, test), expected in zip(
        data.folds, KFold(5, shuffle=True, random_state=18012019).split(Y), strict=True
    ):
        np.testing.assert_array_equal(train, expected[0])
        np.testing.assert_array_equal(test, expected[1])
    for text in ("jdft2d", "23", "meV/atom", "10.1038/s41524-020-00406-3", _matbench.TASKS["jdft2d"].sha256):
        assert text in data.DESCR
    assert "{" not in data.DESCR
    structures, target = fetch_matbench(name, return_X_y=True)
    assert structures == STRUCTURES
    np.testing.assert_array_equal(target, Y)


def test_folds_are_a_cv(small_task, monkeypatch):
    monkeypatch.setenv("SKDIM_MATBENCH_URL", small_task("phonons").url)
    data = fetch_matbench("phonons")
    scores = cross_val_score(DummyRegressor(), np.zeros((23, 1)), data.target, cv=data.folds)
    assert len(scores) == 5


def test_one_fold(small_task, monkeypatch):
    monkeypatch.setenv("SKDIM_MATBENCH_URL", small_task("phonons").url)
    for fold in (0, 3, np.int64(4)):
        data = fetch_matbench("phonons", fold)
        np.testing.assert_array_equal(data.train, data.folds[fold][0])
        np.testing.assert_array_equal(data.test, data.folds[fold][1])
    np.testing.assert_array_equal(fetch_matbench("phonons").test, data.folds[0][1])


@pytest.mark.parametrize("fold", [5, -1, "0", None, 0.5, True])
def test_no_such_fold(fold):
    with pytest.raises(ValueError, match="Matbench has the folds 0 to 4; fold was"):
        fetch_matbench("phonons", fold)


@pytest.mark.parametrize("kind", [bool, int])
def test_classes(small_task, kind):
    classes = np.arange(23) % 3 == 0
    folds = StratifiedKFold(5, shuffle=True, random_state=18012019).split(classes, classes)
    server = small_task("mp_is_metal", classes.astype(kind), folds_sha256=digest_of(folds, 23))
    data = fetch_matbench("mp_is_metal", base_url=server.url)
    assert data.target.dtype == bool
    assert data.unit is None
    assert data.ids[0] == "mb-mp-is-metal-01"
    assert {int(data.target[test].sum()) for _, test in data.folds} == {1, 2}
    np.testing.assert_array_equal(data.target, classes)


def test_another_number_of_rows(small_task):
    server = small_task("phonons", n_rows=24)
    with pytest.raises(ValueError, match="has 23 rows, and Matbench's phonons has 24"):
        fetch_matbench("phonons", base_url=server.url)


def test_larger_than_the_task_can_be(small_task):
    small_task("phonons")
    with Server(whole(bytes(2**21))) as server, pytest.raises(OSError, match="offers 2097152 bytes, more than"):
        fetch_matbench("phonons", base_url=server.url)


@pytest.mark.parametrize("task", ["steels", "matbench_expt_gap", "", None])
def test_no_such_task(task):
    with pytest.raises(ValueError, match=r"no task .* with structures; its tasks are dielectric, jdft2d"):
        fetch_matbench(task)


def test_no_network():
    with pytest.raises(OSError, match=r"Could not fetch matbench_jdft2d\.json\.gz from https://127.*By hand"):
        fetch_matbench("jdft2d", n_retries=0)


# -- the example -------------------------------------------------------------------------------------------------------

EXAMPLE = Path(__file__).parents[1] / "examples" / "matbench_folds.py"


def run_example(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", [EXAMPLE.name, *map(str, arguments)])
    return runpy.run_path(str(EXAMPLE), run_name="__main__")


def check_record(path, task, data):
    """What Matbench's own from_dict and validate ask of a record with all five folds."""
    record = json.loads(path.read_text())
    digest = record.pop("hash")
    assert digest == hashlib.sha256(json.dumps(sort_all(record)).encode()).hexdigest()
    assert set(record) == {
        "@module", "@class", "version", "tasks", "user_metadata", "benchmark_name", "datestamp",
    }  # fmt: skip
    assert record["benchmark_name"] == "matbench_v0.1"
    (found,) = record["tasks"].values()
    assert found["dataset_name"] == next(iter(record["tasks"])) == f"matbench_{task}"
    kind = bool if data.target.dtype == bool else float
    names = {"accuracy", "balanced_accuracy", "f1", "rocauc"} if kind is bool else {"mae", "rmse", "mape", "max_error"}
    assert set(found["results"]) == {f"fold_{k}" for k in range(5)}
    for k, (_, test) in enumerate(data.folds):
        fold = found["results"][f"fold_{k}"]
        assert set(fold) == {"data", "parameters", "scores"}
        assert list(fold["data"]) == data.ids[test].tolist()
        assert all(type(value) is kind for value in fold["data"].values())
        assert set(fold["scores"]) == names
        assert all(type(value) is float for value in fold["scores"].values())
    return found["results"]


def sort_all(value):
    return {key: sort_all(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def test_example_of_numbers(small_task, monkeypatch, tmp_path, capsys):
    server = small_task("jdft2d")
    monkeypatch.setenv("SKDIM_MATBENCH_URL", server.url)
    path = tmp_path / "results" / "record.json"
    options = ["--task", "jdft2d", "--epochs", 1, "--jobs", 1, "--data-home", tmp_path / "there", "--output", path]
    run_example(monkeypatch, *options, "--folds", 3, 0)
    assert (tmp_path / "there" / "matbench_jdft2d.json.gz").exists()
    printed = capsys.readouterr().out
    assert "mean of 2 of 5 folds: mae" in printed
    assert "once all five folds are in it" in printed
    before = json.loads(path.read_text())["tasks"]["matbench_jdft2d"]["results"]
    assert list(before) == ["fold_0", "fold_3"]

    run_example(monkeypatch, *options)
    assert len(server.requests) == 1
    assert "mean of 5 of 5 folds: mae" in capsys.readouterr().out
    data = fetch_matbench("jdft2d", data_home=tmp_path / "there", download_if_missing=False)
    results = check_record(path, "jdft2d", data)
    assert {name: results[name] for name in before} == before
    for k, (_, test) in enumerate(data.folds):
        error = np.array(list(results[f"fold_{k}"]["data"].values())) - data.target[test]
        scores = results[f"fold_{k}"]["scores"]
        np.testing.assert_allclose(scores["mae"], np.abs(error).mean())
        np.testing.assert_allclose(scores["rmse"], np.sqrt((error**2).mean()))
        np.testing.assert_allclose(scores["max_error"], np.abs(error).max())
        np.testing.assert_allclose(scores["mape"], np.abs(error / data.target[test]).mean())

    with pytest.raises(SystemExit, match="record of another run"):
        run_example(monkeypatch, *options, "--seed", 1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # two iterations are asked for
@pytest.mark.parametrize("task", ["mp_is_metal", "phonons"])
def test_example_of_vectors(small_task, monkeypatch, tmp_path, task):
    classes = np.arange(23) % 2 == 0
    if task == "phonons":
        server = small_task(task)
    else:
        folds = StratifiedKFold(5, shuffle=True, random_state=18012019).split(classes, classes)
        server = small_task(task, classes, folds_sha256=digest_of(folds, 23))
    monkeypatch.setenv("SKDIM_MATBENCH_URL", server.url)
    monkeypatch.chdir(tmp_path)
    run_example(monkeypatch, "--task", task, "--model", "vectors", "--epochs", 2, "--jobs", 1)
    check_record(tmp_path / f"matbench_{task}_vectors.json", task, fetch_matbench(task))


def test_example_explains_its_options(monkeypatch, capsys):
    with pytest.raises(SystemExit, match="0"):
        run_example(monkeypatch, "--help")
    printed = capsys.readouterr().out
    for option in ("--task", "--folds", "--model", "--epochs", "--seed", "--jobs", "--data-home", "--output"):
        assert option in printed
    with pytest.raises(SystemExit, match="use --model vectors"):
        run_example(monkeypatch, "--task", "mp_is_metal", "--model", "transfer")


def test_example_knows_all_tasks():
    assert set(runpy.run_path(str(EXAMPLE))["TASKS"]) == set(_matbench.TASKS)
