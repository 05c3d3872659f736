"""A small table of crystals, and a server for it."""

import gzip
import hashlib
import json

import numpy as np

from skdim.datasets import fetch_url_dataset, make_crystals
from tests.helpers.loopback import Server, whole

STRUCTURES, Y = make_crystals(23, random_state=0)
ROWS = [[structure.as_dict(), float(y)] for structure, y in zip(STRUCTURES, Y, strict=True)]


def table(rows=ROWS, columns=("structure", "y"), **parts):
    return json.dumps({"index": list(range(len(rows))), "columns": list(columns), "data": list(rows)} | parts)


def fetch(text, **options):
    content = text if isinstance(text, bytes) else gzip.compress(text.encode(), mtime=0)
    with Server(whole(content)) as server:
        digest = hashlib.sha256(content).hexdigest()
        return fetch_url_dataset(f"{server.url}/crystals.json.gz", sha256=digest, **{"target": "y", **options})


def changed(change, row=3):
    """The table after a change to the dict of one of its structures."""
    rows = json.loads(json.dumps(ROWS))
    change(rows[row][0])
    return table(rows)


def digest_of(folds, n):
    number = np.zeros(n, dtype=np.uint8)
    for k, (_, test) in enumerate(folds):
        number[test] = k
    return hashlib.sha256(number.tobytes()).hexdigest()
