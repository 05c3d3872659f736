"""`skdim evaluate --report` and `skdim predict --report`: what the reports contain."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skdim import SiteNetFeaturizer
from skdim.inspection import nearest_labelled
from skdim.model_selection import FormulaKFold, make_arm
from tests.cli.running import BAD, left

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
pytest.importorskip("skops", reason="needs the extra 'skops'")

SCRIPT = "<script>alert(1)<"


def crystals_of(path):
    text = path.read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="crystals-data">(.*?)</script>', text, flags=re.DOTALL)
    data = json.loads(data[1])
    return text, pd.DataFrame(data["rows"], columns=[column["name"] for column in data["columns"]])


@pytest.fixture(scope="module")
def labels(table, tmp_path_factory):
    """The table of labels, with a name that could run code and a broken structure."""
    frame = pd.read_csv(table)
    frame.loc[5, "id"] = SCRIPT
    frame.loc[7, "cif"] = BAD
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    frame.to_csv(path, index=False)
    return path


def test_evaluate_writes_predictions_of_the_best_model_by_models_that_did_not_see_the_crystal(
    run, labels, shipped, y, tmp_path, monkeypatch
):
    words = ["evaluate", labels, "--target", "energy", "--folds", 3, "--draws", 1, "--arms", "representation"]
    words += ["-o", tmp_path / "e.csv", "--report", tmp_path / "r.html"]
    fits = []
    import skdim.cli._reports as module

    real = module._seeded

    def counted(*args):
        fits.append(args)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(module, "_seeded", counted)
    assert run(*words)[0] == 130
    assert left(tmp_path) == [".e.csv.work", "e.csv.failures.csv"]
    code, _, err = run(*words)
    assert code == 1, err
    assert len(fits) == 4, "a finished fold is not fitted again"
    assert left(tmp_path) == ["e.csv", "e.csv.failures.csv", "r.html"]
    assert f"{tmp_path / 'r.html'}: report, " in err
    text, data = crystals_of(tmp_path / "r.html")
    medians = pd.read_csv(tmp_path / "e.csv").groupby("arm")["mae"].median()
    best = medians.idxmin()
    assert f"model {best}, the best" in text
    keep = [k for k in range(30) if k not in (3, 7)]
    X = SiteNetFeaturizer().transform(pd.read_csv(labels)["cif"][keep].tolist())
    assert data["id"].tolist() == pd.read_csv(labels)["id"][keep].tolist()
    assert data["formula"].tolist() == X.formulas
    np.testing.assert_allclose(data["label"], y[keep], rtol=1e-5)
    expected = np.empty(len(X))
    written = pd.read_csv(labels)["energy"][keep].to_numpy()  # digits decide between equal splits of trees
    arm = real(make_arm(best, shipped), 0)  # with random_state=0, "untrained" would have other weights
    for train, test in FormulaKFold(3, salt="0").split(X):
        expected[test] = clone(arm).fit(X[train], written[train]).predict(X[test])
    np.testing.assert_allclose(data["prediction"], expected, rtol=1e-4, atol=1e-5)
    assert "m7</td>" in text.partition("Rows that failed")[2]
    assert text.count("<script") == 2


def test_evaluate_reports_standard_deviations(run, table, tmp_path, monkeypatch):
    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 1, "--labels", 8, "--arms", "structure"]
    import pandas

    monkeypatch.setattr(pandas.Series, "idxmin", lambda self: "structure")
    assert run(*words, "-o", tmp_path / "e.csv", "--report", tmp_path / "r.html")[0] == 0
    text, data = crystals_of(tmp_path / "r.html")
    assert (data["std"] > 0).all()
    assert "Calibration of the standard deviations" in text
    assert "fitted to 8 labels outside the fold" in text


def test_predict_finds_the_nearest_labelled_crystals(run, table, cifs, shipped, y, tmp_path):
    model, report = tmp_path / "m.skops", tmp_path / "r.html"
    assert run("fit", table, "--target", "energy", "--arm", "structure", "-o", model)[0] == 0
    (tmp_path / "new").mkdir()
    for k in (8, 9):
        (tmp_path / "new" / f"s{k}.cif").write_bytes((cifs / f"s{k}.cif").read_bytes())
    (tmp_path / "new" / f"{SCRIPT}.cif").write_text(BAD)
    words = ["predict", model, tmp_path / "new", "-o", tmp_path / "p.csv", "--report", report, "--labelled", table]
    code, _, err = run(*words)
    assert code == 1, err
    text, data = crystals_of(report)
    predictions = pd.read_csv(tmp_path / "p.csv")
    assert data["id"].tolist() == predictions["id"].tolist() == [f"{SCRIPT}.cif", "s8.cif", "s9.cif"]
    np.testing.assert_allclose(data["prediction"].astype(float), predictions["energy"], rtol=1e-5)
    labelled = [k for k in range(30) if k != 3]
    X = SiteNetFeaturizer().transform(pd.read_csv(table)["cif"])
    expected = nearest_labelled(shipped, X[[8, 9]], X[labelled], y[labelled], n_neighbors=1)
    names = [f"m{labelled[k]}" for k in expected["neighbour"]]
    assert names == ["m8", "m9"], "these structures have labels themselves"
    assert data["nearest labelled"].tolist() == [None, *names]
    assert data["its formula"].tolist()[1:] == expected["neighbour_formula"].tolist()
    np.testing.assert_allclose(data["its label"].tolist()[1:], expected["label"], rtol=1e-5)
    assert "&lt;script&gt;alert(1)&lt;.cif" in text.partition("Rows that failed")[2]
    assert text.count("<script") == 2
    assert not list(tmp_path.glob(".*.work"))


def test_predictions_of_a_store_have_a_report(run, table, store, tmp_path):
    assert run("fit", table, "--target", "energy", "--arm", "composition", "-o", tmp_path / "m.skops")[0] == 0
    words = ["predict", tmp_path / "m.skops", store, "-o", tmp_path / "p.csv", "--report", tmp_path / "r.html"]
    code, _, err = run(*words)
    assert code == 0, err
    text, data = crystals_of(tmp_path / "r.html")
    assert len(data) == 10
    assert "nearest labelled" not in data
    outside = pd.read_csv(tmp_path / "p.csv")["outside"]
    assert data["outside"].tolist() == ["yes" if one else "no" for one in outside]
    assert "composition, fitted to 29 labels" in text
    code, _, err = run(*words[:-1], tmp_path / "r.html")
    assert code == 2
    assert "exists" in err


def test_errors_name_what_is_wrong(run, table, cifs, tmp_path):
    assert run("fit", table, "--target", "energy", "--arm", "composition", "-o", tmp_path / "m.skops")[0] == 0
    (tmp_path / "old.html").write_text("")
    evaluate = ["evaluate", table, "--target", "energy", "-o", tmp_path / "e.csv"]
    predict = ["predict", tmp_path / "m.skops", cifs, "-o", tmp_path / "p.csv"]
    report = ["--report", tmp_path / "r.html"]
    for words, message in (
        ([*evaluate, "--report", tmp_path / "r.pdf"], "the file must end in .html"),
        ([*evaluate, "--report", tmp_path / "old.html"], "old.html exists"),
        ([*predict, "--report", tmp_path / "old.html"], "old.html exists"),
        ([*predict, "--labelled", table], "--labelled can be used only with --report"),
        ([*predict, *report, "--labelled-structures", cifs], "can be used only with --labelled"),
        ([*predict, *report, "--labelled", tmp_path / "no.csv"], "no such file"),
        (["predict", "properties", cifs, "-o", tmp_path / "p.csv", "--known", *report], "--report cannot be used with"),
        ([*evaluate, *report, "--task", "classification"], "--report is for numbers"),
    ):
        code, _, err = run(*words)
        assert code == 2
        assert message in err
    assert left(tmp_path) == ["m.skops", "old.html"]
