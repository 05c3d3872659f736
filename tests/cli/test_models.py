"""`skdim fit` and `skdim predict`: models in files."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.pipeline import make_pipeline

from skdim import SiteNetFeaturizer
from skdim.cli._model_file import describe_model, load_model, save_model
from skdim.model_selection import make_arm
from tests.cli.running import BAD

pytest.importorskip("skops", reason="needs the extra 'skops'")


@pytest.mark.parametrize("suffix", [".skops", ".joblib"])
def test_fit_and_predict(run, table, cifs, structures, y, tmp_path, suffix):
    model = tmp_path / f"model{suffix}"
    code, _, err = run("fit", table, "--target", "energy", "--arm", "composition", "--seed", 1, "-o", model)
    assert code == 0
    assert "1 of 30 rows have no energy" in err
    assert "fitting composition to 29 labels of energy" in err
    trust = ["--trust"] if suffix == ".joblib" else []
    assert run("predict", model, cifs, "-o", tmp_path / "p.csv", *trust)[0] == 0
    predictions = pd.read_csv(tmp_path / "p.csv")
    keep = np.arange(30) != 3
    X = SiteNetFeaturizer().transform(pd.read_csv(table)["cif"])
    expected = make_arm("composition", random_state=1).fit(X[keep], y[:30][keep])
    assert "energy_std" not in predictions, "trees have no standard deviations"
    new = SiteNetFeaturizer().transform(sorted(cifs.glob("*.cif")))
    np.testing.assert_allclose(predictions["energy"], expected.predict(new))
    assert predictions["formula"].tolist() == new.formulas
    # In Python, the model is a pipeline that predicts from structures.
    loaded = load_model(model, trust=True)
    np.testing.assert_allclose(loaded.predict(structures[:2]), expected.predict(X[:2]))


@pytest.mark.parametrize("arm", ["best", "average", "transfer", "representation", "structure", "supervised"])
def test_other_models_are_saved_by_skops(run, table, cifs, tmp_path, arm):
    epochs = ["--epochs", 1] if arm in ("transfer", "supervised") else []
    chosen = [] if arm == "best" else ["--arm", arm]  # best is the default
    model = tmp_path / "model.skops"
    code, _, err = run("fit", table, "--target", "energy", "-o", model, *chosen, *epochs)
    assert code == 0
    assert ("chosen by cross-validation over formulas: " in err) == (arm in ("best", "average"))
    (cifs.parent / "bad.cif").write_text(BAD)
    words = ["predict", model, cifs / "s0.cif", cifs.parent / "bad.cif", "-o", tmp_path / "p.parquet"]
    assert run(*words)[0] == 1
    predictions = pd.read_parquet(tmp_path / "p.parquet")
    assert predictions["energy"].notna().tolist() == [True, False]
    assert ("energy_std" in predictions) == (arm not in ("transfer", "supervised"))
    if "energy_std" in predictions:
        crystals = SiteNetFeaturizer().transform([cifs / "s0.cif"])
        mean, std = load_model(model)[1:].predict(crystals, return_std=True)
        np.testing.assert_allclose(predictions.loc[0, ["energy", "energy_std"]].astype(float), [mean[0], std[0]])
        assert std[0] > 0
    code, out, _ = run("info", model)
    assert code == 0
    assert f"a model of energy: {arm}, fitted to 29 labels" in out


def test_labels_of_structures_in_a_folder(run, cifs, y, tmp_path):
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
    assert "matches" in err


def test_untrusted_model_files_run_no_code(run, cifs, tmp_path):
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
    assert "which was not loaded" in out
    assert not (tmp_path / "run").exists()
    # A .skops file with a type that no model of skdim contains.
    other = tmp_path / "m.skops"
    save_model(make_pipeline(DummyRegressor(), np.polynomial.Polynomial([1, 2])), other, {"target": "a"})
    code, _, err = run("predict", other, cifs, *target)
    assert code == 2
    assert "holds numpy.polynomial" in err
    assert describe_model(other)["target"] == "a"
    other.write_bytes(other.read_bytes()[:-50])
    code, _, err = run("predict", other, cifs, *target)
    assert code == 2
    assert "not a model written by skdim fit, or damaged" in err
