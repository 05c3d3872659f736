"""No network; a small task instead of one of Matbench."""

import gzip
import hashlib

import pytest
from sklearn.model_selection import KFold

from skdim.datasets import _matbench
from tests.datasets.matbench.tables import ROWS, Y, digest_of, table
from tests.helpers.loopback import Server, whole


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SKDIM_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("SKDIM_MATBENCH_URL", "https://127.0.0.1:1/nothing/is/here")


@pytest.fixture
def small_task(monkeypatch):
    """Replace a task by a small one: a server with a table of 23 crystals, and matching facts."""
    servers = []

    def make(task, target=Y, **facts):
        rows = [[structure, value] for (structure, _), value in zip(ROWS, target.tolist(), strict=True)]
        content = gzip.compress(table(rows, ("structure", _matbench.TASKS[task].target)).encode())
        folds = digest_of(KFold(5, shuffle=True, random_state=18012019).split(target), len(target))
        facts = {"n_rows": 23, "sha256": hashlib.sha256(content).hexdigest(), "folds_sha256": folds} | facts
        monkeypatch.setitem(_matbench.TASKS, task, _matbench.TASKS[task]._replace(**facts))
        servers.append(Server(whole(content)))
        return servers[-1]

    yield make
    for server in servers:
        server.__exit__()
