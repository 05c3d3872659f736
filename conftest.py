"""Docstring examples that need a missing optional package are left out; the head of the report names them.

Test files say themselves what they need, by ``pytest.importorskip``.
"""

from importlib.util import find_spec

#: Optional package -> modules of skdim whose examples need it.
EXAMPLES = {
    "matplotlib": "skdim/plotting",
    "matminer": "skdim/baselines/_orbital_field.py",
    "chgnet": "skdim/baselines/_mlip.py",
}
MISSING = {package: folder for package, folder in EXAMPLES.items() if find_spec(package) is None}

collect_ignore = list(MISSING.values())


def pytest_report_header():
    return [f"without {package}: the examples of {folder} are left out" for package, folder in MISSING.items()]
