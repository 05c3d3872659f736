"""CalculatorFeatures: site vectors of a function, pooled."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion

from skdim.baselines import CalculatorFeatures, XRDPattern

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
POLONIUM = Structure(Lattice.cubic(3.34), ["Po"], [[0, 0, 0]])


def numbers_and_masses(structure):
    return np.array([[site.specie.Z, float(site.specie.atomic_mass)] for site in structure])


def with_density(structure):
    return numbers_and_masses(structure), [structure.density]


def test_mean_and_standard_deviation_over_sites():
    features = CalculatorFeatures(function=with_density, n_site=2, n_crystal=1)
    frame = features.set_output(transform="pandas").transform([ROCK_SALT, POLONIUM])
    assert list(frame.columns) == ["crystal 0", "mean site 0", "mean site 1", "std site 0", "std site 1"]
    salt = [ROCK_SALT.density, 14, (22.98976928 + 35.453) / 2, 3, (35.453 - 22.98976928) / 2]
    assert_allclose(frame, [salt, [POLONIUM.density, 84, 210, 0, 0]], rtol=1e-6)


def test_functions_without_crystal_vector():
    features = CalculatorFeatures(function=numbers_and_masses, n_site=2)
    assert_allclose(features.transform([ROCK_SALT])[0, [0, 2]], [14, 3])
    assert list(features.get_feature_names_out()) == ["mean site 0", "mean site 1", "std site 0", "std site 1"]


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda structure: np.zeros((1, 2)), r"site vectors of shape \(8, 2\) and a crystal vector of shape \(1,\)"),
        (lambda structure: (np.zeros((8, 2)), [1, 2]), r"got \(8, 2\) and \(2,\)"),
        (lambda structure: (np.full((8, 2), np.nan), [1]), "4 of its features are not finite"),
        (lambda structure: 1 / 0, "the function failed: ZeroDivisionError: division by zero"),
        (lambda structure: {}["Na"], "the function failed: it lacks 'Na'"),
        (lambda structure: (np.full((8, 2), "a"), [1]), "the function failed: ValueError: could not convert"),
    ],
)
def test_errors_name_row_and_reason(function, match):
    features = CalculatorFeatures(function=function, n_site=2, n_crystal=1)
    with pytest.raises(ValueError, match=rf"row 0 \(NaCl\): .*{match}"):
        features.transform([ROCK_SALT])
    with pytest.warns(UserWarning, match="1 of 1 structures have no features"):
        assert np.isnan(features.set_params(on_error="warn").transform([ROCK_SALT])).all()


def test_the_function_cannot_change_the_input():
    def move(structure):
        structure.translate_sites([0], [0.1, 0.2, 0.3])
        structure.remove_sites([1])
        return np.zeros((8, 1))

    before = ROCK_SALT.copy()
    CalculatorFeatures(function=move, n_site=1).transform([ROCK_SALT])
    assert before == ROCK_SALT


def test_processes_give_the_same_rows():
    scale = 2.0
    features = CalculatorFeatures(function=lambda s: scale * numbers_and_masses(s), n_site=2)
    rows = [ROCK_SALT, POLONIUM] * 4
    assert_array_equal(clone(features).set_params(n_jobs=2).transform(rows), features.transform(rows))


def test_adapters_are_pickled_with_their_function_and_join_unions():
    features = CalculatorFeatures(function=with_density, n_site=2, n_crystal=1, leaks=("density",))
    copy = pickle.loads(pickle.dumps(features))
    assert copy.leaks == ("density",)
    assert_array_equal(copy.transform([ROCK_SALT]), features.transform([ROCK_SALT]))
    union = FeatureUnion([("calculator", features), ("xrd", XRDPattern(n_bins=20))]).fit([ROCK_SALT])
    assert union.transform([ROCK_SALT]).shape == (1, 25)
    assert union.get_feature_names_out()[0] == "calculator__crystal 0"


@pytest.mark.parametrize("params", [{"function": 3}, {"n_site": 0}, {"n_crystal": -1}, {"leaks": "energy"}])
def test_bad_parameters_are_refused(params):
    params = {"function": with_density, "n_site": 2} | params
    with pytest.raises(ValueError, match="parameter of CalculatorFeatures"):
        CalculatorFeatures(**params).fit([ROCK_SALT])
