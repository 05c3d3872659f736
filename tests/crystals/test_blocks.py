"""Crystals larger than memory are read in blocks, whose memory is released."""

import mmap
import subprocess
import sys

import numpy as np
import pytest

from skdim import Crystals
from skdim._crystals.blocks import blocks, copied_rows, release_pages, rows_within
from skdim._crystals.columns import COLUMNS
from tests.helpers.assertions import assert_same_crystals


@pytest.fixture
def mapped(X, tmp_path):
    X.save(tmp_path / "store")
    return Crystals.load(tmp_path / "store", mmap_mode="r")


@pytest.mark.parametrize("rows", [None, np.arange(5, 35, 3), np.array([7, 3, 3])])
def test_blocks_contain_all_rows(rows, X, mapped, monkeypatch):
    monkeypatch.setattr("skdim._crystals.blocks._BLOCK", 5 * mapped.nbytes // len(mapped))
    for crystals in (X, mapped):
        parts = list(blocks(crystals, rows))
        assert max(map(len, parts)) <= 4
        assert_same_crystals(Crystals.concatenate(parts), X if rows is None else X[rows])


def test_rows_within_is_a_power_of_two(X):
    mean = X.nbytes // 40
    assert [rows_within(X, n * mean) for n in (0, 1, 2, 3, 4, 1000)] == [1, 1, 2, 2, 4, 512]
    assert rows_within(X[:0], 1000) > 0


def test_copied_rows_are_not_memory_mapped(X, mapped):
    copy = copied_rows(mapped, np.arange(3, 30))
    assert_same_crystals(copy, X[3:30])
    assert not any(isinstance(getattr(copy, name), np.memmap) for name in COLUMNS)


def test_values_do_not_change_when_pages_are_released(X, mapped, tmp_path):
    part = mapped[4:20]
    for crystals in (mapped, part, X, Crystals.load(tmp_path / "store", mmap_mode="c")):
        release_pages(crystals)
    assert_same_crystals(part, X[4:20])
    changed = Crystals.load(tmp_path / "store", mmap_mode="c")
    changed.distance[:] = 1
    release_pages(changed)
    assert (changed.distance == 1).all(), "changes, which exist in memory only, are lost"


def test_systems_without_madvise(X, mapped, monkeypatch):
    """Such as Windows."""
    monkeypatch.delattr(mmap, "MADV_DONTNEED")
    release_pages(mapped)
    assert_same_crystals(Crystals.concatenate(blocks(mapped)), X)


MEMORY = """
import sys
from pathlib import Path
from skdim import Crystals
from skdim._crystals.blocks import blocks

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

mapped = Crystals.load(sys.argv[1], mmap_mode="r")
before = resident()
peak = total = 0
for block in blocks(mapped):
    total += float(block.distance.sum()) + float(block.count.sum()) + float(block.neighbour.sum())
    peak = max(peak, resident())
kept = resident()
mapped.distance.sum()
print(peak - before, kept - before, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory in use")
def test_memory_in_use(X, tmp_path):
    Crystals.concatenate([X] * 2000).save(tmp_path / "large")
    size = sum(file.stat().st_size for file in (tmp_path / "large").iterdir()) / 1e6
    assert size > 60
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "large")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, kept, read = map(float, done.stdout.split())
    assert peak < size / 2
    assert kept < 10
    assert read > size / 4, "what is read otherwise stays"
