"""Source links, badges and the version switch are on only where pyproject.toml has an address."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
URLS = {"Repository": "https://github.com/organisation/skdim/", "Documentation": "https://example.org/skdim/"}


@pytest.fixture
def links(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import links

    yield links
    sys.modules.pop("links")


def test_without_addresses(links):
    assert links.extensions({}, {}) == ["sphinx.ext.viewcode"]
    assert links.theme_options({}, "0.1.0") == {}
    assert links.badges({}) == ""


def test_with_addresses(links):
    assert links.extensions(URLS, {}) == ["sphinx.ext.linkcode"]
    options = links.theme_options(URLS, "0.1.0")
    assert options["switcher"] == {"json_url": "https://example.org/skdim/versions.json", "version_match": "0.1.0"}
    assert options["check_switcher"] is False
    badges = links.badges(URLS)
    assert "https://github.com/organisation/skdim/actions/workflows/ci.yml/badge.svg" in badges
    assert "/github/organisation/skdim/blob/main/examples/quick_start.ipynb" in badges
    assert (ROOT / "examples" / "quick_start.ipynb").exists()
    assert (ROOT / ".github" / "workflows" / "ci.yml").exists()


def test_inventories_are_downloaded_on_request_only(links):
    assert links.extensions({}, {links.ONLINE: "1"}) == ["sphinx.ext.intersphinx", "sphinx.ext.viewcode"]
    assert set(links.INVENTORIES) >= {"numpy", "sklearn", "torch", "pymatgen"}


@pytest.mark.parametrize("name", ["DeepInfoMaxEmbedder", "DeepInfoMaxEmbedder.transform", "Crystals.failed"])
def test_source_links_have_the_lines_of_the_object(links, name):
    address = links.source_of(URLS["Repository"], "0.1.0", ROOT, {"module": "skdim", "fullname": name})
    start, _, lines = address.partition("#")
    assert start.startswith("https://github.com/organisation/skdim/blob/v0.1.0/skdim/_")
    first = int(lines.split("-")[0].removeprefix("L"))
    source = (ROOT / start.partition("/v0.1.0/")[2]).read_text("utf-8").splitlines()
    assert name.rpartition(".")[2] in "".join(source[first - 1 : first + 2])


def test_objects_without_source_have_no_link(links):
    for module, name in (("skdim", "ALL_SITE_FEATURES"), ("numpy", "mean"), ("skdim", "nothing")):
        assert links.source_of(URLS["Repository"], "0.1.0", ROOT, {"module": module, "fullname": name}) is None
