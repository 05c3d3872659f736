"""Groups and splits by reduced formula: the same for every kind of input, data set and process."""

import os
import pickle
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pymatgen.core import Lattice, Structure
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate, learning_curve
from sklearn.pipeline import make_pipeline

from skdim import CompositionStatistics, Crystals, SiteNetFeaturizer
from skdim.datasets import make_crystals
from skdim.model_selection import FormulaKFold, formula_groups, formula_split
from skdim.model_selection._formula_groups import holds_structures

#: Test rows among the first 60 of the formation energies.
PINNED = [8, 13, 15, 16, 21, 27, 40, 46, 52, 53, 58, 59]


@pytest.fixture
def salt_rows(tmp_path):
    """Rock salt in every accepted form; the second row is xenon."""
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    path = tmp_path / "salt.cif"
    salt.to(path, fmt="cif")
    other = Structure(Lattice.cubic(4), ["Xe"], [[0, 0, 0]])  # a noble gas: pymatgen would warn about its formula
    return [salt, other, path, str(path), path.read_text(), salt.as_dict(), salt.get_primitive_structure()]


# -- formula_groups ----------------------------------------------------------------------------------------------------


def test_groups_of_structures_and_of_crystals_agree():
    structures, _ = make_crystals(40, random_state=1)
    rows = structures + structures[:7]
    groups = formula_groups(rows)
    assert_array_equal(groups, formula_groups(SiteNetFeaturizer().fit_transform(rows)))
    assert_array_equal(groups[40:], groups[:7])
    assert groups[0] == 0
    assert groups.max() + 1 == len({s.composition.reduced_formula for s in structures})


def test_structures_are_distinguished_from_other_rows():
    assert holds_structures(["data_x\n_cell_length_a 3"])
    for row in (
        "folder/MgO.CIF",
        "POSCAR",
        "a.xyz.gz",
        "Cu\n1\n3 0 0\n0 3 0\n0 0 3\nCu\n1\nDirect\n0 0 0\n",
        '{"lattice": 1}',
    ):
        assert holds_structures([row, "no matter what"])
    for X in (["MgO", "NaCl"], ["a plain text"], np.array([["a.txt"]]), [3.0], [], 7):
        assert not holds_structures(X)


def test_equal_crystals_in_any_form_are_one_group(salt_rows):
    assert_array_equal(formula_groups(salt_rows), [0, 1, 0, 0, 0, 0, 0])


def test_disordered_structures_are_grouped_by_the_majority_species():
    sites = [[0, 0, 0], [0.5, 0.5, 0.5]]
    mixed = Structure(Lattice.cubic(4), [{"Cs": 0.8, "Rb": 0.2}, "Cl"], sites)
    rows = [mixed, Structure(Lattice.cubic(4), ["Cs", "Cl"], sites), Structure(Lattice.cubic(4), ["Rb", "Cl"], sites)]
    assert_array_equal(formula_groups(rows), [0, 0, 1])
    assert_array_equal(formula_groups(SiteNetFeaturizer(disordered="majority").transform(rows)), [0, 0, 1])


def test_each_failed_row_is_a_separate_group():
    structures, _ = make_crystals(3, random_state=0)
    with pytest.warns(UserWarning, match="could not be featurized"):
        X = SiteNetFeaturizer(on_error="warn").fit_transform([structures[0], None, structures[0], None])
    assert_array_equal(formula_groups(X), [0, 1, 0, 2])
    with pytest.raises(ValueError, match=r"row 1 of X failed to featurize.*keep = ~X\.failed"):
        formula_split(X)


def test_groups_keep_formulas_together_in_group_kfold(X):
    X = Crystals.concatenate([X, X])
    groups = formula_groups(X)
    formulas = np.array(X.formulas)
    for train, test in GroupKFold(4).split(X, groups=groups):
        assert not set(formulas[train]) & set(formulas[test])


# -- formula_split -----------------------------------------------------------------------------------------------------


def test_the_side_of_a_formula_does_not_depend_on_the_form_of_the_row(salt_rows):
    for salt in map(str, range(20)):
        mask = formula_split(salt_rows, test_size=0.5, salt=salt)
        assert mask.dtype == bool
        assert len(set(np.delete(mask, 1))) == 1
        for row, test in zip(salt_rows, mask, strict=True):
            assert formula_split([row], test_size=0.5, salt=salt).item() == test
    assert len({formula_split(salt_rows, test_size=0.5, salt=str(k)).tobytes() for k in range(20)}) == 4


def test_structures_and_crystals_get_the_same_split(formation_crystals, crystals):
    mask = formula_split(formation_crystals)
    assert_array_equal(mask, formula_split(crystals))
    assert_array_equal(mask[10:20], formula_split(crystals[10:20]))  # other rows do not matter


def test_test_size_is_about_the_fraction_of_rows(formation_data):
    structures = formation_data.structures
    mask = formula_split(structures)
    assert 0.17 < mask.mean() < 0.23
    assert 0.42 < formula_split(structures, test_size=0.45).mean() < 0.48
    assert formula_split(structures, test_size=0.45)[mask].all()
    assert_array_equal(mask, formula_split(structures, salt=""))
    other = formula_split(structures, salt="2026")
    assert 0.02 < (mask & other).mean() < 0.06  # two independent fifths share about 4 %


def test_the_split_never_changes(formation_data):
    """Pre-trained weights rely on it: their training rows were chosen by an earlier version."""
    mask = formula_split(formation_data.structures[:60])
    assert np.flatnonzero(mask).tolist() == PINNED
    texts = ["import sys, pickle", "from skdim.model_selection import formula_split"]
    script = "; ".join([*texts, "print(formula_split(pickle.load(sys.stdin.buffer)).nonzero()[0].tolist())"])
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=pickle.dumps(formation_data.structures[:60]),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert done.stdout.decode().strip() == str(PINNED)


@pytest.mark.parametrize("test_size", [0, 1, 5, -0.1, "0.2", None])
def test_bad_test_size_is_refused(structures, test_size):
    with pytest.raises(ValueError, match="test_size must be a fraction between 0 and 1"):
        formula_split(structures, test_size=test_size)


def test_bad_input_is_refused(structures):
    with pytest.raises(TypeError, match="salt must be a str; got 3"):
        formula_split(structures, salt=3)
    with pytest.raises(ValueError, match="X is an array of float64, not of structures"):
        formula_split(np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"row 1.*structure is missing"):
        formula_split([structures[0], None])


# -- FormulaKFold ------------------------------------------------------------------------------------------------------


def test_folds_cover_all_rows_and_keep_formulas_together(crystals):
    X = Crystals.concatenate([crystals, crystals[::2]])
    folds = list(FormulaKFold(4).split(X))
    assert len(folds) == FormulaKFold(4).get_n_splits() == FormulaKFold(4).get_n_splits(X) == 4
    assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(X)))
    formulas = np.array(X.formulas)
    for train, test in folds:
        assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(X)))
        assert not set(formulas[train]) & set(formulas[test])


def test_the_first_fold_is_the_test_set_of_formula_split(crystals):
    for n_splits, salt in [(5, ""), (4, "x"), (2, "y")]:
        test = next(FormulaKFold(n_splits, salt=salt).split(crystals))[1]
        assert_array_equal(test, np.flatnonzero(formula_split(crystals, test_size=1 / n_splits, salt=salt)))


def test_folds_do_not_depend_on_other_rows(formation_crystals):
    def fold_of(structures):
        folds = enumerate(FormulaKFold(3).split(structures))
        return {id(structures[k]): fold for fold, (_, test) in folds for k in test}

    few, all_ = fold_of(formation_crystals[20:]), fold_of(formation_crystals)
    assert all(all_[key] == fold for key, fold in few.items())


@pytest.mark.parametrize("kind", ["Crystals", "structures"])
def test_formula_kfold_is_a_cv_of_scikit_learn(structures, X, y, kind):
    rows = X if kind == "Crystals" else structures
    steps = [CompositionStatistics(), ExtraTreesRegressor(5, random_state=0)]
    model = make_pipeline(*([] if kind == "Crystals" else [SiteNetFeaturizer()]), *steps)
    cv = FormulaKFold(3, salt="a")
    folds = list(cv.split(rows))
    result = cross_validate(model, rows, y, cv=cv, return_indices=True)
    for (train, test), train_used, test_used in zip(folds, *result["indices"].values(), strict=True):
        assert_array_equal(train, train_used)
        assert_array_equal(test, test_used)
    search = GridSearchCV(model, {"extratreesregressor__max_depth": [1, 2]}, cv=cv).fit(rows, y)
    assert search.n_splits_ == 3
    assert learning_curve(DummyRegressor(), rows, y, cv=cv, train_sizes=[5, 10])[1].shape == (2, 3)


def test_copies_and_pickles_give_the_same_folds(X):
    cv = FormulaKFold(3, salt="a")
    assert repr(cv) == "FormulaKFold(n_splits=3, salt='a')"
    for copy in (pickle.loads(pickle.dumps(cv)), deepcopy(cv), clone(cv, safe=False)):
        assert repr(copy) == repr(cv)
        for old, new in zip(cv.split(X), copy.split(X), strict=True):
            assert_array_equal(old[1], new[1])


def test_empty_folds_are_refused(structures):
    for n_splits in (1, 2.5, "3"):
        with pytest.raises(ValueError, match="n_splits must be an integer of at least 2"):
            list(FormulaKFold(n_splits).split(structures))
    with pytest.raises(ValueError, match=r"of 30 is empty: 40 crystals.*smaller n_splits"):
        list(FormulaKFold(30).split(structures))
