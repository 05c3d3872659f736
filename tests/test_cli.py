"""The command line: real runs, what they say, and how they end."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from functools import partial
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.pipeline import make_pipeline

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._arms import ARMS, PRETRAINED, make_arm
from skdim._cross_validation import cross_validate_arms
from skdim._model_file import describe_model, load_model, save_model
from skdim.cli import _COMMANDS, _parser, fit, main
from skdim.cli import _crystals as cli_crystals
from skdim.cli._crystals import featurizer_of

BAD = "data_x\n_cell_length_a nonsense\n"
#: No test waits longer for a process, however busy the machine is.
PATIENCE = 300


@pytest.fixture(scope="module")
def shipped():
    return DeepInfoMaxEmbedder.from_pretrained()


@pytest.fixture(scope="module")
def cifs(structures, tmp_path_factory):
    """A folder of ten CIFs; not to be changed."""
    folder = tmp_path_factory.mktemp("data") / "cifs"
    folder.mkdir()
    for k in range(10):
        structures[k].to(filename=str(folder / f"s{k}.cif"))
    return folder


@pytest.fixture(scope="module")
def table(structures, y, tmp_path_factory):
    """A csv of 30 structures with labels, of which row 3 has none; not to be changed."""
    path = tmp_path_factory.mktemp("data") / "table.csv"
    frame = pd.DataFrame({"id": [f"m{k}" for k in range(30)], "cif": [s.to(fmt="cif") for s in structures[:30]]})
    frame["energy"] = np.where(np.arange(30) == 3, np.nan, y[:30])
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def store(cifs):
    """What `skdim featurize` makes of the CIFs, with a site feature that the weights do not use; not to be changed."""
    folder = cifs.parent / "store"
    assert main(["featurize", str(cifs), "-o", str(folder), "--oxidation-states", "species"]) == 0
    return folder


@pytest.fixture
def run(capsys):
    """Runs a command and returns its exit code, standard output and standard error."""

    def command(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return command


def in_process(*words, cwd=None, start=False):
    command = [sys.executable, "-m", "skdim", *map(str, words)]
    if start:
        # A test that runs in the background of a shell ignores Ctrl-C, and so would its child.
        own = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=cwd, preexec_fn=own)
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=PATIENCE)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- what it says of itself ----


def test_every_option_is_explained(capsys):
    parser = _parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices
    assert list(commands) == ["embed", "featurize", "pretrain", "fit", "predict", "evaluate", "info"]
    assert len(commands) == len(_COMMANDS)
    for name, command in commands.items():
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert "examples:" in text
        for action in command._actions:
            assert action.help, (name, action.dest)
            for word in action.option_strings or [action.metavar]:
                assert word in text, (name, word)
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {code}  " in text or f"\n    {code}  " in text for code in (0, 1, 2, 130))


def test_help_fits_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in ([], *([name.__name__.rpartition(".")[2]] for name in _COMMANDS)):
        with pytest.raises(SystemExit, match="0"):
            main([*words, "--help"])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_help_imports_nothing():
    script = """
import sys
from skdim.cli import _parser
_parser().format_help()
print(sorted({"numpy", "pandas", "sklearn", "torch", "pymatgen", "tqdm"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_arms_are_the_library_s():
    assert ["mean", *fit.ARMS] == list(ARMS)
    assert all(f"\n  {arm} " in fit.ARMS_TEXT for arm in fit.ARMS)
    assert set(PRETRAINED) < set(ARMS)
    assert all(f"{name}``" in make_arm.__doc__ and what in make_arm.__doc__ for name, what in ARMS.items())
    with pytest.raises(ValueError, match="there is no arm 'forest'; there are mean, composition"):
        make_arm("forest")
    with pytest.raises(ValueError, match="needs a pre-trained embedder"):
        make_arm("transfer")


# ---- embed ----


def test_embed_in_a_process_of_its_own(cifs, shipped, tmp_path):
    done = in_process("embed", *sorted(cifs.glob("s[0-4].cif")), "-o", "vectors.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    told = re.sub(r", \d\d:\d\d$", "", done.stderr, flags=re.MULTILINE)
    assert told.splitlines() == [
        "featurize: 5 of 5 structures", "embed: 5 of 5 crystals", "vectors.csv: 5 crystals, 192 numbers each"
    ]  # fmt: skip
    found = pd.read_csv(tmp_path / "vectors.csv", index_col="id")
    files = [str(cifs / f"s{k}.cif") for k in range(5)]
    assert found.index.tolist() == files
    assert found.columns.tolist() == shipped.get_feature_names_out().tolist()
    expected = shipped.transform(SiteNetFeaturizer().transform(files))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert left(tmp_path) == ["vectors.csv"]


def test_rows_that_fail_keep_their_place(run, cifs, structures, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a.cif").write_text(BAD)
    (folder / "b.cif").write_text(structures[0].to(fmt="cif"))
    code, out, err = run("embed", folder, "-o", tmp_path / "v.csv")
    assert (code, out) == (1, "")
    assert "1 of 2 structures could not be used:\n  a.cif: " in err
    found = pd.read_csv(tmp_path / "v.csv", index_col="id")
    assert found.index.tolist() == ["a.cif", "b.cif"]
    assert found.isna().all(axis=1).tolist() == [True, False]
    failures = pd.read_csv(tmp_path / "v.csv.failures.csv")
    assert failures["id"].tolist() == ["a.cif"]
    assert failures["reason"][0] in err
    code, _, err = run("embed", cifs, "-o", tmp_path / "w.csv", "--max-sites", 1)
    assert code == 1
    assert "here max_sites is the option --max-sites N" in err


def test_remarks(run, structures, tmp_path, monkeypatch):
    """A file that holds several structures is not shortened in silence."""
    monkeypatch.setattr(cli_crystals, "_MOST_LISTED", 2)
    (tmp_path / "mine").mkdir()
    text = "\n".join(structure.to(fmt="cif") for structure in structures[:2])
    for name in "abc":
        (tmp_path / "mine" / f"{name}.cif").write_text(text)
    code, _, err = run("embed", tmp_path / "mine", "-o", tmp_path / "v.csv")
    assert code == 0
    remark = "reading the CIF text: it holds 2 structures, of which the first is used"
    assert f"\n3 structures were read with a remark:\n  a.cif: {remark}\n  b.cif: {remark}\n  ... and 1 more" in err
    assert "warning" not in err


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_failures_without_a_name_have_the_number_of_their_row(suffix, run, structures, tmp_path):
    table = pd.DataFrame({"id": ["a", None, None], "cif": [structures[0].to(fmt="cif"), BAD, None]})
    getattr(table, f"to_{suffix[1:]}")(tmp_path / f"t{suffix}", index=False)
    code, _, err = run("embed", tmp_path / f"t{suffix}", "-o", tmp_path / "v.csv")
    assert code == 1
    assert "\n  row 1: " in err
    assert "\n  row 2: the structure is missing" in err
    assert pd.read_csv(tmp_path / "v.csv.failures.csv")["id"].tolist() == ["row 1", "row 2"]
    assert pd.read_csv(tmp_path / "v.csv", keep_default_na=False)["id"].tolist() == ["a", "", ""]


def test_other_files_of_vectors(run, cifs, structures, shipped, tmp_path):
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("z.cif", structures[20].to(fmt="cif"))
    assert run("embed", cifs / "s3.cif", tmp_path / "more.zip", "-o", tmp_path / "v.parquet",
               "--representation", "global")[0] == 0  # fmt: skip
    found = pd.read_parquet(tmp_path / "v.parquet")
    assert found["id"].tolist() == [str(cifs / "s3.cif"), f"{tmp_path}/more.zip/z.cif"]
    assert found.shape == (2, 65)
    assert run("embed", cifs, "-o", tmp_path / "v.npy")[0] == 0
    X = SiteNetFeaturizer().transform(sorted(cifs.glob("*.cif")))
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), shipped.transform(X))
    assert run("embed", cifs / "s0.cif", "-o", tmp_path / "sites.csv", "--sites")[0] == 0
    sites = pd.read_csv(tmp_path / "sites.csv")
    np.testing.assert_allclose(sites.iloc[:, 3:], shipped.transform_sites(X[[0]])[0], rtol=1e-5, atol=1e-6)
    assert sites["site"].tolist() == list(range(len(structures[0])))
    assert sorted(sites["element"]) == sorted(site.specie.symbol for site in structures[0])


# ---- featurize and pretrain ----


def test_featurize_goes_on_after_a_kill(run, table, tmp_path, monkeypatch):
    monkeypatch.setattr("skdim.cli._crystals.CHUNK", 4)
    script = (
        "import os, sys, skdim._chunk_journal as j, skdim.cli._crystals as f\n"
        "f.CHUNK, old = 4, j.ChunkJournal.append\n"
        "def append(self, *a):\n"
        "    old(self, *a)\n"
        "    len(self.chunks) == 3 and os.kill(os.getpid(), 9)\n"
        "j.ChunkJournal.append = append\n"
        "from skdim.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    words = ["featurize", str(table), "-o", str(tmp_path / "store")]
    killed = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, timeout=PATIENCE)
    assert killed.returncode == -signal.SIGKILL
    assert left(tmp_path) == [".store.partial"]
    code, _, err = run(*words)
    assert code == 0
    assert "going on with what an earlier run has featurized" in err
    found = Crystals.load(tmp_path / "store", verify=True)
    expected = SiteNetFeaturizer().transform(pd.read_csv(table)["cif"])
    np.testing.assert_array_equal(found.distance, expected.distance)
    assert left(tmp_path) == ["store"]
    # The others take it in the place of structures.
    assert run("embed", tmp_path / "store", "-o", tmp_path / "v.csv")[0] == 0
    assert pd.read_csv(tmp_path / "v.csv")["id"].tolist() == [f"m{k}" for k in range(30)]


def test_pretrain_goes_on_after_an_interrupt(run, cifs, tmp_path):
    store = tmp_path / "store"
    run("featurize", cifs, "-o", store)
    words = ["pretrain", store, "--epochs", 40, "--seed", 3, "-o"]
    assert run(*words, tmp_path / "whole")[0] == 0
    process = in_process(*words, "broken", cwd=tmp_path, start=True)
    told = []
    while not any(line.startswith("pre-train: 2 of 40 epochs") for line in told):
        told.append(process.stderr.readline())
        assert told[-1], told
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130, err
    assert "interrupted; training was interrupted after" in err
    assert not (tmp_path / "broken").exists()
    code, _, err = run(*words, tmp_path / "broken")
    assert code == 0
    assert "pre-train: 1 of" not in err
    assert "pre-train: 40 of 40 epochs" in err
    # But for when and where each was made the two are the same.
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "broken")]
    assert weights[0] == weights[1]
    expected = DeepInfoMaxEmbedder(max_epochs=40, random_state=3).fit(Crystals.load(store))
    found = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "broken")
    np.testing.assert_array_equal(found.transform(Crystals.load(store)), expected.transform(Crystals.load(store)))
    code, out, _ = run("info", tmp_path / "broken")
    assert code == 0
    assert "pre-trained on 10 crystals for 40 epochs" in out
    # From these weights on, and with them.
    assert run("pretrain", store, "-o", tmp_path / "more", "--start", tmp_path / "broken", "--epochs", 1)[0] == 0
    assert run("embed", store, "-o", tmp_path / "v.csv", "--weights", tmp_path / "more")[0] == 0


def test_an_interrupted_run_is_not_mistaken_for_another(run, cifs, tmp_path, monkeypatch):
    def stop(*args, **options):
        raise KeyboardInterrupt

    words = ["embed", cifs, "-o", tmp_path / "v.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(DeepInfoMaxEmbedder, "transform_to_disk", stop)
        code, _, err = run(*words)
    assert code == 130
    assert "the same command goes on from what is done" in err
    assert left(tmp_path) == [".v.csv.work"]
    code, _, err = run("embed", cifs / "s1.cif", "-o", tmp_path / "v.csv")
    assert code == 2
    assert "an interrupted run has left that had other structures or options" in err
    code, _, err = run(*words)
    assert code == 0
    assert "featurized already, by an earlier run" in err
    assert left(tmp_path) == ["v.csv"]


def test_more_failures_than_fit_a_screen(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for k in range(23):
        (folder / f"{k:02}.cif").write_text(BAD)
    code, _, err = run("featurize", folder, "-o", tmp_path / "store")
    assert code == 1
    said = err.splitlines()
    assert "23 of 23 structures could not be used:" in said
    assert [line[:9] for line in said if ".cif: " in line] == [f"  {k:02}.cif:" for k in range(20)]
    assert "  ... and 3 more" in said
    assert f"  all of them: {tmp_path / 'store' / 'failures.csv'}" in said
    assert len(pd.read_csv(tmp_path / "store" / "failures.csv")) == 23
    code, out, _ = run("info", tmp_path / "store")
    assert code == 0
    assert "23 rows are empty, as their structures could not be used; the first is 00.cif: " in out


def test_stores_of_other_features(run, store, cifs, tmp_path):
    """The oxidation states are in the store, and not in the weights: they are left out, and nothing else changes."""
    assert "oxidation_state" in Crystals.load(store).site_features
    for name, source in (("a", store), ("b", cifs)):
        assert run("embed", source, "-o", tmp_path / f"{name}.npy")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
    labels, words = tmp_path / "labels.csv", ["--target", "y", "--structures", cifs, "--arm", "supervised"]
    labels.write_text("id,y\n" + "".join(f"s{k},{k}\n" for k in range(10)))
    assert run("fit", labels, *words, "--epochs", 1, "-o", tmp_path / "m.joblib")[0] == 0
    for name, source in (("a", store), ("b", cifs)):
        assert run("predict", tmp_path / "m.joblib", source, "-o", tmp_path / f"{name}.csv", "--trust")[0] == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    words = ["--epochs", 1, "--description", "ten of mine", "--licence", "CC0"]
    assert run("pretrain", cifs, "-o", tmp_path / "first", *words)[0] == 0
    assert run("pretrain", store, "-o", tmp_path / "second", "--start", tmp_path / "first", *words)[0] == 0
    second = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "second")
    assert second.n_iter_ == 2
    assert second.site_features_ == DeepInfoMaxEmbedder.from_pretrained(tmp_path / "first").site_features_
    out = run("info", tmp_path / "second")[1]
    assert "\ndata: ten of mine\nlicence: CC0\n" in out


def test_stores_of_the_library(run, X, tmp_path):
    """They may have no names; and names that belong to other rows are not taken."""
    X[:3].save(tmp_path / "store")
    assert run("embed", tmp_path / "store", "-o", tmp_path / "v.csv")[0] == 0
    assert pd.read_csv(tmp_path / "v.csv")["id"].tolist() == [0, 1, 2]
    (tmp_path / "store" / "ids.csv").write_text("id\na\nb\n")
    code, _, err = run("embed", tmp_path / "store", "-o", tmp_path / "w.csv")
    assert code == 2
    assert "ids.csv has 2 names for 3 crystals: featurize again" in err


# ---- models ----


@pytest.mark.parametrize("suffix", [".skops", ".joblib"])
def test_fit_and_predict(run, table, cifs, structures, y, tmp_path, suffix):
    model = tmp_path / f"model{suffix}"
    code, _, err = run("fit", table, "--target", "energy", "--arm", "composition", "--seed", 1, "-o", model)
    assert code == 0
    assert "1 of 30 rows have no energy" in err
    assert "fitting composition to 29 labels of energy" in err
    trust = ["--trust"] if suffix == ".joblib" else []
    assert run("predict", model, cifs, "-o", tmp_path / "p.csv", *trust)[0] == 0
    found = pd.read_csv(tmp_path / "p.csv")
    keep = np.arange(30) != 3
    X = SiteNetFeaturizer().transform(pd.read_csv(table)["cif"])
    expected = make_arm("composition", random_state=1).fit(X[keep], y[:30][keep])
    new = SiteNetFeaturizer().transform(sorted(cifs.glob("*.cif")))
    np.testing.assert_allclose(found["energy"], expected.predict(new))
    assert found["formula"].tolist() == new.formulas
    # In Python it is a pipeline that predicts from structures.
    loaded = load_model(model, trust=True)
    np.testing.assert_allclose(loaded.predict(structures[:2]), expected.predict(X[:2]))


@pytest.mark.parametrize("arm", ["transfer", "representation", "structure", "supervised"])
def test_the_other_arms_go_through_skops(run, table, cifs, tmp_path, arm):
    epochs = ["--epochs", 1] if arm in ("transfer", "supervised") else []
    model = tmp_path / "model.skops"
    assert run("fit", table, "--target", "energy", "--arm", arm, "-o", model, *epochs)[0] == 0
    (cifs.parent / "bad.cif").write_text(BAD)
    words = ["predict", model, cifs / "s0.cif", cifs.parent / "bad.cif", "-o", tmp_path / "p.parquet"]
    assert run(*words)[0] == 1
    found = pd.read_parquet(tmp_path / "p.parquet")["energy"]
    assert found.notna().tolist() == [True, False]
    code, out, _ = run("info", model)
    assert code == 0
    assert f"a model of energy: {arm}, fitted to 29 labels" in out


def test_labels_beside_a_folder(run, cifs, y, tmp_path):
    labels = tmp_path / "labels.csv"
    names = [f"s{k}" for k in range(9)] + ["s77"]
    pd.DataFrame({"name": names[::-1], "energy": y[:10]}).to_csv(labels, index=False)
    words = ["fit", labels, "--target", "energy", "--arm", "composition", "-o", tmp_path / "m.skops"]
    code, _, err = run(*words, "--structures", cifs)
    assert code == 0
    assert "1 labelled rows have no structure (s77)" in err
    X = SiteNetFeaturizer().transform([cifs / f"s{k}.cif" for k in range(8, -1, -1)])
    expected = make_arm("composition", random_state=0).fit(X, y[1:10])
    np.testing.assert_allclose(load_model(tmp_path / "m.skops")[1:].predict(X), expected.predict(X))
    code, _, err = run(*words[:-1], tmp_path / "n.skops")
    assert code == 2
    assert "--structures my_cifs/" in err
    labels.write_text("name,energy\na/s1,1\ns1,2\n")
    (tmp_path / "b").mkdir()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "s1.cif").write_text((cifs / "s1.cif").read_text())
    code, _, err = run(*words[:-1], tmp_path / "n.skops", "--structures", tmp_path / "a", tmp_path / "b")
    assert code == 2
    assert "may be" in err


def test_model_files_of_others(run, cifs, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    pickled, target = tmp_path / "m.joblib", ["-o", tmp_path / "p.csv"]
    joblib.dump(Trap(), pickled)
    code, _, err = run("predict", pickled, cifs, *target)
    assert code == 2
    assert "was not loaded: it is a pickle" in err
    code, out, _ = run("info", pickled)
    assert code == 0
    assert "it was not loaded" in out
    assert not (tmp_path / "run").exists()
    # A .skops that holds what no model of skdim does.
    other = tmp_path / "m.skops"
    save_model(make_pipeline(DummyRegressor(), np.polynomial.Polynomial([1, 2])), other, {"target": "a"})
    code, _, err = run("predict", other, cifs, *target)
    assert code == 2
    assert "holds numpy.polynomial" in err
    assert describe_model(other) == {"target": "a"}
    other.write_bytes(other.read_bytes()[:-50])
    code, _, err = run("predict", other, cifs, *target)
    assert code == 2
    assert "no model that skdim fit wrote, or damaged" in err


# ---- evaluate ----


def test_evaluate(run, table, shipped, y, tmp_path, monkeypatch):
    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 2, "--arms", "representation", "-o"]
    fits, stop_at = [], 5
    import skdim._label_efficiency as module

    real = module._fit_one

    def counted(*args):
        if len(fits) == stop_at:
            raise KeyboardInterrupt
        fits.append(args[0])
        return real(*args)

    monkeypatch.setattr(module, "_fit_one", counted)
    assert run(*words, tmp_path / "e.csv")[0] == 130
    assert left(tmp_path) == [".e.csv.work"]
    stop_at = None
    code, out, err = run(*words, tmp_path / "e.csv")
    assert code == 0
    assert len(fits) == 3 * 4, "no fit is done twice"
    assert "evaluate: 4 of 4 folds" in err
    found = pd.read_csv(tmp_path / "e.csv")
    keep = np.arange(30) != 3
    X = SiteNetFeaturizer().transform(pd.read_csv(table)["cif"])[keep]
    arms = {name: make_arm(name, shipped) for name in ("mean", "composition", "representation")}
    expected = cross_validate_arms(arms, X, y[:30][keep], n_splits=2, n_draws=2)
    np.testing.assert_allclose(found["mae"], expected["mae"], rtol=1e-5)
    for arm, mae in found.groupby("arm")["mae"]:
        assert f"  {arm:16s}{mae.median():9.4f} (" in out
    assert "better than composition in" in out
    assert left(tmp_path) == ["e.csv"]


def test_evaluate_on_a_terminal(run, table, tmp_path, monkeypatch):
    """A bar in the place of lines."""
    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 1, "--arms", "composition", "-o"]
    with monkeypatch.context() as patch:
        patch.setattr("skdim.cli._terminal.sys.stderr.isatty", lambda: True, raising=False)
        code, out, err = run(*words, tmp_path / "a.csv")
    assert code == 0
    assert "evaluate: 100%" in err
    assert "2/2 [" in err
    assert "2 of 2 folds" not in err
    code, plain, err = run(*words, tmp_path / "b.csv")
    assert code == 0
    assert re.search(r"evaluate: 2 of 2 folds, \d\d:\d\d, mean=1\.\d+, composition=\d", err)
    assert plain == out


def interrupted(net, *args, **kwargs):
    """A training step during which Ctrl-C is pressed."""
    raise KeyboardInterrupt


def test_interrupts_within_a_training(run, table, cifs, tmp_path, monkeypatch):
    """A network keeps the weights of that moment, and its fit ends well: here no half-trained network may be kept."""
    target = [table, "--target", "energy"]
    commands = {
        "m.joblib": ["fit", *target, "--arm", "supervised", "--epochs", 1],
        "e.csv": ["evaluate", *target, "--arms", "supervised", "--epochs", 1, "--folds", 2, "--draws", 1],
        "weights": ["pretrain", cifs, "--epochs", 1],
    }
    for name, words in commands.items():
        with monkeypatch.context() as patch:
            patch.setattr("skdim._net.CrystalNet.train_step", interrupted)
            code, out, err = run(*words, "-o", tmp_path / name)
        assert (code, out) == (130, ""), err
        assert f"skdim {words[0]}: interrupted; " in err
        assert "the same command " in err.splitlines()[-1]
        assert "error" not in err
        assert left(tmp_path) == [f".{name}.work"]
        code, _, err = run(*words, "-o", tmp_path / name)
        assert code == 0, err
        assert "featurized already" in err
        assert left(tmp_path) == [name]
        (tmp_path / name).rename(tmp_path.parent / f"{tmp_path.name}-{name}")


def test_evaluate_with_other_options_than_before(run, table, tmp_path, monkeypatch):
    """The fits of an interrupted run belong to its draws; what can be done is said."""
    import skdim._label_efficiency as module

    def stop(*args):
        raise KeyboardInterrupt

    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 1, "--arms", "composition"]
    words += ["-o", tmp_path / "e.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_fit_one", stop)
        assert run(*words)[0] == 130
    code, _, err = run(*words, "--seed", 1)
    assert code == 2
    assert "belongs to another comparison, with other random_state" in err
    work = tmp_path / ".e.csv.work"
    assert err.endswith(f"\n  {work} keeps the fits of an interrupted run: remove that folder to begin anew\n")
    assert run(*words)[0] == 0


def test_an_arm_that_fails(run, table, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("no memory left")

    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 1, "--arms", "supervised"]
    with monkeypatch.context() as patch:
        patch.setattr("skdim.SiteNetRegressor.fit", fail)
        code, _, err = run(*words, "-o", tmp_path / "e.csv")
    assert code == 2
    assert "no memory left" in err
    assert "'supervised'" in err


def test_folds_of_formulas(shipped, X, y):
    table = cross_validate_arms({"mean": make_arm("mean")}, X, y, n_splits=3, n_draws=2, train_sizes=[5, 10])
    assert table.groupby(["draw", "fold"]).size().tolist() == [2] * 6
    assert sorted(set(table["n_labels"])) == [5, 10]
    with pytest.raises(ValueError, match="asks for 39 labels"):
        cross_validate_arms({"mean": make_arm("mean")}, X, y, train_sizes=[39])
    bad = y.copy()
    bad[7] = np.nan
    with pytest.raises(ValueError, match=rf"y has 1 labels that are not finite, the first in row 7 \({X.formula(7)}\)"):
        cross_validate_arms({"mean": make_arm("mean")}, X, bad)
    for wrong in (y[1:], np.append(y, 1.0)):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            cross_validate_arms({"mean": make_arm("mean")}, X, wrong)
    with pytest.raises(ValueError, match="n_draws must be a positive integer"):
        cross_validate_arms({"mean": make_arm("mean")}, X, y, n_draws=0)
    with pytest.raises(TypeError, match="cross_validate_arms takes the Crystals"):
        cross_validate_arms({"mean": make_arm("mean")}, list(y), y)


# ---- what goes wrong ----


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "nowhere.cif", "-o", "a.csv"], "no such file or folder: nowhere.cif"),
        (["embed", "{cifs}", "-o", "a.txt"], "a.txt must end in .csv, .parquet or .npy"),
        (["embed", "{cifs}", "-o", "{table}"], "table.csv exists: remove it first"),
        (["embed", "{cifs}", "-o", "a.npy", "--sites"], "--sites needs a table"),
        (["embed", "{cifs}", "-o", "a.csv", "--sites", "--representation", "local"], "give one of them"),
        (["embed", "{cifs}", "{store}", "-o", "a.csv"], "store is a store of featurized crystals: give it alone"),
        (["embed", "{store}", "-o", "a.csv", "--max-sites", "9"], "--max-sites is for reading structures, and"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "toaster"], "there is no such device; it may be cpu"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "meta"], "there is no such device; it may be cpu"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "cuda"], "there is no GPU that torch can use; leave the"),
        (["embed", "{cifs}", "-o", "a.csv", "--device", "cpu:1"], "torch finds 1 of them, counted from 0"),
        (["embed", "{cifs}", "-o", "a.csv", "--weights", "{cifs}"], "holds no pre-trained weights"),
        (["featurize", "{table}/x", "-o", "a"], "no such file or folder"),
        (["featurize", "{store}", "-o", "a"], "store is a store of featurized crystals already"),
        (["fit", "{table}", "--target", "energi", "-o", "a.skops"], "did you mean 'energy'?"),
        (["fit", "{table}", "--target", "cif", "-o", "a.skops"], "which is no finite number"),
        (["fit", "{table}", "--target", "energy", "-o", "a.pkl"], "must end in .skops (loading it runs no code)"),
        (["fit", "{table}", "--target", "energy", "-o", "a.skops", "--id", "id"], "--id goes with --structures"),
        (["fit", "{cifs}", "--target", "energy", "-o", "a.skops"], "must be a table, .csv or .parquet"),
        (
            ["fit", "{table}", "--target", "energy", "-o", "a.skops", "--arm", "structure", "--epochs", "3"],
            "--epochs is for the arms supervised and transfer",
        ),
        (
            ["fit", "{table}", "--target", "energy", "-o", "a.skops", "--arm", "supervised", "--weights", "{cifs}"],
            "--weights is for the arms representation and transfer; supervised has none",
        ),
        (["predict", "{table}", "{cifs}", "-o", "a.csv"], "no model that skdim fit wrote"),
        (["predict", "no.skops", "{cifs}", "-o", "a.csv"], "no such file: no.skops"),
        (["evaluate", "{table}", "--target", "energy", "-o", "a.png"], "must end in .csv or .parquet"),
        (["info", "{table}", "--verify"], "--verify is for a store"),
    ],
)
def test_bad_input(words, message, run, table, cifs, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, out, err = run(*(word.format(table=table, cifs=cifs, store=store) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith(f"skdim {words[0]}: error: ")
    assert message in err
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["embed", "a.cif"], "the following arguments are required: -o/--output"),
        (["embed", "a.cif", "-o", "a.csv", "--jobs", "0"], "argument --jobs: it must be an integer of at least 1"),
        (["pretrain", "a", "-o", "b", "--epochs", "x"], "it must be an integer of at least 1, not 'x'"),
    ],
)
def test_wrong_usage(words, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert message in capsys.readouterr().err


def test_all_cores():
    args = _parser().parse_args(["embed", "a.cif", "-o", "a.csv", "--jobs", "-1"])
    assert featurizer_of(args).n_jobs == -1
    with pytest.raises(SystemExit, match="2"):
        main(["embed", "a.cif", "-o", "a.csv", "--jobs", "-2"])


def test_without_pyarrow(run, cifs, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for words in (["embed", cifs], ["predict", "m.skops", cifs], ["evaluate", table, "--target", "energy"]):
        code, _, err = run(*words, "-o", tmp_path / "a.parquet")
        assert code == 2
        assert 'pip install "skdim-crystals[parquet]"; or give a path that ends in .csv' in err
        assert left(tmp_path) == []


def test_nobody_reads():
    """As in `skdim info | head -1`: that is no error, though it shows only when the buffer is written."""
    end, start = os.pipe()
    os.close(end)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "skdim", "info"]
    done = subprocess.run(command, stdout=start, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, env=buffered)
    os.close(start)
    assert (done.returncode, done.stderr) == (0, "")


def test_debug_shows_where(run, tmp_path):
    assert "Traceback" not in run("embed", tmp_path / "no.cif", "-o", "a.csv")[2]
    assert "Traceback" in run("embed", tmp_path / "no.cif", "-o", "a.csv", "--debug")[2]


def test_a_fault_of_skdim_is_not_taken_for_success(run, cifs, tmp_path, monkeypatch):
    """Python's own exit code would be 1: done, but for some structures."""
    monkeypatch.setattr(SiteNetFeaturizer, "transform_to_disk", lambda *_, **__: {}["no such key"])
    code, _, err = run("embed", cifs, "-o", tmp_path / "v.csv")
    assert code == 2
    assert "KeyError: 'no such key'" in err
    assert err.endswith("skdim embed: error: not done, by a fault of skdim: please report the lines above\n")


# ---- info ----


def test_info(run, table, cifs, tmp_path):
    code, out, _ = run("info")
    assert code == 0
    assert out.startswith("skdim ")
    assert "weights pre-trained on 42038 crystals" in out
    assert "30 rows that structures can be read from\nnames: m0, m1, m2, ..." in run("info", table)[1]
    run("featurize", cifs, "-o", tmp_path / "store")
    code, out, _ = run("info", tmp_path / "store", "--verify")
    assert code == 0
    assert "Crystals(10 crystals" in out
    assert "its checksums are right" in out
    header = json.loads((tmp_path / "store" / "header.json").read_text())
    assert all(feature in out for feature in header["site_features"])


def test_info_names_missing_extras(run, monkeypatch):
    found = {"ase": None, "numba": None}
    monkeypatch.setattr("skdim.cli.info.util", SimpleNamespace(find_spec=lambda name: found.get(name, "a spec")))
    out = run("info")[1]
    assert '\nnot installed: ase, fast (pip install "skdim-crystals[ase,fast]")\n' in out
