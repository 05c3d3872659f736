"""How good each arm is at few labels: ``python -m benchmarks.accuracy``, and ``.report`` for tables and figures."""
