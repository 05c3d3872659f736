"""Processes that start at once, for code that is killed or runs in parallel.

A new process needs five seconds to import torch and scikit-learn. One process does it for all tests, and the others are
forked from it (Python's "forkserver"): it has trained nothing, and has no threads that a fork would break.
"""

import multiprocessing
import signal
from multiprocessing.forkserver import ensure_running

#: What is imported before the first fork; packages that are not installed are ignored.
PRELOADED = [
    "pytest",
    "accelerate",
    "joblib",
    "pyarrow.parquet",
    "pymatgen.core",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "skorch",
    "torch._dynamo",
    "torch.distributed.launcher.api",
    "skdim._featurizer.featurizer",
    "skdim._embedder.pretrain",
    "skdim._regressor.supervise",
    "skdim._embedder.weights_folder",
    "skdim.model_selection",
    "skdim.nn.compiled.pair_loops",
]


def context():
    """The multiprocessing context of the processes that start at once."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(PRELOADED)
    ensure_running()  # or others, like Dask, have it import what they want
    return forkserver


def start(function, *args):
    """Start a process that runs a function of a module."""
    process = context().Process(target=function, args=args)
    process.start()
    return process


def run(function, *args):
    """Run a function of a module in another process; return its exit status, which for a kill is minus the signal."""
    process = start(function, *args)
    process.join()
    return process.exitcode


def run_killed(function, *args):
    """Run a function that kills its process."""
    assert run(function, *args) == -signal.SIGKILL
