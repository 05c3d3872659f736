"""Folders: structure files and archives at any depth, in an order that is the same everywhere."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import describe
from ..files import READ_ERRORS, written_name
from ..formats.detect import has_known_name
from ..source_rows import Unreadable
from .archives import is_archive, read_archive
from .litter import is_hidden, is_litter
from .skipped import Skipped
from .structure_files import read_structure_file

#: Endings of files that hold structures and are sources of their own.
_TABLES = (".csv", ".parquet", ".db")


def read_folder(folder):
    """Rows of the files in a folder; warns at the end of those that were not read.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    name : str
        Path from the folder; for a member of an archive the archive's, a slash, and its name there.
    raw : Text, Atoms or Unreadable

    Raises
    ------
    OSError
        If a folder cannot be listed.
    """
    skipped = Skipped(f"the folder {written_name(folder)}")
    for file in walk(folder, skipped):
        name = written_name(file.relative_to(folder).as_posix())
        if file.suffix.lower() in _TABLES:
            skipped.add(name, "a table or database in a folder: pass it by itself")
            continue
        try:
            with file.open("rb") as content:
                if not is_archive(content):
                    yield from read_structure_file(content, name, skipped)
                    continue
        except READ_ERRORS as error:
            reason = f"cannot open the file ({describe(error)})"
            if has_known_name(name):
                skipped.n_read += 1
                yield name, Unreadable(reason)
            else:
                skipped.add(name, reason)
            continue
        yield from read_archive(file, skipped, f"{name}/")
    skipped.warn()


def walk(folder, skipped):
    """Paths of the files in a folder that are neither hidden nor read under another name.

    Links are followed, except to what is in the folder itself, and to a folder that was listed already.
    """
    root = os.path.realpath(folder)
    yield from _walk(folder, folder, root, {root}, skipped)


def _walk(top, folder, root, seen, skipped):
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise OSError(f"cannot list the folder {folder} ({error.strerror}): make it readable or move it") from error
    folders = []
    for name in names:
        path = Path(folder, name)
        shown = written_name(path.relative_to(top).as_posix())
        is_folder = path.is_dir()
        if is_litter(name):
            continue
        if is_hidden(name):
            skipped.add(shown, "hidden", "hidden folder" if is_folder else "hidden")
            continue
        if path.is_symlink() and path.exists():
            target = os.path.realpath(path)
            if target in seen or target.startswith(root + os.sep):
                skipped.add(shown, "a link to what is read already", "link")
                continue
            seen.add(target)
        if is_folder:
            folders.append(path)
        elif path.is_file() or path.is_symlink():
            yield path
        else:
            skipped.add(shown, "not a regular file", "special file")
    for path in folders:
        if path != folder and not path.is_symlink():
            real = os.path.realpath(path)
            if real in seen:
                skipped.add(written_name(path.relative_to(top).as_posix()), "read already, by a link", "folder")
                continue
            seen.add(real)
        yield from _walk(top, path, root, seen, skipped)
