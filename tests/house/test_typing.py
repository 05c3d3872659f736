"""skdim has types (py.typed): mypy --strict accepts a user's script, and knows what calls return."""

import subprocess
import sys
from pathlib import Path

import pytest

import skdim

pytest.importorskip("mypy", reason="is installed for `make lint`")
SCRIPT = Path(__file__).with_name("typed") / "user_script.py"


def check(script, folder):
    """Run mypy as a user does: in another folder, with the installed package."""
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={folder / 'cache'}", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=600)
    return done.stdout + done.stderr


@pytest.mark.slow(reason="mypy reads NumPy, pandas and torch")
def test_strict_typing_of_a_user_script(tmp_path):
    assert Path(skdim.__file__).with_name("py.typed").exists()
    assert check(SCRIPT, tmp_path) == "Success: no issues found in 1 source file\n"
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SCRIPT.read_text("utf-8") + "\nvectors_of(X).no_such_method()\nmodel.no_such_method()\n")
    report = check(wrong, tmp_path)
    assert '"ndarray[tuple[Any, ...], dtype[Any]]" has no attribute "no_such_method"' in report
