"""Run the property tests and the fuzzing of the test suite with many inputs: 100 000 structures, 100 000 per reader.

    python tools/long_run.py properties --n 100000
    python tools/long_run.py fuzz --n 100000 --readers cif_texts store_arrays

Results are saved in a state file (JSON), which is also the report; to resume a killed run, run the same command.
Failures are listed with the seed or the number that reproduces them. docs/trust.md has a summary.

A child process does the work, so that compiled code that crashes, hangs or uses all memory ends only the child. This
counts as a failure, and the next child continues after it.
"""

import argparse
import faulthandler
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests are not part of the distribution

#: Examples of hypothesis per seed (also the number of inputs between two saves), and failures kept of each kind.
BATCH, KEPT = 500, 20
#: Limits of the processor time of an input, in seconds, and of the address space of the child, in bytes.
LIMIT, MEMORY = 60, 16 << 30


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", choices=["properties", "fuzz"], help="property tests, or fuzzing of the readers of files"
    )
    parser.add_argument(
        "--n",
        type=int,
        default=100_000,
        metavar="N",
        help="number of structures, or of inputs of each reader (default: %(default)s)",
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="state and report (default: long_run_WHAT.json)")
    parser.add_argument("--readers", nargs="*", metavar="NAME", help="readers to fuzz (default: all)")
    args = parser.parse_args(argv)
    state = State(args.state or Path(f"long_run_{args.what}.json"))
    for name, run in (properties() if args.what == "properties" else fuzzing(args.readers)).items():
        while (done := state.of(name)["done"]) < args.n:
            in_child(run, done, args.n, name, state)
        print(name, json.dumps({k: v for k, v in state.of(name).items() if k != "faults"}), flush=True)
    faults = sum(entry["n_faults"] for entry in state.entries.values())
    print(f"{faults} faults; see {state.path}" if faults else "no faults")
    return 1 if faults else 0


def in_child(run, done, n, name, state):
    """Run inputs ``done`` to ``n`` in a child process, or up to the one that ends the child."""
    fork = multiprocessing.get_context("fork")
    results, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=_work, args=(run, done, n, results, sender))
    child.start()
    sender.close()
    while True:
        try:
            state.count(name, **results.recv())
        except EOFError:
            break
    child.join()
    if child.exitcode < 0:
        error = f"the process was ended by {signal.Signals(-child.exitcode).name}"
        label = f"input {state.of(name)['done']}, by a child that began with {done}"
        state.count(name, "fault", fault={"label": label, "error": error, "where": ["see stderr"]})
    state.save()
    if child.exitcode > 0:  # not caused by an input: making the inputs failed
        sys.exit(child.exitcode)


def _work(run, done, n, results, sender):
    results.close()  # else the end of the parent would not be noticed
    faulthandler.enable()
    faulthandler.register(signal.SIGXCPU, chain=True)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), done, n, lambda check, label: sender.send(_one(check, label)))


class State:
    """The results so far, in a file that is written atomically."""

    def __init__(self, path):
        self.path = path
        self.entries = json.loads(path.read_text()) if path.exists() else {}

    def of(self, name):
        return self.entries.setdefault(
            name, {"done": 0, "outcomes": {}, "n_faults": 0, "worst_s": 0.0, "peak_mb": 0, "faults": []}
        )

    def count(self, name, outcome, seconds=0.0, peak_mb=0, fault=None):
        entry = self.of(name)
        entry["done"] += 1
        entry["outcomes"][outcome] = entry["outcomes"].get(outcome, 0) + 1
        entry["worst_s"] = max(entry["worst_s"], round(seconds, 3))
        entry["peak_mb"] = max(entry["peak_mb"], peak_mb)
        if fault is not None:
            entry["n_faults"] += 1
            entry["faults"] = [*entry["faults"], fault][:KEPT]
        if entry["done"] % BATCH == 0:
            self.save()

    def save(self):
        file = self.path.with_name(self.path.name + ".new")
        file.write_text(json.dumps(self.entries, indent=1))
        os.replace(file, self.path)


def properties():
    """Name of each property -> function that runs inputs ``done`` to ``n`` and passes each to ``count``."""
    from hypothesis import strategies as st

    from tests.helpers import random_crystals as crystals

    supercells = st.sampled_from(["orthorhombic", "primitive", "none"])
    checks = {
        "structures": (crystals.check_structure, st.tuples(crystals.structures(), crystals.rewritings())),
        "wild structures": (crystals.check_wild, st.tuples(crystals.wild_structures(), supercells)),
    }
    return {name: partial(_property, *check) for name, check in checks.items()}


def _property(check, strategy, folder, done, n, count):
    from hypothesis import HealthCheck, Phase, given, seed, settings

    for first in range(done, n, BATCH):

        @seed(first)
        @settings(
            max_examples=min(BATCH, n - first),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def run(values):
            count(lambda: "used" if check(*values) else "refused", lambda: f"seed {first}: {values}")  # noqa: B023

        run()


def fuzzing(names):
    """Name of each reader -> function that runs inputs ``done`` to ``n`` and passes each to ``count``."""
    from tests.helpers import fuzzing as fuzz

    return {name: partial(_reader, name) for name in names or fuzz.READERS}


def _reader(name, folder, done, n, count):
    from tests.helpers import fuzzing as fuzz

    mutate, read = fuzz.READERS[name](fuzz.make_material(), folder)

    def one(mutated):
        outcome, error = fuzz.outcome_of(read, mutated)
        if error is not None:
            raise error
        return outcome

    for k in range(done, n):
        mutated = mutate(np.random.default_rng([0, k]))
        count(lambda: one(mutated), lambda: f"input {k}")  # noqa: B023 (called immediately)


def _one(check, label):
    """Run one input, and return the arguments of ``State.count``."""
    start = time.process_time()
    # At the limit the kernel sends SIGXCPU: faulthandler prints the stack, and the process ends.
    resource.setrlimit(resource.RLIMIT_CPU, (int(start) + LIMIT, resource.RLIM_INFINITY))
    fault = None
    try:
        outcome = check()
    except BaseException as error:
        # A panic of compiled code is not an Exception. Other such errors are handled here or by hypothesis.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        outcome = "fault"
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
        fault = {"label": label()[:2000], "error": repr(error)[:500], "where": where}
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"outcome": outcome, "seconds": time.process_time() - start, "peak_mb": peak_mb, "fault": fault}


if __name__ == "__main__":
    sys.exit(main())
