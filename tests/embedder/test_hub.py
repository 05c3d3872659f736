"""Weights on the hub: what is uploaded loads again; files that are cut off, changed or replaced are refused."""

import hashlib
import json
import sys

import pytest
from numpy.testing import assert_array_equal

from skdim import DeepInfoMaxEmbedder
from tests.helpers.hub_server import HubServer
from tests.helpers.small_estimators import SMALL

pytest.importorskip("huggingface_hub", reason="needs the extra 'hub'")

ADDRESS = f"hf://{HubServer.repo_id}"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture(scope="module")
def embedder(X):
    return DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)


@pytest.fixture
def pushed(hub, embedder):
    return embedder.push_to_hub(HubServer.repo_id, metadata={"licence": "CC0"}, private=True, token="hf_secret")


def refused(error, match, address=ADDRESS):
    with pytest.raises(error, match=match):
        DeepInfoMaxEmbedder.from_pretrained(address, device="cpu")


def test_uploaded_weights_load_again(pushed, hub, embedder, X):
    digest = hashlib.sha256(hub.files["config.json"]).hexdigest()
    assert pushed == f"{ADDRESS}@{hub.commit}#sha256={digest}"
    assert sorted(hub.files) == ["README.md", "config.json", "weights.safetensors"]
    assert hub.created[0]["name"] == "name"
    assert "Bearer hf_secret" in hub.tokens
    assert b"license: cc0-1.0\n" in hub.files["README.md"]
    for address in (ADDRESS, f"{ADDRESS}@main", pushed):
        loaded = DeepInfoMaxEmbedder.from_pretrained(address, device="cpu")
        assert_array_equal(loaded.transform(X), embedder.transform(X))
    assert loaded.pretrained_info_["metadata"] == {"licence": "CC0"}


def test_only_data_files_are_downloaded(pushed, hub):
    hub.files |= {"pytorch_model.bin": b"", "modeling.py": b"raise SystemExit", "__init__.py": b"raise SystemExit"}
    hub.requests.clear()
    DeepInfoMaxEmbedder.from_pretrained(ADDRESS, device="cpu")
    assert {path.rpartition("/")[2] for _, path in hub.requests} == {"config.json", "weights.safetensors"}


def test_weights_in_the_cache_need_no_server(pushed, monkeypatch, embedder, X):
    DeepInfoMaxEmbedder.from_pretrained(pushed, device="cpu")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert_array_equal(DeepInfoMaxEmbedder.from_pretrained(pushed, device="cpu").transform(X), embedder.transform(X))


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_cut_off_files_are_refused(name, pushed, hub, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the tries of huggingface_hub
    hub.cut[name] = len(hub.files[name]) // 2
    refused(OSError, f"could not download {name} of hf://organisation/name: ")
    hub.cut.clear()
    DeepInfoMaxEmbedder.from_pretrained(ADDRESS, device="cpu")


def test_replaced_weights_are_refused(pushed, hub):
    """Of the right size, with valid headers and finite values, so that only their checksum tells."""
    content = bytearray(hub.files["weights.safetensors"])
    content[-2] ^= 1
    hub.served["weights.safetensors"] = bytes(content)
    refused(ValueError, "not the one in its config.json: the weights were replaced")


def test_replaced_config_is_refused_where_its_checksum_is_given(pushed, hub):
    config = json.loads(hub.files["config.json"])
    config["parameters"]["representation"] = "local"
    hub.served["config.json"] = json.dumps(config, indent=1).encode().ljust(len(hub.files["config.json"]))
    refused(ValueError, "sha256 .*The weights were changed, or the server sent another file", pushed)


def test_files_that_are_too_large_are_not_downloaded(pushed, hub):
    hub.sizes["weights.safetensors"] = 2**40
    hub.requests.clear()
    refused(OSError, "weights.safetensors of .* has 1099511627776 bytes")
    assert ("GET", f"/{HubServer.repo_id}/resolve/{hub.commit}/weights.safetensors") not in hub.requests


def test_missing_repositories_and_files(hub, pushed):
    refused(OSError, "could not download config.json of hf://organisation/other", "hf://organisation/other")
    refused(OSError, "could not download config.json", f"{ADDRESS}@v9")
    del hub.files["weights.safetensors"]
    refused(OSError, "could not download weights.safetensors")


@pytest.mark.parametrize(
    "address", ["hf://", "hf://name", "hf://a/b/c", "hf://a/b@", "hf://a/b#sha256=12", "hf://a/b#md5=12", "hf://a/ b"]
)
def test_invalid_addresses(address):
    refused(ValueError, "is not an address of weights: pass hf://organisation/name", address)


def test_invalid_repositories(embedder):
    for repo_id in ("name", "hf://organisation/name", "organisation/name/part", None):
        with pytest.raises(ValueError, match="repo_id must be 'organisation/name'"):
            embedder.push_to_hub(repo_id)


def test_uploads_that_fail(embedder, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(OSError, match="could not upload weights to hf://organisation/name"):
        embedder.push_to_hub(HubServer.repo_id)


def test_missing_extra(embedder, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    match = r'weights on the hub need huggingface_hub: pip install "skdim-crystals\[hub\]"'
    refused(ImportError, match)
    with pytest.raises(ImportError, match=match):
        embedder.push_to_hub(HubServer.repo_id)
