"""AttentionDistanceDisplay: the artists have the values of the table; errors."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.plotting import AttentionDistanceDisplay
from skdim.plotting._attention import _FEW
from skdim.plotting._attention_pairs import ALMOST_ALL, weighted_quantiles
from skdim.plotting._style import COLORS, GREY, MARKERS
from tests.helpers.small_estimators import SMALL

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

from matplotlib.colors import to_hex, to_rgb


@pytest.fixture(scope="module")
def embedder(crystals):
    return DeepInfoMaxEmbedder(**SMALL, n_heads=2, max_epochs=1).fit(crystals)


@pytest.fixture(scope="module")
def table(embedder, crystals):
    return embedder.attention(crystals)


def pairs_of_sites(rows):
    """Repeat each row once per pair of sites."""
    return rows.loc[rows.index.repeat(rows["multiplicity"] * rows["count"])]


def panel(table, head):
    rows = table[table["head"] == head]
    return rows.assign(weight=rows["attention"] / rows["count"])


def legend_texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


# -- one crystal -------------------------------------------------------------------------------------------------------


def test_one_crystal_is_drawn_as_points_by_elements(embedder, crystals):
    one = crystals[5]
    table = embedder.attention(one)
    display = AttentionDistanceDisplay.from_estimator(embedder, one)
    assert len(display.axes_) == 2
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_ylabel() == "Attention to one neighbour\n(attention of the pair / count)"
    assert display.axes_[1].get_xlabel() == "Distance (Å)"
    assert [axes.get_title() for axes in display.axes_] == ["Head 0", "Head 1"]
    for head, artists in enumerate(display.artists_):
        rows = panel(table, head)
        pairs = rows.groupby(["element", "neighbour_element"], observed=True)
        assert set(artists) == {"even", *(f"{a} → {b}" for (a, b), _ in pairs)}
        for (site, near), part in pairs:
            drawn = artists[f"{site} → {near}"].get_offsets()
            assert_allclose(drawn, part[["distance", "weight"]], rtol=1e-6)
        n_sites = rows["count"].sum() / rows["site"].nunique()
        assert artists["even"].get_ydata()[0] == pytest.approx(1 / n_sites)


def test_color_is_the_neighbour_and_marker_the_site(embedder, crystals):
    numbers = [set(crystals[k].numbers.tolist()) for k in range(len(crystals))]
    ternary = next(k for k, elements in enumerate(numbers) if len(elements) == 3)
    artists = AttentionDistanceDisplay.from_estimator(embedder, crystals[ternary]).artists_[0]
    elements = sorted({name.split(" → ")[0] for name in artists if " → " in name})
    assert len(artists) == 9 + 1
    colors = {e: {to_hex(artists[f"{s} → {e}"].get_facecolor()[0]) for s in elements} for e in elements}
    assert all(len(each) == 1 for each in colors.values())
    assert len(set().union(*colors.values())) == 3
    shapes = {e: {artists[f"{e} → {s}"].get_paths()[0].vertices.tobytes() for s in elements} for e in elements}
    assert all(len(each) == 1 for each in shapes.values())
    assert len(set().union(*shapes.values())) == 3


def test_points_without_elements(table):
    display = AttentionDistanceDisplay.from_attention(table, kind="points", elements=False)
    rows = panel(table, 1)
    assert_allclose(display.artists_[1]["points"].get_offsets(), rows[["distance", "weight"]], rtol=1e-6)
    assert legend_texts(display.axes_[1]) == ["even attention"]


# -- many crystals -----------------------------------------------------------------------------------------------------


def test_many_crystals_are_drawn_as_median_and_quartiles(table, tmp_path):
    edges = [0, 2, 4, 6, 8]
    display = AttentionDistanceDisplay.from_attention(table, bins=edges)
    for head, artists in enumerate(display.artists_):
        rows = pairs_of_sites(panel(table, head))
        others = rows[(rows["distance"] > 0) & (rows["distance"] <= 8)]
        expected = {
            low + 1: np.quantile(part["weight"], [0.25, 0.5, 0.75], method="inverted_cdf")
            for low in edges[:-1]
            if len(part := others[others["distance"].between(low, low + 2, inclusive="left")])
        }
        line = artists["median"]
        assert_array_equal(line.get_xdata(), list(expected))
        assert_allclose(line.get_ydata(), [q[1] for q in expected.values()], rtol=1e-6)
        band = artists["quartiles"].get_paths()[0].vertices
        for x, (low, _, high) in expected.items():
            ends = band[band[:, 0] == x, 1]
            assert_allclose([ends.min(), ends.max()], [low, high], rtol=1e-6)
        selves = rows.loc[rows["distance"] == 0, "weight"]
        low, middle, high = np.quantile(selves, [0.25, 0.5, 0.75], method="inverted_cdf")
        assert artists["self"][0].get_ydata()[0] == pytest.approx(middle)
        assert_allclose(artists["self"][2][0].get_segments()[0][:, 1], [low, high])
        assert artists["even"].get_ydata()[0] == pytest.approx(
            np.quantile(1 / others.loc[others["distance"] < 2, "supercell_sites"], 0.5, method="inverted_cdf")
        )
    assert legend_texts(display.axes_[1]) == ["median", "quartiles", "even attention", "site to itself"]
    display.figure_.savefig(tmp_path / "figure.png")
    right = display.axes_[1].get_legend().get_window_extent().x1
    assert right <= display.figure_.bbox.x1


def test_merging_equal_sites_does_not_change_medians(embedder, formation_crystals):
    lines = []
    for compress in (True, False):
        X = SiteNetFeaturizer(compress=compress).transform(formation_crystals[:8])
        display = AttentionDistanceDisplay.from_estimator(embedder, X, bins=[0, 1, 3.01, 5.01, 7.01])
        lines.append(display.artists_[0]["median"].get_xydata())
    assert_allclose(*lines, rtol=0.01)


def test_medians_by_elements(table):
    display = AttentionDistanceDisplay.from_attention(table, elements=True, bins=6)
    counts = pairs_of_sites(table).groupby(["element", "neighbour_element"], observed=True).size()
    frequent = counts.sort_values(ascending=False, kind="stable").index[: len(COLORS)]
    artists = display.artists_[0]
    shown = {f"{a} → {b}" for a, b in frequent}
    others = f"{len(counts) - len(COLORS)} others"
    assert {name for name in artists if not name.startswith("self ")} == {"even", others, *shown}
    assert to_hex(artists[others].get_color()) == GREY.lower()
    assert len({artists[name].get_color() for name in shown}) == len(COLORS)
    assert len({artists[name].get_marker() for name in shown}) == len(COLORS)
    a, b = frequent[0]
    rows = panel(table, 0).query("element == @a and neighbour_element == @b and distance > 0")
    end = np.quantile(pairs_of_sites(table)["distance"], ALMOST_ALL, method="inverted_cdf")
    edges = np.linspace(0, end, 7)
    middle = artists[f"{a} → {b}"].get_xdata()[-1]
    low, high = edges[edges < middle].max(), edges[edges > middle].min()
    last = pairs_of_sites(rows[(rows["distance"] >= low) & (rows["distance"] <= high)])
    expected = np.quantile(last["weight"], 0.5, method="inverted_cdf")
    assert artists[f"{a} → {b}"].get_ydata()[-1] == pytest.approx(expected)


def test_density_at_each_distance_sums_to_one(table):
    display = AttentionDistanceDisplay.from_attention(table, kind="density", bins=[0, 1, 3, 5, 7])
    meshes = [artists["density"] for artists in display.artists_]
    for mesh in meshes:
        shares = np.ma.filled(mesh.get_array(), 0)
        assert_allclose(shares.sum(axis=0), 1)
        assert mesh.get_clim() == meshes[0].get_clim()
    rows = pairs_of_sites(panel(table, 0))
    heights = meshes[0].get_coordinates()[:, 0, 1]
    inside = rows.loc[rows["distance"].between(3, 5, inclusive="left"), "weight"]
    expected = np.histogram(inside, heights)[0] / len(inside)
    assert_allclose(np.ma.filled(meshes[0].get_array(), 0)[:, 2], expected, atol=1e-12)
    assert display.axes_[0].get_legend() is None
    assert len(display.figure_.axes) == 3  # two panels and the colour bar


@pytest.mark.parametrize("weights", [[1, 1, 1, 1], [3, 1, 2, 5], [1, 0, 0, 1]])
def test_weighted_quantiles_are_those_of_repeated_values(weights):
    values = np.array([4.0, 1.0, 3.0, 2.0])
    quantiles = weighted_quantiles(values, np.array(weights, dtype=float), [0.25, 0.5, 0.75, 1])
    repeated = np.repeat(values, weights)
    assert_array_equal(quantiles, np.quantile(repeated, [0.25, 0.5, 0.75, 1], method="inverted_cdf"))


def test_default_bins_hold_99_percent_of_the_pairs(table):
    end = np.quantile(pairs_of_sites(table)["distance"], ALMOST_ALL, method="inverted_cdf")
    display = AttentionDistanceDisplay.from_attention(table, kind="density", bins=10)
    assert_allclose(display.artists_[0]["density"].get_coordinates()[0, :, 0], np.linspace(0, end, 11))


# -- inputs ------------------------------------------------------------------------------------------------------------


def test_network_inside_pipelines_and_frozen_estimators_is_found(embedder, formation_crystals):
    structures = formation_crystals[:6]
    X = SiteNetFeaturizer().transform(structures)
    expected = embedder.attention(X)
    frozen = FrozenEstimator(embedder)
    for estimator in (
        make_pipeline(SiteNetFeaturizer(), embedder),
        make_pipeline(SiteNetFeaturizer(), "passthrough", make_pipeline(frozen), Ridge()),
        FrozenEstimator(make_pipeline(SiteNetFeaturizer(), frozen)),
    ):
        display = AttentionDistanceDisplay.from_estimator(estimator, structures)
        pd.testing.assert_frame_equal(display.attention, expected)
    pd.testing.assert_frame_equal(AttentionDistanceDisplay.from_estimator(frozen, X).attention, expected)


def test_a_regressor_has_a_panel_for_each_head_of_each_block(crystals, tmp_path):
    model = SiteNetRegressor(**SMALL, n_blocks=2, n_heads=3, max_epochs=1).fit(crystals[:10], np.arange(10.0))
    display = AttentionDistanceDisplay.from_estimator(model, crystals[:10])
    assert [axes.get_title() for axes in display.axes_] == [f"Block {b}, head {h}" for b in (0, 1) for h in (0, 1, 2)]
    # Two rows of three panels.
    places = [axes.get_subplotspec() for axes in display.axes_]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [(b, h) for b in (0, 1) for h in (0, 1, 2)]
    display.figure_.savefig(tmp_path / "figure.png")


def test_large_inputs_are_subsampled(embedder, crystals):
    one = AttentionDistanceDisplay.from_estimator(embedder, crystals, max_crystals=10).attention
    rows = one["crystal"].unique()
    assert len(rows) == 10
    assert (np.diff(rows) > 0).all()
    expected = embedder.attention(crystals[rows])
    assert_array_equal(one["attention"], expected["attention"])
    assert_array_equal(one["crystal"], rows[expected["crystal"]])
    pd.testing.assert_frame_equal(
        AttentionDistanceDisplay.from_estimator(embedder, crystals, max_crystals=10).attention, one
    )
    other = AttentionDistanceDisplay.from_estimator(embedder, crystals, max_crystals=10, random_state=1).attention
    assert not np.array_equal(other["crystal"].unique(), rows)
    every = AttentionDistanceDisplay.from_estimator(embedder, crystals, max_crystals=None).attention
    assert every["crystal"].nunique() == len(crystals)


def test_part_of_a_table_from_a_csv_file(table, tmp_path):
    table.to_csv(tmp_path / "attention.csv", index=False)
    read = pd.read_csv(tmp_path / "attention.csv", keep_default_na=False)
    part = read[(read["element"] == "O") & (read["neighbour_element"] != "O") & (read["head"] == 1)]
    before = part.copy()
    display = AttentionDistanceDisplay.from_attention(part, bins=5)
    pd.testing.assert_frame_equal(part, before)
    assert len(display.axes_) == 1
    assert "self" not in display.artists_[0]
    assert display.ax_.get_title() == ""


def test_axes_of_the_user_are_used(table):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3)
    display = AttentionDistanceDisplay(table)
    assert display.plot(ax=axes[:2], legend=False) is display
    assert display.axes_ == list(axes[:2])
    assert display.figure_ is figure
    assert not axes[2].lines
    assert display.ax_.get_legend() is None
    with pytest.raises(ValueError, match="one Axes for each of 2 panels; got 1"):
        display.plot(ax=axes[2])
    assert len(plt.get_fignums()) == 1


def test_styles_differ_in_greyscale(table):
    assert len(set(MARKERS)) == len(MARKERS) == len(COLORS)
    grey = np.sort([np.dot(to_rgb(color), [0.299, 0.587, 0.114]) for color in _FEW])
    assert np.diff(grey).min() > 0.15
    display = AttentionDistanceDisplay.from_attention(table, elements=True, colors=["red", "blue"])
    lines = [artist for name, artist in display.artists_[0].items() if "→" in name and not name.startswith("self")]
    assert {line.get_color() for line in lines} == {"red", "blue"}


def test_colors_may_be_arrays(table):
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 1, 3))
    display = AttentionDistanceDisplay.from_attention(table, elements=True, colors=colors)
    lines = [artist for name, artist in display.artists_[0].items() if "→" in name and not name.startswith("self")]
    assert {to_hex(line.get_color()) for line in lines} == {to_hex(color) for color in colors}


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "params", "error", "match"),
    [
        (lambda t: t.to_numpy(), {}, TypeError, "must be the DataFrame that an estimator's attention.X. returns"),
        (lambda t: t.drop(columns="count"), {}, ValueError, r"has no columns \['count'\]"),
        (lambda t: t[:0], {}, ValueError, "attention has no rows"),
        (lambda t: t.assign(attention=np.nan), {}, ValueError, "must be finite; row 0 is not"),
        (lambda t: t, {"kind": "violin"}, ValueError, r"kind must be one of \('points', 'median', 'density'\)"),
        (lambda t: t, {"bins": 0}, ValueError, "bins must be a positive number of bins"),
        (lambda t: t, {"bins": 2.5}, ValueError, "bins must be a positive number of bins"),
        (lambda t: t, {"bins": [3, 2, 1]}, ValueError, "ascending edges"),
        (lambda t: t, {"bins": [500, 600], "kind": "density"}, ValueError, "no distance is between 500 and 600"),
    ],
)
def test_bad_input_is_refused(table, change, params, error, match):
    with pytest.raises(error, match=match):
        AttentionDistanceDisplay.from_attention(change(table), **params)


def test_bad_estimators_are_refused(embedder, crystals, formation_crystals):
    with pytest.raises(NotFittedError):
        AttentionDistanceDisplay.from_estimator(DeepInfoMaxEmbedder(), crystals)
    with pytest.raises(TypeError, match="neither Ridge nor its steps have 'attention': pass a fitted"):
        AttentionDistanceDisplay.from_estimator(Ridge().fit([[0], [1]], [0, 1]), crystals)
    pipeline = make_pipeline(StandardScaler(), "passthrough", Ridge()).fit([[0], [1]], [0, 1])
    with pytest.raises(TypeError, match="neither Pipeline nor its steps have 'attention': pass a fitted"):
        AttentionDistanceDisplay.from_estimator(pipeline, crystals)
    with pytest.raises(TypeError, match="add a SiteNetFeaturizer before it"):
        AttentionDistanceDisplay.from_estimator(embedder, formation_crystals)
    with pytest.raises(ValueError, match="max_crystals must be at least 1, or None; got 0"):
        AttentionDistanceDisplay.from_estimator(embedder, crystals, max_crystals=0)


def test_error_without_matplotlib_names_the_extra(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        AttentionDistanceDisplay.from_attention(table)
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        AttentionDistanceDisplay.from_estimator(None, None)  # raised before anything is embedded
