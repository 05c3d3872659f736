"""tools/long_run.py counts inputs that crash or hang the process that reads them, and continues after them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="the tool needs POSIX")
TOOLS = Path(__file__).parents[2] / "tools"

SCRIPT = """
import ctypes, re, sys
sys.path.insert(0, {tools!r})
import long_run

def reader(folder, done, n, count):
    def check(k):
        if k == 3:
            re.match("(a+)+$", "a" * 60 + "b")  # never ends, and no Python signal handler can interrupt it
        if k == 5:
            ctypes.string_at(0)
        if k == 6:
            bytes(long_run.MEMORY)
        if k == 7:
            raise KeyError(k)
        return "read" if k % 2 else "refused"

    for k in range(done, n):
        count(lambda: check(k), lambda: f"input {{k}}")

long_run.LIMIT = 1
long_run.fuzzing = lambda names: {{"reader": reader}}
sys.exit(long_run.main(["fuzz", "--n", sys.argv[1], "--state", sys.argv[2]]))
"""


def _run(n, state):
    command = [sys.executable, "-c", SCRIPT.format(tools=str(TOOLS)), str(n), str(state)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done, json.loads(state.read_text())["reader"]


def test_hangs_and_crashes_are_counted(tmp_path):
    done, entry = _run(2, tmp_path / "state.json")
    assert (done.returncode, entry["done"], entry["n_faults"]) == (0, 2, 0)
    done, entry = _run(10, tmp_path / "state.json")  # resumes
    assert done.returncode == 1
    assert entry["done"] == 10
    assert entry["outcomes"] == {"read": 2, "refused": 4, "fault": 4}
    ends = {fault["label"].split(",")[0]: fault["error"] for fault in entry["faults"]}
    assert list(ends) == ["input 3", "input 5", "input 6", "input 7"]
    assert "SIGXCPU" in ends["input 3"]
    assert "SIGSEGV" in ends["input 5"]
    assert "MemoryError" in ends["input 6"]
    assert "KeyError" in ends["input 7"]
    assert "in match" in done.stderr  # the stack where it hung
