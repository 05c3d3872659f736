"""Model cards: README.md of saved weights."""

import hashlib
import json
import re

import pytest

from skdim import DeepInfoMaxEmbedder
from skdim._embedder.model_card import model_card
from skdim._embedder.weights_folder import INCLUDED, INCLUDED_FOLDER
from tests.helpers.small_estimators import SMALL

#: The least that a card says.
HEADINGS = [
    "Use",
    "Training data",
    "Training",
    "Held-out results",
    "Known properties",
    "What it must not be judged on",
]


def headings(card):
    return re.findall(r"^## (.*)$", card, flags=re.MULTILINE)


@pytest.mark.parametrize("name", INCLUDED)
def test_included_weights_have_the_card_of_their_config(name):
    folder = INCLUDED_FOLDER / name
    content = (folder / "config.json").read_bytes()
    config = json.loads(content)
    card = (folder / "README.md").read_text("utf-8")
    assert card == model_card(config, hashlib.sha256(content).hexdigest())
    assert config["weights_sha256"] == hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    assert card.startswith("---\nlibrary_name: skdim\n")
    assert "license: cc-by-4.0\n" in card
    assert headings(card) == HEADINGS
    n_left_out = sum(source["n_formula_left_out"] for source in config["metadata"]["sources"])
    assert f"{n_left_out} rows of listed formulas" in card
    for known in config["known_properties"]:
        assert f"`{known}`" in card


@pytest.fixture(scope="module")
def embedder(X):
    return DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)


def test_card_of_weights_without_metadata(embedder, tmp_path):
    embedder.save_pretrained(tmp_path / "weights")
    card = (tmp_path / "weights" / "README.md").read_text("utf-8")
    assert headings(card) == HEADINGS
    assert "license" not in card.split("---")[1]
    assert "Licence of the data: not given." in card
    assert "## Held-out results\n\nNone given.\n" in card
    assert "None: it learned from structures alone." in card


def test_card_of_weights_with_metadata(embedder, tmp_path):
    metadata = {
        "data": "own\nstructures | of a lab",
        "licence": "ask: us",
        "held_out_loss": 1.23456,
        "n_held_out": 3,
        "held_out": "last rows",
        "contact": "the authors",
    }
    embedder.save_pretrained(tmp_path / "weights", metadata=metadata)
    card = (tmp_path / "weights" / "README.md").read_text("utf-8")
    assert card.splitlines()[3:5] == ["license: other", 'license_name: "ask: us"']
    assert "own structures \\| of a lab" in card
    assert "Loss 1.235.\n3 crystals were held out: `last rows`." in card
    assert "- contact: the authors" in card
    content = (tmp_path / "weights" / "config.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() in card


def test_card_tells_of_earlier_trainings(embedder, tmp_path):
    first = {"name": "first", "tasks": ["known properties"], "command": "train first"}
    second = {"name": "second", "tasks": ["Deep InfoMax"], "command": "train second", "start": first}
    embedder.save_pretrained(tmp_path / "weights", metadata={"command": "train third", "start": second})
    card = (tmp_path / "weights" / "README.md").read_text("utf-8")
    title = re.search("^# .*$", card, flags=re.MULTILINE)[0]
    assert title.endswith("by known properties, Deep InfoMax and statistics of the structure")
    assert re.findall("weights (first|second), which|^(train .*)$", card, flags=re.MULTILINE) == [
        ("", "train third"),
        ("second", ""),
        ("", "train second"),
        ("first", ""),
        ("", "train first"),
    ]
