"""Tests and docstring examples that need a missing optional package are left out; the head of the report says so."""

from importlib.util import find_spec
from pathlib import Path

NEED = {
    "numba": ["skdim/nn/kernels.py", "skdim/nn/rows.py"],
    "matplotlib": [
        "skdim/plotting/*",
        "tests/test_plotting*.py",
        "tests/test_examples.py",
        "tests/test_benchmarks_accuracy.py",
    ],
    "matminer": ["skdim/baselines/*", "tests/test_baselines.py", "tests/test_benchmarks_accuracy.py"],
    "ase": [
        "tests/test_bad_input.py",
        "tests/test_fuzz.py",
        "tests/test_structures.py",
        "tests/test_sources.py",
        "tests/test_train_weights.py",
    ],
    "pyarrow": [
        "tests/test_fuzz.py",
        "tests/cli/*",
        "tests/test_sources.py",
        "tests/test_train_weights.py",
        "tests/test_benchmarks_accuracy.py",
        "tests/test_vectors_file.py",
    ],
    "skops": ["tests/cli/*", "tests/test_model_file.py"],
}
MISSING = [package for package in NEED if find_spec(package) is None]

collect_ignore_glob = [str(Path(__file__).parent / pattern) for package in MISSING for pattern in NEED[package]]


def pytest_report_header():
    return [f"without {package}: left out are {', '.join(NEED[package])}" for package in MISSING]
