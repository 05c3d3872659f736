"""skdim can be imported without any of its optional packages."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Name of an extra -> packages that it installs, as they are imported.
EXTRAS = {
    "plot": ["matplotlib"],
    "ase": ["ase"],
    "baselines": ["matminer"],
    "mlip": ["chgnet"],
    "umap": ["umap"],
    "parquet": ["pyarrow"],
    "dask": ["dask", "distributed"],
    "ray": ["ray"],
    "accelerate": ["accelerate"],
    "hub": ["huggingface_hub"],
    "skops": ["skops"],
    "search": ["usearch"],
}

SCRIPT = """
import importlib, pkgutil, sys, warnings
import skdim

warnings.simplefilter("ignore")
modules = [info.name for info in pkgutil.walk_packages(skdim.__path__, "skdim.") if info.name != "skdim.__main__"]

def import_all(missing):
    for name in [name for name in sys.modules if name.partition(".")[0] in {"skdim", *missing}]:
        del sys.modules[name]
    sys.modules.update(dict.fromkeys(missing))
    import skdim
    for name in skdim.__all__:
        getattr(skdim, name)
    for name in modules:
        importlib.import_module(name)
    for name in missing:
        del sys.modules[name]

for extra, missing in CASES:
    try:
        import_all(missing)
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
    cases = [*EXTRAS.items(), ("all", [name for names in EXTRAS.values() for name in names])]
    script = f"CASES = {cases!r}\n{SCRIPT}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    *errors, last = done.stdout.splitlines()
    assert errors == []
    assert int(last.split()[0]) > 80
