"""Files that releases have written load in this one, and mean the same. tools/build_golden.py makes those of a release.

A release that cannot read older files must say so: a new schema version, and what to do, in the error.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._crystals.store import FORMAT
from skdim._version import __version__
from skdim.datasets._tables import read_table
from skdim.model_selection import read_results

RELEASES = sorted(path for path in Path(__file__).with_name("golden").iterdir() if path.is_dir())


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def golden(request):
    return request.param


@pytest.fixture
def expected(golden):
    return json.loads((golden / "expected.json").read_text())


def test_this_release_has_golden_files():
    assert __version__ in [path.name for path in RELEASES], "python tools/build_golden.py tests/house/golden/VERSION"


@pytest.mark.parametrize("options", [{}, {"mmap_mode": "r"}, {"verify": True}], ids=str)
def test_crystals(options, golden, expected):
    X = Crystals.load(golden / "crystals", **options)
    assert X.formulas == expected["formulas"]
    assert X.n_sites.tolist() == expected["n_sites"]
    np.testing.assert_array_equal(X.distance, np.array(expected["distance"], dtype=np.float32))
    assert list(X.errors_) == [6]
    assert json.loads((golden / "crystals" / "header.json").read_text())["schema_version"] <= FORMAT.version


def test_featurizing_gives_the_same(golden, expected):
    X = Crystals.load(golden / "crystals")
    texts = json.loads((golden / "structures.json").read_text())["cif"]
    again = SiteNetFeaturizer().transform(texts)
    assert again.formulas == X[:6].formulas
    np.testing.assert_allclose(again.distance, X[:6].distance, atol=1e-5)
    np.testing.assert_array_equal(again.count, X[:6].count)


def test_weights(golden, expected):
    embedder = DeepInfoMaxEmbedder.from_pretrained(golden / "weights", device="cpu")
    vectors = embedder.transform(Crystals.load(golden / "crystals"))
    found = [None if np.isnan(row).any() else row for row in vectors]
    assert [row is None for row in found] == [row is None for row in expected["vectors"]]
    np.testing.assert_allclose(found[:6], expected["vectors"][:6], rtol=1e-4, atol=1e-5)
    assert embedder.pretrained_info_["metadata"] == {"licence": "none needed"}


def test_results_and_tables(golden, expected):
    assert read_results(golden / "results.jsonl")["mae"].tolist() == expected["mae"]
    table = read_table(golden / "table.json")
    assert table["y"] == expected["y"]
    again = SiteNetFeaturizer().transform(table["structure"])
    assert again.formulas == expected["formulas"][:2]
