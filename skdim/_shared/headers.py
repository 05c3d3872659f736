"""Headers of the files that skdim writes: what a file is, the version of its schema, and the skdim that wrote it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__


@dataclass(frozen=True)
class FileFormat:
    """A kind of file that skdim writes.

    Parameters
    ----------
    name : str
        As in the header.
    version : int
        Of the schema. Only files of this version are read.
    description : str
        For messages, with its article: "a Crystals store".
    remedy : str
        What the user of a file with another schema version can do, besides using the skdim that wrote it.
    """

    name: str
    version: int
    description: str
    remedy: str

    def header(self):
        """Return the entries that identify a file, a dict for JSON."""
        return {"format": self.name, "schema_version": self.version, "skdim_version": __version__}

    def check(self, header, path):
        """Check that a header is of this format and version.

        Parameters
        ----------
        header : object
            As read from the file.
        path : str or Path
            For messages.

        Returns
        -------
        header : dict

        Raises
        ------
        ValueError
            If it is not.
        """
        if not isinstance(header, dict) or "format" not in header:
            raise ValueError(f"{path} is not {self.description}: its header does not name a format")
        if header["format"] != self.name:
            raise ValueError(f"{path} is not {self.description}: its format is {header['format']!r:.80}")
        version = header.get("schema_version")
        if type(version) is not int or version != self.version:
            raise ValueError(
                f"{path} has schema version {version!r:.20}, and this skdim ({__version__}) reads version "
                f"{self.version}: use skdim {header.get('skdim_version', '?')!s:.20}, or {self.remedy}"
            )
        return header

    def parse(self, text, path):
        """Read a header from JSON and check it.

        Parameters
        ----------
        text : str or bytes
        path : str or Path
            For messages.

        Returns
        -------
        header : dict

        Raises
        ------
        ValueError
            If it is not JSON, or not of this format and version.
        """
        try:
            header = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not {self.description}: its header is not JSON ({error})") from error
        return self.check(header, path)

    def read(self, file, path, max_bytes=None):
        """Read a file that holds nothing but a header, and check it.

        Parameters
        ----------
        file : Path
        path : str or Path
            For messages: the file, or the folder that it is the header of.
        max_bytes : int, default=None
            Refuse a larger file.

        Returns
        -------
        header : dict

        Raises
        ------
        ValueError
            If it cannot be read, or is not of this format and version.
        """
        try:
            if max_bytes is not None and Path(file).stat().st_size > max_bytes:
                raise ValueError(f"it has more than {max_bytes} bytes")
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{path} is not {self.description}: cannot read its {Path(file).name} ({error})"
            ) from error
        return self.parse(text, path)
