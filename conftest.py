"""Tests and docstring examples that need a missing optional package are left out; the head of the report says so."""

from importlib.util import find_spec
from pathlib import Path

NEED = {
    "numba": ["skdim/nn/compiled/pair_loops.py", "skdim/nn/compiled/row_formulas.py"],
    "matplotlib": [
        "skdim/plotting/*",
        "tests/plotting/*",
        "tests/house/test_examples.py",
        "tests/house/test_benchmarks_accuracy.py",
    ],
    "matminer": ["skdim/baselines/*", "tests/baselines/test_baselines.py", "tests/house/test_benchmarks_accuracy.py"],
    "ase": [
        "tests/house/test_bad_input.py",
        "tests/house/test_fuzz.py",
        "tests/structures/test_read.py",
        "tests/structures/test_sources.py",
        "tests/house/test_train_weights.py",
    ],
    "pyarrow": [
        "tests/house/test_fuzz.py",
        "tests/cli/*",
        "tests/structures/test_sources.py",
        "tests/house/test_train_weights.py",
        "tests/house/test_benchmarks_accuracy.py",
        "tests/embedder/test_vectors_file.py",
    ],
    "skops": ["tests/cli/*"],
}
MISSING = [package for package in NEED if find_spec(package) is None]

collect_ignore_glob = [str(Path(__file__).parent / pattern) for package in MISSING for pattern in NEED[package]]


def pytest_report_header():
    return [f"without {package}: left out are {', '.join(NEED[package])}" for package in MISSING]
