"""Presets of the papers as estimators: what they warn about, and transfer between them."""

import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdim import ALL_SITE_FEATURES, PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import make_crystals

QUICK = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
PRESETS = {
    "DeepInfoMaxEmbedder.paper": DeepInfoMaxEmbedder.paper(**QUICK),
    "SiteNetRegressor.paper": SiteNetRegressor.paper(**QUICK),
    "SiteNetRegressor.sitenet_2023": SiteNetRegressor.sitenet_2023(**QUICK),
}


@pytest.fixture(scope="module")
def paper_crystals(structures):
    return SiteNetFeaturizer(site_features=PAPER_SITE_FEATURES).fit_transform(structures)


@pytest.mark.parametrize("name", PRESETS)
def test_other_features_than_the_papers_are_warned_about(name, X, paper_crystals, y):
    model = clone(PRESETS[name])
    assert len(X.site_features) == len(ALL_SITE_FEATURES)
    with pytest.warns(UserWarning, match=r"reads the eight features .*these crystals have 25: atomic_number, .*"):
        model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(model).fit(paper_crystals, y)
        clone(model).set_params(encoder_params=None).fit(X, y)
        with_oxidation = SiteNetFeaturizer(site_features=PAPER_SITE_FEATURES, oxidation_states="guess")
        clone(model).fit(with_oxidation.fit_transform(make_crystals(len(y), random_state=0)[0]), y)


def test_weights_of_the_network_of_2023(structures, y):
    featurizer = SiteNetFeaturizer(site_features=PAPER_SITE_FEATURES, oxidation_states="guess", max_sites=100)
    model = SiteNetRegressor.sitenet_2023(**QUICK).fit(featurizer.fit_transform(structures[:8]), y[:8])
    assert sum(p.numel() for p in model.net_.module_.parameters()) == 304_085


def test_transfer_arm_starts_from_the_pretrained_encoder(paper_crystals, y):
    embedder = DeepInfoMaxEmbedder.paper(**QUICK).fit(paper_crystals)
    frozen = {"pretrained": FrozenEstimator(embedder), "freeze": "encoder"}
    model = SiteNetRegressor.paper(**QUICK, **frozen).fit(paper_crystals, y)
    module = model.net_.module_
    for name, value in embedder.net_.module_.encoder.state_dict().items():
        np.testing.assert_array_equal(module.encoder.state_dict()[name], value)
    # Targets and inputs of the head as they are.
    assert (module.target_mean, module.target_scale) == (0, 1)
    assert (module.feature_mean == 0).all()
    assert (module.feature_scale == 1).all()
    hidden, output = module.head
    assert not hidden.normalized
    assert (hidden.linear.in_features, hidden.linear.out_features, output.out_features) == (64, 64, 1)
    assert np.isfinite(model.predict(paper_crystals)).all()


def test_weights_of_the_paper_can_be_saved(paper_crystals, tmp_path):
    embedder = DeepInfoMaxEmbedder.paper(**QUICK, local_activation="relu", prior_weight=0.1).fit(paper_crystals)
    embedder.save_pretrained(tmp_path / "weights")
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "weights", device="cpu")
    np.testing.assert_array_equal(loaded.transform(paper_crystals), embedder.transform(paper_crystals))
    assert loaded.score(paper_crystals) == embedder.score(paper_crystals)
    assert loaded.encoder_params["local_activation"] == "relu"


def test_unstandardized_targets_are_learned(paper_crystals, y):
    y = 3 * y + 5
    model = SiteNetRegressor(standardize=False, max_epochs=60, random_state=0, device="cpu").fit(paper_crystals, y)
    assert np.abs(model.predict(paper_crystals) - y).mean() < 0.5 * np.abs(y - y.mean()).mean()
    assert model._target_scaling.scale.tolist() == [1]
    wide = SiteNetRegressor(standardize=False, max_epochs=0, random_state=0, device="cpu").fit(paper_crystals, 100 * y)
    np.testing.assert_array_equal(
        wide.predict(paper_crystals), clone(wide).fit(paper_crystals, y).predict(paper_crystals)
    )


def test_crystals_without_negatives_are_warned_about(X, structures):
    pure = [k for k, s in enumerate(structures) if len(s.composition) == 1]
    if not pure:
        structures = [*structures, *[s.copy() for s in structures[:2]]]
        for s in structures[-2:]:
            s.replace_species(dict.fromkeys(s.composition, "Fe"))
        X = SiteNetFeaturizer().fit_transform(structures)
        pure = [len(structures) - 2, len(structures) - 1]
    for name in ("negatives", "local_negatives"):
        model = DeepInfoMaxEmbedder(**QUICK, **{name: ("permuted",)})
        message = rf"{len(pure)} of {len(X)} crystals have a single element, the first is row {pure[0]} \(.*\).*{name}="
        with pytest.warns(UserWarning, match=message):
            model.fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.set_params(**{name: ("permuted", "batch")}).fit(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss_params": {"pairs": "sites"}}, "loss_params has unknown keys ['pairs']; it may hold"),
        ({"loss_params": {"pairing": "rows"}}, "pairing"),
        ({"local_negatives": ("batch", "chaos")}, "local_negatives must be one or more of"),
        ({"local_negatives": ()}, "local_negatives must be one or more of"),
        ({"encoder_params": {"input_scaling": "2024"}}, "input_scaling"),
        ({"encoder_params": {"value_network": "deep"}}, "value_network"),
        ({"encoder_params": {"cutoff": -1.0}}, "cutoff"),
        ({"encoder_params": {"input_scale": None}}, "unknown keys ['input_scale']"),
        ({"prior_weight": -1.0}, "prior_weight"),
    ],
    ids=str,
)
def test_invalid_settings_are_errors(params, message, paper_crystals):
    with pytest.raises(ValueError, match=re.escape(message)):
        DeepInfoMaxEmbedder(**QUICK, **params).fit(paper_crystals)


def test_presets_are_independent():
    """A change of one estimator's settings does not change the next."""
    DeepInfoMaxEmbedder.paper().encoder_params["site_network"] = True
    SiteNetRegressor.sitenet_2023().encoder_params["gains"] = False
    assert DeepInfoMaxEmbedder.paper().encoder_params["site_network"] is False
    assert SiteNetRegressor.sitenet_2023().encoder_params["gains"] is True
