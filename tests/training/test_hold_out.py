"""The validation set of early stopping: whole formulas, shares of classes."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skdim._training.train import hold_out

ESTIMATOR = SimpleNamespace(early_stopping=True, validation_fraction=0.25)


def parts(n, **options):
    training, validation = hold_out(n, ESTIMATOR, np.random.RandomState(0), least=2, **options)
    assert_array_equal(np.sort(np.concatenate([training, validation])), np.arange(n))
    return training, validation


@pytest.mark.parametrize("n", [8, 40, 107, 1000])
def test_without_groups_the_number_of_rows_is_exact(n):
    validation = parts(n)[1]
    assert len(validation) == round(0.25 * n)
    assert_array_equal(validation, np.sort(np.random.RandomState(0).permutation(n)[: len(validation)]))


def test_groups_are_held_out_as_a_whole():
    formulas = [f"A{k % 60}" for k in range(200)]
    training, validation = parts(200, groups=formulas)
    assert not {formulas[k] for k in training} & {formulas[k] for k in validation}
    assert 46 <= len(validation) <= 50


def test_both_parts_have_the_shares_of_the_classes():
    rng = np.random.default_rng(0)
    formulas, classes = rng.integers(0, 150, size=400), (rng.random(400) < 0.1).astype(int)
    training, validation = parts(400, groups=formulas, strata=classes)
    assert abs(classes[validation].mean() - classes.mean()) < 0.01
    assert not set(formulas[training]) & set(formulas[validation])
    assert 95 <= len(validation) <= 102


def test_the_only_row_of_a_class_is_for_training():
    classes = np.r_[np.zeros(30, int), np.ones(10, int), 2]
    for seed in range(10):
        training, _ = hold_out(41, ESTIMATOR, np.random.RandomState(seed), least=2, strata=classes)
        assert 2 in classes[training]


def test_too_few_formulas_are_refused():
    with pytest.raises(ValueError, match=r"together, but these crystals have only 1 formulas: pass early_stopping=F"):
        parts(40, groups=["SiO2"] * 40)
