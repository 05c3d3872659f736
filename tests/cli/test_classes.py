"""`skdim fit`, `predict`, `evaluate` and `info` with --task classification."""

import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetFeaturizer
from skdim.cli._model_file import load_model
from skdim.model_selection import cross_validate_arms, make_arm


@pytest.fixture(scope="module")
def metals(table, y, tmp_path_factory):
    """The table of labels, with a column of classes; row 3 has none."""
    path = tmp_path_factory.mktemp("data") / "metals.csv"
    frame = pd.read_csv(table)
    frame["kind"] = np.where(y[:30] > np.median(y[:30]), "metal", " insulator")
    frame.loc[3, "kind"] = None
    frame["number"] = (frame["kind"] == "metal").astype(int)
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def labels(metals):
    return pd.read_csv(metals)["kind"].str.strip().to_numpy(dtype=object)


TASK = ("--task", "classification")


@pytest.mark.parametrize("arm", ["composition", "transfer", "best"])
def test_fit_and_predict(arm, run, metals, labels, cifs, shipped, tmp_path):
    pytest.importorskip("skops", reason="needs the extra 'skops'")
    epochs = ["--epochs", 1] if arm == "transfer" else []
    model = tmp_path / "model.skops"
    code, _, err = run("fit", metals, "--target", "kind", *TASK, "--arm", arm, "--seed", 1, "-o", model, *epochs)
    assert code == 0, err
    assert "1 of 30 rows have no kind" in err
    assert f"fitting {arm} to 29 labels of kind" in err
    (cifs.parent / "bad.cif").write_text("data_x\n_cell_length_a nonsense\n")
    assert run("predict", model, cifs, cifs.parent / "bad.cif", "-o", tmp_path / "p.csv")[0] == 1
    predictions = pd.read_csv(tmp_path / "p.csv")
    assert list(predictions)[:5] == ["id", "formula", "kind", "probability_insulator", "probability_metal"]
    keep = np.arange(30) != 3
    X = SiteNetFeaturizer().transform(pd.read_csv(metals)["cif"])
    options = {"random_state": 1, "max_epochs": 1, "device": "cpu"}
    embedder = None if arm == "best" else shipped  # None takes both included weights
    expected = make_arm(arm, embedder, task="classification", **options).fit(X[keep], labels[keep].astype(str))
    new = SiteNetFeaturizer().transform(sorted(cifs.glob("*.cif")))
    good = predictions["formula"].notna().to_numpy()
    assert good.sum() == 10
    proba = predictions[["probability_insulator", "probability_metal"]].to_numpy()
    np.testing.assert_allclose(proba[good], expected.predict_proba(new), rtol=1e-4)
    assert predictions["kind"][good].tolist() == expected.predict(new).tolist()
    assert predictions.loc[~good, ["kind", "probability_metal"]].isna().all(axis=None)
    assert load_model(model).skdim_info_["classes"] == {"insulator": 14, "metal": 15}
    code, out, _ = run("info", model)
    assert code == 0
    assert "classes: insulator (14 labels), metal (15 labels)" in out


@pytest.mark.parametrize(("scoring", "name"), [(None, "Negative log loss"), ("roc_auc", "ROC AUC")])
def test_evaluate(scoring, name, run, metals, labels, shipped, tmp_path):
    words = ["evaluate", metals, "--target", "kind", *TASK, "--folds", 2, "--draws", 1, "--arms", "representation"]
    code, out, err = run(*words, *(["--scoring", scoring] if scoring else []), "-o", tmp_path / "e.csv")
    assert code == 0, err
    assert f"{name} of kind, greater is better, on formulas outside the training set:" in out
    results = pd.read_csv(tmp_path / "e.csv")
    keep = np.arange(30) != 3
    X = SiteNetFeaturizer().transform(pd.read_csv(metals)["cif"])[keep]
    models = {arm: make_arm(arm, shipped, task="classification") for arm in ("mean", "composition", "representation")}
    expected = cross_validate_arms(models, X, labels[keep].astype(str), scoring=scoring, n_splits=2, n_draws=1)
    column = f"test_{scoring or 'neg_log_loss'}"
    np.testing.assert_allclose(results[column], expected[column], rtol=1e-5)
    assert "better than composition in" in out


def test_numbers_are_classes_too(run, metals, tmp_path):
    words = ["fit", metals, "--target", "number", *TASK, "--arm", "structure", "-o", tmp_path / "m.joblib"]
    assert run(*words)[0] == 0
    assert load_model(tmp_path / "m.joblib", trust=True).classes_.tolist() == ["0", "1"]


def test_labels_that_are_not_classes_are_refused(run, metals, table, tmp_path):
    output = ["-o", tmp_path / "m.joblib"]
    code, _, err = run("fit", table, "--target", "energy", *TASK, *output)
    assert code == 2
    assert "the column 'energy' has 29 different values in 29 rows: for numbers, omit --task classification" in err
    code, _, err = run("fit", metals, "--target", "kind", *output)
    assert code == 2
    assert "which is not a finite number; for classes, add --task classification" in err
    one = tmp_path / "one.csv"
    pd.read_csv(metals).assign(kind="metal").to_csv(one, index=False)
    code, _, err = run("fit", one, "--target", "kind", *TASK, *output)
    assert code == 2
    assert "all labels in the column 'kind' are 'metal': no classes" in err
    code, _, err = run("evaluate", table, "--target", "energy", "--scoring", "accuracy", "-o", tmp_path / "e.csv")
    assert code == 2
    assert "--scoring can be used only with --task classification" in err
