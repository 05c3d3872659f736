"""A store in the making: its columns so far, and a journal that says how much of them counts."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil

from .._crystals.store import write_header
from .._crystals.store_writer import StoreWriter
from .._shared.headers import FileFormat
from .._shared.locks import lock_file, unlock_file
from .._structures.errors import StructureError

_FORMAT = FileFormat("skdim.Crystals.partial", 2, "an unfinished Crystals store", "remove that folder to start anew")
_JOURNAL, _STORE = "journal.jsonl", "store"


class ChunkJournal(contextlib.AbstractContextManager):
    """Chunks of rows, appended to the columns of a store, each of which counts once it is on the disk with all it has.

    A line of the journal is a chunk; it counts once it has its end. Whatever the files hold beyond the last such line
    is what a kill has left, and is cut off.

    Parameters
    ----------
    folder : Path
        Made, or found as an earlier run has left it.
    head : dict
        What this run must share with that one, as JSON gives it back.
    names : bool
        Whether rows have ids, to be kept.

    Attributes
    ----------
    chunks : list of (int, str)
        Length and fingerprint of each chunk that is there.

    Raises
    ------
    RuntimeError
        If another run works in the folder.
    ValueError
        If the folder is of another run, or damaged.
    """

    def __init__(self, folder, head, names):
        self._folder, self._ids, self._is_complete = folder, None, False
        (folder / _STORE).mkdir(parents=True, exist_ok=True)
        self._journal = open(folder / _JOURNAL, "a+b")  # noqa: SIM115
        self._columns = contextlib.ExitStack()
        try:
            lock_file(self._journal, f"{folder} is in use by another run: wait for its end")
            lengths, n_bytes = self._resume(head)
            try:
                self._writer = self._columns.enter_context(StoreWriter(folder / _STORE, lengths))
            except (OSError, ValueError) as error:
                raise self._damaged(error) from error
            if names:
                self._ids = self._columns.enter_context(open(folder / _STORE / "ids.csv", "ab"))  # noqa: SIM115
                if self._ids.tell() < n_bytes:
                    raise self._damaged(f"{self._ids.name} is shorter than it was")
                self._ids.truncate(n_bytes)
                if not n_bytes:
                    self._ids.write(b"id\r\n")
        except BaseException:
            self._columns.close()
            self._journal.close()
            raise

    def _resume(self, head):
        """Read the journal: how much of each column, and how many bytes of the ids, count."""
        self.chunks, lengths, n_bytes, end = [], None, 0, 0
        self._journal.seek(0)
        for number, line in enumerate(self._journal):
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                if number:
                    self.chunks.append((entry["rows"], entry["source"]))
                    lengths, n_bytes = entry["lengths"], entry["ids"]
            except (ValueError, KeyError, TypeError) as error:
                raise self._damaged(f"line {number + 1} of its {_JOURNAL} cannot be read ({error!r})") from error
            if not number:
                expected = {**_FORMAT.header(), **head}
                different = sorted(
                    name
                    for name in expected | _FORMAT.check(entry, self._folder)
                    if entry.get(name) != expected.get(name)
                )
                if different:
                    raise ValueError(
                        f"{self._folder} is of a run with other {' and '.join(different)}: go on with what it began "
                        "with, or remove that folder to begin anew"
                    )
            end += len(line)
        self._journal.truncate(end)
        if not end:
            self._write({**_FORMAT.header(), **head})
        return lengths, n_bytes

    def append(self, ids, digest, parts):
        """Add a chunk.

        Parameters
        ----------
        ids : list of str or None
        digest : str
            Fingerprint of its rows.
        parts : iterable of (Crystals, dict of int to StructureError, list of (int, str, str, str))
            Consecutive rows, which of them failed, and remarks as of ``featurize_rows``.
        """
        start = sum(n for n, _ in self.chunks)
        failures, remarks, row = [], [], start
        for crystals, errors, said in parts:
            self._writer.append(crystals)
            remarks += [[k, ids[k - start] or name, formula, text] for k, formula, text, name in said]
            failures += [
                [row + k, ids[row + k - start] or error.name, error.formula, error.reason]
                for k, error in errors.items()
            ]
            row += len(crystals)
        n_bytes = 0
        if self._ids is not None:
            text = io.StringIO(newline="")
            csv.writer(text).writerows([own] for own in ids)
            self._ids.write(text.getvalue().encode(errors="surrogateescape"))
            self._ids.flush()
            os.fsync(self._ids.fileno())
            n_bytes = self._ids.tell()
        self._writer.sync()
        told = {"failures": failures, "remarks": remarks}
        self._write({"rows": len(ids), "source": digest, "lengths": self._writer.lengths, "ids": n_bytes, **told})
        self.chunks.append((len(ids), digest))

    def complete(self, path, site_features, settings, index=None):
        """Make the whole the store ``path``; returns the number of remarks, and the first of them."""
        store = self._folder / _STORE
        self._writer.finish()
        errors = {
            row: str(StructureError(row, formula, why, name)) for row, name, formula, why in self._told("failures")
        }
        for name, what in (("failures", "reason"), ("remarks", "remark")):
            with open(store / f"{name}.csv", "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                table = csv.writer(file)
                table.writerow(["row", "id", "formula", what])
                table.writerows(self._told(name))
        write_header(store, self._writer.lengths, site_features, settings, errors, index)
        self._columns.close()  # not every system renames a folder with open files
        store.rename(path)
        self._is_complete = True
        return sum(1 for _ in self._told("remarks")), next(self._told("remarks"), None)

    def _told(self, name):
        self._journal.seek(0)
        for number, line in enumerate(self._journal):
            if number:
                yield from json.loads(line)[name]

    def __exit__(self, *exception):
        self._columns.close()
        unlock_file(self._journal)
        self._journal.close()
        if self._is_complete or not self.chunks:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, entry):
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _damaged(self, why):
        return ValueError(f"{self._folder} is damaged: {why}; remove the folder to begin anew")
