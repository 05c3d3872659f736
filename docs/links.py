"""What the site needs addresses for: source links, badges, the switch between versions, links to other projects.

The addresses are ``[project.urls]`` of pyproject.toml, "Repository" and "Documentation". Without an address, what needs
it is off.
"""

import importlib
import inspect
from pathlib import Path

#: References of other projects. They are downloaded, so only where the environment variable ONLINE is 1.
INVENTORIES = {
    "python": "https://docs.python.org/3",
    "numpy": "https://numpy.org/doc/stable",
    "pandas": "https://pandas.pydata.org/docs",
    "sklearn": "https://scikit-learn.org/stable",
    "torch": "https://docs.pytorch.org/docs/stable",
    "skorch": "https://skorch.readthedocs.io/en/stable",
    "joblib": "https://joblib.readthedocs.io/en/stable",
    "pymatgen": "https://pymatgen.org",
}
ONLINE = "SKDIM_DOCS_ONLINE"


def extensions(urls, environment):
    """Extensions of Sphinx: source links to the repository, else to pages of source code."""
    online = ["sphinx.ext.intersphinx"] if environment.get(ONLINE) == "1" else []
    return [*online, "sphinx.ext.linkcode" if "Repository" in urls else "sphinx.ext.viewcode"]


def theme_options(urls, release):
    """Options of the theme: an icon of the repository, and a switch between versions of the site.

    The switch reads ``versions.json`` at the root of the site: [{"name": "0.1", "version": "0.1.0", "url": "..."}].
    """
    options = {}
    if "Repository" in urls:
        icon = {"name": "Repository", "url": urls["Repository"], "icon": "fa-solid fa-code-branch"}
        options["icon_links"] = [icon]
    if "Documentation" in urls:
        options["switcher"] = {
            "json_url": f"{urls['Documentation'].rstrip('/')}/versions.json",
            "version_match": release,
        }
        options["check_switcher"] = False  # it would be downloaded
        options["navbar_end"] = ["version-switcher", "theme-switcher", "navbar-icon-links"]
    return options


def badges(urls):
    """Markdown of the badges on the first page."""
    if "Repository" not in urls:
        return ""
    repository = urls["Repository"].rstrip("/")
    badge = f"[![CI]({repository}/actions/workflows/ci.yml/badge.svg)]({repository}/actions/workflows/ci.yml)"
    notebook = "blob/main/examples/quick_start.ipynb"
    if repository.startswith("https://github.com/"):
        project = repository.removeprefix("https://github.com/")
        colab = f"https://colab.research.google.com/github/{project}/{notebook}"
        binder = f"https://mybinder.org/v2/gh/{project}/main?labpath=examples/quick_start.ipynb"
        badge += f" [Open the quick start in Colab]({colab}) or [in Binder]({binder})"
    return f"{badge}\n"


def source_of(repository, release, root, info):
    """Address of the lines of a Python object; None if it has no source in this repository."""
    try:
        value = importlib.import_module(info["module"])
        for name in info["fullname"].split("."):
            value = getattr(value, name)
        value = inspect.unwrap(value.fget if isinstance(value, property) else value)
        file = Path(inspect.getsourcefile(value)).resolve().relative_to(Path(root).resolve())
        lines, first = inspect.getsourcelines(value)
    except (ImportError, AttributeError, TypeError, OSError, ValueError):
        return None
    if file.parts[0] != "skdim":  # of an environment inside the repository
        return None
    last = first + len(lines) - 1
    return f"{repository.rstrip('/')}/blob/v{release}/{file.as_posix()}#L{first}-L{last}"
