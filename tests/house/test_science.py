"""Pre-training generalizes to held-out crystals, and improves predictions from few labels."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer

pytestmark = pytest.mark.slow(reason="pre-trains on 1 574 crystals: with fewer the margins become thin")
EPOCHS = 7


@pytest.fixture(scope="module")
def formation_energy(formation_data):
    """All test crystals, and half of the training crystals; with a third the margins would be small."""
    data = formation_data
    train = np.flatnonzero(data.split == "train")[::2]
    rows = np.sort(np.concatenate([train, np.flatnonzero(data.split == "test")]))
    return SiteNetFeaturizer().fit_transform([data.structures[k] for k in rows]), data.target[rows], data.split[rows]


@pytest.fixture(scope="module")
def pretrained(formation_energy):
    X, _, split = formation_energy
    return DeepInfoMaxEmbedder(max_epochs=EPOCHS, random_state=0).fit(X[split == "train"])


@pytest.fixture(scope="module")
def untrained(formation_energy):
    X, _, split = formation_energy
    return DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(X[split == "train"])


def ridge_mae(vectors, y, split, n_labels, n_draws=10):
    """Median test MAE of a ridge over draws of labels; the same draws for all vectors."""
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    errors = []
    for draw in range(n_draws):
        rows = np.random.default_rng(draw).permutation(train)[:n_labels]
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15))).fit(vectors[rows], y[rows])
        errors.append(np.abs(model.predict(vectors[test]) - y[test]).mean())
    return np.median(errors)


def test_pretraining_lowers_the_held_out_loss(formation_energy, pretrained, untrained):
    X, _, split = formation_energy
    test = X[split == "test"]
    assert pretrained.score(test) > untrained.score(test) + 0.5
    # And every part of it, not the descriptors alone.
    before, after = parts_of_the_loss(untrained, test), parts_of_the_loss(pretrained, test)
    assert before["local"] + before["global"] > after["local"] + after["global"] + 0.5
    assert after["global"] < before["global"]
    assert after["descriptors"] < 0.5 * before["descriptors"]


def parts_of_the_loss(embedder, X):
    """Mean over batches of each part, with the same negatives for every embedder."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        parts = [embedder.net_.module_(batch, generator) for batch in embedder.net_.batches(X, min_crystals=2)]
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


def test_pretraining_lowers_the_error_of_a_ridge_at_250_labels(formation_energy, pretrained, untrained):
    X, y, split = formation_energy
    with_pretraining = ridge_mae(pretrained.transform(X), y, split, 250)
    without = ridge_mae(untrained.transform(X), y, split, 250)
    assert with_pretraining < 0.95 * without
    # And both know more than the mean of the labels.
    mean_mae = np.abs(y[split == "test"] - y[split == "train"].mean()).mean()
    assert without < 0.6 * mean_mae


def test_the_paper_preset_learns_too(formation_energy):
    X, _, split = formation_energy
    X = X.with_site_features(PAPER_SITE_FEATURES)
    X_train, X_test = X[split == "train"][:600], X[split == "test"]
    untrained = DeepInfoMaxEmbedder.paper(max_epochs=0, random_state=0).fit(X_train)
    trained = DeepInfoMaxEmbedder.paper(max_epochs=10, random_state=0).fit(X_train)
    assert trained.score(X_test) > untrained.score(X_test) + 0.1
    history = trained.history_[:, ("train_local", "train_global", "train_kl")]
    assert len(history) == trained.n_iter_ == 10
    assert np.all(np.diff(np.array(trained.history_[:, "train_loss"])) < 0.05)
    module = trained.net_.module_
    assert (module.objective, module.kl_weight, module.descriptors) == ("jsd", 0.1, None)
    assert (module.encoder.local_dim, module.encoder.lift_site.linear.in_features) == (32, 8)
    assert trained.transform(X_test[:3]).shape == (3, 64)
