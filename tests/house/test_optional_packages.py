"""skdim can be imported without any of its optional packages."""

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Name of an extra -> packages that it installs, as they are imported.
EXTRAS = {
    "fast": ["numba"],
    "plot": ["matplotlib"],
    "ase": ["ase"],
    "baselines": ["matminer"],
    "umap": ["umap"],
    "parquet": ["pyarrow"],
    "dask": ["dask", "distributed"],
    "ray": ["ray"],
    "accelerate": ["accelerate"],
    "skops": ["skops"],
}
#: Modules that are imported only where their package is installed.
NEEDED_BY = {"fast": {"skdim.nn.compiled.pair_loops", "skdim.nn.compiled.row_formulas"}}

SCRIPT = """
import importlib, pkgutil, sys, warnings
import skdim

warnings.simplefilter("ignore")
modules = [info.name for info in pkgutil.walk_packages(skdim.__path__, "skdim.") if info.name != "skdim.__main__"]

def import_all(missing, skipped):
    for name in [name for name in sys.modules if name.partition(".")[0] in {"skdim", *missing}]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(missing))
    import skdim
    for name in skdim.__all__:
        getattr(skdim, name)
    for name in modules:
        if name not in skipped:
            importlib.import_module(name)
    for name in missing:
        del sys.modules[name]

for extra, missing, skipped in CASES:
    try:
        import_all(missing, skipped)
    except ImportError as error:
        print(f"{extra}: {error}")
print(len(modules), "modules")
"""


def test_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = {
        extra: [re.match(r"[\w-]+", requirement)[0].replace("umap-learn", "umap") for requirement in requirements]
        for extra, requirements in project["optional-dependencies"].items()
        if extra not in ("test", "docs")
    }
    assert listed == EXTRAS


def test_all_modules_are_imported_without_an_extra():
    # Packages of other extras may be missing here as well.
    absent = {extra for extra, names in EXTRAS.items() if any(find_spec(name) is None for name in names)}
    cases = [
        (extra, missing, set().union(*(NEEDED_BY.get(each, set()) for each in {extra, *absent})))
        for extra, missing in EXTRAS.items()
    ]
    cases.append(("all", [name for names in EXTRAS.values() for name in names], set().union(*NEEDED_BY.values())))
    script = f"CASES = {cases!r}\n{SCRIPT}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    *errors, last = done.stdout.splitlines()
    assert errors == []
    assert int(last.split()[0]) > 80
