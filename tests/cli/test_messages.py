"""Mistakes of new users are explained in terms of the command line."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure

from skdim import ApplicabilityDomain, SiteNetFeaturizer
from skdim.cli import main
from skdim.cli._model_file import describe_model
from tests.cli.running import left
from tests.helpers.small_structures import write_cifs

pytest.importorskip("skops", reason="needs the extra 'skops'")


@pytest.fixture
def cifs(structures, tmp_path):
    """A folder of twelve CIFs and a table that names them."""
    folder = write_cifs(structures[:12], tmp_path / "cifs")
    names = [f"s{k}" for k in range(12)]
    pd.DataFrame({"name": names, "energy": np.arange(12.0)}).to_csv(tmp_path / "labels.csv", index=False)
    return folder


def test_no_command_shows_the_help(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("usage: skdim ")
    assert "pre-train weights on structures without labels" in err


def test_featurize_does_not_offer_a_store(capsys):
    for command, offered in (("featurize", False), ("embed", True)):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert "ASE databases (.db)" in text
        assert ("or one store written by `skdim featurize`" in text) == offered


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_named(run, cifs, tmp_path, separator):
    path = tmp_path / "semicolons.csv"
    pd.read_csv(tmp_path / "labels.csv").to_csv(path, sep=separator, index=False)
    for words in (
        ["fit", path, "--target", "energy", "--structures", cifs, "-o", tmp_path / "m.skops"],
        ["embed", path, "-o", tmp_path / "v.csv"],
    ):
        code, _, err = run(*words)
        assert code == 2
        assert "as a single column: cells must be separated by commas" in err
        assert "did you mean" not in err


def test_only_some_columns_of_wide_tables_are_listed(run, tmp_path):
    pd.DataFrame(np.zeros((1, 50))).add_prefix("column").to_csv(tmp_path / "a.csv", index=False)
    err = run("info", tmp_path / "a.csv")[2]
    assert "It has column0, column1, column2, column3, column4, column5, column6, column7, ... (50 in all)" in err


def test_a_column_of_file_names_is_explained(run, tmp_path):
    pd.DataFrame({"cif": ["a/NaCl.cif", "what", "one\ntwo.cif"]}).to_csv(tmp_path / "a.csv", index=False)
    code, _, err = run("embed", tmp_path / "a.csv", "-o", tmp_path / "v.csv")
    lines = [line for line in err.splitlines() if "in none of the formats" in line]
    assert code == 1
    assert ["may be the name of a file" in line for line in lines] == [True, False, False]
    assert f"{tmp_path / 'v.csv'}: 3 rows (3 empty), 192 numbers each" in err


def test_a_label_that_is_not_a_number_is_named(run, cifs, tmp_path):
    pd.DataFrame({"name": ["s0", "s1"], "energy": ["1.5", "2 eV"]}).to_csv(tmp_path / "a.csv", index=False)
    err = run("fit", tmp_path / "a.csv", "--target", "energy", "--structures", cifs, "-o", tmp_path / "m.skops")[2]
    assert "row 1 (s1) has energy '2 eV', which is not a finite number" in err


def test_a_missing_column_of_names_is_explained(run, cifs, tmp_path):
    pd.DataFrame({"compound": ["s0"], "energy": [1.0]}).to_csv(tmp_path / "a.csv", index=False)
    err = run("fit", tmp_path / "a.csv", "--target", "energy", "--structures", cifs, "-o", tmp_path / "m.skops")[2]
    assert "name the column of structure names with --id. Available: compound, energy" in err


def test_an_empty_folder_leaves_no_files(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = run("embed", tmp_path / "empty", "-o", tmp_path / "v.csv")
    assert code == 2
    assert "empty contains no structures" in err
    assert left(tmp_path) == ["empty"]


def test_too_few_labels_for_the_folds_is_an_error(run, cifs, tmp_path):
    words = ["evaluate", tmp_path / "labels.csv", "--target", "energy", "--structures", cifs]
    words += ["--arms", "structure", "-o", tmp_path / "errors.csv"]
    code, _, err = run(*words, "--folds", "40")
    assert code == 2
    assert "of 40 is empty: 12 crystals" in err
    assert "n_splits is the option --folds" in err
    code, _, err = run(*words, "--folds", "2", "--labels", "4", "100")
    assert code == 2
    assert "train_sizes has 100 labels, but there are only " in err
    assert "train_sizes is --labels" in err
    assert "evaluate: 1 of" not in err  # before any fit


def test_remedies_are_options_of_the_command_that_reads(run, cifs, tmp_path):
    """`predict` reads with the settings of `fit`, and a store was read by `featurize`."""
    disordered = tmp_path / "alloy.cif"
    Structure(Lattice.cubic(4), [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]]).to(filename=str(disordered))
    model = tmp_path / "model.skops"
    labels = ["--target", "energy", "--structures", cifs]
    assert run("fit", tmp_path / "labels.csv", *labels, "--arm", "structure", "-o", model)[0] == 0
    option = "(disordered='majority' is the option --disordered majority"
    code, _, err = run("embed", disordered, "-o", tmp_path / "v.csv")
    assert code == 1
    assert f"  row 0, {disordered} (Cu0.5Au0.5): site 0 is disordered" in err
    assert f"{option})" in err
    assert f"{option} of `skdim fit`)" in run("predict", model, disordered, "-o", tmp_path / "p.csv")[2]
    assert f"{option})" in run("featurize", disordered, "-o", tmp_path / "store")[2]
    for words in (["embed", tmp_path / "store"], ["predict", model, tmp_path / "store"]):
        err = run(*words, "-o", tmp_path / f"of_store_{words[0]}.csv")[2]
        assert f"{option} of `skdim featurize`)" in err
    out = run("info", tmp_path / "store")[1]
    assert "1 row is empty, as its structure failed; the first: " in out
    assert "alloy.cif (Cu0.5Au0.5): site 0 is disordered" in out


def test_new_elements_in_predictions_are_reported(run, cifs, tmp_path):
    model = tmp_path / "model.skops"
    labels = ["--target", "energy", "--structures", cifs]
    assert run("fit", tmp_path / "labels.csv", *labels, "--arm", "composition", "-o", model)[0] == 0
    known = {el for file in cifs.iterdir() for el in Structure.from_file(file).symbol_set}
    assert set(describe_model(model)["elements"]) == known
    assert "Pu" not in known
    assert "warning" not in run("predict", model, cifs, "-o", tmp_path / "same.csv")[2]
    file = tmp_path / "new.cif"
    Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.9), ["Pu", "N"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(
        filename=str(file)
    )
    code, _, err = run("predict", model, file, "-o", tmp_path / "new.csv")
    assert code == 0
    new = ", ".join(symbol for symbol in ("N", "Pu") if symbol not in known)
    assert f"1 have elements that no training crystal has: {new} (first: row 0, {file}, PuN)" in err
    assert pd.read_csv(tmp_path / "same.csv")["distance"].max() < 1e-3
    table = pd.read_csv(tmp_path / "new.csv")
    assert table.columns.tolist() == ["id", "formula", "energy", "distance", "outside"]
    domain = ApplicabilityDomain().fit(SiteNetFeaturizer().transform(sorted(cifs.iterdir())))
    score = domain.score_samples(SiteNetFeaturizer().transform([file]))
    np.testing.assert_allclose(-table["distance"], score, rtol=1e-4)
    assert table["outside"].tolist() == (score < domain.offset_).tolist()


def test_resuming_a_pretraining_with_other_options_is_refused(run, cifs, tmp_path, monkeypatch):
    from skdim import DeepInfoMaxEmbedder

    save = DeepInfoMaxEmbedder.save_pretrained
    monkeypatch.setattr(DeepInfoMaxEmbedder, "save_pretrained", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    words = ["pretrain", cifs, "-o", tmp_path / "w", "--epochs"]
    assert run(*words, 1)[0] == 2
    code, _, err = run(*words, 2)
    assert code == 2
    assert "max_epochs is the option --epochs" in err
    monkeypatch.setattr(DeepInfoMaxEmbedder, "save_pretrained", save)
    assert run(*words, 1)[0] == 0


def test_a_folder_is_not_a_row(tmp_path):
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(TypeError, match=r"is the folder .*; pass a list of its files, sorted\(Path\(folder\)"):
            SiteNetFeaturizer().fit(folder)


def test_a_closed_standard_error_does_not_stop_the_command(cifs, tmp_path):
    """As in `skdim embed ... 2>&1 | head -1`."""
    end, start = os.pipe()
    os.close(end)
    command = [sys.executable, "-m", "skdim", "embed", cifs, "-o", tmp_path / "v.csv"]
    done = subprocess.run(list(map(str, command)), stdout=start, stderr=start, timeout=300)
    os.close(start)
    assert done.returncode == 0
    assert len(pd.read_csv(tmp_path / "v.csv")) == 12
    assert left(tmp_path) == ["cifs", "labels.csv", "v.csv"]
