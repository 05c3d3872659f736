"""Tests that need an optional package are skipped without it, and the reason names the extra."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Distributions that are imported under another name.
IMPORTED_AS = {"umap-learn": "umap"}


def extras():
    """The packages of all extras: import name -> extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {}
    for extra, requirements in reversed(project["optional-dependencies"].items()):  # of two extras, the first counts
        for requirement in requirements:
            name = re.match(r"[\w-]+", requirement).group()
            names[IMPORTED_AS.get(name, name.replace("-", "_"))] = extra
    return names


def body_of(path):
    return ast.parse(path.read_text(encoding="utf-8")).body


def packages_of(node):
    """The packages that a statement imports, with those of a helper that it imports."""
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if not isinstance(node, ast.ImportFrom):
        return set()
    helper = (ROOT / node.module.replace(".", "/")).with_suffix(".py")
    if node.module.startswith("tests.") and helper.exists():
        return set().union(*(packages_of(inner) for inner in body_of(helper)))
    return {node.module.partition(".")[0]}


def skips(node):
    """(package, reason) of each call of importorskip."""
    return [
        (call.args[0].value.partition(".")[0], next((k.value.value for k in call.keywords if k.arg == "reason"), None))
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", None) == "importorskip"
        if isinstance(call.args[0], ast.Constant)  # not a parameter of the test
    ]


def test_every_import_of_an_optional_package_may_be_skipped():
    optional = {name: extra for name, extra in extras().items() if extra not in ("test", "docs")}
    n_imports = 0
    for path in (ROOT / "tests").rglob("test_*.py"):
        skipped = set()
        for node in body_of(path):
            needed = packages_of(node) & optional.keys()
            assert needed <= skipped, f"{path}, line {node.lineno}: pytest.importorskip({needed}) has to come before"
            n_imports += len(needed)
            skipped |= {package for package, _ in skips(node)}
    assert n_imports > 10


def test_reasons_name_the_extra():
    names = extras()
    calls = [
        (path.name, package, reason)
        for path in (ROOT / "tests").rglob("*.py")
        for package, reason in skips(ast.parse(path.read_text(encoding="utf-8")))
        if package in names
    ]
    assert len(calls) > 20
    assert [entry for entry in calls if entry[2] != f"needs the extra {names[entry[1]]!r}"] == []
