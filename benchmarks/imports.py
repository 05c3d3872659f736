"""Time to import skdim and to construct its estimators, each in a new process."""

import subprocess
import sys
from statistics import median

from ._results import Result

_SCRIPT = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
_MAKE = "import skdim; skdim.SiteNetFeaturizer(), skdim.DeepInfoMaxEmbedder(), skdim.SiteNetRegressor()"


def run(quick=False):
    """Seconds of the imports, and for comparison those of scikit-learn and torch."""
    rounds = 1 if quick else 5
    skdim, made, sklearn, torch = (
        _seconds(statement, rounds)
        for statement in ("import skdim", _MAKE, "import sklearn.base, sklearn.utils, joblib", "import torch")
    )
    return [
        Result("import skdim", skdim, "s", ("<=", 0.3)),
        Result("import skdim and make three estimators", made, "s"),
        Result("of it: scikit-learn", sklearn, "s"),
        Result("import torch, which is left out", torch, "s"),
    ]


def _seconds(statement, rounds):
    command = [sys.executable, "-c", _SCRIPT.format(statement=statement)]
    return median(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(rounds))
