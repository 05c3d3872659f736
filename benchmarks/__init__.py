"""Benchmarks of the requirements on speed and memory: ``python -m benchmarks --help``."""
