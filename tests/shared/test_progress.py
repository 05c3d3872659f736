"""Progress: bars in terminals and notebooks, lines in log files."""

import io
import sys

import pytest

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._shared.progress import progress
from skdim.model_selection import label_efficiency, make_arm
from tests.helpers.small_estimators import SMALL


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_file_has_one_line_per_interval(capsys):
    assert list(progress(range(3), desc="count", unit="thing", pause=0)) == [0, 1, 2]
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"count: {n} of 3 things, 00:00" for n in (1, 2, 3)]


def test_a_short_task_has_one_line(capsys):
    list(progress(iter("abc"), desc="count", unit="thing"))
    assert capsys.readouterr().err == "count: 3 things, 00:00\n", "an unknown total is shown"
    list(progress([], desc="count", unit="thing", initial=2, total=2))
    assert capsys.readouterr().err == "", "a line without progress"


def test_lines_have_units_and_postfix(capsys):
    with progress(desc="a.gz", total=2 * 10**6, unit="B", unit_scale=True) as bar:
        bar.set_postfix({"loss": 1.5}, refresh=False)
        bar.update(10**6)
    assert capsys.readouterr().err == "a.gz: 1.00M of 2.00MB, 00:00, loss=1.5\n"


def test_a_failed_task_shows_its_last_count(capsys):
    things = progress(iter([1, 1, 0, 1]), desc="count", total=4, unit="thing")
    with pytest.raises(ZeroDivisionError):
        sum(1 / thing for thing in things)
    things.close()
    assert capsys.readouterr().err == "count: 2 of 4 things, 00:00\n"


def test_verbose_0_is_silent(capsys):
    assert list(progress(range(3), verbose=0, desc="count")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("notebook", [False, True])
def test_terminals_and_notebooks_have_a_bar(monkeypatch, notebook):
    monkeypatch.setattr(sys, "stderr", io.StringIO() if notebook else Terminal())
    if notebook:
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
    list(progress(range(3), desc="count"))
    text = sys.stderr.getvalue()
    assert "100%|" in text
    assert "\r" in text


def test_all_estimators_show_progress(structures, X, y, tmp_path, capsys):
    SiteNetFeaturizer(verbose=1).transform(structures[:5])
    SiteNetFeaturizer(verbose=1, n_jobs=2).transform(structures[:4])
    SiteNetFeaturizer(verbose=1).transform_to_disk(iter(structures[:5]), tmp_path / "store")
    embedder = DeepInfoMaxEmbedder(**SMALL | {"max_epochs": 2, "verbose": 1}).fit(X)
    embedder.transform_to_disk(X[:7], tmp_path / "a.npy")
    label_efficiency({"mean": make_arm("mean")}, X, y, train_sizes=[4], n_repeats=2, test_size=0.5, verbose=1)
    lines = [line.split(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "featurize: 5 of 5 structures",
        "featurize: 4 of 4 chunks",
        "featurize: 5 structures",
        *(f"pre-train: {n} of 2 epochs" for n in (1, 2)),
        "embed: 7 of 7 crystals",
        "label draws: 2 of 2 fits",
    ]
