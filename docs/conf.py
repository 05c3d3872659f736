"""Sphinx: `make docs` builds the site, with every example run, from this file. It needs no network."""

import os
import re
import sys
import tomllib
from importlib.metadata import version as version_of
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx_gallery.sorting import ExplicitOrder

# The examples' networks are small: more threads than one only wait for each other where cores are shared.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(Path(__file__).parent))

import links  # noqa: E402

URLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"].get("urls", {})

project = "skdim"
author = "the skdim developers"
copyright = author
release = version = version_of("skdim-crystals")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    *links.extensions(URLS, os.environ),
]
root_doc = "index"
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "accuracy/*.csv", "accuracy/*.json"]
nitpicky = False

# ---- links ----
intersphinx_mapping = {name: (url, None) for name, url in links.INVENTORIES.items()}
intersphinx_timeout = 10
# Prompts and output are not copied.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def linkcode_resolve(domain, info):
    return links.source_of(URLS["Repository"], release, ROOT, info) if domain == "py" else None


# ---- pages in Markdown ----
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# ---- reference from the docstrings ----
autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
add_module_names = False
toc_object_entries_show_parents = "hide"

# ---- gallery ----
sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    # What is not a plot_*.py is a command, not a page.
    "ignore_pattern": r"^(?!plot_)",
    "abort_on_example_error": True,
    "backreferences_dir": "api/examples",
    "doc_module": ("skdim",),
    "inspect_global_variables": True,
    "within_subsection_order": ExplicitOrder(
        [
            "plot_shapes.py",
            "plot_cif_folder.py",
            "plot_shipped_weights.py",
            "plot_pretraining_set.py",
            "plot_site_vectors.py",
            "plot_attention.py",
            "plot_why.py",
            "plot_feature_union.py",
            "plot_block_gaussian_process.py",
            "plot_classification.py",
            "plot_grid_search.py",
            "plot_learning_curve.py",
            "plot_uncertainty.py",
            "plot_search.py",
            "plot_suggest.py",
            "plot_report.py",
            "plot_optuna.py",
            "plot_save_and_share.py",
            "plot_dask.py",
            "*",
        ]
    ),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "capture_repr": (),
    "write_computation_times": False,
    "show_signature": False,
    "plot_gallery": True,
    "matplotlib_animations": False,
    "default_thumb_file": str(ROOT / "docs" / "label_efficiency.png"),
}

# ---- pages ----
html_theme = "pydata_sphinx_theme"
html_title = "skdim"
html_static_path = ["_static"]
html_css_files = ["skdim.css"]
html_show_sourcelink = False
html_copy_source = False
# Pages without pages below them have no list of these; those of long lines and wide tables have no place for one.
html_sidebars = {"*": [], "reference": ["sidebar-nav-bs"], "gallery/plot_*": [], "accuracy/*": []}
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    **links.theme_options(URLS, release),
}

_THOUSANDS = re.compile(r"(?<=\d) (?=\d{3}\b)")
_ERROR = re.compile(r"[-+\d.,\N{EN DASH} ()\[\]]+")


def _badges(app, docname, source):
    if docname == root_doc:
        title, rest = source[0].split("\n", 1)
        source[0] = f"{title}\n\n{links.badges(URLS)}{rest}"


class KeepNumbersTogether(SphinxTransform):
    """A large number, 39 907, and an error with its interval in a table are not broken over two lines."""

    default_priority = 900

    def apply(self, **_):
        for text in list(self.document.findall(nodes.Text)):
            if not isinstance(text.parent, nodes.literal | nodes.literal_block | nodes.FixedTextElement):
                kept = _THOUSANDS.sub("\N{NO-BREAK SPACE}", text)
                if isinstance(text.parent.parent, nodes.entry) and _ERROR.fullmatch(text):
                    kept = text.replace(" ", "\N{NO-BREAK SPACE}").replace("\N{EN DASH}", "\N{EN DASH}\N{WORD JOINER}")
                text.parent.replace(text, nodes.Text(kept))


def setup(app):
    app.connect("source-read", _badges)
    app.add_transform(KeepNumbersTogether)
