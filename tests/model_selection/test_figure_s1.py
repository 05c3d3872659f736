"""figure_s1: the paper's four models on the same draws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPRegressor

from skdim import PAPER_SITE_FEATURES, Crystals, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim.model_selection import figure_s1, formula_groups, label_efficiency, make_arm, read_results
from tests.helpers.small_estimators import SMALL

OPTIONS = {"train_sizes": [8, 12], "n_draws": 3, "n_network_draws": 2, "network": SiteNetRegressor(max_epochs=1)}
COLUMNS = ["arm", "n_labels", "repeat", "mae"]


@pytest.fixture(scope="module")
def embedder(X):
    return DeepInfoMaxEmbedder(max_epochs=2, **SMALL).fit(X[:20])


def test_models_are_those_of_the_paper(embedder, X, y, monkeypatch):
    models = {}
    monkeypatch.setattr(
        "skdim.model_selection._figure_s1.label_efficiency", lambda estimators, *_, **__: models.update(estimators)
    )
    figure_s1(embedder, X, y, **OPTIONS)
    assert list(models) == ["representation", "untrained", "transfer", "supervised"]
    for name in ("representation", "untrained"):
        assert isinstance(models[name][0], FrozenEstimator)
        assert isinstance(models[name][-1], MLPRegressor)
        assert models[name][-1].hidden_layer_sizes == (64,)
    assert models["representation"][0].estimator is embedder
    assert models["untrained"][0].estimator.n_iter_ == 0
    transfer, supervised = models["transfer"].get_params(deep=False), models["supervised"].get_params(deep=False)
    assert transfer.pop("pretrained").estimator is embedder
    assert supervised.pop("pretrained") is None
    assert transfer == supervised
    assert isinstance(models["supervised"], SiteNetRegressor)
    assert (supervised["hidden_layer_sizes"], supervised["freeze"], supervised["max_epochs"]) == ((64,), None, 1)


def test_networks_may_have_the_settings_of_the_paper(X, y, monkeypatch):
    models = {}
    monkeypatch.setattr(
        "skdim.model_selection._figure_s1.label_efficiency", lambda estimators, *_, **__: models.update(estimators)
    )
    X = X.with_site_features(PAPER_SITE_FEATURES)
    embedder = DeepInfoMaxEmbedder.paper(max_epochs=0, random_state=0).fit(X)
    paper = SiteNetRegressor.paper()
    figure_s1(embedder, X, y, train_sizes=[8], network=paper)
    assert models["supervised"].get_params() == paper.get_params(), "paper() has the encoder of the paper's embedder"
    assert models["transfer"].set_params(pretrained=None).get_params() == paper.get_params()


def test_errors_are_those_of_label_efficiency(embedder, X, y):
    data = {"X_test": X[25:], "y_test": y[25:]}
    table = figure_s1(embedder, X[:25], y[:25], **data, **OPTIONS)
    assert table.groupby("arm", sort=False).size().to_dict() == {
        "representation": 6,
        "untrained": 6,
        "transfer": 4,
        "supervised": 4,
    }
    alone = {"representation": make_arm("representation", embedder, head="mlp")}
    alone = label_efficiency(alone, X[:25], y[:25], **data, train_sizes=[8, 12], n_repeats=3)
    assert_allclose(table.query("arm == 'representation'")["mae"], alone["mae"], rtol=1e-6)


def test_an_interrupted_run_is_resumed(embedder, X, y, tmp_path):
    path = tmp_path / "s1.jsonl"
    whole = figure_s1(embedder, X, y, **OPTIONS, results_file=path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-5]))
    assert len(read_results(path)) == len(whole) - 5
    assert_frame_equal(figure_s1(embedder, X, y, **OPTIONS, results_file=path)[COLUMNS], whole[COLUMNS])


def test_sizes_and_draws_are_those_of_the_paper(embedder, X, y, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "skdim.model_selection._figure_s1.label_efficiency", lambda *_, **options: calls.append(options)
    )
    many = Crystals.concatenate([X] * 30)
    data = {"X_test": X, "y_test": y}
    figure_s1(embedder, many, np.tile(y, 30), **data)
    figure_s1(embedder, many[:300], np.tile(y, 30)[:300], **data, n_draws=3, n_network_draws=1)
    assert [call["train_sizes"] for call in calls] == [[50, 100, 250, 1000], [50, 100, 250]]
    frozen = {50: 100, 100: 100, 250: 100, 1000: 25}
    assert calls[0]["n_repeats"] == {"representation": frozen, "untrained": frozen, "transfer": 12, "supervised": 12}
    assert calls[1]["n_repeats"]["untrained"] == {50: 3, 100: 3, 250: 3}


def test_test_rows_are_held_out_by_formula(embedder, X, y, monkeypatch):
    seen = []

    def fit(self, X, y):
        seen.append(set(X.formulas))
        return self

    def predict(self, X):
        seen.append(set(X.formulas))
        return np.zeros(len(X))

    monkeypatch.setattr(SiteNetRegressor, "fit", fit)
    monkeypatch.setattr(SiteNetRegressor, "predict", predict)
    twice = Crystals.concatenate([X, X])
    figure_s1(embedder, twice, np.tile(y, 2), **{**OPTIONS, "train_sizes": [40], "n_draws": 1, "n_network_draws": 1})
    for trained, tested in zip(seen[::2], seen[1::2], strict=True):
        assert not trained & tested
    assert_array_equal(np.bincount(formula_groups(twice)) % 2, 0)


def test_too_few_crystals_are_refused(embedder, X, y):
    with pytest.raises(ValueError, match="train_sizes has 50 labels, but there are only"):
        figure_s1(embedder, X, y)
