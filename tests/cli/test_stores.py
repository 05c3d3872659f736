"""`skdim featurize` and `skdim pretrain`: stores, and runs that resume."""

import signal
import subprocess
import sys

import numpy as np
import pandas as pd

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from tests.cli.running import BAD, PATIENCE, in_process, left


def test_featurize_resumes_after_a_kill(run, table, tmp_path, monkeypatch):
    monkeypatch.setattr("skdim.cli._inputs.crystals.CHUNK", 4)
    script = (
        "import os, sys, skdim._featurizer.chunk_journal as j, skdim.cli._inputs.crystals as f\n"
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
    assert "resuming an earlier run" in err
    crystals = Crystals.load(tmp_path / "store", verify=True)
    expected = SiteNetFeaturizer().transform(pd.read_csv(table)["cif"])
    np.testing.assert_array_equal(crystals.distance, expected.distance)
    assert left(tmp_path) == ["store"]
    # Other commands accept it instead of structures.
    assert run("embed", tmp_path / "store", "-o", tmp_path / "v.csv")[0] == 0
    assert pd.read_csv(tmp_path / "v.csv")["id"].tolist() == [f"m{k}" for k in range(30)]


def test_pretrain_resumes_after_an_interrupt(run, cifs, tmp_path):
    store = tmp_path / "store"
    run("featurize", cifs, "-o", store)
    words = ["pretrain", store, "--epochs", 40, "--seed", 3, "-o"]
    assert run(*words, tmp_path / "whole")[0] == 0
    process = in_process(*words, "broken", cwd=tmp_path, start=True)
    lines = []
    while not any(line.startswith("pre-train: 2 of 40 epochs") for line in lines):
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130, err
    assert "interrupted; training was interrupted in epoch" in err
    assert not (tmp_path / "broken").exists()
    code, _, err = run(*words, tmp_path / "broken")
    assert code == 0
    assert "pre-train: 1 of" not in err
    assert "pre-train: 40 of 40 epochs" in err
    # Date and folder aside, the two are equal.
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "broken")]
    assert weights[0] == weights[1]
    expected = DeepInfoMaxEmbedder(max_epochs=40, random_state=3).fit(Crystals.load(store))
    embedder = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "broken")
    np.testing.assert_array_equal(embedder.transform(Crystals.load(store)), expected.transform(Crystals.load(store)))
    code, out, _ = run("info", tmp_path / "broken")
    assert code == 0
    assert "pre-trained on 10 crystals for 40 epochs" in out
    # The weights can be trained further, and used.
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
    assert "run the same command to resume" in err
    assert left(tmp_path) == [".v.csv.work"]
    code, _, err = run("embed", cifs / "s1.cif", "-o", tmp_path / "v.csv")
    assert code == 2
    assert "belongs to an interrupted run with other structures or options" in err
    code, _, err = run(*words)
    assert code == 0
    assert "using the structures that an earlier run has featurized" in err
    assert left(tmp_path) == ["v.csv"]


def test_long_lists_of_failures_are_shortened(run, tmp_path):
    folder = tmp_path / "cifs"
    folder.mkdir()
    for k in range(23):
        (folder / f"{k:02}.cif").write_text(BAD)
    code, _, err = run("featurize", folder, "-o", tmp_path / "store")
    assert code == 1
    lines = err.splitlines()
    assert "23 of 23 structures failed:" in lines
    assert [line.split(":")[0] for line in lines if ".cif: " in line] == [f"  row {k}, {k:02}.cif" for k in range(20)]
    assert "  ... and 3 more" in lines
    assert f"  see {tmp_path / 'store' / 'failures.csv'}" in lines
    assert len(pd.read_csv(tmp_path / "store" / "failures.csv")) == 23
    code, out, _ = run("info", tmp_path / "store")
    assert code == 0
    assert "23 rows are empty, as their structures failed; the first: row 0, 00.cif: " in out


def test_site_features_that_the_weights_do_not_use_are_ignored(run, store, cifs, tmp_path):
    """Oxidation states in the store that the weights do not use are ignored."""
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
    words = ["--epochs", 1, "--description", "ten crystals", "--licence", "CC0"]
    assert run("pretrain", cifs, "-o", tmp_path / "first", *words)[0] == 0
    assert run("pretrain", store, "-o", tmp_path / "second", "--start", tmp_path / "first", *words)[0] == 0
    second = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "second")
    assert second.n_iter_ == 2
    assert second.site_features_ == DeepInfoMaxEmbedder.from_pretrained(tmp_path / "first").site_features_
    out = run("info", tmp_path / "second")[1]
    assert "\ndata: ten crystals\nlicence: CC0\n" in out


def test_stores_without_names(run, X, tmp_path):
    """The number of a row is not a name; names of another number of rows are refused."""
    X[:3].save(tmp_path / "store")
    assert run("embed", tmp_path / "store", "-o", tmp_path / "v.csv")[0] == 0
    vectors = pd.read_csv(tmp_path / "v.csv")
    assert (len(vectors), "id" in vectors) == (3, False)
    assert run("embed", tmp_path / "store", "-o", tmp_path / "s.csv", "--sites")[0] == 0
    sites = pd.read_csv(tmp_path / "s.csv")
    assert sites.columns[:3].tolist() == ["row", "site", "element"]
    assert sites["row"].unique().tolist() == [0, 1, 2]
    assert "\nno names\n" in run("info", tmp_path / "store")[1]
    (tmp_path / "store" / "ids.csv").write_text("id\na\nb\n")
    code, _, err = run("embed", tmp_path / "store", "-o", tmp_path / "w.csv")
    assert code == 2
    assert "ids.csv has 2 names for 3 crystals: featurize again" in err
