"""An unfinished store: its columns, and a journal of the chunks that are complete."""

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

_FORMAT = FileFormat("skdim.Crystals.partial", 2, "an unfinished Crystals store", "remove that folder to start again")
_JOURNAL, _STORE = "journal.jsonl", "store"


class ChunkJournal(contextlib.AbstractContextManager):
    """Append chunks of rows to the columns of a store.

    Each line of the journal is one chunk; it is written when all data of the chunk is on the disk. Data of incomplete
    chunks, which a killed run leaves, is removed.

    Parameters
    ----------
    folder : Path
        New, or left by an earlier run.
    head : dict
        Values for JSON that must be equal to those of the earlier run.
    names : bool
        Whether rows have ids, which are saved.

    Attributes
    ----------
    chunks : list of (int, str)
        Length and hash of each complete chunk.

    Raises
    ------
    LockedError
        If another run uses the folder.
    ValueError
        If the folder is damaged, or belongs to a run with other settings.
    """

    def __init__(self, folder, head, names):
        self._folder, self._ids, self._is_complete = folder, None, False
        (folder / _STORE).mkdir(parents=True, exist_ok=True)
        self._journal = open(folder / _JOURNAL, "a+b")  # noqa: SIM115
        self._columns = contextlib.ExitStack()
        try:
            lock_file(self._journal, f"{folder} is in use by another run: wait until it ends")
            lengths, n_bytes = self._resume(head)
            try:
                self._writer = self._columns.enter_context(StoreWriter(folder / _STORE, lengths))
            except (OSError, ValueError) as error:
                raise self._damaged(error) from error
            if names:
                self._ids = self._columns.enter_context(open(folder / _STORE / "ids.csv", "ab"))  # noqa: SIM115
                if self._ids.tell() < n_bytes:
                    raise self._damaged(f"{self._ids.name} is too short")
                self._ids.truncate(n_bytes)
                if not n_bytes:
                    self._ids.write(b"id\r\n")
        except BaseException:
            self._columns.close()
            self._journal.close()
            raise

    def _resume(self, head):
        """Read the journal; return the lengths of the columns and the number of bytes of the ids."""
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
                        f"{self._folder} belongs to a run with other {' and '.join(different)}: use the same to resume "
                        "it, or remove that folder to start again"
                    )
            end += len(line)
        self._journal.truncate(end)
        if not end:
            self._write({**_FORMAT.header(), **head})
        return lengths, n_bytes

    def append(self, ids, digest, parts):
        """Append a chunk.

        Parameters
        ----------
        ids : list of str or None
        digest : str
            Hash of its rows.
        parts : iterable of (Crystals, dict of int to StructureError, list of (int, str, str, str))
            Consecutive rows, their errors and warnings, as in FeaturizedRows.
        """
        start = sum(n for n, _ in self.chunks)
        failures, all_warnings, row = [], [], start
        for crystals, errors, warnings in parts:
            self._writer.append(crystals)
            all_warnings += [[k, ids[k - start] or name, formula, text] for k, formula, text, name in warnings]
            failures += [
                [row + k, ids[row + k - start] or error.name, error.formula, error.reason]
                for k, error in errors.items()
            ]
            row += len(crystals)
        n_bytes = 0
        if self._ids is not None:
            text = io.StringIO(newline="")
            csv.writer(text).writerows([row_id] for row_id in ids)
            self._ids.write(text.getvalue().encode(errors="surrogateescape"))
            self._ids.flush()
            os.fsync(self._ids.fileno())
            n_bytes = self._ids.tell()
        self._writer.sync()
        tables = {"failures": failures, "warnings": all_warnings}
        self._write({"rows": len(ids), "source": digest, "lengths": self._writer.lengths, "ids": n_bytes, **tables})
        self.chunks.append((len(ids), digest))

    def complete(self, path, site_features, settings, index=None):
        """Finish the store and move it to ``path``; return the number of warnings and the first one."""
        store = self._folder / _STORE
        self._writer.finish()
        errors = {
            row: str(StructureError(row, formula, reason, name))
            for row, name, formula, reason in self._entries("failures")
        }
        for name, last_column in (("failures", "reason"), ("warnings", "warning")):
            with open(store / f"{name}.csv", "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                table = csv.writer(file)
                table.writerow(["row", "id", "formula", last_column])
                table.writerows(self._entries(name))
        write_header(store, self._writer.lengths, site_features, settings, errors, index)
        self._columns.close()  # a folder with open files cannot be renamed on Windows
        store.rename(path)
        self._is_complete = True
        return sum(1 for _ in self._entries("warnings")), next(self._entries("warnings"), None)

    def _entries(self, name):
        """Yield the failures or warnings of all chunks."""
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

    def _damaged(self, reason):
        return ValueError(f"{self._folder} is damaged: {reason}; remove the folder to start again")
