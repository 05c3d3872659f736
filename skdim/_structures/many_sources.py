"""Several files and folders read as one source."""

from __future__ import annotations

from pathlib import Path

from .sources import Source, open_source


def open_sources(paths):
    """Several files and folders as one source, one after the other.

    Parameters
    ----------
    paths : sequence of (str or Path)
        Each as for :func:`open_source`.

    Returns
    -------
    Source
        With the ids of the source, if it is one. Of several, the id of a CIF file is its path, and that of any other
        row is the path, a slash, and the row's own id (or its number in the source, from 0).
    """
    if len(paths) == 1:
        return open_source(paths[0])
    sources = [open_source(Path(path)) for path in paths]

    def read():
        for path, source in zip(map(Path, paths), sources, strict=True):
            for row, (own, raw) in enumerate(source.read()):
                is_file = own == path.as_posix()
                yield own if is_file else f"{path.as_posix()}/{row if own is None else own}", raw

    n_rows = None if any(source.n_rows is None for source in sources) else sum(source.n_rows for source in sources)
    return Source(f"{len(sources)} files and folders", "structures", read, n_rows, has_names=True)
