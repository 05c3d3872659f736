"""TargetScaling: units of the targets, in both directions."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skdim._regressor.targets import TargetScaling


@pytest.mark.parametrize("keeps_zero", [False, True])
@pytest.mark.parametrize("shape", [(50,), (50, 3)])
def test_invert_undoes_pack(keeps_zero, shape):
    y = np.random.default_rng(0).normal(7, 3, size=shape)
    weight = np.linspace(0, 1, 50)
    scaling = TargetScaling(keeps_zero).fit(y, weight)
    targets = scaling.pack(y, weight)
    assert targets.y.shape == (50, scaling.n_targets)
    assert targets.y.dtype == targets.weight.dtype == torch.float32
    assert_allclose(scaling.invert(targets.y.numpy().astype(float)), y, rtol=1e-5, atol=1e-5)
    assert_allclose(targets.weight, weight, rtol=1e-6)


def test_mean_and_scale_are_weighted():
    y, weight = np.array([0.0, 4.0, 1e6]), np.array([3.0, 1.0, 0.0])
    scaling = TargetScaling(keeps_zero=True).fit(y, weight)
    assert scaling.offset == 0
    assert scaling.mean == 1
    assert scaling.scale == pytest.approx(np.sqrt(3))
    scaling = TargetScaling(keeps_zero=False).fit(y, weight)
    assert (scaling.offset, scaling.mean) == (1, 0)


def test_a_constant_target_has_scale_one():
    assert TargetScaling(keeps_zero=False).fit(np.full(4, 0.1), np.ones(4)).scale == 1


def test_differences_of_large_targets_keep_their_precision():
    y = 1e9 + np.arange(5.0)
    scaling = TargetScaling(keeps_zero=False).fit(y, np.ones(5))
    assert_allclose(scaling.pack(y, np.ones(5)).y[:, 0], [-2, -1, 0, 1, 2], rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-40, 1e39])
def test_targets_outside_single_precision_are_refused(factor):
    y = factor * np.arange(5.0)
    with pytest.raises(ValueError, match=r"single precision, .*: pass y in other units"):
        TargetScaling(keeps_zero=False).fit(y, np.ones(5)).pack(y, np.ones(5))
