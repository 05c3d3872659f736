"""Files from the network, once: checked by their sha256, resumed after a break, and never half there."""

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

#: Bytes that a try must bring to count as a success.
_PROGRESS = 2**20
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def get_data_home(data_home=None):
    """Find the folder in which fetched files are kept, and make it if there is none.

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
    fetch_file : Keeps files there.

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
):
    """Fetch a file, unless it is there already.

    The file appears under its name when it is complete and its sha256 is right, not before. What came before a break or
    a kill is kept beside it (``NAME.part``), and the next try, also that of a later call, asks for the rest. Processes
    that want the same file wait for the first of them.

    Parameters
    ----------
    url : str
        An https URL; http for this machine only.
    sha256 : str
        The checksum that the file must have, of 64 hexadecimal digits.
    filename : str, default=None
        Its name in ``data_home``; None takes the last part of the URL.
    data_home : str or path-like, default=None
        The folder to keep it in, see :func:`get_data_home`.
    download_if_missing : bool, default=True
        False never uses the network, and raises FileNotFoundError where the file is missing.
    max_bytes : int, default=2**31
        Larger files are refused.
    n_retries : int, default=3
        Tries after the first, or after one that brought another 1 MiB, where the trouble is one that may pass.
    delay : float, default=1.0
        Seconds between tries.
    timeout : float, default=30.0
        Seconds until a server that sends nothing, or less than 1000 bytes a second, is given up.
    verbose : int, default=0
        1 shows a progress bar; in a log file, a line now and then.

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    OSError
        If it cannot be fetched, or the file that is there is another; the message says how to put it there by hand.
    ValueError
        If an argument is out of its range.

    See Also
    --------
    fetch_url_dataset : Fetch a file of crystals, and read it.

    Examples
    --------
    A file that is there is only checked:

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
        f"By hand: get the file from {url}, or wherever it has the sha256 {sha256}, and put it at {path}. "
        "Another folder is set by data_home or the environment variable SKDIM_DATA."
    )
    if _is_there(path, sha256):
        return path
    if not download_if_missing:
        raise FileNotFoundError(f"{path.name} is not in {path.parent}, and download_if_missing is False. {by_hand}")
    with part_of(path) as part:
        if part is None:
            _is_there(path, sha256)
            return path
        try:
            _download(part, url, sha256, max_bytes, n_retries, delay, timeout, path.name if verbose else None)
        except (Trouble, Refusal) as problem:
            kept = f" {part.size} bytes of it are kept for the next call." if part.size else ""
            raise OSError(f"Could not fetch {path.name} from {url}: {problem}.{kept} {by_hand}") from problem
        part.finish(path)
    return path


def _checked_name(filename, url):
    name = unquote(urlsplit(url).path.rpartition("/")[2]) if filename is None else filename
    if not name or name.startswith(".") or not name.isprintable() or set(name) & set('/\\:*?"<>|'):
        raise ValueError(f"{name!r} (of {url}) cannot name a file; pass another filename")
    return name


def _is_there(path, sha256):
    """Whether the file is there; an OSError if it is another one."""
    if not path.exists():
        return False
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise OSError(
            f"{path} is damaged, or another file: its sha256 is {found}, not {sha256}. Remove it to fetch it anew."
        )
    return True


def _download(part, url, sha256, max_bytes, n_retries, delay, timeout, bar_name):
    """Bring the part to its end: until its sha256 is the wanted one."""
    tries, best = 0, part.size
    while part.sha256 != sha256:
        if part.source.get("url") != url:
            part.start_over()
        try:
            pieced = _receive(part, url, max_bytes, timeout, bar_name)
            if part.sha256 == sha256:
                return
            size, found = part.size, part.sha256
            part.start_over()
            if pieced:  # The pieces are of two versions of the file: that says nothing of the new one.
                continue
            raise Trouble(f"what comes has {size} bytes and the sha256 {found}, so it is not the file that is wanted")
        except Trouble as trouble:
            # A long file on a bad line takes many tries that each bring some of it.
            tries = 1 if part.size >= best + _PROGRESS else tries + 1
            best = max(best, part.size)
            if tries > n_retries:
                raise Trouble(f"{trouble} ({tries} {'tries' if tries > 1 else 'try'})") from trouble
        time.sleep(delay)


def _receive(part, url, max_bytes, timeout, bar_name):
    """Ask for what is missing, and append what comes. Return whether there was a beginning that it was appended to."""
    headers, begun = {}, part.size > 0
    if begun:
        headers["Range"] = f"bytes={part.size}-"
        if "validator" in part.source:
            headers["If-Range"] = part.source["validator"]
    with open_url(url, headers, timeout=timeout, max_bytes=max_bytes) as response:
        total = response.length  # None where the server does not say
        goes_on = begun and _goes_on(part, response)
        if goes_on:
            total = _size_told(response, None if total is None else part.size + total)
        elif response.status == 200:
            validator = _validator(response)
            part.start_over({"url": url} | ({} if validator is None else {"validator": validator}))
        elif not begun:
            raise Trouble(f"the server answers {response.status} to a request for the whole file")
        if goes_on or response.status == 200:
            _append(part, response, total, max_bytes, bar_name)
            return goes_on
    # What the server has does not go on where the part ends: ask for the whole.
    part.start_over()
    return _receive(part, url, max_bytes, timeout, bar_name)


def _goes_on(part, response):
    """Whether an answer is the rest of the part."""
    found = _range_of(response)
    changed = "validator" in part.source and _validator(response) not in (None, part.source["validator"])
    return response.status == 206 and found is not None and int(found[1]) == part.size and not changed


def _range_of(response):
    return _RANGE.fullmatch(response.headers.get("Content-Range", ""))


def _size_told(response, otherwise):
    """The size of the whole file that an answer has a range of, where the server knows it."""
    size = _range_of(response)[3]
    return otherwise if size == "*" else int(size)


def _validator(response):
    """What tells one version of the file from another: a strong ETag, or a date."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _append(part, response, total, max_bytes, bar_name):
    if total is not None and total > max_bytes:
        part.start_over()
        raise Refusal(f"the server offers {total} bytes, more than max_bytes={max_bytes}")
    options = {"verbose": bar_name is not None, "unit": "B", "unit_scale": True}
    with progress(desc=bar_name, initial=part.size, total=total, **options) as bar:
        for piece in chunks(response):
            if part.size + len(piece) > max_bytes:
                part.start_over()
                raise Refusal(f"the server sends more than max_bytes={max_bytes}")
            part.append(piece)
            bar.update(len(piece))
    if total is not None and part.size < total:
        raise Trouble(f"the connection ended after {part.size} of {total} bytes")
