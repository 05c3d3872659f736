"""skdim has types (py.typed): mypy --strict accepts a user's script, and knows what calls return."""

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import skdim

pytest.importorskip("mypy", reason="needs the extra 'test'")
PACKAGES = ("baselines", "datasets", "inspection", "metrics", "model_selection", "plotting", "reports")
SCRIPT = Path(__file__).with_name("typed") / "user_script.py"


def check(script, folder):
    """Run mypy as a user does: in another folder, and without reports on the package itself."""
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={folder / 'cache'}"]
    command = [sys.executable, "-m", "mypy", *options, str(script)]
    # mypy does not find a package that is installed in editable mode.
    environment = {**os.environ, "MYPYPATH": str(Path(skdim.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600)
    return done.stdout + done.stderr


def public_functions():
    """Public functions, and constructors and public methods that public classes define."""
    for package in ("skdim", *(f"skdim.{name}" for name in PACKAGES)):
        module = import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                yield f"{package}.{name}", value
            elif inspect.isclass(value):
                for method, attribute in vars(value).items():
                    function = getattr(attribute, "fget", None) or getattr(attribute, "__func__", attribute)
                    if inspect.isfunction(function) and (method == "__init__" or not method.startswith("_")):
                        yield f"{package}.{name}.{method}", inspect.unwrap(function)


@pytest.mark.filterwarnings("ignore")
def test_public_functions_have_return_types():
    functions = dict(public_functions())
    assert len(functions) > 120
    ours = {name: function for name, function in functions.items() if function.__module__.startswith("skdim")}
    missing = sorted(name for name, function in ours.items() if "return" not in function.__annotations__)
    assert not missing, "add what they return to the signature, such as -> Self"


@pytest.mark.slow(reason="mypy reads NumPy, pandas and torch")
def test_strict_typing_of_a_user_script(tmp_path):
    assert Path(skdim.__file__).with_name("py.typed").exists()
    assert check(SCRIPT, tmp_path) == "Success: no issues found in 1 source file\n"
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SCRIPT.read_text("utf-8") + "\nvectors_of(X).no_such_method()\nmodel.no_such_method()\n")
    report = check(wrong, tmp_path)
    assert '"ndarray[tuple[Any, ...], dtype[Any]]" has no attribute "no_such_method"' in report
