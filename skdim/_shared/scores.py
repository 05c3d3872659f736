"""The column of a table of fits that holds the errors or scores, and how it is read.

Without ``scoring`` it is "mae". With ``scoring`` it has a prefix as in scikit-learn's ``cross_validate``:
"test_roc_auc", or "test_score" for a callable without a name; a greater score is then better.
"""

from __future__ import annotations

#: Column of mean absolute errors.
MAE = "mae"
_PREFIX = "test_"
_LABELS = {
    MAE: "mean absolute error",
    "test_roc_auc": "ROC AUC",
    "test_neg_log_loss": "negative log loss",
    "test_r2": "R2",
}


def score_column(scoring):
    """Column for a parameter ``scoring``: None, the name of a scorer of scikit-learn, or a callable."""
    if scoring is None:
        return MAE
    if isinstance(scoring, str):
        return _PREFIX + scoring
    name = getattr(scoring, "__name__", "score")
    return _PREFIX + (name if name.isidentifier() else "score")  # not "<lambda>"


def score_column_of(frame):
    """The column of a table that holds the errors or scores.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    columns = [str(name) for name in getattr(frame, "columns", ())]
    scores = [name for name in columns if name == MAE or name.startswith(_PREFIX)]
    if len(scores) != 1:
        missing = f"columns {[MAE]} are missing, or a score such as 'test_roc_auc'"
        reason = f"the table has the scores {scores}: keep one" if scores else missing
        raise ValueError(f"{reason}: pass the result of label_efficiency")
    return scores[0]


def greater_is_better(column):
    """Whether a greater value in a column is better."""
    return column != MAE


def score_label(column):
    """Text for an axis or a heading."""
    return _LABELS.get(column, column.removeprefix(_PREFIX).replace("_", " "))
