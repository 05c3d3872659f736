"""A user's script in strict typing: mypy --strict must accept it, with the types that are asserted (test_typing.py)."""

from pathlib import Path
from typing import assert_type

import numpy as np

from skdim import (
    CompositionStatistics,
    Crystals,
    DeepInfoMaxEmbedder,
    SiteNetFeaturizer,
    SiteNetRegressor,
    StructureStatistics,
)
from skdim.datasets import fetch_file, make_crystals
from skdim.model_selection import LabelDraw, formula_split, label_draws, summarize
from skdim.plotting import EmbeddingDisplay


def vectors_of(crystals: Crystals) -> np.ndarray:
    embedder = DeepInfoMaxEmbedder.from_pretrained(device="cpu")
    assert_type(embedder, DeepInfoMaxEmbedder)
    return embedder.transform(crystals)


structures, y = make_crystals(20, random_state=0)
featurizer = SiteNetFeaturizer(max_sites=50).fit(structures)
assert_type(featurizer, SiteNetFeaturizer)
X = featurizer.transform(structures)
assert_type(X, Crystals)
assert_type(X[:3], Crystals)
assert_type(len(X), int)
assert_type(X.formulas, list[str])
assert_type(StructureStatistics().fit(X).transform(X), np.ndarray)
assert_type(CompositionStatistics().fit(X).get_feature_names_out(), np.ndarray)

held_out = formula_split(X, test_size=0.2)
model = SiteNetRegressor(max_epochs=1, random_state=0).fit(X[~held_out], y[~held_out])
assert_type(model, SiteNetRegressor)
assert_type(model.predict(X), np.ndarray)
assert_type(label_draws(20, train_sizes=[5]), list[LabelDraw])


def report(url: str, sha256: str) -> None:
    assert_type(fetch_file(url, sha256=sha256), Path)
    assert_type(EmbeddingDisplay.from_vectors(np.zeros((3, 2))), EmbeddingDisplay)
    summarize(None)  # a DataFrame; pandas has no types unless its stubs are installed
