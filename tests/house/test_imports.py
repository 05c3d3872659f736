"""The order of the layers, read from the imports: data, networks, estimators, plots."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skdim

ROOT = Path(skdim.__file__).parent
#: Mathematics on arrays: know nothing but numpy, and the library that finds cells.
ARRAYS = ["_primitive_cell", "_supercell", "_lattice", "_compression", "_ragged", "_elements"]
#: From what a user holds to featurized crystals: know no networks.
DATA = [
    *ARRAYS, "_cif", "_column_checks", "_structures", "_oxidation", "_oxidation_worker", "_columns", "_crystals",
    "_files", "_store", "_featurizer", "_sources", "_many_sources", "_source_rows", "_store_writer", "_mapped",
    "_chunk_journal", "_to_disk", "_repetitions", "_csv", "_parquet", "_parallel", "_quiet",
]  # fmt: skip
#: The one private module of another package in use: parameter constraints have no public home in scikit-learn, and
#: writing them anew would lose its messages and its check of them.
PRIVATE = {"sklearn.utils._param_validation"}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(name, top_level_only=False):
    """Dotted names that a module imports, with what it takes from them; skdim's own without "skdim" in front."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if package else []
                base = ".".join(["skdim", *filter(None, [*above, base])])
            found += [(base, alias.name) for alias in node.names]
    return found


def own(name, **options):
    """Modules of skdim that a module imports."""
    found = set()
    for base, taken in imports_of(name, **options):
        if base.split(".")[0] == "skdim":
            inner = base.removeprefix("skdim").removeprefix(".")
            module = ".".join(filter(None, [inner, taken]))
            found.add(module if module in MODULES else inner)
    return found


def foreign(name):
    """Packages outside skdim and the standard library that a module imports."""
    tops = {base.split(".")[0] for base, _ in imports_of(name)}
    return tops - {"skdim", "__future__"} - sys.stdlib_module_names


def reached(name):
    """A module and all of skdim's that it imports, directly or not."""
    done, waiting = set(), {name}
    while waiting:
        module = waiting.pop()
        done.add(module)
        waiting |= own(module) - done
    return done


def test_imports_are_read():
    assert {"sklearn", "numpy"} <= foreign("_embedding")
    assert {"_crystals", "_elements"} <= own("_featurizer")
    assert {"_training", "_infomax_net"} <= own("_pretraining")
    assert "nn.negatives" in own("nn.infomax")
    assert "_elements" in own("datasets._synthetic")
    assert "pymatgen" in foreign("_structures")


@pytest.mark.parametrize("name", ARRAYS)
def test_array_mathematics_knows_only_numpy(name):
    assert foreign(name) <= {"numpy", *(["moyopy"] if name in ("_primitive_cell", "_lattice") else [])}
    assert reached(name) <= set(ARRAYS)


@pytest.mark.parametrize("name", [*DATA, *(name for name in MODULES if name.startswith(("datasets", "baselines")))])
def test_data_knows_no_networks(name):
    for module in reached(name):
        assert not foreign(module) & {"torch", "skorch"}, module


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("nn")])
def test_networks_know_only_torch(name):
    assert foreign(name) <= ({"numba", "numpy"} if name in ("nn.kernels", "nn.rows") else {"torch"})
    assert all(module.startswith("nn") for module in own(name))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.startswith("plotting")])
def test_nothing_imports_the_plots(name):
    assert not any(module.startswith("plotting") for module in own(name))
    assert "matplotlib" not in foreign(name)


@pytest.mark.parametrize("name", [*DATA, *(name for name in MODULES if name.startswith("nn"))])
def test_what_estimators_stand_on_does_not_import_them(name):
    assert not reached(name) & {"", "_embedder", "_regressor", "_training", "_net"}


def test_no_module_imports_what_comes_after_it():
    """Top-level imports have no cycle. (An import inside a function may close one: Crystals.save, for example.)"""
    before = {name: own(name, top_level_only=True) - {name} for name in MODULES}
    while free := {name for name, needed in before.items() if not needed & before.keys()}:
        before = {name: needed for name, needed in before.items() if name not in free}
    assert not before


@pytest.mark.parametrize("name", MODULES)
def test_no_private_names_of_others(name):
    for base, taken in imports_of(name):
        top = base.split(".")[0]
        if top == "skdim" or top in sys.stdlib_module_names or base in PRIVATE:
            continue
        assert not any(part.startswith("_") for part in [*base.split("."), taken or ""]), (base, taken)


def test_names_of_the_package():
    assert set(skdim.__all__) <= set(dir(skdim))
    with pytest.raises(AttributeError, match="module 'skdim' has no attribute 'Nonsense'"):
        skdim.Nonsense  # noqa: B018


def test_estimators_are_made_without_torch_and_pymatgen():
    """They take seconds to import; also tags, which scikit-learn asks for when it draws a pipeline, need neither."""
    script = """
import sys
import skdim
assert not {"numpy", "sklearn", "torch", "pymatgen"} & sys.modules.keys()
for name in skdim.__all__:
    made = getattr(skdim, name)
    if hasattr(made, "get_params"):
        made = made()
        made.set_params(**made.get_params()).__sklearn_tags__()
        repr(made)
skdim.DeepInfoMaxEmbedder.paper(), skdim.SiteNetRegressor.sitenet_2023()
print(sorted({"sklearn", "torch", "skorch", "pymatgen", "moyopy", "matplotlib"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("['sklearn']\n", "")
