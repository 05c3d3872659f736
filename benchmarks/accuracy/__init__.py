"""How good each arm is at few labels: the tables and figures of docs/accuracy.md. Run ``python -m benchmarks.accuracy``."""
