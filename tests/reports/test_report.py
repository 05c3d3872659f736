"""write_report: what is in the file, that it is self-contained and escaped, and that it works in a browser."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

from skdim.reports import write_report
from tests.helpers.browser import dump, in_browser

SCRIPT = "<script>document.title = 'run'</script>"
#: Names as they come from files, and as a page shows them.
NAMES = [SCRIPT, "</script><img src=x onerror=\"document.title='run'\">", "a\udcffb.cif", "--><b>&amp;\"'"]
SHOWN = [name.replace("\udcff", "\\udcff") for name in NAMES]


def table(n=60, seed=0):
    """Predictions of n crystals with standard deviations that are right, and vectors near to the labels."""
    rng = np.random.default_rng(seed)
    label, std = rng.normal(size=n), rng.uniform(0.1, 0.5, size=n)
    frame = pd.DataFrame(
        {
            "id": [f"mp-{k}" for k in range(n)],
            "formula": [f"A{k // 2}B" for k in range(n)],
            "prediction": label + std * rng.normal(size=n),
            "label": label,
            "std": std,
        }
    )
    return frame, np.column_stack([label, rng.normal(size=(n, 3))])


def written(folder, *args, **options):
    path = folder / "report.html"
    write_report(path, *args, **options)
    return path, path.read_text(encoding="utf-8")


def data_of(text):
    data = re.search(r'<script type="application/json" id="crystals-data">(.*?)</script>', text, flags=re.DOTALL)
    data = json.loads(data[1])
    return pd.DataFrame(data["rows"], columns=[column["name"] for column in data["columns"]])


def section(text, heading):
    return text.partition(f"<h2>{heading}</h2>")[2].partition("<h2>")[0]


def cells(text):
    return [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in re.findall(r"<tr>(<td.*?)</tr>", text)]


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A report with everything, and names from files that try to run code."""
    frame, vectors = table()
    frame.loc[[0, 1, 2, 3], "id"] = NAMES
    frame.loc[4, "formula"] = NAMES[1]
    frame.loc[5, "prediction"] = np.nan
    vectors[6] = np.nan
    repeats = [("mean", 50, 1.0), ("best", 50, 0.4), ("mean", 100, 0.9), ("best", 100, 0.3)]
    errors = pd.DataFrame(
        [{"arm": a, "n_labels": n, "repeat": k, "mae": mae + k / 100} for a, n, mae in repeats for k in range(3)]
    )
    return written(
        tmp_path_factory.mktemp("report"),
        frame,
        title=f"Gaps {SCRIPT}",
        target="gap_$x",
        unit="eV",
        vectors=vectors,
        errors=errors,
        failures=pd.DataFrame({"id": [SCRIPT], "reason": [f"no cell in {SCRIPT}"]}),
        settings={"model": SCRIPT, "folds": 5},
        method="pca",
    )


def test_the_file_needs_nothing_else(full):
    _, text = full
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", text.replace("<img src=x", ""))
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert {*re.findall(r"https?://[\w./-]+", text)} <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src &#x27;none&#x27;; img-src data:;")


def test_names_are_escaped(full):
    _, text = full
    assert SCRIPT not in text
    assert "<img" not in text
    # The data and the script of the page itself.
    assert text.count("<script") == text.count("</script>") == 2
    assert "&lt;script&gt;document.title" in section(text, "Rows that failed")
    assert "&lt;script&gt;document.title" in section(text, "Versions and settings")
    assert data_of(text)["id"].tolist()[:4] == SHOWN


def test_figures_are_valid_and_follow_the_colours_of_the_page(full):
    _, text = full
    drawn = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawn) == 1 + 3 + 3
    ids = [name for svg in drawn for name in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in drawn:
        root = ElementTree.fromstring(svg)
        assert root.get("role") == "img"
        assert root.get("width") is None
        assert "currentColor" in svg
        assert "#010203" not in svg


def test_the_summary_has_the_errors(full):
    _, text = full
    frame, _ = table()
    error = (frame["prediction"] - frame["label"]).drop(5)
    cards = dict(re.findall(r"<li><b>(.*?)</b>(.*?)</li>", text))
    cards = {caption: value for value, caption in cards.items()} | {}
    assert cards["mean absolute error"] == f"{error.abs().mean():.3g}"
    assert cards["root mean squared error"] == f"{np.sqrt((error**2).mean()):.3g}"
    assert (cards["crystals"], cards["failed"], cards["labelled"]) == ("60", "1", "59")


def test_models_are_sorted_by_their_errors(full):
    rows = cells(section(full[1], "Models"))
    assert [row[:3] for row in rows] == [
        ["50", "best", "0.41"],
        ["50", "mean", "1.01"],
        ["100", "best", "0.31"],
        ["100", "mean", "0.91"],
    ]


def test_coverage_of_intervals(tmp_path):
    frame, _ = table(4000)
    rows = cells(section(written(tmp_path, frame)[1], "Predictions"))
    assert [row[0] for row in rows] == ["50", "80", "90", "95"]
    z = np.abs(frame["prediction"] - frame["label"]) / frame["std"]
    for level, inside, half_width in rows:
        width = norm.ppf(0.5 + float(level) / 200)
        assert float(inside) == pytest.approx(100 * (z <= width).mean(), abs=0.06)
        assert float(inside) == pytest.approx(float(level), abs=3)
        assert float(half_width) == pytest.approx(width * frame["std"].mean(), rel=1e-3)


def test_worst_and_most_uncertain_crystals_with_their_nearest_labelled(full):
    frame, vectors = table()
    frame.loc[[0, 1, 2, 3], "id"] = SHOWN
    frame.loc[5, "prediction"], vectors[6] = np.nan, np.nan
    for heading, values in (
        ("Worst predictions", (frame["prediction"] - frame["label"]).abs()),
        ("Most uncertain predictions", frame["std"]),
    ):
        rows = [row for row in cells(section(full[1], heading)) if "&" not in row[0]]
        expected = values.sort_values(ascending=False, kind="stable").index[:10]
        expected = [k for k in expected if "<" not in frame["id"][k]]
        assert [row[0] for row in rows] == frame["id"][expected].tolist()
        for row, k in zip(rows, expected, strict=True):
            other = np.flatnonzero((frame["formula"] != frame["formula"][k]) & np.isfinite(vectors[:, 0]))
            if k == 6:
                assert row[6:] == [""] * 4
                continue
            distance = np.linalg.norm(vectors[other] - vectors[k], axis=1)
            near = other[distance.argmin()]
            if "&" not in row[6]:
                assert row[6] == frame["id"][near]
            assert float(row[9]) == pytest.approx(distance.min(), rel=1e-3)


def test_neighbours_are_searched_among_the_labelled_crystals(tmp_path):
    frame, vectors = table(20)
    known = pd.DataFrame({"id": ["x", "y", "z"], "formula": ["XO", "YO", "ZO"], "label": [1.0, 2.0, 3.0]})
    labelled_vectors = vectors[[3, 8, 0]] + 1e-3
    labelled_vectors[2] = np.nan
    frame = frame[["id", "formula", "prediction"]]
    _, text = written(tmp_path, frame, vectors=vectors, labelled=known, labelled_vectors=labelled_vectors, method="pca")
    data = data_of(text)
    assert data.loc[[3, 8], "nearest labelled"].tolist() == ["x", "y"]
    assert data.loc[8, ["its formula", "its label"]].tolist() == ["YO", 2.0]
    assert data.loc[8, "distance"] == pytest.approx(2e-3, rel=1e-3)
    assert "z" not in set(data["nearest labelled"])
    assert "Map of crystals by label" in text
    assert "Worst predictions" not in text
    assert "Distribution of the prediction" in text


def test_crystals_that_are_unlike_the_fitted_ones_are_marked(tmp_path):
    frame, _ = table(8)
    _, text = written(tmp_path, frame.assign(outside=[True, False] * 4))
    assert "<b>4</b>unlike those of the fit" in text
    assert data_of(text)["outside"].tolist() == ["yes", "no"] * 4


def test_few_and_no_predictions(tmp_path):
    frame, vectors = table(3)
    _, text = written(tmp_path, frame[["id", "formula", "prediction"]], vectors=vectors)
    assert "Map" not in text
    assert len(data_of(text)) == 3
    for empty in (frame[:0], frame.assign(prediction=np.nan, label=np.nan, std=np.nan)):
        _, text = written(tmp_path, empty, vectors=vectors[: len(empty)])
        assert len(data_of(text)) == len(empty)
        assert "<svg" not in text


def test_ten_thousand_crystals_in_less_than_5_megabytes(tmp_path):
    frame, vectors = table(10_500)
    path, text = written(tmp_path, frame, vectors=vectors, method="pca")
    assert path.stat().st_size < 5e6
    data = data_of(text)
    assert len(data) == 10_000
    assert "The 10000 of 10500 crystals with the largest errors." in text
    error = (frame["prediction"] - frame["label"]).abs()
    assert set(data["id"]) == set(frame["id"][error.nlargest(10_000).index])


def test_errors_name_what_is_wrong(tmp_path):
    frame, vectors = table(6)
    for wrong, message in (
        (
            {"predictions": frame.drop(columns="formula")},
            r"predictions must have the columns .* missing: \['formula'\]",
        ),
        (
            {"vectors": vectors[:3]},
            r"vectors must have a row for each of the 6 rows of predictions; got the shape \(3, 4\)",
        ),
        ({"labelled": frame}, "labelled_vectors must have a row"),
        ({"predictions": frame.assign(std=np.inf)}, 'the column "std" of predictions has infinite values'),
    ):
        with pytest.raises(ValueError, match=message):
            write_report(tmp_path / "r.html", **{"predictions": frame, "vectors": vectors, **wrong})
    assert not list(tmp_path.iterdir())


# ---- in a browser ----

TABLE = """
const cells = () => [...document.querySelectorAll("#crystals tbody tr")].map(
  (row) => [...row.cells].map((cell) => cell.textContent));
const press = (text) => [...document.querySelectorAll("#crystals th button")].find(
  (button) => button.textContent === text).click();
const type = (text) => { const box = document.getElementById("filter"); box.value = text;
  box.dispatchEvent(new Event("input")); return document.getElementById("count").textContent; };
"""


def test_names_run_no_code_in_a_browser(full, tmp_path):
    path, _ = full
    dom = dump(path, tmp_path)
    assert "<title>Gaps &lt;script&gt;" in dom
    assert "&lt;script&gt;document.title = 'run'&lt;/script&gt;</td>" in dom, "the table is drawn by the script"
    assert in_browser(path, "return document.title", tmp_path) == f"Gaps {SCRIPT}"
    shown = in_browser(path, f"{TABLE} return cells().slice(0, 4).map((row) => row[0])", tmp_path)
    assert shown == SHOWN


def test_the_table_sorts_filters_and_turns_pages(full, tmp_path):
    frame, _ = table()
    script = f"""{TABLE}
const all = cells().length;
document.getElementById("next").click();
const second = [cells().length, document.getElementById("count").textContent];
press("std"); const largest = cells()[0][0];
press("std"); const smallest = cells()[0][0];
press("prediction"); press("prediction"); document.getElementById("next").click(); const last = cells().at(-1)[3];
press("id"); const names = cells().map((row) => row[0]);
const counts = [type("mp-1"), type("b mp-59"), type("NOTHING"), type("")];
return {{ all, second, largest, smallest, last, names, counts }};"""
    result = in_browser(full[0], script, tmp_path)
    assert (result["all"], result["second"]) == (50, [10, "51–60 of 60"])
    ids = frame["id"].to_numpy(dtype=object)
    ids[:4] = SHOWN
    assert (result["largest"], result["smallest"]) == (ids[frame["std"].argmax()], ids[frame["std"].argmin()])
    assert result["last"] == "", "missing values are last in both directions"
    named = [name for name in result["names"] if name.startswith("mp-")]
    assert named == [f"mp-{k}" for k in range(4, 4 + len(named))], "numbers in names are sorted as numbers"
    assert result["counts"][1:] == ["1–1 of 1", "no crystal matches", "1–50 of 60"]


def test_the_page_fits_a_phone_and_follows_the_dark_mode(full, tmp_path):
    script = """return { width: window.innerWidth, page: document.documentElement.scrollWidth,
    back: getComputedStyle(document.body).backgroundColor, text: getComputedStyle(document.body).color,
    ink: getComputedStyle(document.querySelector("figure svg")).color };"""
    phone = in_browser(full[0], script, tmp_path, width=390, dark=True)
    assert phone["width"] <= 500
    assert phone["page"] <= phone["width"]
    assert (phone["back"], phone["text"]) == ("rgb(21, 24, 28)", "rgb(232, 232, 232)")
    assert phone["ink"] == phone["text"]
    light = in_browser(full[0], script, tmp_path)
    assert (light["back"], light["text"]) == ("rgb(255, 255, 255)", "rgb(26, 26, 26)")
