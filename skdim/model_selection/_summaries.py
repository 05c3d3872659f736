"""Statistics of label draws: medians and quartiles, and differences between two models.

A table may have a column "seed", for example of the pre-training, which then identifies draws together with n_labels
and repeat.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from .._shared.scores import greater_is_better, score_column_of


def summarize(frame) -> pd.DataFrame:
    """Median and quartiles of the error or score for each model and number of labels.

    Parameters
    ----------
    frame : DataFrame
        Result of :func:`label_efficiency`, or several of them with an additional column "seed". Draws are pooled over
        seeds.

    Returns
    -------
    DataFrame
        One row per model and size, models in their order in ``frame``: "arm", "n_labels", "n_repeats" (draws of all
        seeds), "median", "q25", "q75" (of the mean absolute error in the units of the labels, or of the score) and
        "fit_time" (median, in seconds, if ``frame`` has it).

    Raises
    ------
    ValueError
        If ``frame`` lacks a column.

    See Also
    --------
    label_efficiency : Makes the table.
    paired_difference : Difference between two models.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import Ridge
    >>> from skdim.model_selection import label_efficiency, summarize
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> draws = label_efficiency({"ridge": Ridge()}, X, y, train_sizes=[20, 80], n_repeats=6)
    >>> summarize(draws)[["arm", "n_labels", "n_repeats"]]
         arm  n_labels  n_repeats
    0  ridge        20          6
    1  ridge        80          6
    """
    column = check_frame(frame)
    # Categories keep the order of the models while sizes are sorted.
    arm = pd.Categorical(frame["arm"], categories=pd.unique(frame["arm"]), ordered=True)
    groups = frame.assign(arm=arm).groupby(["arm", "n_labels"], observed=True)
    values = groups[column]
    columns = {
        "n_repeats": values.size(),
        "median": values.median(),
        "q25": values.quantile(0.25),
        "q75": values.quantile(0.75),
    }
    if "fit_time" in frame:
        columns["fit_time"] = groups["fit_time"].median()
    summary = pd.DataFrame(columns).reset_index()
    return summary.assign(arm=summary["arm"].astype(str))


def paired_difference(frame, arm, reference, *, n_bootstrap=10_000, confidence=0.95, random_state=0) -> pd.DataFrame:
    """Difference in error or score between two models on the same label draws, with a bootstrap interval.

    A negative difference means that ``arm`` has the smaller error; with scores, a positive one means that it is better.
    The interval covers only the choice of the labels:
    not other test rows, and not another run of a pre-training that all draws share.

    If ``frame`` has a column "seed", draws are compared within a seed, and the bootstrap resamples the seeds and then
    the repeats within each. The interval then also covers another run of what the seed stands for; with few seeds, such
    as three, it is rough and rather too narrow.

    Parameters
    ----------
    frame : DataFrame
        Result of :func:`label_efficiency`, or several of them with an additional column "seed":
        ``pd.concat({0: first, 1: second}, names=["seed"]).reset_index("seed")``.
    arm, reference : str
        Models in the column "arm". Draws that only one of them has are ignored.
    n_bootstrap : int, default=10000
        Number of bootstrap samples.
    confidence : float, default=0.95
        Coverage of the interval.
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row per number of labels: "n_labels", "n_repeats" (draws of all seeds), "median_difference", "low", "high"
        (percentiles of the bootstrapped median) and "share_better" (fraction of draws in which ``arm`` has the smaller
        error, or the greater score).

    Raises
    ------
    ValueError
        If a model is not in ``frame``, or the two have no common draw.

    See Also
    --------
    summarize : Medians of all models.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import LinearRegression, Ridge
    >>> from skdim.model_selection import label_efficiency, paired_difference
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> models = {"least squares": LinearRegression(), "ridge": Ridge()}
    >>> draws = label_efficiency(models, X, y, train_sizes=[20, 80], n_repeats=6)
    >>> difference = paired_difference(draws, "least squares", "ridge")
    >>> difference[["n_labels", "n_repeats", "share_better"]]
       n_labels  n_repeats  share_better
    0        20          6           1.0
    1        80          6           1.0
    >>> bool((difference["high"] < 0).all())
    True
    """
    column = check_frame(frame)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1; got {confidence}")
    arms = pd.unique(frame["arm"])
    for name in (arm, reference):
        if name not in arms:
            raise ValueError(f'{name!r} not found in column "arm"; available: {list(arms)}')
    frame = frame.assign(seed=frame.get("seed", 0))
    scores = frame.pivot(index=["n_labels", "seed", "repeat"], columns="arm", values=column)
    difference = (scores[arm] - scores[reference]).dropna()
    if difference.empty:
        raise ValueError(f"{arm!r} and {reference!r} have no common label draw")
    rng = check_random_state(random_state)
    tails = [50 * (1 - confidence), 50 * (1 + confidence)]
    rows = []
    for n_labels, values in difference.groupby("n_labels"):
        by_seed = [part.to_numpy() for _, part in values.groupby("seed")]
        low, high = np.percentile(_bootstrapped_medians(by_seed, n_bootstrap, rng), tails)
        better = values > 0 if greater_is_better(column) else values < 0
        rows.append((n_labels, len(values), np.median(values), low, high, better.mean()))
    return pd.DataFrame(rows, columns=["n_labels", "n_repeats", "median_difference", "low", "high", "share_better"])


def _bootstrapped_medians(by_seed, n_bootstrap, rng):
    """Medians of samples in which seeds, and repeats within each, are drawn with replacement."""
    n_seeds = len(by_seed)
    chosen = rng.randint(n_seeds, size=(n_bootstrap, n_seeds))
    # Seeds may have different numbers of repeats: unused entries stay NaN.
    samples = np.full((n_bootstrap, n_seeds, max(map(len, by_seed))), np.nan)
    for place in range(n_seeds):
        for seed, values in enumerate(by_seed):
            rows = np.flatnonzero(chosen[:, place] == seed)
            samples[rows, place, : len(values)] = values[rng.randint(len(values), size=(len(rows), len(values)))]
    return np.nanmedian(samples.reshape(n_bootstrap, -1), axis=1)


def check_frame(frame):
    """Column of errors or scores of a table; raise ValueError if it is not a result of :func:`label_efficiency`."""
    missing = [name for name in ("arm", "n_labels", "repeat") if name not in getattr(frame, "columns", ())]
    if missing:
        raise ValueError(f"columns {missing} are missing: pass the result of label_efficiency")
    column = score_column_of(frame)
    if not len(frame):
        raise ValueError("the table has no rows: pass the result of label_efficiency")
    draw = [name for name in ("arm", "n_labels", "seed", "repeat") if name in frame]
    needed = [*draw, column]
    if frame[needed].isna().any(axis=None):
        raise ValueError(f"the table has missing values in columns {needed}: remove these rows")
    if frame.duplicated(draw).any():
        raise ValueError(
            f'the table has duplicate draws (same {", ".join(draw)}): renumber the repeats, or add a column "seed" to '
            "tables of several runs"
        )
    return column
