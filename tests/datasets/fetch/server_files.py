"""Files on the test servers, and shortcuts to download them."""

import hashlib
import os
import subprocess
import sys

import numpy as np

from skdim.datasets import fetch_file

CONTENT = np.random.default_rng(0).bytes(300_000)
OTHER = np.random.default_rng(1).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OK = b"HTTP/1.1 200 OK\r\n"


def fetch(server, **options):
    return fetch_file(f"{server.url}/data/crystals.json.gz", **{"sha256": SHA256, "delay": 0, **options})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_fetched(path, folder):
    assert path == folder / "crystals.json.gz"
    assert path.read_bytes() == CONTENT
    assert names(folder) == [path.name]


FETCH = "import sys; from skdim.datasets import fetch_file; fetch_file(sys.argv[1], sha256=sys.argv[2], timeout=20)"


def start_fetch(server, folder):
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, f"{server.url}/crystals.json.gz", SHA256],
        env={**os.environ, "SKDIM_DATA": str(folder)},
        stderr=subprocess.PIPE,
    )
