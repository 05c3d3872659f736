"""The HTML representation of Crystals: counts, first and last rows, failures, escaped."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from skdim import Crystals, SiteNetFeaturizer
from skdim._crystals.columns import COLUMNS

SCRIPT = "<script>alert(1)</script>"


class Tables(HTMLParser):
    """The cells of each table, and all tags."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.tags, self.text, self.in_style = [], set(), "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.in_style = tag == "style"
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_data(self, data):
        self.text += "" if self.in_style else data
        if self.tables:
            self.tables[-1][-1][-1] += data


def repeated(crystals, n):
    """Many crystals: the one with the fewest pairs, n times."""
    one = min(crystals, key=lambda crystal: len(crystal.distance))
    columns = {
        name: np.concatenate([[0], np.tile(np.diff(getattr(one, name)), n).cumsum()])
        if name.endswith("_offsets")
        else np.tile(getattr(one, name), n)
        for name in COLUMNS
    }
    return Crystals(columns, one.site_features, one.settings)


def test_counts_and_rows_are_shown(X):
    page = Tables(X._repr_html_())
    summary, rows = page.tables
    summary = dict(summary)
    assert page.text.startswith("Crystals: 40 crystals")
    assert summary["sites"] == f"{X.n_sites.sum()} in {len(X.numbers)} classes of equal sites"
    assert summary["pairs"].replace("\N{NARROW NO-BREAK SPACE}", "") == str(len(X.distance))
    assert summary["elements"].startswith(f"{len(np.unique(X.numbers))}: ")
    assert "atomic_number" in summary["site features"]
    assert "max_sites=50" in summary["settings"]
    assert rows[0] == ["row", "formula", "sites", "classes", "pairs"]
    assert [line[0] for line in rows[1:]] == ["0", "1", "2", "3", "4", "…", "35", "36", "37", "38", "39"]
    k = 37
    expected = [X.n_sites[k], len(X[k].numbers), len(X[k].distance)]
    assert rows[9] == [str(k), X.formulas[k], *map(str, expected)]


def test_failures_and_index_are_shown_and_escaped(structures):
    rows = pd.Series([*structures[:2], None, f"{SCRIPT}.cif"], index=pd.Index(["a", SCRIPT, "c", "d"], name=SCRIPT))
    with pytest.warns(UserWarning, match="2 of 4"):
        X = SiteNetFeaturizer(on_error="warn").transform(rows)
    html = X._repr_html_()
    assert "<script" not in html
    page = Tables(html)
    assert page.tags == {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "style"}
    assert page.text.startswith("Crystals: 4 crystals, 2 failed")
    _, shown, failures = page.tables
    assert shown[0][0] == SCRIPT
    assert shown[2][:2] == [SCRIPT, X.formulas[1]]
    assert shown[3] == ["c", "failed", "", "", ""]
    assert failures[0] == ["failed", "reason"]
    assert failures[2][0] == "d"
    assert SCRIPT in failures[2][1]


def test_few_of_many_failures_are_shown(structures):
    with pytest.warns(UserWarning, match="30 of 31"):
        X = SiteNetFeaturizer(on_error="warn").transform([structures[0], *["x" * 10_000] * 30])
    html = X._repr_html_()
    assert Tables(html).tables[2][-1] == ["…", "25 more in errors_"]
    assert len(html) < 10_000


@pytest.mark.parametrize("n", [0, 1])
def test_none_and_one(X, n):
    page = Tables(X[:n]._repr_html_())
    assert page.text.startswith(["Crystals: 0 crystals", "Crystals: 1 crystal"][n])
    assert len(page.tables) == n + 1


def test_a_million_crystals_on_disk_are_shown_in_a_few_kilobytes(X, tmp_path):
    repeated(X, 1_000_000).save(tmp_path / "store")
    many = Crystals.load(tmp_path / "store", mmap_mode="r")
    html = many._repr_html_()
    assert len(html) < 6000
    page = Tables(html)
    assert "1 000 000 crystals" in page.text.replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert "memory-mapped" in page.text
    assert page.tables[1][-1][:2] == ["999999", many.formula(0)]
