"""Download files once: verified by their sha256, resumed after an interruption, written atomically."""

from __future__ import annotations

import hashlib
import os
import re
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .._shared.progress import progress
from ._http import Refusal, Trouble, check_url, chunks, open_url
from ._part import part_of

#: A try that receives at least this many bytes resets the count of tries.
_PROGRESS = 2**20
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def get_data_home(data_home=None) -> Path:
    """Return the folder of downloaded files, and create it if necessary.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder; ``~`` is the home directory. None takes the environment variable ``SKDIM_DATA``, and without that
        ``~/skdim_data``.

    Returns
    -------
    Path
        Its absolute path.

    See Also
    --------
    fetch_file : Downloads files to this folder.

    Examples
    --------
    >>> import tempfile
    >>> from skdim.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     get_data_home(f"{folder}/crystals").name
    'crystals'
    """
    if data_home is None:
        data_home = os.environ.get("SKDIM_DATA") or Path("~", "skdim_data")
    folder = Path(data_home).expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch_file(
    url,
    *,
    sha256,
    filename=None,
    data_home=None,
    download_if_missing=True,
    max_bytes=2**31,
    n_retries=3,
    delay=1.0,
    timeout=30.0,
    verbose=0,
) -> Path:
    """Download a file, unless it exists.

    The file is written atomically, once it is complete and its sha256 is correct. A partial download is kept next to it
    (``NAME.part``) and resumed by the next try or call. If several processes request the same file, one downloads it
    and the others wait.

    Parameters
    ----------
    url : str
        An https URL; http only for localhost.
    sha256 : str
        Checksum of the file, 64 hexadecimal digits.
    filename : str, default=None
        Name of the file in ``data_home``; None takes the last part of the URL.
    data_home : str or path-like, default=None
        Folder of the file, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False never uses the network, and raises FileNotFoundError if the file is missing.
    max_bytes : int, default=2**31
        Maximum size of the file.
    n_retries : int, default=3
        Number of retries after a temporary error. A try that receives 1 MiB resets the count.
    delay : float, default=1.0
        Seconds between tries.
    timeout : float, default=30.0
        Seconds after which a server that sends less than 1000 bytes per second is given up.
    verbose : int, default=0
        1 shows a progress bar; in a log file, occasional lines.

    Returns
    -------
    Path
        Path of the file.

    Raises
    ------
    OSError
        If the download fails, or another file exists under that name. The message explains how to provide the file by
        hand.
    ValueError
        If an argument is invalid.

    See Also
    --------
    fetch_url_dataset : Download and read a table of crystals.

    Examples
    --------
    An existing file is only verified:

    >>> import hashlib, tempfile
    >>> from pathlib import Path
    >>> from skdim.datasets import fetch_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "notes.txt").write_bytes(b"Fm-3m")
    ...     digest = hashlib.sha256(b"Fm-3m").hexdigest()
    ...     fetch_file("https://example.org/notes.txt", sha256=digest, data_home=folder).read_text()
    'Fm-3m'
    """
    check_url(url)
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, got {sha256!r}")
    for name, value, least in (("max_bytes", max_bytes, 1), ("n_retries", n_retries, 0), ("delay", delay, 0)):
        if not value >= least:
            raise ValueError(f"{name} must be at least {least}, got {value!r}")
    if not 0 < timeout < float("inf"):
        raise ValueError(f"timeout must be a positive number of seconds, got {timeout!r}")
    sha256 = sha256.lower()
    path = get_data_home(data_home) / _checked_name(filename, url)

    by_hand = (
        f"By hand: download {url}, or the same file from elsewhere (sha256 {sha256}), and save it as {path}. "
        "Set data_home or the environment variable SKDIM_DATA to use another folder."
    )
    if _exists(path, sha256):
        return path
    if not download_if_missing:
        raise FileNotFoundError(f"{path.name} is not in {path.parent}, and download_if_missing is False. {by_hand}")
    with part_of(path) as part:
        if part is None:
            _exists(path, sha256)
            return path
        try:
            _download(part, url, sha256, max_bytes, n_retries, delay, timeout, path.name if verbose else None)
        except (Trouble, Refusal) as problem:
            kept = f" {part.size} bytes are kept for the next call." if part.size else ""
            raise OSError(f"Could not download {path.name} from {url}: {problem}.{kept} {by_hand}") from problem
        part.finish(path)
    return path


def _checked_name(filename, url):
    name = unquote(urlsplit(url).path.rpartition("/")[2]) if filename is None else filename
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set('/\\:*?"<>|'):
        raise ValueError(f"{name!r} (from {url}) is not a valid file name: pass filename")
    return name


def _exists(path, sha256):
    """Whether the file exists. Raise OSError if its sha256 is wrong."""
    if not path.exists():
        return False
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise OSError(
            f"{path} is damaged or another file: its sha256 is {digest}, not {sha256}. Remove it to download it again."
        )
    return True


def _download(part, url, sha256, max_bytes, n_retries, delay, timeout, bar_name):
    """Download until the sha256 is correct."""
    tries, best = 0, part.size
    while part.sha256 != sha256:
        if part.source.get("url") != url:
            part.start_over()
        try:
            resumed = _receive(part, url, max_bytes, timeout, bar_name)
            if part.sha256 == sha256:
                return
            size, digest = part.size, part.sha256
            part.start_over()
            if resumed:  # perhaps parts of two versions of the file: try the new version as a whole
                continue
            raise Trouble(f"the server sent another file, of {size} bytes with sha256 {digest}")
        except Trouble as trouble:
            # A large file over a bad connection needs many tries that each receive a part.
            tries = 1 if part.size >= best + _PROGRESS else tries + 1
            best = max(best, part.size)
            if tries > n_retries:
                raise Trouble(f"{trouble} ({tries} {'tries' if tries > 1 else 'try'})") from trouble
        time.sleep(delay)


def _receive(part, url, max_bytes, timeout, bar_name):
    """Request the missing bytes and append them. Return whether they were appended to an earlier part."""
    headers, begun = {}, part.size > 0
    if begun:
        headers["Range"] = f"bytes={part.size}-"
        if "validator" in part.source:
            headers["If-Range"] = part.source["validator"]
    with open_url(url, headers, timeout=timeout, max_bytes=max_bytes) as response:
        total = response.length  # None if the server does not send it
        resumes = begun and _resumes(part, response)
        if resumes:
            total = _total_size(response, None if total is None else part.size + total)
        elif response.status == 200:
            validator = _validator(response)
            part.start_over({"url": url} | ({} if validator is None else {"validator": validator}))
        elif not begun:
            raise Trouble(f"the server answered {response.status} to a request for the whole file")
        if resumes or response.status == 200:
            _append(part, response, total, max_bytes, bar_name)
            return resumes
    # The response does not continue the part: request the whole file.
    part.start_over()
    return _receive(part, url, max_bytes, timeout, bar_name)


def _resumes(part, response):
    """Whether a response continues the part."""
    span = _range_of(response)
    changed = "validator" in part.source and _validator(response) not in (None, part.source["validator"])
    return response.status == 206 and span is not None and int(span[1]) == part.size and not changed


def _range_of(response):
    return _RANGE.fullmatch(response.headers.get("Content-Range", ""))


def _total_size(response, otherwise):
    """Size of the whole file, from the range in a response; ``otherwise`` if the server does not send it."""
    size = _range_of(response)[3]
    return otherwise if size == "*" else int(size)


def _validator(response):
    """Identifier of the version of the file: a strong ETag, or a date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _append(part, response, total, max_bytes, bar_name):
    if total is not None and total > max_bytes:
        part.start_over()
        raise Refusal(f"the file has {total} bytes, more than max_bytes={max_bytes}")
    options = {"verbose": bar_name is not None, "unit": "B", "unit_scale": True}
    with progress(desc=bar_name, initial=part.size, total=total, **options) as bar:
        for piece in chunks(response):
            if part.size + len(piece) > max_bytes:
                part.start_over()
                raise Refusal(f"the server sent more than max_bytes={max_bytes}")
            part.append(piece)
            bar.update(len(piece))
    if total is not None and part.size < total:
        raise Trouble(f"the connection ended after {part.size} of {total} bytes")
