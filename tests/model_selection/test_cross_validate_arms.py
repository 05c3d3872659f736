"""cross_validate_arms: repeated cross-validation over formulas."""

import numpy as np
import pytest

from skdim.model_selection import FormulaKFold, cross_validate_arms, label_efficiency, make_arm

MODELS = {"mean": make_arm("mean")}


def test_folds_are_those_of_formula_kfold(X, y):
    table = cross_validate_arms(MODELS, X, y, n_splits=3, n_draws=2)
    folds = [fold for salt in "01" for fold in FormulaKFold(3, salt=salt).split(X)]
    assert table["n_train"].tolist() == [len(train) for train, _ in folds]
    assert table["repeat"].tolist() == list(range(6))
    errors = [np.abs(y[test] - y[train].mean()).mean() for train, test in folds]
    np.testing.assert_allclose(table["mae"], errors)
    assert set(table["n_labels"]) == {int(np.median(table["n_train"]))}


def test_labels_are_drawn_from_the_training_rows_of_each_fold(X, y):
    table = cross_validate_arms(MODELS, X, y, n_splits=3, n_draws=2, train_sizes=[5, 10])
    assert table.groupby(["draw", "fold"]).size().tolist() == [2] * 6
    assert sorted(set(table["n_labels"])) == [5, 10]
    train, test = next(FormulaKFold(3, salt="0").split(X))
    data = {"X_test": X[test], "y_test": y[test], "train_sizes": [5, 10], "n_repeats": 1}
    first = label_efficiency(MODELS, X[train], y[train], **data)
    np.testing.assert_array_equal(table.query("draw == 0 and fold == 0")["mae"], first["mae"])


def test_bad_arguments_are_refused(X, y):
    with pytest.raises(ValueError, match="has 39 labels"):
        cross_validate_arms(MODELS, X, y, train_sizes=[39])
    with pytest.raises(TypeError, match=r"estimators must be a dict of str to estimator; got \['best'\]"):
        cross_validate_arms(["best"], X, y)
    bad = y.copy()
    bad[7] = np.nan
    with pytest.raises(ValueError, match=rf"y has 1 labels that are not finite, the first in row 7 \({X.formula(7)}\)"):
        cross_validate_arms(MODELS, X, bad)
    for wrong in (y[1:], np.append(y, 1.0)):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            cross_validate_arms(MODELS, X, wrong)
    with pytest.raises(ValueError, match="n_draws must be a positive integer"):
        cross_validate_arms(MODELS, X, y, n_draws=0)
    with pytest.raises(TypeError, match="cross_validate_arms needs the Crystals"):
        cross_validate_arms(MODELS, list(y), y)
