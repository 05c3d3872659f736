"""PredictedProperties: the block of properties that an embedder knows, and its place in make_arm("best")."""

import numpy as np
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdim import DeepInfoMaxEmbedder
from skdim._embedder.predicted_properties import PredictedProperties
from skdim.model_selection import make_arm


def test_columns_are_the_predictions_of_the_embedder(X):
    embedder = DeepInfoMaxEmbedder.from_pretrained("properties", device="cpu")
    block = clone(PredictedProperties(FrozenEstimator(embedder))).set_output(transform="pandas").fit(X)
    table = block.transform(X)
    assert list(table.columns) == list(embedder.known_properties_)
    assert_allclose(table, embedder.predict_properties(X), rtol=1e-6)


def test_the_best_model_has_the_block_only_for_embedders_that_know_properties(X):
    structures = DeepInfoMaxEmbedder.from_pretrained("structures", device="cpu")
    properties = DeepInfoMaxEmbedder.from_pretrained("properties", device="cpu")
    features = make_arm("best", [structures, properties]).features
    names = [name for name, _ in features.transformer_list]
    assert names[-3:] == ["vectors1", "vectors2", "vectors2_known"]
    table = features.fit_transform(X)
    known = table.filter(like="vectors2_known__").to_numpy()
    assert_allclose(known, properties.predict_properties(X), rtol=1e-6)
    assert np.isfinite(known).all()
