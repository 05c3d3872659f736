"""Transformations of labels: inverse, likelihood, and the choice from the labels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, yeojohnson, yeojohnson_llf

from skdim._heads.label_transformation import LabelTransformation, available_transformations, choose_transformation


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", ["identity", "log", "yeo-johnson"])
def test_inverse_gives_the_labels_back(name, rng):
    for y in (rng.lognormal(size=50), 1e-6 * rng.lognormal(size=50), rng.normal(3, 1, size=50) ** 2):
        transformation = LabelTransformation(name, y)
        assert_allclose(transformation.inverse_transform(transformation.transform(y)), y, rtol=1e-9)
    if name != "log":
        y = np.array([-3.0, -1.0, 0.0, 0.5, 4.0])
        transformation = LabelTransformation(name, y)
        assert_allclose(transformation.inverse_transform(transformation.transform(y)), y, atol=1e-12)


def test_yeo_johnson_is_that_of_scipy_and_does_not_depend_on_the_unit(rng):
    y = rng.normal(size=80) ** 3
    transformation = LabelTransformation("yeo-johnson", y)
    scale = np.abs(y).mean()
    expected, power = yeojohnson(y / scale)
    assert transformation.power == pytest.approx(power, rel=1e-3)
    assert_allclose(transformation.transform(y), expected, rtol=1e-3, atol=1e-4)
    assert LabelTransformation("yeo-johnson", 1e-9 * y).power == pytest.approx(transformation.power, rel=1e-3)
    likelihood = transformation.log_likelihood(y)
    assert likelihood == pytest.approx(yeojohnson_llf(power, y / scale) - 80 * np.log(scale) - np.log(80) / 2, rel=1e-6)


def test_likelihood_is_that_of_normal_and_lognormal_labels(rng):
    y = rng.lognormal(1, 0.5, size=40)
    constant = 20 * (1 + np.log(2 * np.pi))
    expected = norm.logpdf(y, y.mean(), y.std()).sum() + constant
    assert LabelTransformation("identity", y).log_likelihood(y) == pytest.approx(expected)
    z = np.log(y)
    expected = (norm.logpdf(z, z.mean(), z.std()) - z).sum() + constant
    assert LabelTransformation("log", y).log_likelihood(y) == pytest.approx(expected)


def test_the_transformation_is_chosen_from_the_labels(rng):
    normal, positive = rng.normal(10, 1, size=200), rng.lognormal(0, 1, size=200)
    assert choose_transformation(normal)[0].name == "identity"
    chosen, likelihoods = choose_transformation(positive)
    assert chosen.name == "log"
    assert max(likelihoods, key=likelihoods.get) == "log"
    assert choose_transformation(np.concatenate([positive, [-0.1]]))[0].name == "yeo-johnson"
    with pytest.raises(ValueError, match=r"'log' needs positive labels; the smallest label is -0\.1"):
        choose_transformation(np.array([1.0, -0.1]), "log")


def test_labels_that_are_often_equal_are_not_transformed(rng):
    y = rng.lognormal(size=40)
    assert available_transformations(y) == ["identity", "log", "yeo-johnson"]
    y[:5] = 0.0
    assert available_transformations(y) == ["identity"]
    assert available_transformations(np.ones(10)) == ["identity"]
    assert choose_transformation(y)[1] == {}


@pytest.mark.parametrize("name", ["log", "yeo-johnson"])
def test_predictions_stay_close_to_the_range_of_the_labels(name, rng):
    y = np.concatenate([rng.lognormal(0, 1, size=50), [30.0]])
    transformation = LabelTransformation(name, y)
    far = transformation.inverse_transform(np.array([-1e3, 1e3]))
    width = np.ptp(y)
    assert np.isfinite(far).all()
    assert far[1] == pytest.approx(y.max() + width)
    lowest = 0.0 if name == "log" else y.min() - width
    assert lowest - 1e-9 <= far[0] < y.min()
