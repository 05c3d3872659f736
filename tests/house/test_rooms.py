"""The folder laws: what each room may import, and which private names of other packages are used."""

import ast
import inspect
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import skdim

ROOT = Path(skdim.__file__).parent
#: Each room and the rooms that it may import, apart from itself; a room comes after all that it imports.
LAWS = {
    "_shared": set(),
    "_heads": set(),
    "metrics": set(),
    "nn": set(),
    "_chemistry": {"_shared"},
    "_geometry": {"_shared"},
    "_structures": {"_shared", "_chemistry"},
    "_crystals": {"_shared", "_chemistry"},
    "datasets": {"_shared", "_chemistry"},
    "_featurizer": {"_shared", "_chemistry", "_geometry", "_structures", "_crystals"},
    "baselines": {"_shared", "_chemistry", "_geometry", "_structures"},
    "_training": {"_shared", "_chemistry", "_crystals", "nn"},
    "_statistics": {"_shared", "_chemistry", "_crystals", "_training", "nn"},
    "_embedder": {"_shared", "_chemistry", "_crystals", "_training", "nn"},
    "_regressor": {"_shared", "_chemistry", "_crystals", "_training", "_embedder", "nn"},
}
LAWS["_classifier"] = LAWS["_regressor"] | {"_regressor"}
LAWS["_similarity"] = {"_shared", "_chemistry", "_structures", "_crystals", "_statistics", "_embedder"}
LAWS["_suggest"] = {"_shared", "_chemistry", "_crystals", "_featurizer", "_heads", "_similarity", "_statistics"}
LAWS["inspection"] = {"_shared", "_chemistry", "_crystals", "_regressor", "nn"}
LAWS["model_selection"] = set(LAWS) - {"nn", "_geometry", "datasets", "baselines", "inspection"}
LAWS["plotting"] = {"_shared", "_chemistry", "_crystals", "inspection", "metrics", "model_selection"}
LAWS["reports"] = {"_shared", "metrics", "plotting"}
LAWS["cli"] = set(LAWS) - {"nn", "_geometry", "baselines"}

#: What knows no networks, so that reading data never waits for torch.
DATA = ["_shared", "_chemistry", "_geometry", "_structures", "_crystals", "datasets", "_featurizer", "baselines"]
#: Runs a network of others: imported when its features are computed, so that nothing else waits for torch.
FOREIGN_NETWORK = "baselines._chgnet"
#: Modules that may import other packages than NumPy in the rooms of pure mathematics.
GEOMETRY_PACKAGES = {"_geometry.primitive_cell": {"numpy", "moyopy"}, "_geometry.lattice": {"numpy", "moyopy"}}
#: Private modules of other packages, and why; the list may only get shorter.
PRIVATE_MODULES = {
    # Parameter constraints have no public home in scikit-learn; reimplementing them would lose its messages and checks.
    "sklearn.utils._param_validation",
}
#: Private attributes of other packages' objects, and why; the list may only get shorter.
PRIVATE_ATTRIBUTES = {
    "_validate_params": "scikit-learn: as its own estimators check their parameters",
    "_sklearn_output_config": "scikit-learn: the container that set_output asked for, which clone keeps too",
}
#: Public names of the standard library that begin with an underscore, and a method of argparse's formatters.
STANDARD = {"_asdict", "_replace", "_fields", "_exit", "_fill_text"}
#: Made by the libraries on the classes that derive from theirs.
GENERATED = ("_abc_", "_field_", "_sklearn_auto_wrap", "_backward_cls")


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def room_of(name):
    return name.partition(".")[0]


@cache
def tree_of(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imports_of(name, top_level_only=False):
    """Modules that a module imports, each with the name imported from it or None."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    tree = tree_of(name)
    imports = []
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if package else []
                base = ".".join(["skdim", *filter(None, [*above, base])])
            imports += [(base, alias.name) for alias in node.names]
    return imports


def inner(name, **options):
    """Modules of skdim that a module imports."""
    modules = set()
    for base, taken in imports_of(name, **options):
        if base.split(".")[0] == "skdim":
            inside = base.removeprefix("skdim").removeprefix(".")
            module = ".".join(filter(None, [inside, taken]))
            modules.add(module if module in MODULES else inside)
    return modules


def outer(name):
    """Packages outside skdim and the standard library that a module imports."""
    tops = {base.split(".")[0] for base, _ in imports_of(name)}
    return tops - {"skdim", "__future__"} - sys.stdlib_module_names


def reached(name):
    """A module and all of skdim's that it imports, directly or not."""
    done, waiting = set(), {name}
    while waiting:
        module = waiting.pop()
        done.add(module)
        waiting |= inner(module) - done
    return done


IN_ROOMS = [name for name in MODULES if room_of(name) in LAWS]


def test_imports_are_read():
    assert {"sklearn", "numpy"} <= outer("_featurizer.featurizer")
    assert {"_crystals.crystals", "_chemistry.elements"} <= inner("_featurizer.featurizer")
    assert "nn.sampling.negatives" in inner("nn.infomax")
    assert "pymatgen" in outer("_structures.read")


def test_every_folder_is_a_room_with_a_law_and_a_description():
    folders = {path.parent for path in ROOT.rglob("*.py")} - {ROOT}
    assert {path.relative_to(ROOT).parts[0] for path in folders} == set(LAWS)
    for folder in folders:
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert text, f"{folder.name}/__init__.py says nothing of what is inside"


def test_no_room_has_more_than_13_modules():
    for folder in {path.parent for path in MODULES.values()}:
        modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 13, (folder.name, modules)


@pytest.mark.parametrize("name", MODULES)
def test_files_have_at_most_300_lines_of_code(name):
    """Blank lines, comments and docstrings do not count."""
    source = MODULES[name].read_text(encoding="utf-8")
    texts = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            texts |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = [
        line
        for number, line in enumerate(source.splitlines(), 1)
        if number not in texts and line.strip() and not line.strip().startswith("#")
    ]
    assert len(lines) <= 300


@pytest.mark.parametrize("name", IN_ROOMS)
def test_a_room_imports_only_the_rooms_of_its_law(name):
    for module in inner(name):
        room = room_of(module)
        if room not in LAWS:
            # The top: the version and deprecation, or public names, which only the command line takes from there.
            assert module in ("_version", "_deprecation") or room_of(name) == "cli", (name, module)
        else:
            assert room == room_of(name) or room in LAWS[room_of(name)], f"{name} imports {module}"


def test_no_module_imports_what_comes_after_it():
    """No circular imports, also counting imports inside functions."""
    before = {name: inner(name) - {name} for name in IN_ROOMS}
    before = {name: {module for module in needed if module in before} for name, needed in before.items()}
    for name in list(before):  # ignore the __init__ of a package, which lists its modules
        before[name] -= {room_of(name)} if name != room_of(name) else set()
    while free := {name for name, needed in before.items() if not needed & before.keys()}:
        before = {name: needed for name, needed in before.items() if name not in free}
    assert not before


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "_geometry"])
def test_geometry_knows_only_numpy_and_the_library_that_finds_cells(name):
    assert outer(name) <= GEOMETRY_PACKAGES.get(name, {"numpy"})


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) in DATA and name != FOREIGN_NETWORK])
def test_rooms_of_data_import_no_networks(name):
    # _shared.fingerprint looks up torch in sys.modules and never imports it.
    assert FOREIGN_NETWORK not in inner(name, top_level_only=True)
    for module in reached(name) - {FOREIGN_NETWORK}:
        assert not outer(module) & {"torch", "skorch"}, module


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) == "nn"])
def test_networks_know_only_torch(name):
    assert outer(name) <= ({"llvmlite", "numba", "numpy", "torch"} if name.startswith("nn.compiled") else {"torch"})


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) != "plotting"])
def test_only_the_plots_know_matplotlib(name):
    assert "matplotlib" not in outer(name)


@pytest.mark.parametrize("name", MODULES)
def test_private_modules_of_others_are_listed(name):
    for base, taken in imports_of(name):
        top = base.split(".")[0]
        if top == "skdim" or top in sys.stdlib_module_names or base in PRIVATE_MODULES:
            continue
        assert not any(part.startswith("_") for part in [*base.split("."), taken or ""]), (base, taken)


def private(name):
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def test_private_attributes_of_others_are_listed():
    """Attributes that skdim uses without defining them, and those that override attributes of other packages."""
    used, defined = {}, set()
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.Attribute) and private(node.attr):
                if isinstance(node.ctx, ast.Store):
                    defined.add(node.attr)
                else:
                    used.setdefault(node.attr, module)
            elif isinstance(node, ast.Constant) and str(node.value).startswith("_sklearn"):
                used.setdefault(node.value, module)  # an attribute accessed by its name
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                defined.add(node.id)
            elif isinstance(node, ast.arg):
                defined.add(node.arg)
    foreign = used.keys() - defined
    for module in MODULES:
        if module == "__main__" or module.startswith("nn.compiled"):
            continue
        for _, kind in inspect.getmembers(import_module(f"skdim.{module}".rstrip(".")), inspect.isclass):
            if not kind.__module__.startswith("skdim"):
                continue
            bases = [base for base in kind.__mro__ if base.__module__.partition(".")[0] not in ("skdim", "builtins")]
            # Only names of our code: tqdm, for one, adds a lock to a class when it is first used.
            names = {name for name in vars(kind) if private(name) and name in defined}
            foreign |= {name for name in names if any(name in vars(base) for base in bases)}
    private_names = {name for name in foreign - STANDARD if not name.startswith(GENERATED)}
    assert private_names == set(PRIVATE_ATTRIBUTES), sorted(private_names ^ set(PRIVATE_ATTRIBUTES))


def test_names_of_the_package():
    assert set(skdim.__all__) <= set(dir(skdim))
    with pytest.raises(AttributeError, match="module 'skdim' has no attribute 'Nonsense'"):
        skdim.Nonsense  # noqa: B018


def test_type_checkers_see_every_public_name():
    block = next(node for node in tree_of("").body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    assert {alias.name: node.module for node in block.body for alias in node.names} == skdim._HOMES
    assert set(skdim.__all__) == {*skdim._HOMES, "__version__"}


def test_estimators_are_made_without_torch_and_pymatgen():
    """They take seconds to import; tags, which scikit-learn reads to display a pipeline, do not need them either."""
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
