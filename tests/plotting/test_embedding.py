"""EmbeddingDisplay: positions and colours of the points; errors."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, trustworthiness
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.plotting import EmbeddingDisplay
from skdim.plotting._style import COLORS, GREY

matplotlib = pytest.importorskip("matplotlib", reason="needs the extra 'plot'")

from matplotlib.colors import to_hex, to_rgb


@pytest.fixture(scope="module")
def vectors():
    """Three groups of 30, of very different scales along the components."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(3, 6)).repeat(30, axis=0)
    return (centers + 0.2 * rng.normal(size=(90, 6))) * [1, 10, 100, 1, 0.1, 1]


def drawn(display, panel=0):
    """Index of each point of a panel, in the order of drawing, and its value or color."""
    scatter = display.scatters_[panel]
    offsets = np.asarray(scatter.get_offsets())
    places = {tuple(position): k for k, position in enumerate(display.positions)}
    points = np.array([places[tuple(offset)] for offset in offsets])
    values = scatter.get_array()
    return points, values if values is not None else [to_hex(color) for color in scatter.get_facecolors()]


# -- the map -----------------------------------------------------------------------------------------------------------


def test_pca_is_of_standardised_vectors(vectors):
    display = EmbeddingDisplay.from_vectors(vectors, method="pca")
    expected = PCA(2, random_state=0).fit_transform(StandardScaler().fit_transform(vectors))
    assert_allclose(display.positions, expected, atol=1e-9)
    assert display.ax_.get_xlabel() == "principal component 1"


def test_tsne_keeps_neighbours_and_is_reproducible(vectors):
    display = EmbeddingDisplay.from_vectors(vectors)
    assert trustworthiness(StandardScaler().fit_transform(vectors), display.positions, n_neighbors=5) > 0.9
    assert_array_equal(EmbeddingDisplay.from_vectors(vectors).positions, display.positions)
    assert display.ax_.get_ylabel() == "t-SNE 2"


def test_five_rows_are_enough_for_tsne(vectors):
    assert EmbeddingDisplay.from_vectors(vectors[:5]).positions.shape == (5, 2)


def test_projection_of_the_user_is_cloned(vectors):
    tsne = TSNE(perplexity=5, random_state=1)
    display = EmbeddingDisplay.from_vectors(vectors, method=tsne)
    assert not hasattr(tsne, "embedding_")
    assert_allclose(
        display.positions, TSNE(perplexity=5, random_state=1).fit_transform(StandardScaler().fit_transform(vectors))
    )
    assert display.ax_.get_xlabel() == "TSNE 1"


def test_umap_is_called_with_a_seed_and_one_thread(vectors, monkeypatch):
    arguments = {}

    class UMAP:
        def __init__(self, **params):
            arguments.update(params)

        def fit_transform(self, X):
            assert_allclose(X.std(axis=0), 1)
            return X[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    display = EmbeddingDisplay.from_vectors(vectors[:10], method="umap", random_state=3)
    assert arguments == {"n_components": 2, "n_neighbors": 9, "random_state": 3, "n_jobs": 1}
    assert display.ax_.get_xlabel() == "UMAP 1"


def test_umap_is_reproducible_and_separates_groups(vectors):
    pytest.importorskip("umap", reason="needs the extra 'umap'")
    apart = vectors[:40] + np.repeat([0, 50], 20)[:, None]
    first, again = (EmbeddingDisplay.from_vectors(apart, method="umap", random_state=3).positions for _ in range(2))
    assert_array_equal(first, again)
    distance = np.linalg.norm(first[:, None] - first, axis=2) + np.diag([np.inf] * 40)
    assert_array_equal(distance.argmin(axis=1) < 20, np.arange(40) < 20)  # the nearest point is in the same half


def test_from_estimator_embeds_the_crystals(formation_data):
    crystals = SiteNetFeaturizer().transform(formation_data.structures[:40])
    y = formation_data.target[:40]
    embedder = DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(crystals)
    display = EmbeddingDisplay.from_estimator(embedder, crystals, y, units="eV/atom", method="pca")
    assert_array_equal(
        display.positions, EmbeddingDisplay.from_vectors(embedder.transform(crystals), y, method="pca").positions
    )
    assert display.colorbars_[0].ax.get_ylabel() == "eV/atom"


def test_rows_with_nan_are_not_on_the_map(vectors):
    holes = vectors.copy()
    holes[[3, 50], 2:] = np.nan
    y = np.arange(90.0)
    with pytest.warns(UserWarning, match=r"2 of 90 rows have NaN in their vectors \(the first: 3, 50\)"):
        display = EmbeddingDisplay.from_vectors(holes, y, method="pca")
    assert_array_equal(display.rows, np.delete(np.arange(90), [3, 50]))
    assert_array_equal(display.targets[""], np.delete(y, [3, 50]))
    points, values = drawn(display)
    assert_array_equal(display.rows[points], values)


def test_large_inputs_are_subsampled(vectors):
    y = np.arange(90.0)
    display = EmbeddingDisplay.from_vectors(vectors, y, method="pca", max_points=20)
    assert len(np.unique(display.rows)) == 20
    assert_array_equal(display.targets[""], y[display.rows])
    assert_array_equal(EmbeddingDisplay.from_vectors(vectors, method="pca", max_points=20).rows, display.rows)
    other = EmbeddingDisplay.from_vectors(vectors, method="pca", max_points=20, random_state=1)
    assert not np.array_equal(other.rows, display.rows)
    assert len(EmbeddingDisplay.from_vectors(vectors, method="pca", max_points=None).rows) == 90


# -- colours -----------------------------------------------------------------------------------------------------------


def test_points_have_their_values_and_are_drawn_in_random_order(vectors):
    y = np.arange(90.0)
    display = EmbeddingDisplay.from_vectors(vectors, pd.Series(y, name="gap"), method="pca", units="eV")
    points, values = drawn(display)
    assert_array_equal(points, values)
    assert_array_equal(np.sort(points), np.arange(90))
    assert abs(np.corrcoef(points, np.arange(90))[0, 1]) < 0.3
    assert display.scatters_[0].get_rasterized()
    assert display.colorbars_[0].ax.get_ylabel() == "gap (eV)"


def test_outliers_do_not_stretch_the_colour_range(vectors):
    y = np.r_[np.linspace(0, 1, 89), 1000.0]
    display = EmbeddingDisplay.from_vectors(vectors, y, method="pca")
    assert_allclose(display.scatters_[0].get_clim(), np.quantile(y, [0.02, 0.98]))
    assert display.colorbars_[0].extend == "both"
    display.plot(quantiles=(0, 0.9))
    assert display.colorbars_[0].extend == "max"
    display.plot(quantiles=(0, 1))
    assert display.scatters_[0].get_clim() == (0, 1000)
    assert display.colorbars_[0].extend == "neither"


def test_colors_differ_in_lightness():
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 1, 20))[:, :3]
    lightness = shades @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > 0).all()
    assert len(set(COLORS)) == len(COLORS)
    assert min(np.abs(np.subtract(to_rgb(a), to_rgb(b))).max() for a in COLORS for b in COLORS if a != b) > 0.2


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, pd.Categorical])
def test_categories_have_a_color_each(vectors, kind):
    labels = kind(["b"] * 30 + ["a"] * 40 + ["c"] * 20)
    display = EmbeddingDisplay.from_vectors(vectors, labels, method="pca")
    assert display.colorbars_ == [None]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["a", "b", "c"]
    points, colors = drawn(display)
    expected = np.array([COLORS[1].lower()] * 30 + [COLORS[0].lower()] * 40 + [COLORS[2].lower()] * 20)
    assert_array_equal(colors, expected[points])


@pytest.mark.parametrize("kind", [tuple, np.array])
def test_colors_may_be_arrays(vectors, kind):
    numbers = kind(matplotlib.colormaps["viridis"](np.linspace(0, 1, 3)).tolist())
    labels = ["a"] * 30 + ["b"] * 30 + ["c"] * 20 + ["d"] * 10
    display = EmbeddingDisplay.from_vectors(vectors, labels, method="pca", colors=numbers)
    points, colors = drawn(display)
    expected = np.repeat([*(to_hex(color) for color in numbers), GREY.lower()], [30, 30, 20, 10])
    assert_array_equal(colors, expected[points])


def test_rare_categories_are_grey_and_below(vectors):
    labels = pd.Series([f"{k:02d}" for k in range(30)] + ["often"] * 40 + ["rather"] * 20, name="prototype")
    display = EmbeddingDisplay.from_vectors(vectors, labels, method="pca", colors=["red", "blue"])
    legend = display.ax_.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["often", "rather", "30 others"]
    assert legend.get_title().get_text() == "prototype"
    points, colors = drawn(display)
    assert set(colors[:30]) == {GREY.lower()}  # below the others
    assert_array_equal(np.sort(points[:30]), np.arange(30))


@pytest.mark.parametrize("y", [np.r_[[np.nan] * 10, np.arange(80)], [None] * 10 + ["a"] * 40 + ["b"] * 40])
def test_missing_values_are_grey_and_below(vectors, y):
    display = EmbeddingDisplay.from_vectors(vectors, y, method="pca")
    first = display.ax_.collections[0]
    grey = [to_hex(color) for color in first.get_facecolors()]
    assert grey[0] == GREY.lower()
    at = np.asarray(first.get_offsets())[:10]
    assert_array_equal(np.sort(at, axis=0), np.sort(display.positions[:10], axis=0))
    assert sum(len(c.get_offsets()) for c in display.ax_.collections) == 90


def test_booleans_are_categories(vectors):
    display = EmbeddingDisplay.from_vectors(vectors, np.arange(90) % 2 == 0, method="pca")
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["False", "True"]


def test_a_constant_target_can_be_drawn(vectors, tmp_path):
    display = EmbeddingDisplay.from_vectors(vectors, np.ones(90), method="pca")
    display.figure_.savefig(tmp_path / "figure.png")
    assert display.colorbars_[0].extend == "neither"


# -- panels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [dict, pd.DataFrame])
def test_several_targets_share_the_map(vectors, kind, tmp_path):
    y = kind({"gap": np.arange(90.0), "anion": ["O"] * 45 + ["S"] * 45, "energy": -np.arange(90.0), "x": np.ones(90)})
    display = EmbeddingDisplay.from_vectors(vectors, y, method="pca", units={"gap": "eV"})
    assert len(display.axes_) == len(display.scatters_) == 4
    assert display.ax_ is display.axes_[0]
    assert all(axes.figure is display.figure_ for axes in display.axes_)
    assert [bar and bar.ax.get_ylabel() for bar in display.colorbars_] == ["gap (eV)", None, "energy", "x"]
    for panel in range(4):
        assert_array_equal(np.sort(drawn(display, panel)[0]), np.arange(90))
    assert_array_equal(drawn(display, 2)[0], -drawn(display, 2)[1])
    display.figure_.savefig(tmp_path / "figure.pdf")
    assert 5_000 < (tmp_path / "figure.pdf").stat().st_size < 1_000_000


def test_axes_of_the_user_are_used(vectors):
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2)
    display = EmbeddingDisplay.from_vectors(vectors, {"a": np.arange(90), "b": np.arange(90)}, method="pca", ax=axes)
    assert display.axes_ == list(axes)
    assert display.figure_ is fig
    assert display.plot(ax=axes) is display
    with pytest.raises(ValueError, match="one Axes for each of 2 panels; got 1"):
        display.plot(ax=axes[0])
    one = EmbeddingDisplay.from_vectors(vectors, method="pca", ax=axes[1])
    assert one.ax_ is axes[1]
    assert len(plt.get_fignums()) == 1


def test_positions_can_be_given():
    positions = np.random.default_rng(0).normal(size=(8, 2))
    display = EmbeddingDisplay(positions, np.arange(8)).plot()
    points, values = drawn(display)
    assert_array_equal(points, values)
    with pytest.raises(ValueError, match="y has 3 values for 8 rows"):
        EmbeddingDisplay(positions, [1, 2, 3]).plot()


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.arange(89), "y has 89 values for 90 rows"),
        ({"gap": np.arange(90), "energy": np.arange(3)}, "the target 'energy' has 3 values for 90 rows"),
        (np.ones((90, 2)), "y has more than one column; pass a DataFrame, or a dict"),
        (np.r_[np.arange(89), np.inf], "y has infinite values, the first in row 89"),
        (np.full(90, np.nan), "y has only missing values"),
        (pd.DataFrame(np.ones((90, 2)), columns=["a", "a"]), r"y has duplicate column names: \['a'\]"),
    ],
)
def test_bad_targets_are_refused(vectors, y, match):
    with pytest.raises(ValueError, match=match):
        EmbeddingDisplay.from_vectors(vectors, y, method="pca")


@pytest.mark.parametrize(
    ("change", "params", "match"),
    [
        (lambda v: v[:4], {}, "at least 5 vectors of 2 components without NaN; got 4 of 6"),
        (lambda v: v[:, :1], {}, "got 90 of 1"),
        (lambda v: v * np.nan, {}, "got 0 of 6"),
        (lambda v: np.where(v == v.max(), np.inf, v), {}, "vectors contains infinity"),
        (lambda v: v[0], {}, "Expected 2D array"),
        (lambda v: v[[0] * 90], {}, "all 90 vectors are equal"),
        (lambda v: v, {"max_points": 2}, "max_points must be at least 5, or None; got 2"),
        (lambda v: v, {"method": "mds"}, r"method must be one of \('tsne', 'umap', 'pca'\) or an estimator"),
        (lambda v: v, {"method": 3}, "method must be one of"),
        (lambda v: v, {"method": PCA(3)}, "PCA must return two finite numbers for each of 90 rows"),
        (lambda v: v, {"method": "pca", "quantiles": (0.9, 0.1)}, "quantiles must be two ascending numbers"),
    ],
)
def test_bad_input_is_refused(vectors, change, params, match):
    with pytest.raises(ValueError, match=match):
        EmbeddingDisplay.from_vectors(change(vectors), **params)


def test_error_without_umap_names_the_extra(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[umap\]"):
        EmbeddingDisplay.from_vectors(vectors, method="umap")
    with pytest.raises(ImportError, match=r"skdim-crystals\[umap\]"):
        EmbeddingDisplay.from_estimator(None, None, method="umap")  # raised before anything is embedded


def test_error_without_matplotlib_names_the_extra(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        EmbeddingDisplay.from_vectors(vectors)
    with pytest.raises(ImportError, match=r"skdim-crystals\[plot\]"):
        EmbeddingDisplay.from_estimator(None, None)
