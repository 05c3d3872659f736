"""The file of finished fits (JSON lines), from which an interrupted comparison resumes."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pandas as pd

from .._shared.headers import FileFormat
from .._shared.locks import lock_file, unlock_file
from .._shared.scores import MAE

#: Columns that identify a fit.
DRAW = ("arm", "n_labels", "repeat")
FORMAT = FileFormat("skdim.label_efficiency", 1, "a results file of label_efficiency", "start a new file")
_ARM = ("arm", "fingerprint", "estimator")
#: Parts of the header that identify a comparison, as messages name them.
_PARTS = {
    "random_state": "random_state",
    "X": "X",
    "y": "y",
    "test": "test rows (X_test and y_test, or test_size, groups and random_state)",
    "scoring": "scoring",  # only with other scores than the mean absolute error: the column and a fingerprint
}


def read_results(path) -> pd.DataFrame:
    """Read the fits in a ``results_file`` of :func:`label_efficiency`, also while it is being written.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    DataFrame
        Columns of :func:`label_efficiency`, with all fits in the file, including models, sizes and repeats that the
        last call did not ask for. Models are in the order in which they were added to the file.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not a results file, or is damaged; the message names the line.

    See Also
    --------
    label_efficiency : Writes the file.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import Ridge
    >>> from skdim.model_selection import label_efficiency, read_results
    >>> X, y = make_regression(60, 5, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = f"{folder}/ridge.jsonl"
    ...     draws = label_efficiency({"ridge": Ridge()}, X, y, train_sizes=[20], n_repeats=3, results_file=file)
    ...     read_results(file)[["arm", "n_labels", "repeat"]]
         arm  n_labels  repeat
    0  ridge        20       0
    1  ridge        20       1
    2  ridge        20       2
    """
    header, arms, fits, _ = _parse(Path(path).read_bytes(), Path(path))
    return table_of(fits.values(), arms, _score_in(header))


def columns_of(score):
    """Columns of a table of fits with this column of errors or scores."""
    return (*DRAW, score, "fit_time", "predict_time")


def _score_in(header):
    return header["scoring"][0] if "scoring" in header else MAE


def table_of(fits, arms, score=MAE):
    """Make a table of fits, sorted by model, number of labels and repeat."""
    order = {arm: k for k, arm in enumerate(arms)}
    frame = pd.DataFrame(list(fits), columns=list(columns_of(score)))
    return frame.sort_values(list(DRAW), key=lambda c: c.map(order) if c.name == "arm" else c, ignore_index=True)


class ResultsFile(contextlib.AbstractContextManager):
    """An open results file, created, or checked to be for this comparison.

    A line is valid once it has its newline. A last line without one was cut off by a kill and is removed.

    Parameters
    ----------
    path : str or Path
    comparison : dict
        Has the keys of ``_PARTS``, "scoring" if needed; all items are written to the header.
    arms : dict of str to (str, str)
        Fingerprint and repr of each model.

    Attributes
    ----------
    fits : dict of (arm, n_labels, repeat) to dict
        The finished fits.
    """

    def __init__(self, path, comparison, arms):
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "a+b")  # noqa: SIM115
        try:
            lock_file(
                self._file,
                f"{self._path} is in use by another process: wait until it ends, or pass another results_file",
            )
            if _has_no_header_yet(self._read()):
                self._file.truncate(0)
                self._write({**FORMAT.header(), **comparison})
            header, known, self.fits, end = _parse(self._read(), self._path)
            self._check(header, comparison, known, arms)
            self._file.truncate(end)
            for arm, (mark, text) in arms.items():
                if arm not in known:
                    self._write(dict(zip(_ARM, (arm, mark, text), strict=True)))
        except BaseException:
            self._file.close()
            raise

    def append(self, fit):
        """Write a finished fit; returns when it is on disk."""
        self._write(fit)
        self.fits[tuple(fit[name] for name in DRAW)] = fit

    def __exit__(self, *exception):
        unlock_file(self._file)
        self._file.close()

    def _read(self):
        self._file.seek(0)  # Windows reads a locked file only where it is open already
        return self._file.read()

    def _write(self, entry):
        self._file.write(_line(entry))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _check(self, header, comparison, known, arms):
        other = [what for part, what in _PARTS.items() if header.get(part) != comparison.get(part)]
        if other:
            raise ValueError(
                f"{self._path} is for another comparison, with other {', other '.join(other)}. Pass the data that the "
                "file was made with, or another results_file"
            )
        for arm, (mark, text) in arms.items():
            if arm in known and known[arm][0] != mark:
                old = known[arm][1]
                if old == text:
                    difference = f"had other fitted values, or other parameters that its repr does not show: {text}"
                else:
                    difference = f"was {old} and is now {text}"
                raise ValueError(
                    f"model {arm!r} in {self._path} {difference}. Give the new model another name, or pass another "
                    "results_file"
                )


def _parse(content, path):
    """Header, models (name to fingerprint and repr), fits, and the number of bytes in complete lines."""
    *lines, rest = content.split(b"\n")
    header = FORMAT.parse(lines[0] if lines else rest, path)
    arms, fits, columns = {}, {}, set(columns_of(_score_in(header)))
    for number, line in enumerate(lines[1:], start=2):
        try:
            entry = json.loads(line)
            if set(entry) == set(_ARM):
                arms[entry["arm"]] = entry["fingerprint"], entry["estimator"]
                continue
            draw = tuple(entry[name] for name in DRAW)
            if set(entry) != columns or draw[0] not in arms or draw in fits:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"line {number} of {path} is damaged or repeats a fit: remove the line; a missing fit is repeated by "
                "the next call"
            ) from None
        fits[draw] = entry
    return header, arms, fits, len(content) - len(rest)


def _has_no_header_yet(content):
    """Whether a file is empty, or a kill left only the beginning of its first line."""
    begin = _line(FORMAT.header()).partition(b', "skdim_version"')[0]
    return b"\n" not in content and (content.startswith(begin) or begin.startswith(content))


def _line(entry):
    return (json.dumps(entry, ensure_ascii=False) + "\n").encode()
