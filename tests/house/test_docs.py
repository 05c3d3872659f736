"""The pages, the public names and the docstrings are consistent; the code on the pages runs."""

import ast
import builtins
import doctest
import importlib
import inspect
import pkgutil
import re
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import skdim

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "guide").glob("*.md")), ROOT / "README.md"]
#: Modules that users import from: those with an ``__all__``, and without an underscore in front.
MODULES = ["skdim"] + [
    info.name
    for info in pkgutil.iter_modules(skdim.__path__, "skdim.")
    if "._" not in info.name and hasattr(importlib.import_module(info.name), "__all__")
]
#: Rules of numpydoc that the docstrings do not follow, and why.
IGNORED = {
    "ES01": "no longer text where one sentence says it",
    "SS05": "'Names of ...' is not a verb in the third person",
    "PR04": "parameters that are handed on say where they are described",
    "PR07": "'X : Crystals of shape (n_crystals,)' says it all",
    "RT02": "returned things may have a name",
    "RT03": "'Crystals' says it all",
    "RT04": "the columns of a table are written as they are named",
}
#: Asked of classes and functions, and not of each method.
OF_THE_WHOLE = {"EX01", "SA01"}


def public_names(module):
    return [f"{module}.{name}" for name in importlib.import_module(module).__all__]


def documented():
    """Public classes and functions, which have docstrings."""
    for module in MODULES:
        for name in public_names(module):
            made = getattr(importlib.import_module(module), name.rpartition(".")[2])
            if callable(made):
                yield name, made


def own_methods(name, cls):
    """Public methods and properties of a class that are defined by skdim, not scikit-learn."""
    for method, _ in inspect.getmembers(cls):
        owner = next((base for base in cls.__mro__ if method in vars(base)), None)
        if not method.startswith("_") and owner is not None and owner.__module__.startswith("skdim"):
            member = inspect.unwrap(getattr(cls, method))
            if isinstance(member, property) or getattr(member, "__module__", "").startswith("skdim"):
                yield f"{name}.{method}"


def on_the_reference_page():
    """Names that docs/reference.md lists, in its order."""
    names, module = [], None
    for line in (ROOT / "docs" / "reference.md").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\.\. currentmodule:: (\S+)", line):
            module = match[1]
        elif match := re.match(r"   (\w+)$|\.\. py:data:: (\w+)", line):
            names.append(f"{module}.{match[1] or match[2]}")
    return names


def test_reference_page_lists_every_public_name_once():
    names = on_the_reference_page()
    assert sorted(names) == sorted(name for module in MODULES for name in public_names(module))


def faults(name, ignored):
    numpydoc = pytest.importorskip("numpydoc.validate", reason="needs the extra 'test'")
    return [(code, text) for code, text in numpydoc.validate(name)["errors"] if code not in ignored]


@pytest.mark.parametrize(("name", "made"), list(documented()))
def test_docstrings(name, made):
    # A Crystals is not made by hand: its class docstring has the attributes, and who makes it.
    ignored = IGNORED.keys() | ({"PR01"} if name == "skdim.Crystals" else set())
    assert not faults(name, ignored)
    if inspect.isclass(made):
        for method in own_methods(name, made):
            assert not faults(method, IGNORED.keys() | OF_THE_WHOLE), method


def test_docstring_faults_are_found():
    assert {"EX01", "SA01"} <= {code for code, _ in faults("skdim._shared.ragged.take_rows", set())}
    assert "embedder.transform" in list(own_methods("embedder", skdim.DeepInfoMaxEmbedder))


def blocks(page, language):
    """Code blocks of a page: (line, text)."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start(1)), match[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_on_pages(page):
    """Blocks with prompts are run in order; blocks without must be valid Python."""
    for line, text in blocks(page, "python"):
        try:
            ast.parse(text)
        except SyntaxError as error:
            pytest.fail(f"{page.name}, line {line + (error.lineno or 0)}: {error.msg}")
    names = {}
    for line, text in blocks(page, "pycon"):
        test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), line)
        report = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
        result = runner.run(test, out=report.append, clear_globs=False)
        assert result.attempted
        assert not result.failed, "".join(report)
        names = test.globs


#: What a reader brings along, or a page has said to be there, as in "your structures".
YOURS = {"structures", "new_structures", "y", "X", "embedder", "model", "pipeline"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_on_pages_imports_what_it_uses(page):
    """Each block runs after those above it, given only structures and labels of the reader."""
    known = set(dir(builtins)) | YOURS
    text = page.read_text("utf-8")
    for source in re.findall(r"^```(?:python|pycon)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        if source.startswith(">>>"):
            source = "".join(example.source for example in doctest.DocTestParser().get_examples(source))
        tree = ast.parse(source)
        used, args = set(), set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                (used if isinstance(node.ctx, ast.Load) else known).add(node.id)
            elif isinstance(node, ast.alias):
                known.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.FunctionDef):
                known.add(node.name)
            elif isinstance(node, ast.arg):
                args.add(node.arg)
        assert not used - known - args, f"{page.name}: {used - known - args} of {source.splitlines()[0]}"


COMMAND = re.compile(
    r"^(?:\$ )?(skdim \w+|python (?:tools|examples)/\w+\.py|python -m benchmarks[.\w]*)((?:\\\n|.)*)", re.MULTILINE
)
COMMANDS = {
    (program, frozenset(re.findall(r"(?<= )--?[a-z][\w-]*", options.partition("#")[0])))
    for page in [*PAGES, ROOT / "docs" / "accuracy" / "README.md"]
    for language, block in re.findall(r"^```(.*)\n([^`]*?)^```$", page.read_text("utf-8"), flags=re.MULTILINE)
    if not language
    for program, options in COMMAND.findall(block)
}


@pytest.mark.parametrize("program", sorted({program for program, _ in COMMANDS}))
def test_commands_on_pages_have_the_options(program):
    words = program.replace("skdim", "python -m skdim").split()[1:]
    result = subprocess.run([sys.executable, *words, "--help"], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert result.returncode == 0, result.stderr
    available = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", result.stdout))
    for name, options in COMMANDS:
        assert name != program or options <= available


def test_files_and_benchmarks_that_pages_name_exist():
    assert len(COMMANDS) >= 10
    for page in [*PAGES, ROOT / "docs" / "accuracy" / "README.md"]:
        text = page.read_text("utf-8")
        for file in re.findall(r"\b(?:tools|benchmarks|examples|tests)/[\w/]+(?:\.py|\.ipynb)?", text):
            assert (ROOT / file).exists(), (page.name, file)
        for name in re.findall(r"`python -m benchmarks (\w+)`", text):
            assert (ROOT / "benchmarks" / f"{name}.py").exists(), (page.name, name)


def test_the_site_needs_no_network():
    """MathJax is loaded from a server, so formulas must be plain text."""
    assert "mathjax" not in (ROOT / "docs" / "conf.py").read_text("utf-8")
    for file in [*(ROOT / "skdim").rglob("*.py"), *(ROOT / "examples").glob("*.py")]:
        assert not re.search(r":math:|\.\. math::", file.read_text("utf-8")), file.name


def test_pages_have_code():
    assert sum(len(list(blocks(page, "pycon"))) for page in PAGES) >= 5
    assert sum(len(list(blocks(page, "python"))) for page in PAGES) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages(page):
    """Files that a page links to exist; those of the gallery come from an example."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file = (page.parent / target).resolve()
        if file.parent == ROOT / "docs" / "gallery":
            assert file.stem == "index" or (ROOT / "examples" / f"{file.stem}.py").exists(), target
        else:
            assert file.exists(), target


def test_changelog_has_the_form():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    kinds = set(re.findall(r"^### (.*)$", text, flags=re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_contributing_names_targets_that_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for file in ("CONTRIBUTING.md", ".github/workflows/ci.yml"):
        named = re.findall(r"(?:`|run: )make ([\w-]+)", (ROOT / file).read_text(encoding="utf-8"))
        assert set(named) <= targets, file
        assert {"test", "docs", "test-oldest", "test-bare"} <= set(named), file


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert {"make demo", "make test"} <= set(re.findall(r"^make \w+", text, flags=re.MULTILINE))


def test_the_drawing_of_the_rooms_is_up_to_date():
    """Run `python tools/draw_rooms.py` after a change of imports between rooms."""
    tool = runpy.run_path(str(ROOT / "tools" / "draw_rooms.py"))
    imports = tool["imports_of_rooms"]()
    assert "_crystals" in imports["_featurizer"]
    drawing = ElementTree.parse(ROOT / "docs" / "rooms.svg").getroot()
    assert drawing.findtext(".//{http://purl.org/dc/elements/1.1/}description") == tool["described"](imports)
    words = {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert imports.keys() <= words


def test_the_drawing_leaves_out_imports_that_follow_from_others():
    tool = runpy.run_path(str(ROOT / "tools" / "draw_rooms.py"))
    assert tool["reduced"]({"a": [], "b": ["a"], "c": ["a", "b", "_shared"], "_shared": []}) == {
        "a": [],
        "b": ["a"],
        "c": ["b"],
    }


def test_contributing_lists_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## How the code is laid out")[2].partition("## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "skdim").glob("*/__init__.py"))
