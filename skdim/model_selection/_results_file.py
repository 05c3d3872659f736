"""The file of finished fits: one JSON text a line, appended as they come, so that a killed comparison goes on."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pandas as pd

from .._shared.headers import FileFormat
from .._shared.locks import lock_file, unlock_file

#: What a fit is called by, and what is measured.
DRAW = ("arm", "n_labels", "repeat")
COLUMNS = (*DRAW, "mae", "fit_time", "predict_time")
FORMAT = FileFormat("skdim.label_efficiency", 1, "a results file of label_efficiency", "start a new file")
_ARM = ("arm", "fingerprint", "estimator")
#: What makes a comparison, in the words of a message.
_PARTS = {
    "random_state": "random_state",
    "X": "X",
    "y": "y",
    "test": "test rows (X_test and y_test, or those that test_size, groups and random_state hold out)",
}


def read_results(path):
    """Read the fits that :func:`label_efficiency` has written to a ``results_file``, also while it runs.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    DataFrame
        As :func:`label_efficiency` returns it, with all that the file has: also arms, sizes and repeats that the last
        call did not ask for. Arms are in the order in which they came into the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not such a file, or damaged; the message names the line.

    See Also
    --------
    label_efficiency : Writes it.

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
    _, arms, fits, _ = _parse(Path(path))
    return table_of(fits.values(), arms)


def table_of(fits, arms):
    """The table of some fits, ordered by arm, number of labels and repeat."""
    order = {arm: k for k, arm in enumerate(arms)}
    frame = pd.DataFrame(list(fits), columns=list(COLUMNS))
    return frame.sort_values(list(DRAW), key=lambda c: c.map(order) if c.name == "arm" else c, ignore_index=True)


class ResultsFile(contextlib.AbstractContextManager):
    """An open results file: made, or found and checked to belong to the comparison.

    A line counts once it has its end. A last one without is what a kill has left, and is taken off.

    Parameters
    ----------
    path : str or Path
    comparison : dict
        The keys of ``_PARTS``, and whatever else is to stand in the header.
    arms : dict of str to (str, str)
        Fingerprint and repr of each arm.

    Attributes
    ----------
    fits : dict of (arm, n_labels, repeat) to dict
        The finished ones.
    """

    def __init__(self, path, comparison, arms):
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "ab")  # noqa: SIM115
        try:
            lock_file(
                self._file,
                f"{self._path} is in use by another run: wait for its end, or pass another results_file",
            )
            if _has_no_header_yet(self._path.read_bytes()):
                self._file.truncate(0)
                self._write({**FORMAT.header(), **comparison})
            header, known, self.fits, end = _parse(self._path)
            self._check(header, comparison, known, arms)
            self._file.truncate(end)
            for arm, (mark, text) in arms.items():
                if arm not in known:
                    self._write(dict(zip(_ARM, (arm, mark, text), strict=True)))
        except BaseException:
            self._file.close()
            raise

    def append(self, fit):
        """Write a finished fit, and return when it is on the disk."""
        self._write(fit)
        self.fits[tuple(fit[name] for name in DRAW)] = fit

    def __exit__(self, *exception):
        unlock_file(self._file)
        self._file.close()

    def _write(self, entry):
        self._file.write(_line(entry))
        self._file.flush()
        os.fsync(self._file.fileno())

    def _check(self, header, comparison, known, arms):
        other = [what for part, what in _PARTS.items() if header.get(part) != comparison[part]]
        if other:
            raise ValueError(
                f"{self._path} belongs to another comparison, with other {', other '.join(other)}. Pass what the file "
                "was made with, or another results_file to start a new table"
            )
        for arm, (mark, text) in arms.items():
            if arm in known and known[arm][0] != mark:
                old = known[arm][1]
                if old == text:
                    difference = f"had other fitted values, or parameters that its text does not show: {text}"
                else:
                    difference = f"was {old}, and now is {text}"
                raise ValueError(
                    f"arm {arm!r} of {self._path} {difference}. Give the new one another name, or pass another "
                    "results_file to start a new table"
                )


def _parse(path):
    """Header, arms (name to fingerprint and repr), fits, and how many bytes whole lines take."""
    content = path.read_bytes()
    *lines, rest = content.split(b"\n")
    header = FORMAT.parse(lines[0] if lines else rest, path)
    arms, fits = {}, {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            entry = json.loads(line)
            if set(entry) == set(_ARM):
                arms[entry["arm"]] = entry["fingerprint"], entry["estimator"]
                continue
            draw = tuple(entry[name] for name in DRAW)
            if set(entry) != set(COLUMNS) or draw[0] not in arms or draw in fits:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"line {number} of {path} is damaged, or has a fit a second time: remove the line; a fit that is "
                "then missing is done again"
            ) from None
        fits[draw] = entry
    return header, arms, fits, len(content) - len(rest)


def _has_no_header_yet(content):
    """Whether a file is new, or a kill has left nothing but the beginning of its first line."""
    begin = _line(FORMAT.header()).partition(b', "skdim_version"')[0]
    return b"\n" not in content and (content.startswith(begin) or begin.startswith(content))


def _line(entry):
    return (json.dumps(entry, ensure_ascii=False) + "\n").encode()
