"""write_report: predictions, their errors and uncertainties as one HTML file."""

from __future__ import annotations

import platform
from importlib import metadata

import numpy as np
import pandas as pd
from scipy.stats import norm

from .._shared.files import replaced_file
from .._version import __version__
from ..metrics import interval_coverage
from . import _figures
from ._neighbours import nearest, nearest_other
from ._page import cards, figures, interactive_table, number, page, paragraph, table

#: Crystals in the tables of the worst and of the most uncertain, and failures that are listed.
_N_WORST, _MOST_FAILURES = 10, 200
#: Nominal coverages of the table of intervals.
_INTERVALS = (0.5, 0.8, 0.9, 0.95)
_PACKAGES = ("numpy", "scikit-learn", "torch", "pymatgen", "pandas", "matplotlib")


def write_report(
    path,
    predictions,
    *,
    title="Predictions",
    target="target",
    unit=None,
    vectors=None,
    labelled=None,
    labelled_vectors=None,
    errors=None,
    failures=None,
    settings=None,
    max_rows=10_000,
    method="tsne",
    random_state=0,
) -> None:
    """Write a report of predictions: one HTML file, which needs no network, no server and no other file.

    It contains, as far as the data allow: the errors of the models, predictions against labels, the calibration of the
    standard deviations, the worst and the most uncertain crystals with their nearest labelled ones, maps of the
    embedding, the rows that failed and why, versions and settings, and a table of all crystals that can be sorted and
    filtered. It follows the dark mode of the reader, fits a phone, and can be printed. All names are escaped, and the
    page allows a browser no script but the one of this package.

    Parameters
    ----------
    path : str or Path
        Is replaced if it exists. The file is written atomically.
    predictions : DataFrame
        Has a row per crystal, and the columns "id" (a name of any type), "formula" and "prediction" (NaN where there is
        none); optionally "label" (NaN where unknown), "std", the standard deviation of the prediction, and "outside",
        whether the crystal is unlike those that the model was fitted to.
    title : str, default="Predictions"
        Title of the page.
    target : str, default="target"
        Name of the predicted property.
    unit : str, default=None
        Its unit.
    vectors : ndarray of shape (n_crystals, n_components), default=None
        For the maps and the nearest labelled crystals; NaN for rows that failed.
    labelled : DataFrame, default=None
        The labelled crystals, with the columns "id", "formula" and "label", if they are others than those of
        ``predictions``. None searches for neighbours of other formulas among ``predictions``.
    labelled_vectors : ndarray of shape (n_labelled, n_components), default=None
        Vectors of ``labelled``.
    errors : DataFrame, default=None
        Errors of several models, as :func:`~skdim.model_selection.cross_validate_arms` returns.
    failures : DataFrame, default=None
        With the columns "id" and "reason".
    settings : dict, default=None
        Settings to list, as names and values.
    max_rows : int, default=10_000
        Maximum number of crystals in the table that can be sorted: those with the largest errors, else those with the
        largest standard deviations, else the first.
    method : {"tsne", "umap", "pca"} or estimator, default="tsne"
        Projection of the maps, as in :class:`~skdim.plotting.EmbeddingDisplay`. Maps show at most 2000 crystals.
    random_state : int, default=0
        Seed of the maps.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If a column is missing, or vectors do not match the rows.

    See Also
    --------
    skdim.inspection.nearest_labelled : Nearest labelled crystals as a table.
    skdim.model_selection.cross_validate_arms : Errors of models.

    Examples
    --------
    >>> import pandas as pd
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skdim.reports import write_report
    >>> predictions = pd.DataFrame({"id": ["a", "b"], "formula": ["NaCl", "MgO"], "prediction": [1.0, 2.0]})
    >>> with TemporaryDirectory() as folder:
    ...     write_report(Path(folder) / "report.html", predictions, target="band_gap", unit="eV")
    ...     text = (Path(folder) / "report.html").read_text(encoding="utf-8")
    >>> text[:15], "NaCl" in text
    ('<!doctype html>', True)
    """
    crystals = _checked(predictions)
    if vectors is not None:
        vectors = _checked_vectors(vectors, len(crystals), "vectors", "predictions")
    if labelled is not None:
        labelled = _needs(labelled, ("id", "formula", "label"), "labelled")
        labelled_vectors = _checked_vectors(labelled_vectors, len(labelled), "labelled_vectors", "labelled")
    shown = _shown_rows(crystals, max_rows)
    neighbours = _neighbours(crystals, vectors, labelled, labelled_vectors, shown)
    quantity = f"{target} ({unit})" if unit else target
    sections = [("", _summary(crystals, quantity, failures))]
    if errors is not None:
        sections.append(("Models", _models(errors, quantity, unit)))
    good = crystals["prediction"].notna()
    if good.any():
        sections.append(("Predictions", _predictions(crystals[good], unit)))
        sections += _worst(crystals, neighbours)
        if vectors is not None and (
            drawn := _maps(crystals, vectors, labelled, labelled_vectors, method, random_state)
        ):
            text = "Similar crystals are close to each other. Distances between distant groups have no meaning."
            sections.append(("Map", paragraph(text) + figures(drawn)))
    if failures is not None and len(failures):
        sections.append(("Rows that failed", _failures(failures)))
    sections.append(("All crystals", _all(crystals, neighbours, shown)))
    sections.append(("Versions and settings", _settings(settings or {})))
    content = page(title, sections)
    with replaced_file(path) as file:
        file.write_bytes(content)


# ---- checks ----


def _checked(predictions):
    crystals = _needs(predictions, ("id", "formula", "prediction"), "predictions")
    for name in ("prediction", "label", "std"):
        if name in crystals:
            crystals[name] = crystals[name].astype(float)
            if np.isinf(crystals[name]).any():
                raise ValueError(f'the column "{name}" of predictions has infinite values')
    if "outside" in crystals:
        crystals["outside"] = crystals["outside"].map({True: "yes", False: "no"})
    if "label" in crystals:
        crystals["error"] = crystals["prediction"] - crystals["label"]
    return crystals


def _needs(frame, names, what):
    missing = [name for name in names if name not in frame]
    if missing:
        raise ValueError(f"{what} must have the columns {list(names)}; missing: {missing}")
    return frame.reset_index(drop=True)


def _checked_vectors(vectors, n_rows, name, of):
    vectors = np.asarray(vectors, dtype=float)
    if vectors.ndim != 2 or len(vectors) != n_rows:
        raise ValueError(f"{name} must have a row for each of the {n_rows} rows of {of}; got the shape {vectors.shape}")
    return vectors


# ---- sections ----


def _summary(crystals, quantity, failures):
    values = {"crystals": f"{len(crystals)}"}
    if failures is not None and len(failures):
        values["failed"] = f"{len(failures)}"
    if "outside" in crystals:
        values["unlike those of the fit"] = f"{(crystals['outside'] == 'yes').sum()}"
    if "error" in crystals and (error := crystals["error"].dropna().to_numpy()).size:
        values |= {
            "labelled": f"{len(error)}",
            "mean absolute error": number(np.abs(error).mean(), 3),
            "median absolute error": number(np.median(np.abs(error)), 3),
            "root mean squared error": number(np.sqrt(np.square(error).mean()), 3),
        }
        spread = np.abs(crystals["label"] - crystals["label"].mean()).mean()
        if len(error) > 1 and spread > 0:
            values["of the error of the mean"] = f"{100 * np.abs(error).mean() / spread:.0f} %"
    return paragraph(quantity, "target") + cards(values)


def _models(errors, quantity, unit):
    by = errors.groupby(["n_labels", "arm"], sort=False)["mae"]
    summary = by.quantile([0.5, 0.25, 0.75]).unstack().rename(columns={0.5: "median", 0.25: "25 %", 0.75: "75 %"})
    summary = summary.assign(fits=by.size()).reset_index().sort_values(["n_labels", "median"], kind="stable")
    summary = summary.rename(columns={"n_labels": "labels", "arm": "model"})
    text = f"Mean absolute error of {quantity} on crystals that were not in the training set."
    drawn = [(_figures.errors_of_models(errors, unit), "Boxes: quartiles over the fits; points: fits.")]
    return (
        paragraph(text)
        + figures(drawn, wide=True)
        + table(summary[["labels", "model", "median", "25 %", "75 %", "fits"]])
    )


def _predictions(good, unit):
    parts, after = [], ""
    known = good[good["label"].notna()] if "label" in good else good[:0]
    std = good.get("std")
    if len(known):
        of_known = None if std is None else std[known.index].to_numpy()
        drawn = _figures.parity(known["label"].to_numpy(), known["prediction"].to_numpy(), of_known, unit)
        parts.append((drawn, "Each point is a crystal; on the dashed line, the prediction is right."))
        parts.append((_figures.histogram(known["error"].to_numpy(), "Error", unit), "Prediction minus label."))
    else:
        parts.append((_figures.histogram(good["prediction"].to_numpy(), "Prediction", unit), "All predictions."))
    if std is not None and len(known) and (usable := (known["std"] > 0)).any():
        known = known[usable]
        values = [known[name].to_numpy() for name in ("label", "prediction", "std")]
        parts.append((_figures.calibration(*values), "Below the diagonal, the standard deviations are too small."))
        levels = np.array(_INTERVALS)
        columns = {
            "interval (%)": np.round(100 * levels).astype(int),
            "labels inside (%)": 100 * interval_coverage(*values, levels=levels),
            "mean half width": norm.ppf(0.5 + levels / 2) * known["std"].mean(),
        }
        after = table(pd.DataFrame(columns))
    elif std is not None and std.notna().any():
        drawn = _figures.histogram(std.dropna().to_numpy(), "Standard deviation", unit)
        parts.append((drawn, "Standard deviations of the predictions."))
    return figures(parts) + after


def _worst(crystals, neighbours):
    sections = []
    for name, heading in (("error", "Worst predictions"), ("std", "Most uncertain predictions")):
        if name not in crystals or not crystals[name].notna().any():
            continue
        rows = crystals[name].abs().nlargest(_N_WORST).index
        sections.append((heading, table(_with_neighbours(crystals.loc[rows], neighbours))))
    return sections


def _maps(crystals, vectors, labelled, labelled_vectors, method, random_state):
    targets = {"prediction": crystals["prediction"].to_numpy()}
    if "error" in crystals:
        targets["absolute error"] = crystals["error"].abs().to_numpy()
    if "std" in crystals:
        targets["standard deviation"] = crystals["std"].to_numpy()
    if labelled is not None:
        missing = np.full(len(labelled), np.nan)
        targets = {name: np.concatenate([values, missing]) for name, values in targets.items()}
        targets["label"] = np.concatenate([np.full(len(crystals), np.nan), labelled["label"].astype(float)])
        vectors = np.concatenate([vectors, labelled_vectors])
    return _figures.maps(vectors, targets, method=method, max_points=2000, random_state=random_state)


def _failures(failures):
    failures = _needs(failures, ("id", "reason"), "failures")[["id", "reason"]]
    more = f"{len(failures) - _MOST_FAILURES} more failed." if len(failures) > _MOST_FAILURES else ""
    return table(failures[:_MOST_FAILURES].astype(str)) + (paragraph(more) if more else "")


def _all(crystals, neighbours, shown):
    chosen = crystals.loc[shown]
    text = ""
    if len(shown) < len(crystals):
        name = next((name for name in ("error", "std") if name in crystals), None)
        which = {"error": "with the largest errors", "std": "with the largest standard deviations", None: "first"}[name]
        text = paragraph(f"The {len(shown)} of {len(crystals)} crystals {which}.")
    return text + interactive_table(_with_neighbours(chosen, neighbours))


def _settings(settings):
    versions = {"skdim": __version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    rows = [*settings.items(), ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
    return table(pd.DataFrame([(str(name), str(value)) for name, value in rows], columns=["setting", "value"]))


# ---- rows and neighbours ----


def _shown_rows(crystals, max_rows):
    """Rows of the interactive table, in their order."""
    if len(crystals) <= max_rows:
        return crystals.index
    for name in ("error", "std"):
        if name in crystals:
            return crystals[name].abs().fillna(-1).nlargest(max_rows).index.sort_values()
    return crystals.index[:max_rows]


def _neighbours(crystals, vectors, labelled, labelled_vectors, shown):
    """Table of the nearest labelled crystal of the shown rows, by row; None if unknown."""
    rows = shown.to_numpy()
    if vectors is None or (labelled is None and "label" not in crystals):
        return None
    if labelled is None:
        source = crystals
        neighbour, distance = nearest_other(vectors, crystals, rows)
    else:
        source = labelled
        neighbour, distance = nearest(vectors, labelled_vectors, rows)
    found = source[["id", "formula", "label"]].reindex(neighbour)
    found.index = shown
    names = ["nearest labelled", "its formula", "its label"]
    return found.set_axis(names, axis=1).assign(distance=distance)


def _with_neighbours(crystals, neighbours):
    names = [name for name in ("id", "formula", "label", "prediction", "error", "std", "outside") if name in crystals]
    chosen = crystals[names].assign(id=crystals["id"].astype(str))
    return chosen if neighbours is None else chosen.join(neighbours)
