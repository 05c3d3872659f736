"""The accuracy benchmark runs on tables, resumes from finished fits, and writes reports."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy import (
    arms,
    calibration,
    comparison,
    data,
    fine_tuning,
    fine_tuning_recipes,
    map,
    markdown,
    options,
    published,
    report,
    targets,
    validation,
)
from benchmarks.accuracy.published_report import PRINTED
from benchmarks.accuracy.weights import WeightSet, parse_weights
from skdim import (
    PAPER_SITE_FEATURES,
    AutoTransformedTargetRegressor,
    BlockGaussianProcessRegressor,
    DeepInfoMaxEmbedder,
    DensityStatistics,
    SiteNetFeaturizer,
    SiteNetRegressor,
    StructureStatistics,
)
from skdim._heads import candidates
from skdim._shared.stateless import StatelessTransformer
from skdim.baselines import XRDPattern
from skdim.datasets import make_crystals
from skdim.model_selection import _arm_heads, label_draws, make_arm, summarize

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
pytest.importorskip("matminer", reason="needs the extra 'baselines'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

N = 60
KEEP_OUT = {"command": "python tools/train_weights.py a.parquet --leave-out keep_out.txt"}
RECORD = {**KEEP_OUT, "sources": [{"name": "a.parquet", "n_formula_left_out": 3}]}


class StandInFeatures(StatelessTransformer, BaseEstimator):
    """Stands in for MLIPFeatures: the volume and the number of sites; no features of crystals of 2 sites."""

    leaks = ("formation_energy_per_atom",)

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[s.volume, len(s)] if len(s) != 2 else [np.nan] * 2 for s in X])

    def get_feature_names_out(self, input_features=None):
        return np.array(["volume", "sites"], dtype=object)


def rows_of(structures):
    return {
        "lattice": [s.lattice.matrix.ravel() for s in structures],
        "species": [[site.specie.Z for site in s] for s in structures],
        "frac_coords": [s.frac_coords.ravel() for s in structures],
        "split": ["test" if k % 3 == 0 else "train" for k in range(len(structures))],
        "id": [f"x-{k}" for k in range(len(structures))],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables of labelled crystals, and pre-trained weights."""
    folder = tmp_path_factory.mktemp("accuracy")
    structures, y = make_crystals(N, random_state=0)
    gap = [np.nan if k % 10 == 0 else abs(v) for k, v in enumerate(y)]
    columns = {**rows_of(structures), "formation_energy_per_atom": y, "band_gap": gap}
    pd.DataFrame(columns).to_parquet(folder / "mp_megnet.parquet")
    pd.DataFrame({**rows_of(structures), "n": np.exp(y)}).to_parquet(folder / "dielectric.parquet")
    (folder / "keep_out.txt").write_text("NaCl\n")
    X = SiteNetFeaturizer().fit_transform(structures)
    for seed in range(2):
        embedder = DeepInfoMaxEmbedder(max_epochs=1, random_state=seed).fit(X)
        embedder.save_pretrained(folder / f"structures-{seed}", metadata=RECORD)
    knowing = DeepInfoMaxEmbedder(max_epochs=1, property_weight=1.0, random_state=0)
    knowing.fit(X, pd.DataFrame({"band_gap": gap})).save_pretrained(folder / "properties", metadata=RECORD)
    paper = DeepInfoMaxEmbedder.paper(max_epochs=1, random_state=0)
    paper.fit(X.with_site_features(PAPER_SITE_FEATURES)).save_pretrained(folder / "paper")
    return folder


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Ten trees instead of 300, and few labels: the predictions of forests are not tested here."""
    for module, forest in ((_arm_heads, ExtraTreesRegressor), (arms, RandomForestRegressor)):
        monkeypatch.setattr(module, forest.__name__, lambda n, forest=forest, **params: forest(10, **params))
    for target in targets.TARGETS.values():
        monkeypatch.setitem(vars(target), "sizes", (8, 12))
    monkeypatch.setattr(options, "mlip_transformer", StandInFeatures)


def run(folder, *groups, target="mp_megnet-formation_energy_per_atom", output="out", options=()):
    accuracy.main(
        [
            *words(folder, "--targets", target, "--groups", *groups, "--repeats", 2, "--seeds", 2, "--jobs", 1),
            *words("--weights", "structures", folder / "structures-0", folder / "structures-1"),
            *words("--weights", "properties", folder / "properties", "--paper-weights", folder / "paper"),
            *words("--work", folder / "work", "--output", folder / output, *options),
        ]
    )
    return pd.read_csv(folder / output / f"{target}.csv")


def words(*arguments):
    return [str(argument) for argument in arguments]


def test_calibration(folder, monkeypatch):
    monkeypatch.setattr(calibration, "SIZES", (12, 20))
    target = "mp_megnet-formation_energy_per_atom"
    calibration.main(
        [
            *words(folder, "--targets", target, "--repeats", 2, "--jobs", 1),
            *words(
                "--weights", "structures", folder / "structures-0", "--weights", "properties", folder / "properties"
            ),
            *words("--work", folder / "work", "--output", folder / "calibration"),
        ]
    )
    frame = pd.read_csv(folder / "calibration" / "calibration.csv")
    assert frame.groupby(["arm", "n_labels"]).size().tolist() == [2, 2, 2, 2]
    assert frame["coverage_50"].lt(frame["coverage_95"]).all()
    page = (folder / "calibration" / "calibration.md").read_text("utf-8")
    median = frame[(frame["arm"] == "best") & (frame["n_labels"] == 20)]["miscalibration_area"].median()
    assert "best, 20 labels | " in page
    assert f"| {median:.3f} |" in page


def test_fine_tuning_recipes_on_formulas_that_no_weights_have_seen(folder, capsys, monkeypatch):
    tables = folder / "with_formulas"
    tables.mkdir()
    frame = pd.read_parquet(folder / "mp_megnet.parquet").assign(formula=[f"X{k % 20}" for k in range(N)])
    frame.to_parquet(tables / "mp_megnet.parquet")
    (tables / "keep_out.txt").write_text("X1\nX2\nX4\nX11\n")
    options = words(
        "--weights", "properties", folder / "properties", "--weights", "structures", folder / "structures-0"
    )
    options += words("--targets", "mp_megnet-band_gap", "--seen", "mp_megnet", "--sizes", 12, 16, "--repeats", 2, 1)
    options += words("--networks", 2, "--work", folder / "work", "--output", folder / "recipes")
    monkeypatch.setitem(fine_tuning_recipes.NETWORK, "max_epochs", 2)
    tasks, measure = [], fine_tuning.measure
    monkeypatch.setattr(fine_tuning, "measure", lambda task, *a: tasks.append(task) or measure(task, *a))
    fine_tuning.main([*words(tables), *options, "--recipes", "default"])
    task = tasks[0]
    assert task.weights.name == "structures", "the first set of weights that does not know band gaps"
    # Of X0 and X10 no band gap is known.
    left_out = {"X1", "X2", "X4", "X11"}
    assert set(task.formulas[task.held_out]) == left_out
    assert set(task.formulas[task.labelled]) == {f"X{k}" for k in range(20)} - left_out - {"X0", "X10"}
    assert (frame["split"].to_numpy()[np.r_[task.held_out, task.labelled]] == "train").all()
    errors = pd.read_csv(folder / "recipes" / "fine_tuning.csv")
    assert errors["n_labels"].tolist() == [12, 12, 16]
    y, rows = task.y[task.held_out], [task.predictions("default", 16, 0, member)[0] for member in range(2)]
    reference = task.predictions("Gaussian process", 16, 0)[0]
    last = errors.iloc[-1]
    assert last["mae_one"] == pytest.approx(np.abs(rows[0] - y).mean(), abs=1e-5)
    assert last["mae_mean"] == pytest.approx(np.abs(np.mean(rows, axis=0) - y).mean(), abs=1e-5)
    mixed = (np.mean(rows, axis=0) + reference) / 2
    assert last["mae_average"] == pytest.approx(np.abs(mixed - y).mean(), abs=1e-5)
    ratio = errors["mae_one"][2] / errors["mae_reference"][2]
    assert f" / {ratio:.2f} | " in capsys.readouterr().out

    finished = {file: file.stat().st_mtime_ns for file in (folder / "work" / "fine_tuning").iterdir()}
    others = [name for name in fine_tuning.RECIPES if name not in ("default", "Gaussian process")]
    fine_tuning.main([*words(tables), *options, "--recipes", *others])
    assert all(file.stat().st_mtime_ns == time for file, time in finished.items())
    errors = pd.read_csv(folder / "recipes" / "fine_tuning.csv")
    assert errors.groupby("recipe").size().to_dict() == {"default": 3, **dict.fromkeys(others, 3)}
    assert np.isfinite(errors["mae_average"]).all()


@pytest.mark.slow(reason="imports matminer, and fits all simple models of two seeds three times")
def test_simple_arms_and_report(folder):
    frame = run(folder, "simple", "features")
    assert set(frame["seed"]) == {0, 1}
    assert frame.groupby(["arm", "seed", "n_labels"]).size().unique().tolist() == [2]
    assert {"mean", "composition, trees", "Magpie, forest", "X-ray pattern, forest"} <= set(frame["arm"])
    # Label draws differ between seeds; all arms of a seed share them.
    mean = frame[frame["arm"] == "mean"].groupby("seed")["mae"].first()
    assert mean[0] != mean[1]
    before = {path: path.read_bytes() for path in (folder / "work" / "fits").glob("*.jsonl")}
    assert len(before) == 8
    fewer = run(folder, "simple", output="fewer")
    assert set(fewer["arm"]) == set(arms.simple())
    grown = run(folder, "features", output="fewer")
    assert set(grown["arm"]) == set(frame["arm"])
    again = run(folder, "simple", "features")
    assert before == {path: path.read_bytes() for path in before}
    pd.testing.assert_frame_equal(again, frame)

    report.main([str(folder / "out")])
    stem = folder / "out" / "mp_megnet-formation_energy_per_atom"
    text = stem.with_suffix(".md").read_text()
    for row in summarize(frame).itertuples():
        assert f"{row.median:.3f}" in text
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_block_gaussian_processes_on_all_combinations_of_sources(folder):
    name = "mp_megnet-band_gap"
    frame = run(folder, "blocks", target=name, output="blocks")
    assert set(frame["arm"]) == {
        *("statistics", "statistics + MLIP", "untrained", "structures", "properties"),
        *("statistics + structures", "statistics + properties", "statistics + MLIP + structures"),
        *("statistics + MLIP + properties", "statistics + density", "statistics + density + MLIP"),
        *("statistics + density + structures", "statistics + density + properties"),
        *(f"statistics + density + oxidation{name}" for name in ("", " + structures", " + properties")),
    }
    # A set of weights has the seeds of its folders.
    assert frame.groupby("arm")["seed"].nunique()[["statistics + structures", "statistics + properties"]].tolist() == [
        2,
        1,
    ]
    table = data.load(folder, "mp_megnet", folder / "work", 1)
    y = table.frame["band_gap"].to_numpy()
    train, test = data.labelled(table, y)
    draw = next(draw for draw in label_draws(len(train), train_sizes=[12], n_repeats=2) if draw.repeat == 1)
    embedder = DeepInfoMaxEmbedder.from_pretrained(folder / "structures-0")
    parts = [StructureStatistics().fit_transform(table.X), embedder.transform(table.X)]
    width = parts[0].shape[1]
    process = BlockGaussianProcessRegressor({"a": slice(0, width), "b": slice(width, None)})
    model = AutoTransformedTargetRegressor(process)
    matrix, rows = np.hstack(parts).astype(np.float32), train[draw.rows]
    mae = np.abs(model.fit(matrix[rows], y[rows]).predict(matrix[test]) - y[test]).mean()
    at = frame.set_index(["arm", "seed", "n_labels", "repeat"])["mae"]
    assert at["statistics + structures", 0, 12, 1] == pytest.approx(mae, rel=1e-3)

    about = json.loads((folder / "blocks" / f"{name}.json").read_text())
    assert about["weights"]["properties"]["knows_target"]
    assert about["weights"]["properties"]["known_properties"] == ["band_gap"]
    assert not about["weights"]["structures"]["knows_target"]
    assert about["weights"]["structures"]["n_left_out"] == [3, 3]
    assert not about["mlip"]["knows_target"]
    assert about["mean_absolute_deviation"] == pytest.approx(np.abs(y[test] - y[test].mean()).mean())
    report.main([str(folder / "blocks")])
    lines = (folder / "blocks" / f"{name}.md").read_text().splitlines()
    known = {line.split(" | ")[0].strip("| "): line.rstrip(" |").split(" | ")[-1] for line in lines if "|" in line}
    assert known["statistics + properties"] == "yes"
    assert known["statistics + MLIP + structures"] == "no"
    assert any("3 crystals with formulas of keep_out.txt were left out" in line for line in lines)
    assert f"![Box plots of the test error against the number of labels]({name}.png)" in lines
    assert "\\*: has learned this property from other data." in lines

    (axes,) = report.figure(frame, about).axes
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == [arm + " *" * ("properties" in arm) for arm in report.SHOWN if arm in known]
    assert axes.get_ylabel() == "Band gap, test MAE (eV)"


def test_a_model_looks_the_same_in_every_figure():
    about = {"title": "Band gap: A", "scale": "eV", "weights": {}, "mlip": None, "best": []}
    looks = []
    for some in (list(report.SHOWN), list(report.SHOWN)[::3]):
        rows = [(0, arm, 50, k, 1.0 + k) for arm in some[::-1] for k in range(3)]
        results = pd.DataFrame(rows, columns=["seed", "arm", "n_labels", "repeat", "mae"])
        legend = report.figure(results, about).axes[0].get_legend()
        names = [text.get_text() for text in legend.get_texts()]
        assert names == some
        looks.append({n: (p.get_facecolor(), p.get_hatch()) for n, p in zip(names, legend.get_patches(), strict=True)})
    every, part = looks
    assert part == {name: every[name] for name in part}
    assert len(set(every.values())) == len(every)


def test_validation_holds_out_what_no_weights_have_seen(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(validation, "DRAWS", {12: 2})
    frame = pd.read_parquet(folder / "dielectric.parquet")
    formulas = SiteNetFeaturizer().transform(make_crystals(N, random_state=0)[0]).formulas
    frame.assign(formula=formulas).to_parquet(tmp_path / "dielectric.parquet")
    train = (frame["split"] == "train").to_numpy()
    left_out = sorted({formula for formula, use in zip(formulas, train, strict=True) if use})[::3]
    (tmp_path / "keep_out.txt").write_text("\n".join(left_out) + "\n")
    sources = ("statistics", "statistics + density")
    validation.main(
        [
            *words(tmp_path, "--targets", "dielectric-n", "--seen", "dielectric", "--jobs", 1, "--sources", *sources),
            *words("--work", tmp_path / "work"),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    held_out = np.flatnonzero(train & np.isin(formulas, left_out))
    labelled = np.flatnonzero(train & ~np.isin(formulas, left_out))
    assert f": {len(labelled)} crystals with labels, {len(held_out)} held out" in " ".join(lines)
    X, y = SiteNetFeaturizer().transform(make_crystals(N, random_state=0)[0]), frame["n"].to_numpy()
    parts = [StructureStatistics().transform(X), DensityStatistics().transform(X)]
    blocks = {"statistics": slice(0, 106), "density": slice(106, 113)}
    errors = []
    for draw in label_draws(len(labelled), train_sizes=[12], n_repeats=2, random_state=0):
        model = arms.block_gp(blocks).fit(np.hstack(parts)[labelled[draw.rows]], y[labelled[draw.rows]])
        errors.append(np.abs(model.predict(np.hstack(parts)[held_out]) - y[held_out]).mean())
    row = next(line for line in lines if line.startswith("| statistics + density |"))
    assert float(row.split(" | ")[1]) == pytest.approx(np.median(errors), abs=0.002)


def test_best_is_the_regressor_that_make_arm_recommends(folder, monkeypatch):
    monkeypatch.setattr(candidates, "ExtraTreesRegressor", lambda n, **params: ExtraTreesRegressor(10, **params))
    name = "mp_megnet-formation_energy_per_atom"
    frame = run(folder, "best", "best_mlip", target=name, output="best")
    # The set of one folder has no weights for the second seed.
    expected = {arm: [0] for arm in ("best", "best with MLIP", "best with MLIP, no vectors")}
    assert frame.groupby("arm")["seed"].unique().map(list).to_dict() == expected
    table = data.load(folder, "mp_megnet", folder / "work", 1)
    y = table.frame["formation_energy_per_atom"].to_numpy()
    draw = next(draw for draw in label_draws(len(table.train), train_sizes=[12], n_repeats=1))
    embedders = [DeepInfoMaxEmbedder.from_pretrained(folder / each) for each in ("structures-0", "properties")]
    seen = []
    monkeypatch.setattr(comparison.arms, "make_arm", lambda *args: seen.append(args) or make_arm(*args))
    comparison.arms.best(embedders, table.X)
    assert seen == [("best", embedders)]
    model = clone(make_arm("best", embedders, random_state=0))
    model.fit(table.X[table.train[draw.rows]], y[table.train[draw.rows]])
    mae = np.abs(model.predict(table.X[table.test]) - y[table.test]).mean()
    # Another seed of the trees.
    at = frame.set_index(["arm", "seed", "n_labels", "repeat"])["mae"]
    assert at["best", 0, 12, 0] == pytest.approx(mae, rel=0.2)


def test_failed_and_leaking_mlip_features_are_stated(folder):
    name = "mp_megnet-formation_energy_per_atom"
    run(folder, "blocks", target=name, output="leak")
    mlip = json.loads((folder / "leak" / f"{name}.json").read_text())["mlip"]
    frame = pd.read_parquet(folder / "mp_megnet.parquet")
    assert mlip["knows_target"]
    assert 0 < mlip["n_failed"] <= sum(len(species) == 2 for species in frame["species"])
    report.main([str(folder / "leak")])
    text = (folder / "leak" / f"{name}.md").read_text()
    assert f"It failed for {mlip['n_failed']} of" in text
    assert "its errors are too low" in text


def test_mlip_features_of_a_file_are_used_where_it_has_rows(folder, tmp_path, monkeypatch):
    table = data.load(folder, "mp_megnet", folder / "work", 1)
    given = pd.DataFrame({"row": [4, 2], "volume": [-1.0, -2.0], "sites": [0.0, 0.0]})
    given.to_parquet(tmp_path / "mp_megnet.parquet")
    wanted = np.array([2, 3, 4])
    sources = comparison.Sources(table, wanted, [], StandInFeatures(), tmp_path, tmp_path, 1)
    matrix = sources.matrix("MLIP", 0)
    assert matrix[[2, 4], 0].tolist() == [-2.0, -1.0]
    assert np.isnan(np.delete(matrix, wanted, axis=0)).all()
    np.testing.assert_allclose(matrix[3], StandInFeatures().transform([table.rows[3].load()])[0], rtol=1e-6)


def test_networks_and_the_paper(folder, monkeypatch):
    fit = SiteNetRegressor.fit
    monkeypatch.setattr(SiteNetRegressor, "fit", lambda self, X, y: fit(self.set_params(max_epochs=1), X, y))
    frame = run(folder, "networks", "paper", target="mp_megnet-band_gap", output="networks")
    names = set(frame["arm"])
    assert {"supervised", "transfer", "paper: transfer", "paper: untrained, MLP"} <= names
    assert {"transfer from the other property"} <= names
    assert "average of GP, trees and transfer from the other property" in names
    assert set(frame["seed"]) == {0}
    assert np.isfinite(frame["mae"]).all()


def test_weights_that_may_have_seen_test_formulas_are_refused(folder, tmp_path):
    keep_out = folder / "keep_out.txt"
    assert parse_weights([["a", folder / "structures-0"]], keep_out, False)[0].left_out(keep_out) == [3]
    with pytest.raises(SystemExit, match=r"'b'.*keep_out\.txt.*--leave-out"):
        parse_weights([["b", folder / "structures-0", folder / "paper"]], keep_out, False)
    assert parse_weights([["b", folder / "paper"]], keep_out, True)[0].left_out(keep_out) is None
    assert parse_weights([["b", folder / "paper"]], None, False)
    embedder = DeepInfoMaxEmbedder.from_pretrained(folder / "structures-0")
    incomplete = {**RECORD, "sources": [*RECORD["sources"], {"name": "b.parquet"}]}
    other_file = {**RECORD, "command": RECORD["command"].replace("keep_out", "others")}
    started = {**RECORD, "command": f"{RECORD['command']} --start before"}
    for k, metadata in enumerate((incomplete, other_file, started)):
        embedder.save_pretrained(tmp_path / str(k), metadata=metadata)
        assert WeightSet("w", (tmp_path / str(k),)).left_out(keep_out) is None
    # What the training started from must have a record too.
    embedder.save_pretrained(tmp_path / "before", metadata=RECORD)
    embedder.save_pretrained(tmp_path / "after", metadata=started)
    assert WeightSet("w", (tmp_path / "after",)).left_out(keep_out) == [3]
    for arguments in ([["a"]], [["a", "x"], ["a", "y"]], [["MLIP", "x"]]):
        with pytest.raises(SystemExit):
            parse_weights(arguments, None, True)


def test_known_properties_are_recognised_by_column_and_name():
    bulk, energy = targets.TARGETS["properties-k_vrh_mp"], targets.TARGETS["mp_megnet-formation_energy_per_atom"]
    assert bulk.is_known(("formation_energy", "log10_bulk_modulus"))
    assert bulk.is_known(("k_vrh_aflow",))
    assert not bulk.is_known(("formation_energy", "log10_shear_modulus"))
    assert energy.is_known(("formation_energy_per_atom", "forces"))
    assert not energy.is_known(())


def test_logarithm_of_a_label_that_is_not_positive_is_an_error():
    target = targets.TARGETS["phonons-last_phdos_peak"]
    np.testing.assert_allclose(target.labels([10.0, 1000.0]), [1, 3])
    with pytest.raises(ValueError, match="row 1 of phonons has last_phdos_peak=0"):
        target.labels([10.0, 0.0])


def test_slow_features_are_computed_once(folder, monkeypatch):
    table = data.load(folder, "mp_megnet", folder / "work", 1, n_test=10)
    assert len(table.test) == 10
    wanted = np.array([3, 1, 40])
    first = data.features_of(table, np.sort(wanted), "x", XRDPattern(n_bins=5), folder / "work", 1)
    assert np.isfinite(first[wanted]).all()
    assert np.isnan(np.delete(first, wanted, axis=0)).all()
    expected = XRDPattern(n_bins=5).transform([table.rows[row].load() for row in wanted])
    np.testing.assert_allclose(first[wanted], expected, rtol=1e-6)
    monkeypatch.setattr(XRDPattern, "transform", lambda self, X: pytest.fail("computed twice"))
    again = data.features_of(table, np.sort(wanted), "x", XRDPattern(n_bins=5), folder / "work", 1)
    np.testing.assert_array_equal(again, first)


@pytest.mark.slow(reason="starts the benchmark three times")
def test_a_killed_run_resumes_with_the_same_results(folder, tmp_path):
    arguments = [sys.executable, "-m", "benchmarks.accuracy", *words(folder, "--targets", "dielectric-n")]
    arguments += words("--groups", "simple", "--seeds", 2, "--repeats", 2, "--jobs", 1, "--no-mlip")
    small = "import sys, runpy; from benchmarks.accuracy import targets as t; "
    small += (
        "vars(t.TARGETS['dielectric-n'])['sizes'] = (8, 12); runpy.run_module('benchmarks.accuracy', {}, '__main__')"
    )
    arguments[1:3] = ["-c", small]

    def command(work):
        return [*arguments, *words("--work", tmp_path / work, "--output", tmp_path / f"{work}-out")]

    root = Path(__file__).parents[2]
    options = {"cwd": root, "env": {**os.environ, "PYTHONPATH": str(root)}, "stdout": subprocess.DEVNULL}
    process = subprocess.Popen(command("killed"), **options)
    results = tmp_path / "killed" / "fits" / "dielectric-n-0-simple-crystals.jsonl"
    deadline = time.monotonic() + 120
    while not (results.exists() and b'"mae"' in results.read_bytes()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    assert process.wait(60) != 0
    kept = results.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    assert not (tmp_path / "killed-out").exists()
    for work in ("killed", "whole"):
        subprocess.run(command(work), check=True, timeout=300, **options)
    assert results.read_bytes().startswith(kept)
    killed, whole = (pd.read_csv(tmp_path / f"{work}-out" / "dielectric-n.csv") for work in ("killed", "whole"))
    pd.testing.assert_frame_equal(killed.drop(columns=["fit_time", "predict_time"]), whole.loc[:, killed.columns[:5]])


def large_cell():
    """A primitive cell of 64 sites."""
    from pymatgen.core import Lattice, Structure

    grid = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), axis=-1).reshape(-1, 3)
    grid = grid + np.random.default_rng(0).uniform(-0.03, 0.03, grid.shape)
    return Structure(Lattice.cubic(12.0), ["Na", "Cl"] * 32, grid)


def test_published_draws(folder, tmp_path):
    structures, y = make_crystals(30, random_state=1)
    structures = [*structures, large_cell()]
    y = np.append(10 * np.abs(y), 40.0)
    (tmp_path / "saimat").mkdir()
    pd.DataFrame({**rows_of(structures), "last_phdos_peak": y}).to_parquet(tmp_path / "saimat" / "ph.parquet")
    test, draws = np.arange(20, 31), []
    for trial in (1, 2):
        rows = np.random.default_rng(trial).permutation(20)[:10]
        roles = {"train": rows[:8], "val": rows[8:], "test": test}
        draws += [("ph", 10, trial, role, f"x-{row}") for role, some in roles.items() for row in some]
    draws += [("dc", 10, 1, "train", "x-0")]
    columns = ["property", "n_labels", "trial", "role", "id"]
    pd.DataFrame(draws, columns=columns).to_parquet(tmp_path / "saimat" / "draws.parquet")
    printed = {"property": "ph", "n_labels": 10, "source": "fe", "mae_real": 5.0, "rel": 0.125}
    pd.DataFrame([{**printed, "arm": arm} for arm in PRINTED]).to_csv(tmp_path / "saimat" / "printed.csv")
    arguments = words(tmp_path, "--properties", "ph", "--sizes", 10, "--seeds", 2, "--jobs", 1)
    arguments += words("--weights", "structures", folder / "structures-0", folder / "structures-1")
    arguments += words("--work", tmp_path / "work", "--output", tmp_path / "out")
    published.main(arguments)
    frame = pd.read_csv(tmp_path / "out" / "published-ph.csv")
    assert {"statistics", "statistics + MLIP + structures", "composition, trees"} <= set(frame["arm"])
    assert {"Magpie, forest", "best", "best with MLIP"} <= set(frame["arm"])
    mean = frame[(frame["arm"] == "mean") & (frame["seed"] == 0)].set_index("repeat")["mae"]
    for trial in (1, 2):
        rows = np.random.default_rng(trial).permutation(20)[:10]
        assert mean[trial] == pytest.approx(np.abs(y[rows].mean() - y[test]).mean(), abs=1e-5)
    table = data.load(tmp_path, "saimat/ph", tmp_path / "work", 1, complete=True)
    assert not table.X.failed.any()
    assert table.X.n_sites[-1] == 64
    alone = SiteNetFeaturizer(max_sites=250).transform([structures[-1]])
    np.testing.assert_array_equal(np.sort(table.X[-1:].distance), np.sort(alone.distance))
    np.testing.assert_array_equal(table.X[:30].distance, SiteNetFeaturizer().transform(structures[:30]).distance)
    # Whatever the transformation of the labels, errors are in their units.
    features = StructureStatistics().fit_transform(table.X).astype(np.float32)
    rows = np.random.default_rng(1).permutation(20)[:10]
    model = AutoTransformedTargetRegressor().fit(features[rows], y[rows])
    mae = np.abs(model.predict(features[test]) - y[test]).mean()
    at = frame.set_index(["arm", "seed", "repeat"])["mae"]
    assert at["statistics", 0, 1] == pytest.approx(mae, rel=1e-3)
    published.main(arguments)  # from finished fits
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "published-ph.csv"), frame)

    report.main([str(tmp_path / "out")])
    text = (tmp_path / "out" / "published.md").read_text()
    assert "| ALIGNN from random weights | **0.125** (5.00) |" in text
    deviation = np.abs(y[test] - y[test].mean()).mean()
    error = frame[frame["arm"] == "statistics"]["mae"].mean()
    assert f"{error / deviation:.3f}" in text


def test_models_are_in_order_with_their_numbers_of_draws():
    arms = ["best", "statistics + MLIP", "transfer", "mean", "composition, trees"]
    rows = [(arm, n, k, 1.0) for arm in arms for n in (50, 100) for k in range(1 if arm == "best" and n == 100 else 2)]
    frame = markdown.in_order(pd.DataFrame(rows, columns=["arm", "n_labels", "repeat", "mae"]))
    expected = ["mean", "composition, trees", "statistics + MLIP", "transfer", "best"]
    assert pd.unique(frame["arm"]).tolist() == expected
    lines = report.error_table(
        frame.assign(seed=0), {"mean_absolute_deviation": 2.0, "weights": {}, "mlip": None, "best": []}
    )
    draws = {line.split(" | ")[0].strip("| "): line.split(" | ")[-2] for line in lines.splitlines()[2:]}
    assert draws == dict.fromkeys(expected[:-1], "2") | {"best": "2 / 1"}


def test_map_writes_a_figure(folder):
    options = words("--weights", folder / "structures-0", "--method", "pca", "--jobs", 1)
    options += words("--work", folder / "work", "--output", folder / "out")
    map.main([*words(folder, "mp_megnet", "formation_energy_per_atom", "band_gap"), *options])
    assert (folder / "out" / "mp_megnet-map.png").read_bytes().startswith(b"\x89PNG")
