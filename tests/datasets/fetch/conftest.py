"""No proxy, and a new data folder for each test."""

import pytest


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SKDIM_DATA", str(tmp_path))
    return tmp_path
