"""Reads the structure files and archives in a folder, recursively and in alphabetical order."""

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

#: Suffixes of tables and databases, which are not read from folders.
_TABLES = (".csv", ".parquet", ".db")


def read_folder(folder):
    """Read the files in a folder; a warning at the end lists those that were skipped.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    name : str
        Path relative to the folder; for members of archives followed by a slash and the name of the member.
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
            skipped.add(name, "a table or database: pass it separately")
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
    """Yield the paths of the files in a folder, without hidden ones.

    Links are followed, except to files in the same folder and to files or folders that were read already.
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
                skipped.add(shown, "a link to a file or folder that is read already", "link")
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
                skipped.add(written_name(path.relative_to(top).as_posix()), "already read through a link", "folder")
                continue
            seen.add(real)
        yield from _walk(top, path, root, seen, skipped)
