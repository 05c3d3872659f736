"""Errors of all models at few labels: ``python -m benchmarks.accuracy``; ``.report`` makes tables and figures."""
