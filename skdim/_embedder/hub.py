"""Weights on the Hugging Face hub: downloads, and uploads of what :func:`weights_folder.write_weights` writes."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from .._version import __version__
from .weights_checks import CONFIG, WEIGHTS

#: Start of an address on the hub.
PREFIX = "hf://"
_ADDRESS = re.compile(
    r"hf://(?P<repo_id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?(#sha256=(?P<sha256>[0-9a-fA-F]{64}))?", re.ASCII
)
#: Largest weights that are downloaded, in bytes; those of the default network have one million.
_MAX_BYTES = 2**30


def download_weights(address):
    """Download weights, unless they are in the cache of the hub's library.

    Only ``config.json`` and ``weights.safetensors`` are downloaded. Neither can run code.

    Parameters
    ----------
    address : str
        ``hf://organisation/name``, with an optional revision and an optional checksum of ``config.json``:
        ``hf://organisation/name@revision#sha256=digest``.

    Returns
    -------
    Path
        Folder of both files.

    Raises
    ------
    ImportError
        If huggingface_hub is not installed.
    OSError
        If the download fails.
    ValueError
        If the address is invalid, or the downloaded config.json has another checksum.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError(
            f"{address!r} is not an address of weights: pass hf://organisation/name, optionally followed by @revision "
            "and #sha256= with the 64 hexadecimal digits that push_to_hub returned"
        )
    hub = _hub()
    config = _download(hub, address, match["repo_id"], CONFIG, match["revision"])
    if match["sha256"] is not None:
        digest = hashlib.sha256(config.read_bytes()).hexdigest()
        if digest != match["sha256"].lower():
            raise ValueError(
                f"{address}: {config} has sha256 {digest}. The weights were changed, or the server sent another file; "
                "ask their author, or delete the file to download it again"
            )
    # The commit of the first file, so that both belong together.
    return _download(hub, address, match["repo_id"], WEIGHTS, config.parent.name).parent


def upload_weights(folder, repo_id, *, token, private, message):
    """Upload a folder of weights; return its address with the commit and the checksum of ``config.json``."""
    api = _hub().HfApi(endpoint=_endpoint(), token=token, library_name="skdim", library_version=__version__)
    digest = hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest()
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
    except Exception as error:
        raise OSError(f"could not upload weights to {PREFIX}{repo_id}: {error}") from error
    return f"{PREFIX}{repo_id}@{commit.oid}#sha256={digest}"


def push(write, repo_id, **options):
    """Upload what ``write(folder)`` writes."""
    if not isinstance(repo_id, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id, re.ASCII):
        raise ValueError(f"repo_id must be 'organisation/name', got {repo_id!r}")
    _hub()  # before anything is written
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "weights")
        write(weights)
        return upload_weights(weights, repo_id, **options)


def _download(hub, address, repo_id, name, revision):
    options = {"revision": revision, "endpoint": _endpoint()}
    size = _size(hub, hub.hf_hub_url(repo_id, name, **options))
    if size > _MAX_BYTES:
        raise OSError(f"{name} of {address} has {size} bytes, more than {_MAX_BYTES}: it was not downloaded")
    try:
        return Path(hub.hf_hub_download(repo_id, name, library_name="skdim", library_version=__version__, **options))
    except Exception as error:  # of several libraries, which depend on the version of the hub's
        raise OSError(f"could not download {name} of {address}: {type(error).__name__}: {error}") from error


def _size(hub, url):
    """Size of a file in bytes; 0 if it is unknown. Without a connection the download may still find it in the cache."""
    try:
        return hub.get_hf_file_metadata(url).size or 0
    except Exception:
        return 0


def _endpoint():
    """The hub's URL if the environment sets one; the library reads it only when it is imported."""
    return os.environ.get("HF_ENDPOINT")


def _hub():
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError('weights on the hub need huggingface_hub: pip install "skdim-crystals[hub]"') from error
    return huggingface_hub
