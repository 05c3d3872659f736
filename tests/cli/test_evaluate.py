"""`skdim evaluate`: models compared fold by fold."""

import re

import numpy as np
import pandas as pd

from skdim import SiteNetFeaturizer
from skdim.model_selection import cross_validate_arms, make_arm
from tests.cli.running import left


def test_evaluate(run, table, shipped, y, tmp_path, monkeypatch):
    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 2, "--arms", "representation", "-o"]
    fits, stop_at = [], 5
    import skdim.model_selection._label_efficiency as module

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
    results = pd.read_csv(tmp_path / "e.csv")
    keep = np.arange(30) != 3
    X = SiteNetFeaturizer().transform(pd.read_csv(table)["cif"])[keep]
    arms = {name: make_arm(name, shipped) for name in ("mean", "composition", "representation")}
    expected = cross_validate_arms(arms, X, y[:30][keep], n_splits=2, n_draws=2)
    np.testing.assert_allclose(results["mae"], expected["mae"], rtol=1e-5)
    for arm, mae in results.groupby("arm")["mae"]:
        assert f"  {arm:16s}{mae.median():9.4f} (" in out
    assert "better than composition in" in out
    assert left(tmp_path) == ["e.csv"]


def test_evaluate_on_a_terminal(run, table, tmp_path, monkeypatch):
    """A progress bar instead of lines."""
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
    """A training step that is interrupted by Ctrl-C."""
    raise KeyboardInterrupt


def test_an_interrupt_during_training_saves_no_model(run, table, cifs, tmp_path, monkeypatch):
    """No partly trained network is kept, and the same command starts again."""
    target = [table, "--target", "energy"]
    commands = {
        "m.joblib": ["fit", *target, "--arm", "supervised", "--epochs", 1],
        "e.csv": ["evaluate", *target, "--arms", "supervised", "--epochs", 1, "--folds", 2, "--draws", 1],
        "weights": ["pretrain", cifs, "--epochs", 1],
    }
    for name, words in commands.items():
        with monkeypatch.context() as patch:
            patch.setattr("skdim._training.net.CrystalNet.train_step", interrupted)
            code, out, err = run(*words, "-o", tmp_path / name)
        assert (code, out) == (130, ""), err
        assert f"skdim {words[0]}: interrupted; " in err
        assert "the same command " in err.splitlines()[-1]
        assert "error" not in err
        assert left(tmp_path) == [f".{name}.work"]
        code, _, err = run(*words, "-o", tmp_path / name)
        assert code == 0, err
        assert "using the structures that an earlier run has featurized" in err
        assert left(tmp_path) == [name]
        (tmp_path / name).rename(tmp_path.parent / f"{tmp_path.name}-{name}")


def test_resuming_with_other_options_is_refused(run, table, tmp_path, monkeypatch):
    """The fits of an interrupted run belong to its draws."""
    import skdim.model_selection._label_efficiency as module

    def stop(*args):
        raise KeyboardInterrupt

    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 1, "--arms", "composition"]
    words += ["-o", tmp_path / "e.csv"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "_fit_one", stop)
        assert run(*words)[0] == 130
    code, _, err = run(*words, "--seed", 1)
    assert code == 2
    assert "is for another comparison, with other random_state" in err
    work = tmp_path / ".e.csv.work"
    assert err.endswith(f"\n  {work} holds the fits of an interrupted run: delete that folder to start again\n")
    assert run(*words)[0] == 0


def test_an_error_names_the_model_that_fails(run, table, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError("no memory left")

    words = ["evaluate", table, "--target", "energy", "--folds", 2, "--draws", 1, "--arms", "supervised"]
    with monkeypatch.context() as patch:
        patch.setattr("skdim.SiteNetRegressor.fit", fail)
        code, _, err = run(*words, "-o", tmp_path / "e.csv")
    assert code == 2
    assert "no memory left" in err
    assert "'supervised'" in err
