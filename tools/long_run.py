"""The property tests and the fuzzing of the test suite, at length: 100 000 structures, 100 000 inputs a reader.

    python tools/long_run.py properties --n 100000
    python tools/long_run.py fuzz --n 100000 --readers cif_texts store_arrays

What is done is kept in a state file (JSON), which also is the report; the same command goes on after a kill. Faults are
in it with the seed or the number that makes them again. docs/trust.md says what was found.
"""

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests are no package of the distribution

#: Examples that hypothesis makes of one seed, inputs between two writes of the state, and faults kept of each kind.
BATCH, KEPT = 500, 20
#: Seconds of processor time that one input may take.
LIMIT = 60


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["properties", "fuzz"])
    parser.add_argument("--n", type=int, default=100_000, help="structures, or inputs of each reader")
    parser.add_argument("--state", type=Path, help="default: long_run_WHAT.json")
    parser.add_argument("--readers", nargs="*", help="of the fuzzing; default: all")
    args = parser.parse_args(argv)
    state = State(args.state or Path(f"long_run_{args.what}.json"))
    signal.signal(signal.SIGPROF, _too_long)
    for name, run in (properties() if args.what == "properties" else fuzzing(args.readers)).items():
        with tempfile.TemporaryDirectory() as folder:
            step = run(Path(folder))
            while (done := state.of(name)["done"]) < args.n:
                step(done, min(BATCH, args.n - done), state.of(name))
                state.save()
        print(name, json.dumps({k: v for k, v in state.of(name).items() if k != "faults"}), flush=True)
    faults = sum(entry["n_faults"] for entry in state.entries.values())
    print(f"{faults} faults; see {state.path}" if faults else "no faults")
    return 1 if faults else 0


class State:
    """What is done, in a file that is replaced as a whole."""

    def __init__(self, path):
        self.path = path
        self.entries = json.loads(path.read_text()) if path.exists() else {}

    def of(self, name):
        return self.entries.setdefault(
            name, {"done": 0, "outcomes": {}, "n_faults": 0, "worst_s": 0.0, "peak_mb": 0, "faults": []}
        )

    def save(self):
        file = self.path.with_name(self.path.name + ".new")
        file.write_text(json.dumps(self.entries, indent=1))
        os.replace(file, self.path)


def properties():
    """Name of each property -> function of a folder that gives the next step."""
    from hypothesis import strategies as st

    from tests import random_crystals as crystals

    supercells = st.sampled_from(["orthorhombic", "primitive", "none"])
    checks = {
        "structures": (crystals.check_structure, (crystals.structures(), crystals.rewritings())),
        "wild structures": (crystals.check_wild, (crystals.wild_structures(), supercells)),
    }
    return {name: lambda folder, check=check: _property(*check) for name, check in checks.items()}


def _property(check, strategies):
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    strategies = st.tuples(*strategies)

    def step(done, n, entry):
        @seed(done)
        @settings(
            max_examples=n, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(strategies)
        def run(values):
            _count(entry, lambda: "used" if check(*values) else "refused", lambda: f"seed {done}: {values}")

        run()
        entry["done"] = done + n

    return step


def fuzzing(names):
    """Name of each reader -> function of a folder that gives the next step."""
    from tests import fuzzing as fuzz

    material = fuzz.make_material()

    def reader(folder, name):
        mutate, read = fuzz.READERS[name](material, folder)

        def one(mutated):
            outcome, error = fuzz.outcome_of(read, mutated)
            if error is not None:
                raise error
            return outcome

        def step(done, n, entry):
            for k in range(done, done + n):
                mutated = mutate(np.random.default_rng([0, k]))
                _count(entry, lambda: one(mutated), lambda: f"input {k}")  # noqa: B023 (called at once)
                entry["done"] = k + 1

        return step

    return {name: lambda folder, name=name: reader(folder, name) for name in names or fuzz.READERS}


def _count(entry, check, label):
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        outcome = check()
    except Exception as error:
        fault = error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of compiled code; others are ours or hypothesis's to handle
            raise
        fault = error
    else:
        fault = None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if fault is not None:
        outcome = "fault"
        entry["n_faults"] += 1
        if len(entry["faults"]) < KEPT:
            frames = traceback.extract_tb(fault.__traceback__)[-4:]
            where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
            entry["faults"].append({"label": label()[:2000], "error": repr(fault)[:500], "where": where})
    entry["outcomes"][outcome] = entry["outcomes"].get(outcome, 0) + 1
    entry["worst_s"] = max(entry["worst_s"], round(time.process_time() - start, 3))
    entry["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _too_long(signal_number, frame):
    raise TimeoutError(f"one input takes more than {LIMIT} seconds of processor time")


if __name__ == "__main__":
    sys.exit(main())
