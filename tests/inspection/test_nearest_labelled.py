"""The nearest labelled crystals: distances between the vectors that a model predicts from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skdim import SiteNetFeaturizer, SiteNetRegressor
from skdim.inspection import nearest_labelled
from tests.helpers.small_estimators import SMALL


def brute_force(vectors, labelled, k):
    distance = np.linalg.norm(vectors[:, None] - labelled[None], axis=2)
    order = np.argsort(distance, axis=1)[:, :k]
    return order.ravel(), np.take_along_axis(distance, order, axis=1).ravel()


def test_neighbours_are_those_of_the_vectors_before_the_regressor(embedder, X, y):
    model = make_pipeline(FrozenEstimator(embedder), StandardScaler(), Ridge()).fit(X[:30], y[:30])
    table = nearest_labelled(model, X[30:], X[:30], y[:30], n_neighbors=4)
    scaler = StandardScaler().fit(vectors := embedder.transform(X[:30]))
    order, distance = brute_force(scaler.transform(embedder.transform(X[30:])), scaler.transform(vectors), 4)
    assert_array_equal(table["neighbour"], order)
    assert_allclose(table["distance"], distance, rtol=1e-4)
    assert_array_equal(table["label"], y[order])
    assert table["crystal"].tolist() == np.repeat(np.arange(10), 4).tolist()
    assert table["formula"].tolist() == [X[30:].formulas[k] for k in table["crystal"]]
    assert table["neighbour_formula"].tolist() == [X.formulas[k] for k in table["neighbour"]]


def test_a_labelled_crystal_is_nearest_to_itself(embedder, X, y):
    regressor = SiteNetRegressor(**SMALL, max_epochs=1).fit(X, y)
    for model in (embedder, FrozenEstimator(embedder), regressor, make_pipeline(FrozenEstimator(embedder))):
        table = nearest_labelled(model, X[5:8], X, y, n_neighbors=1)
        assert table["neighbour"].tolist() == [5, 6, 7]
        assert_allclose(table["distance"], 0, atol=1e-3)


def test_vectors_of_a_network_are_the_inputs_of_its_head(X, y):
    model = SiteNetRegressor(**SMALL, max_epochs=1, hidden_layer_sizes=()).fit(X, y)
    table = nearest_labelled(model, X[:10], X[10:], y[10:], n_neighbors=30)
    module = model.net_.module_
    weight = module.head[0].weight.detach().numpy()[0] * module.target_scale.numpy()
    # The network is linear in them, so no two predictions differ by more than the slope times the distance.
    predicted = model.predict(X)
    change = np.abs(predicted[table["crystal"]] - predicted[10 + table["neighbour"]])
    assert (change <= np.linalg.norm(weight) * table["distance"] + 1e-4).all()
    assert change.max() > 0


def test_structures_and_failed_rows(embedder, structures, X, y):
    model = make_pipeline(SiteNetFeaturizer(on_error="warn"), FrozenEstimator(embedder), SVR()).fit(structures, y)
    with pytest.warns(UserWarning, match="1 of"):
        table = nearest_labelled(model, [structures[3], None], [*structures[:5], "no"], [*y[:5], 9.0], n_neighbors=99)
    assert table.columns.tolist() == ["crystal", "neighbour", "distance", "label"]
    assert sorted(table["neighbour"]) == [0, 1, 2, 3, 4]
    assert table["crystal"].unique().tolist() == [0]
    with pytest.warns(UserWarning, match="1 of 1"):
        assert not len(nearest_labelled(model, [None], structures[:5], y[:5]))
    with (
        pytest.warns(UserWarning, match="1 of 1"),
        pytest.raises(ValueError, match="no labelled crystal has a vector"),
    ):
        nearest_labelled(model, structures[:1], [None], [1.0])


def test_errors_name_what_is_wrong(embedder, X, y):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        nearest_labelled(embedder, X, X, y[:3])
    with pytest.raises(TypeError, match="Ridge has no vectors to compare: pass a Pipeline"):
        nearest_labelled(Ridge().fit(np.eye(3), [1, 2, 3]), X, X, y)
    with pytest.raises(ValueError, match="n_neighbors"):
        nearest_labelled(embedder, X, X, y, n_neighbors=0)
