"""``python -m benchmarks``: measure speed and memory, and compare them with the requirements."""

import argparse
import json
import os
import sys

import joblib
import torch

from . import featurize, fit, gpu, growth, imports, memory, out_of_core, read_cif, search, speed
from ._results import table

BENCHMARKS = {
    "speed": ("Pre-training and embedding against a dense implementation", speed.run),
    "gpu": ("Results and speed on a GPU", gpu.run),
    "fit": ("Supervised fits from the shipped weights", fit.run),
    "growth": ("Larger supercells, more crystals", growth.run),
    "featurize": ("Featurizing", featurize.run),
    "read_cif": ("Reading CIFs", read_cif.run),
    "search": ("A grid search over structures", search.run),
    "imports": ("Importing", imports.run),
    "memory": ("Memory of 100 000 crystals", memory.run),
    "out_of_core": ("A store of a million crystals", out_of_core.run),
}


def main(arguments=None):
    """Run the benchmarks of the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure speed and memory of skdim on the bundled formation energies.\n\n"
        "Ratios compare alternating runs, so they are valid on a slow machine; rates need an idle one.\n"
        "For errors of predictions see `python -m benchmarks.accuracy --help`.",
        epilog="\n".join(["benchmarks:", *(f"  {name:12} {title}" for name, (title, _) in BENCHMARKS.items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="name", help="benchmarks to run, see below (all)")
    parser.add_argument("--quick", action="store_true", help="use few crystals, to test that everything runs")
    parser.add_argument("--json", metavar="PATH", help="also write the results to this file")
    parser.add_argument("--check", action="store_true", help="exit with status 1 if a requirement is not met")
    parser.add_argument("--cores", type=int, metavar="N", help="use this many cores (default: all)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; available: {', '.join(BENCHMARKS)}")
    if options.cores:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
        os.environ["OMP_NUM_THREADS"] = str(options.cores)
        torch.set_num_threads(options.cores)

    report = {"cores": os.cpu_count(), "used": joblib.cpu_count(), "load": os.getloadavg()[0], "results": {}}
    print(f"{report['cores']} cores, of which {report['used']} are used; load {report['load']:.1f} at the start")
    if report["load"] > 0.5:
        print("warning: the machine is busy, so rates are too low")
    for name in options.names or BENCHMARKS:
        title, run = BENCHMARKS[name]
        results = run(quick=options.quick)
        print("", table(title, results), sep="\n", flush=True)
        report["results"][name] = [result.as_dict() for result in results]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
            file.write("\n")
    missed = [r["name"] for results in report["results"].values() for r in results if r["met"] is False]
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
