"""SiteNetRegressor with several targets, of which some are unknown (NaN)."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import r2_score

from skdim import SiteNetRegressor
from skdim._regressor.targets import TargetScaling
from skdim._regressor.weighted_loss import WeightedLoss
from skdim._training.batches import Targets
from skdim.nn.sitenet import LOSSES
from tests.helpers.small_estimators import SMALL


@pytest.fixture
def both(y):
    """Two targets; the second is known for every second crystal, the first unknown in five of the others."""
    targets = np.column_stack([y, 100 - 50 * y])
    targets[::2, 1] = np.nan
    targets[1:11:2, 0] = np.nan
    return targets


def test_the_loss_is_the_mean_over_known_values(both):
    scaling = TargetScaling(keeps_zero=False).fit(both, np.ones(40))
    targets = scaling.pack(both, np.ones(40))
    prediction = torch.zeros(40, 2, requires_grad=True)
    loss = WeightedLoss("absolute_error", scaling.scale)(prediction, targets)
    known = np.isfinite(both)
    standardised = np.abs((both - scaling.offset) / scaling.scale)
    assert loss.item() == pytest.approx(standardised[known].mean(), rel=1e-5)
    loss.backward()
    assert_array_equal(prediction.grad.numpy() != 0, known)


@pytest.mark.parametrize("loss", ["absolute_error", "squared_error", "huber"])
def test_without_unknown_values_the_loss_is_the_weighted_mean(loss):
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(2, 7, 3)).astype(np.float32))
    weight = torch.linspace(0.1, 1, 7)
    got = WeightedLoss(loss, np.ones(3))(values[0], Targets(values[1], weight))
    per_crystal = LOSSES[loss](*values).mean(dim=1)
    assert got.item() == pytest.approx(((weight * per_crystal).sum() / weight.sum()).item(), rel=1e-6)


def test_each_target_is_standardised_by_its_known_values(both):
    weight = np.linspace(0.1, 1, 40)
    scaling = TargetScaling(keeps_zero=False).fit(both, weight)
    for k in range(2):
        known = np.isfinite(both[:, k])
        alone = TargetScaling(keeps_zero=False).fit(both[known, k], weight[known])
        assert_allclose([scaling.offset[k], scaling.scale[k]], [alone.offset[0], alone.scale[0]], rtol=1e-12)


def test_two_half_labelled_targets_are_learned(X, y, both):
    model = SiteNetRegressor(**SMALL, max_epochs=60, learning_rate_init=1e-2).fit(X, both)
    predicted = model.predict(X)
    assert predicted.shape == (40, 2)
    assert np.isfinite(predicted).all()
    # Also on the crystals whose label is unknown.
    assert np.corrcoef(predicted[::2, 1], 100 - 50 * y[::2])[0, 1] > 0.5
    known = np.isfinite(both)
    expected = [r2_score(both[known[:, k], k], predicted[known[:, k], k]) for k in range(2)]
    assert model.score(X, both) == pytest.approx(np.mean(expected))
    weight = np.linspace(0.5, 1, 40)
    expected = [
        r2_score(both[known[:, k], k], predicted[known[:, k], k], sample_weight=weight[known[:, k]]) for k in range(2)
    ]
    assert model.score(X, both, weight) == pytest.approx(np.mean(expected))
    complete = np.column_stack([y, y])
    assert model.score(X, complete) == pytest.approx(r2_score(complete, predicted))


def test_rows_of_weight_zero_and_early_stopping(X, both):
    weight = np.ones(40)
    weight[::3] = 0
    model = SiteNetRegressor(**SMALL, max_epochs=3, early_stopping=True, validation_fraction=0.4)
    weighted = clone(model).fit(X, np.where(weight[:, None] > 0, both, 1e9), sample_weight=weight)
    without = clone(model).fit(X[weight > 0], both[weight > 0])
    assert_array_equal(weighted.predict(X), without.predict(X))
    assert np.isfinite(weighted.history_[:, "valid_loss"]).all()


def test_warm_start_accepts_other_unknown_values(X, y, both):
    model = SiteNetRegressor(**SMALL, max_epochs=1, warm_start=True).fit(X, both)
    assert model.fit(X, np.column_stack([y, y])).n_iter_ == 2
    with pytest.raises(ValueError, match="warm_start continues with 2 targets, but y has 1"):
        model.fit(X, y)


def test_crystals_without_a_known_target_are_refused(X, y, both):
    model = SiteNetRegressor(**SMALL, max_epochs=1)
    both[[4, 7]] = np.nan
    match = r"contains only NaN: row 4 \(.*\), row 7 \(.*\)\. Remove .* keep = ~np\.isnan\(y\)\.all\(axis=1\)"
    with pytest.raises(ValueError, match=match):
        model.fit(X, both)
    single = np.where(np.arange(40) == 5, np.nan, y)
    with pytest.raises(ValueError, match=r"Input y contains NaN: row 5 \(.*\).* keep = np\.isfinite\(y\)"):
        model.fit(X, single)
    words = np.where(np.arange(40) == 5, "high", y.astype(str))
    with pytest.raises(ValueError, match=r"y must be numbers, but row 5 \(.*\) has 'high'\. For classes: SiteNetClass"):
        model.fit(X, words)


def test_targets_without_a_known_value_and_infinite_values_are_refused(X, y, both):
    model = SiteNetRegressor(**SMALL, max_epochs=1)
    with pytest.raises(ValueError, match=r"no known value in columns \[1\] of the training crystals"):
        model.fit(X, np.column_stack([y, np.full(40, np.nan)]))
    both[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"contains infinity .*: row 3 .* keep = ~np\.isinf\(y\)\.any\(axis=1\)"):
        model.fit(X, both)


def test_score_needs_two_known_values_of_each_target(X, both):
    model = SiteNetRegressor(**SMALL, max_epochs=1).fit(X, both)
    with pytest.raises(ValueError, match=r"two known values of each target; y has fewer in columns \[1\]"):
        model.score(X[:2], [[1.0, np.nan], [2.0, 3.0]])
