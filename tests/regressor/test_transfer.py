"""Transfer from a SiteNetRegressor of another property: initial weights, errors, clones and files."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._shared.fingerprint import fingerprint
from skdim.model_selection import label_efficiency
from tests.helpers.small_estimators import SMALL


@pytest.fixture(scope="module")
def other_property(X):
    """A property of the structure alone: the number of sites and their shortest distance."""
    nearest = [x.distance[x.distance > 0].min() for x in X]
    return np.asarray(nearest) + 0.1 * X.n_sites


@pytest.fixture(scope="module")
def source(X, other_property):
    return SiteNetRegressor(**SMALL, max_epochs=3).fit(X, other_property)


def transfer(source, **params):
    return SiteNetRegressor(**{**SMALL, "random_state": 1, "pretrained": FrozenEstimator(source), **params})


def encoder_of(regressor):
    return {name: value.clone() for name, value in regressor.net_.module_.encoder.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# ---- initial weights ----


def test_training_starts_from_the_encoder_of_the_other_regressor(source, X, y):
    start = transfer(source, max_epochs=0).fit(X, y)
    assert same(encoder_of(start), encoder_of(source))
    head, source_head = (regressor.net_.module_.head.state_dict() for regressor in (start, source))
    assert not same(head, source_head), "the head is not transferred"
    bare = transfer(source, max_epochs=0, pretrained=source).fit(X, y)
    assert_array_equal(bare.predict(X), start.predict(X))
    scratch = transfer(source, max_epochs=0, pretrained=None).fit(X, y)
    assert not same(encoder_of(scratch), encoder_of(source))


def test_training_does_not_change_the_source(source, X, y):
    before, predicted = encoder_of(source), source.predict(X)
    assert not same(encoder_of(transfer(source, max_epochs=2).fit(X, y)), before)
    frozen = transfer(source, max_epochs=2, freeze="encoder").fit(X, y)
    assert same(encoder_of(frozen), before)
    assert same(encoder_of(source), before)
    assert_array_equal(source.predict(X), predicted)
    assert all(parameter.requires_grad for parameter in source.net_.module_.parameters())


@pytest.mark.parametrize("kl_weight", [0.0, 0.1])
def test_transfer_can_be_chained(kl_weight, X, y, other_property):
    """An encoder pre-trained with Kullback-Leibler terms has further outputs, which are transferred too."""
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1, kl_weight=kl_weight).fit(X)
    middle = transfer(embedder, max_epochs=1).fit(X, other_property)
    end = transfer(middle, max_epochs=0).fit(X, y)
    assert end.net_.module_.encoder.spread == (kl_weight > 0)
    assert same(encoder_of(end), encoder_of(middle))
    assert not same(encoder_of(end), encoder_of(embedder))
    assert np.isfinite(clone(end).set_params(max_epochs=2).fit(X, y).predict(X)).all()


def test_the_same_seed_gives_the_same_predictions(source, X, y):
    first, again = (transfer(source, max_epochs=2).fit(X, y).predict(X) for _ in range(2))
    assert_array_equal(first, again)


# ---- errors ----


def test_other_estimators_are_refused(source, X, y):
    for wrong in (Ridge(), FrozenEstimator(Ridge()), SiteNetFeaturizer()):
        name = type(getattr(wrong, "estimator", wrong)).__name__
        expected = (
            "must be a fitted DeepInfoMaxEmbedder, SiteNetRegressor or SiteNetClassifier, or a FrozenEstimator of one, "
            f"not {name}"
        )
        with pytest.raises(TypeError, match=expected):
            transfer(source, pretrained=wrong).fit(X, y)


def test_nested_frozen_estimators_are_unwrapped(source, X, y):
    once, twice = (
        SiteNetRegressor(**SMALL, pretrained=pretrained, max_epochs=1).fit(X, y).predict(X)
        for pretrained in (FrozenEstimator(source), FrozenEstimator(FrozenEstimator(source)))
    )
    assert_array_equal(once, twice)


def test_unfitted_estimators_are_refused(source, X, y):
    match = r"the SiteNetRegressor passed as pretrained is not fitted.*pretrained=FrozenEstimator\(\.\.\.\)"
    for unfitted in (clone(source), FrozenEstimator(clone(source))):
        with pytest.raises(ValueError, match=match):
            transfer(source, pretrained=unfitted).fit(X, y)
    with pytest.raises(ValueError, match=match):  # cross-validation clones the estimator
        cross_val_score(transfer(source, pretrained=source), X, y, cv=2, error_score="raise")


def test_other_encoder_settings_are_refused(source, structures, X, y):
    with pytest.raises(ValueError, match=r"other settings: local_dim=4 \(here 5\)"):
        transfer(source, local_dim=5).fit(X, y)
    few = SiteNetFeaturizer(site_features=["row", "group"]).transform(structures)
    with pytest.raises(ValueError, match="the pretrained SiteNetRegressor was fitted on the site features"):
        transfer(source).fit(few, y)


# ---- warnings, clones, searches, files ----


def test_crystals_of_other_cells_raise_a_warning(source, structures, X, y):
    message = r"X was featurized with max_sites=20 \(fit: 50\), unlike the crystals that .* was fitted on"
    small = SiteNetFeaturizer(max_sites=20, compress=False).transform(structures)
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)
    for call in (
        lambda: embedder.transform(small),
        lambda: embedder.transform_sites(small),
        lambda: source.predict(small),
        lambda: source.attention(small),
        lambda: transfer(source).fit(small, y),
        lambda: clone(embedder).set_params(warm_start=True).fit(X).fit(small),
    ):
        with pytest.warns(UserWarning, match=message):
            call()
    other = SiteNetFeaturizer(supercell="primitive").transform(structures[:20])
    with pytest.warns(UserWarning, match=r"with supercell='primitive' \(fit: 'orthorhombic'\), unlike"):
        source.predict(other)


def test_transfer_works_in_clones_searches_and_files(source, X, y, tmp_path):
    model = transfer(source, max_epochs=1)
    assert clone(model).pretrained.estimator is source
    search = GridSearchCV(model, {"pretrained": [None, FrozenEstimator(source)]}, cv=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1]
    assert_allclose(scores[1], cross_val_score(model, X, y, cv=2).mean(), rtol=1e-6)
    fitted = model.fit(X, y)
    joblib.dump((fitted, search), tmp_path / "models")
    loaded, loaded_search = joblib.load(tmp_path / "models")
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert_array_equal(loaded_search.predict(X), search.predict(X))
    # The file has the source too: the loaded estimator can be fitted again.
    assert_array_equal(clone(loaded).fit(X, y).predict(X), fitted.predict(X))


def test_results_files_identify_the_source_by_its_weights(source, X, y, other_property, tmp_path):
    copy = pickle.loads(pickle.dumps(source))
    again = clone(source).fit(X, other_property)  # which takes another time
    expected = fingerprint(transfer(source))
    assert expected == fingerprint(transfer(copy)) == fingerprint(transfer(again))
    assert expected != fingerprint(transfer(clone(source).set_params(max_epochs=1).fit(X, other_property)))

    def table(source):
        arms = {"transfer": transfer(source, max_epochs=1), "scratch": transfer(source, max_epochs=1, pretrained=None)}
        arms = {name: arm.set_params(random_state=None) for name, arm in arms.items()}
        options = {"train_sizes": [10], "n_repeats": 2, "test_size": 0.3}
        return label_efficiency(arms, X, y, results_file=tmp_path / "results", **options)

    frame = table(source)
    assert np.isfinite(frame["mae"]).all()
    errors = frame.pivot_table(index="repeat", columns="arm", values="mae")
    assert (errors["transfer"] != errors["scratch"]).all()
    assert_frame_equal(table(copy), frame, check_exact=True)
    other = clone(source).set_params(random_state=5).fit(X, other_property).set_params(random_state=0)
    with pytest.raises(ValueError, match=r"model 'transfer' in .* had other fitted values"):
        table(other)
