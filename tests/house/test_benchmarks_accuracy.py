"""The accuracy benchmark runs on a table, resumes from finished fits, and writes a report."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy import arms, data, map, report
from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.baselines import XRDPattern
from skdim.datasets import make_crystals
from skdim.model_selection import _arm_heads, summarize

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
pytest.importorskip("matminer", reason="needs the extra 'baselines'")
pytest.importorskip("pyarrow", reason="needs the extra 'parquet'")

N = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of labelled crystals, and pre-trained weights."""
    folder = tmp_path_factory.mktemp("accuracy")
    structures, y = make_crystals(N, random_state=0)
    columns = {
        "lattice": [s.lattice.matrix.ravel() for s in structures],
        "species": [[site.specie.Z for site in s] for s in structures],
        "frac_coords": [s.frac_coords.ravel() for s in structures],
        "split": ["test" if k % 3 == 0 else "train" for k in range(N)],
        "energy": y,
        "gap": [np.nan if k % 10 == 0 else abs(v) for k, v in enumerate(y)],
    }
    pd.DataFrame(columns).to_parquet(folder / "table.parquet")
    X = SiteNetFeaturizer().fit_transform(structures)
    DeepInfoMaxEmbedder(max_epochs=1, random_state=0).fit(X).save_pretrained(folder / "ours")
    paper = DeepInfoMaxEmbedder.paper(max_epochs=1, random_state=0)
    paper.fit(X.with_site_features(PAPER_SITE_FEATURES)).save_pretrained(folder / "paper")
    return folder


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch):
    """Ten trees instead of 300: their predictions are not tested here."""
    for module, forest in ((_arm_heads, ExtraTreesRegressor), (arms, RandomForestRegressor)):
        monkeypatch.setattr(module, forest.__name__, lambda n, forest=forest, **params: forest(10, **params))


def run(folder, *groups, target="energy", skip=(), output="out"):
    accuracy.main(
        [
            *map_(folder / "table.parquet", target, "--weights", folder / "ours", folder / "ours"),
            *map_("--other", "gap" if target == "energy" else "energy", "--paper-weights", folder / "paper"),
            *map_("--sizes", 8, 12, "--repeats", 2, 1, "--jobs", 1, "--groups", *groups),
            *map_("--work", folder / "work", "--output", folder / output),
            *(map_("--skip", *skip) if skip else []),
        ]
    )
    return pd.read_csv(folder / output / f"table-{target}.csv")


def map_(*arguments):
    return [str(argument) for argument in arguments]


@pytest.mark.slow(reason="imports matminer, and fits all simple models of two seeds three times")
def test_simple_arms_and_report(folder):
    frame = run(folder, "simple", "features")
    assert set(frame["seed"]) == {0, 1}
    assert frame.groupby(["arm", "seed", "n_labels"]).size().unstack().drop_duplicates().to_numpy().tolist() == [[2, 1]]
    assert {"mean", "composition, trees", "Magpie, forest", "X-ray pattern, forest"} <= set(frame["arm"])
    # Label draws differ between seeds; all arms of a seed share them.
    mean = frame[frame["arm"] == "mean"].groupby("seed")["mae"].first()
    assert mean[0] != mean[1]
    before = {path: path.read_bytes() for path in (folder / "work").glob("*.jsonl")}
    fewer = run(folder, "simple", skip=["mean"], output="fewer")
    assert set(fewer["arm"]) == {arm for arm in arms.baselines() if arm != "mean"}
    grown = run(folder, "features", output="fewer")
    assert set(grown["arm"]) == set(frame["arm"]) - {"mean"}
    again = run(folder, "simple", "features")
    assert before == {path: path.read_bytes() for path in (folder / "work").glob("*.jsonl")}
    pd.testing.assert_frame_equal(again, frame)

    report.main([str(folder / "out")])
    text = (folder / "out" / "table-energy.md").read_text()
    for row in summarize(frame).itertuples():
        assert f"{row.median:.3f}" in text
    assert (folder / "out" / "table-energy.png").read_bytes().startswith(b"\x89PNG")


def test_networks_and_the_paper(folder, monkeypatch):
    fit = SiteNetRegressor.fit
    monkeypatch.setattr(SiteNetRegressor, "fit", lambda self, X, y: fit(self.set_params(max_epochs=1), X, y))
    frame = run(folder, "ours", "paper", target="gap")
    names = set(frame["arm"])
    assert {"representation, GP", "untrained, MLP", "supervised", "transfer", "paper: transfer"} <= names
    assert {"transfer from the other property", "average of GP, trees and transfer"} <= names
    assert "representation + statistics, block GP" in names
    assert np.isfinite(frame["mae"]).all()


def test_slow_features_are_computed_once(folder, monkeypatch):
    table = data.load(folder / "table.parquet", ["energy"], folder / "work", 10, 1)
    wanted = np.array([3, 1, 40])
    first = data.features_of(table, np.sort(wanted), "x", XRDPattern(n_bins=5), folder / "work", 1)
    assert np.isfinite(first[wanted]).all()
    assert np.isnan(np.delete(first, wanted, axis=0)).all()
    expected = XRDPattern(n_bins=5).transform([table.rows[row].load() for row in wanted])
    np.testing.assert_allclose(first[wanted], expected, rtol=1e-6)
    monkeypatch.setattr(XRDPattern, "transform", lambda self, X: pytest.fail("computed twice"))
    again = data.features_of(table, np.sort(wanted), "x", XRDPattern(n_bins=5), folder / "work", 1)
    np.testing.assert_array_equal(again, first)


def test_map_writes_a_figure(folder):
    options = map_("energy", "gap", "--weights", folder / "ours", "--method", "pca", "--jobs", 1)
    map.main([*map_(folder / "table.parquet"), *options, *map_("--work", folder / "work", "--output", folder / "out")])
    assert (folder / "out" / "table-map.png").read_bytes().startswith(b"\x89PNG")
