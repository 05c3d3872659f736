"""The conda recipe has the version, the dependencies and the command of pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

from skdim import __version__

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "conda" / "recipe.yaml"
#: Packages that have another name in conda.
CONDA = {"torch": "pytorch"}


@pytest.fixture
def recipe():
    return RECIPE.read_text("utf-8")


@pytest.fixture
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_version_and_command(recipe, project):
    assert f'  version: "{__version__}"\n' in recipe
    assert f"  name: {project['name']}\n" in recipe
    assert f'python_min: "{project["requires-python"].removeprefix(">=")}"' in recipe
    (command,) = project["scripts"].items()
    assert f"- {' = '.join(command)}\n" in recipe
    assert project["description"] in recipe


def test_dependencies(recipe, project):
    run = re.search(r"^  run:\n((?:    .*\n)+)", recipe, flags=re.MULTILINE)[1]
    listed = [line.removeprefix("    - ") for line in run.splitlines()]
    expected = []
    for requirement in project["dependencies"]:
        name, bounds = re.fullmatch(r"([\w.-]+)(.*)", requirement).groups()
        expected.append(f"{CONDA.get(name, name)} {bounds}")
    assert listed == ["python >=${{ python_min }}", *expected]


def test_rattler_build_accepts_the_recipe():
    rattler_build = pytest.importorskip("rattler_build", reason="is installed for `make release-check`")
    (variant,) = rattler_build.Stage0Recipe.from_file(str(RECIPE)).render(rattler_build.VariantConfig())
    assert f"version='{__version__}'" in repr(variant)
