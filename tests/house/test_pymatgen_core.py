"""What skdim imports of pymatgen is in pymatgen-core, except one baseline.

skdim depends on pymatgen all the same: it adds 2.5 MB to the 19 MB of pymatgen-core, and installing pymatgen-core next to
a pymatgen from before their separation would overwrite its files.
"""

import ast
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

SKDIM = Path(__file__).parents[2] / "skdim"
#: Modules of skdim that import other parts of pymatgen, and these.
OTHERS = {("skdim/baselines/_xrd.py", "pymatgen.analysis.diffraction.xrd")}


def imports_of_pymatgen():
    for file in sorted(SKDIM.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "pymatgen":
                yield file.relative_to(SKDIM.parent).as_posix(), node.module
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    assert not alias.name.startswith("pymatgen"), f"{file}: import names from pymatgen instead"


def test_imports_are_in_pymatgen_core():
    try:
        core = {file.as_posix() for file in files("pymatgen-core")}
    except PackageNotFoundError:
        pytest.skip("pymatgen from before its separation from pymatgen-core")
    found = set(imports_of_pymatgen())
    assert len(found) > 5
    elsewhere = {
        (file, module)
        for file, module in found
        if not {f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"} & core
    }
    assert elsewhere == OTHERS
