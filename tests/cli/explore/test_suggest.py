"""`skdim suggest` against the library."""

import numpy as np
import pandas as pd
import pytest

from skdim import SiteNetFeaturizer, suggest
from skdim.cli._model_file import load_model
from tests.cli.conftest import *  # noqa: F403


@pytest.fixture(scope="module")
def model(table, tmp_path_factory):
    pytest.importorskip("skops", reason="needs the extra 'skops'")
    from skdim.cli import main

    path = tmp_path_factory.mktemp("model") / "model.skops"
    assert main(["fit", str(table), "--target", "energy", "--arm", "structure", "-o", str(path)]) == 0
    return path


@pytest.mark.parametrize("strategy", ["variance", "improvement", "diversity"])
def test_choices_are_those_of_the_library(run, model, cifs, strategy):
    code, out, err = run("suggest", model, cifs, "-n", 4, "--strategy", strategy)
    assert code == 0, err
    loaded, files = load_model(model), sorted(cifs.iterdir())
    X = SiteNetFeaturizer().transform(files)
    name = {"improvement": "expected_improvement"}.get(strategy, strategy)
    rows = suggest(loaded, X, 4, strategy=name, best=loaded.skdim_info_["label_max"])
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[0].rpartition("/")[2] for line in lines] == [files[row].name for row in rows]
    assert [line[1] for line in lines] == [X.formulas[row] for row in rows]
    mean, std = loaded[-1].predict(X[rows], return_std=True)
    np.testing.assert_allclose([[float(v) for v in line[2:]] for line in lines], np.c_[mean, std], rtol=1e-2)


def test_minimum_as_a_table(run, model, cifs, tmp_path):
    words = ("suggest", model, cifs, "--strategy", "improvement", "--minimize")
    code, out, err = run(*words, "-n", 50, "-o", tmp_path / "next.csv")
    assert (code, out) == (0, "")
    assert "there are only 10 candidates" in err
    table = pd.read_csv(tmp_path / "next.csv")
    assert table.columns.tolist() == ["id", "formula", "energy", "energy_std"]
    assert len(table) == 10
    first = run(*words, "-n", 1, "--best", -1000)[1]
    assert len(first.splitlines()) == 1


def test_wrong_options_and_models(run, model, table, cifs, tmp_path):
    code, _, err = run("suggest", model, cifs, "--minimize")
    assert code == 2
    assert "only with --strategy improvement" in err
    trees = tmp_path / "trees.skops"
    assert run("fit", table, "--target", "energy", "--arm", "composition", "-o", trees)[0] == 0
    code, _, err = run("suggest", trees, cifs)
    assert code == 2
    assert "a model of the kind composition, which has no standard deviations" in err
