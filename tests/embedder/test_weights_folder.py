"""Weights in a folder: loading restores what was saved, and invalid files are refused before a network is built."""

import json
import pickle
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.torch import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score

import skdim
from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._embedder import weights_folder as _weights_folder
from skdim.datasets import make_crystals
from tests.helpers.small_estimators import NARROW, SMALL

METADATA = {"data": "40 synthetic crystals", "licence": "none needed", "held_out_loss": np.float64(1.5)}


@pytest.fixture(scope="module")
def embedder(X):
    return DeepInfoMaxEmbedder(**SMALL, max_epochs=3, kl_weight=0.1).fit(X)


@pytest.fixture
def folder(embedder, tmp_path):
    embedder.save_pretrained(tmp_path / "saved", metadata=METADATA)
    return tmp_path / "saved"


@pytest.fixture
def loaded(folder):
    return DeepInfoMaxEmbedder.from_pretrained(folder, device="cpu")


def edit_config(folder, **changes):
    """Change entries of config.json; None removes one."""
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def edit_parameters(folder, **changes):
    """Change parameters as if the embedder had been saved with them."""
    config = json.loads((folder / "config.json").read_text())
    network = config["network"]
    for name, value in changes.items():
        for part in (network, network["encoder"]):
            if name in part:
                part[name] = value
        network["encoder"].update(value if name == "encoder_params" else {})
    edit_config(folder, parameters={**config["parameters"], **changes}, network=network)


def refused(folder, match, **params):
    with pytest.raises(ValueError, match=match):
        DeepInfoMaxEmbedder.from_pretrained(folder, **params)


# ---- saving and loading ----


def test_vectors_are_bitwise_identical_after_loading(loaded, embedder, X):
    for kind in ("global", "local", "both"):
        for model in (loaded, embedder):
            model.set_params(representation=kind)
        assert_array_equal(loaded.transform(X), embedder.transform(X))
        assert_array_equal(loaded.get_feature_names_out(), embedder.get_feature_names_out())
    for actual, expected in zip(loaded.transform_sites(X), embedder.transform_sites(X), strict=True):
        assert_array_equal(actual, expected)
    assert loaded.score(X) == embedder.score(X)


def test_parameters_and_attributes_are_restored(loaded, embedder, X):
    assert loaded.get_params() == embedder.get_params()
    assert loaded.n_iter_ == 3
    assert loaded.n_crystals_ == 40
    assert loaded.site_features_ == embedder.site_features_
    assert loaded.featurizer_settings_ == X.settings
    SiteNetFeaturizer(**loaded.featurizer_settings_).fit([None])
    assert loaded.history_[:, "train_loss"] == embedder.history_[:, "train_loss"]
    assert loaded.pretrained_info_["metadata"] == METADATA
    assert loaded.pretrained_info_["skdim_version"] == skdim.__version__


def test_folder_has_files_with_the_same_permissions(folder, tmp_path):
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "weights.safetensors"}
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1, "the weights are readable by those who can read the config"
    config = json.loads((folder / "config.json").read_text())
    assert config["format"] == "skdim.DeepInfoMaxEmbedder"
    assert config["date"].endswith("+00:00")
    assert config["training"]["history"][-1]["train_loss"] > 0
    assert not {"device", "callbacks", "checkpoint", "n_jobs", "verbose", "warm_start"} & config["parameters"].keys()


def test_default_network_takes_less_than_3_mb(untrained, tmp_path):
    untrained.save_pretrained(tmp_path / "saved")
    assert sum(path.stat().st_size for path in (tmp_path / "saved").iterdir()) < 3e6


@pytest.mark.parametrize(
    "settings",
    [
        {"local_dim": None, "n_blocks": 2, "n_heads": 3, "representation": "global"},
        {"descriptor_weight": 0},
        {"kl_weight": 0, "objective": "jsd", "negatives": ["batch", "permuted"]},
        {"encoder_params": {**NARROW, "pre_pool": [8], "element_embedding": 3, "log_coulomb": True, "pooling": "max"}},
        {"early_stopping": True, "random_state": np.random.RandomState(0)},
        {"n_components": np.int64(5), "temperature": np.float32(0.5), "random_state": np.int64(3), "max_epochs": 0},
    ],
)
def test_every_kind_of_network_is_restored(settings, X, tmp_path):
    embedder = DeepInfoMaxEmbedder(**{**SMALL, "max_epochs": 1, **settings}).fit(X)
    embedder.save_pretrained(tmp_path / "saved")
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "saved", device="cpu")
    assert_array_equal(loaded.transform(X), embedder.transform(X))
    assert loaded.score(X) == embedder.score(X)
    assert loaded.n_iter_ == embedder.n_iter_
    early = loaded.pretrained_info_["training"]["early_stopping_loss"]
    assert early == (embedder.history_[-1, "valid_loss"] if "early_stopping" in settings else None)


def test_oxidation_states_are_restored(tmp_path):
    X = SiteNetFeaturizer(oxidation_states="guess").transform(make_crystals(6, random_state=0)[0])
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)
    embedder.save_pretrained(tmp_path / "saved")
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "saved", device="cpu")
    assert_array_equal(loaded.transform(X), embedder.transform(X))
    assert loaded.featurizer_settings_["oxidation_states"] == "guess"


def test_parameters_that_do_not_change_the_network_can_be_overridden(folder, embedder, X):
    loaded = DeepInfoMaxEmbedder.from_pretrained(
        str(folder),
        representation="local",
        batch_sites=50,
        device="cpu",
        n_jobs=2,
        verbose=1,
        max_epochs=7,
        temperature=0.3,
        encoder_params={**NARROW, "pre_pool": [8]},
    )
    assert loaded.transform(X).shape == (40, 8)
    assert (loaded.max_epochs, loaded.n_jobs, loaded.temperature) == (7, 2, 0.3)
    assert loaded.net_.batch_sites == 50
    assert loaded.net_.threads == 2
    assert loaded.score(X) != embedder.score(X)


def test_loaded_embedder_can_be_cloned_and_pickled(loaded, X):
    assert not hasattr(clone(loaded), "net_")
    assert clone(loaded).get_params() == loaded.get_params()
    copy = pickle.loads(pickle.dumps(loaded))
    assert_array_equal(copy.transform(X), loaded.transform(X))
    assert copy.pretrained_info_ == loaded.pretrained_info_


def test_transfer_from_a_loaded_embedder_equals_transfer_from_the_saved_one(loaded, embedder, X, y):
    scores = [
        cross_val_score(SiteNetRegressor(**SMALL, pretrained=FrozenEstimator(source), max_epochs=1), X, y, cv=2)
        for source in (loaded, embedder)
    ]
    assert_array_equal(*scores)


def test_warm_start_continues_from_loaded_weights(loaded, embedder, X):
    loaded.set_params(warm_start=True, max_epochs=0).fit(X)
    assert_array_equal(loaded.transform(X), embedder.transform(X))
    assert not hasattr(loaded, "pretrained_info_"), "it describes the loaded weights, which may have changed"
    loaded.set_params(max_epochs=2).fit(X)
    assert loaded.n_iter_ == 5
    assert not np.array_equal(loaded.transform(X), embedder.transform(X))
    other = SiteNetFeaturizer(site_features=["row", "group"]).transform(make_crystals(5, random_state=0)[0])
    with pytest.raises(ValueError, match="was fitted on the site features"):
        loaded.transform(other)


def test_fit_without_warm_start_ignores_loaded_weights(loaded, embedder, X):
    assert_array_equal(loaded.fit(X).transform(X), embedder.transform(X))


def test_saving_a_loaded_embedder_again_keeps_its_metadata(loaded, folder, X, tmp_path):
    loaded.save_pretrained(tmp_path / "again")
    again = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "again", device="cpu")
    assert again.pretrained_info_["metadata"] == METADATA
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()
    assert_array_equal(again.transform(X), loaded.transform(X))


def test_loading_does_not_change_the_global_random_state(folder):
    before = torch.get_rng_state()
    DeepInfoMaxEmbedder.from_pretrained(folder)
    assert torch.equal(torch.get_rng_state(), before)


def test_names_are_those_of_the_weights_of_the_package(folder, monkeypatch, X, embedder, tmp_path):
    shutil.copytree(folder, tmp_path / "included" / "structures")
    monkeypatch.setattr(_weights_folder, "INCLUDED_FOLDER", tmp_path / "included")
    for path in (None, "structures"):
        loaded = DeepInfoMaxEmbedder.from_pretrained(path, device="cpu")
        assert_array_equal(loaded.transform(X), embedder.transform(X))
    with pytest.raises(FileNotFoundError, match=r"has no weights .*make weights"):
        DeepInfoMaxEmbedder.from_pretrained("properties")
    monkeypatch.chdir(tmp_path / "included")
    for path in (Path("properties"), "./properties", "other"):
        with pytest.raises(FileNotFoundError, match=r"no such folder: .* included in skdim are structures and prop"):
            DeepInfoMaxEmbedder.from_pretrained(path)


def test_weights_of_the_package_are_inside_the_package():
    folder = _weights_folder.INCLUDED_FOLDER
    assert Path(skdim.__file__).parent == folder.parent
    assert {path.name for path in folder.iterdir()} == set(_weights_folder.INCLUDED)


def test_included_weights_know_properties():
    properties = DeepInfoMaxEmbedder.from_pretrained("properties").known_properties_
    assert {"formation_energy", "band_gap"} <= set(properties)
    assert DeepInfoMaxEmbedder.from_pretrained("structures").known_properties_ == ()


def test_loading_and_embedding_make_no_optimiser(loaded, X):
    """torch takes a second to import what an optimiser needs."""
    copy = pickle.loads(pickle.dumps(loaded))
    for one in (loaded, copy):
        one.transform(X)
        assert "optimizer_" not in vars(one.net_)
        one.set_params(warm_start=True, max_epochs=1).fit(X)
        assert "optimizer_" in vars(one.net_)
    assert_array_equal(copy.transform(X), loaded.transform(X))


# ---- errors when saving ----


def test_saving_refuses_parameters_changed_after_fit(loaded, tmp_path):
    loaded.set_params(n_components=9, objective="jsd")
    with pytest.raises(
        ValueError, match=r"has objective='infonce', not 'jsd'; n_components=4, not 9: reset the parameters"
    ):
        loaded.save_pretrained(tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_saving_refuses_existing_paths_unfitted_estimators_and_bad_metadata(embedder, folder, tmp_path):
    with pytest.raises(FileExistsError, match="exists: remove it first"):
        embedder.save_pretrained(folder)
    with pytest.raises(NotFittedError):
        clone(embedder).save_pretrained(tmp_path / "new")
    with pytest.raises(TypeError, match="metadata must be a dict, not a str"):
        embedder.save_pretrained(tmp_path / "new", metadata="CC BY 4.0")
    with pytest.raises(TypeError, match="a set cannot be written as JSON"):
        embedder.save_pretrained(tmp_path / "new", metadata={"elements": {"Fe"}})
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedder.save_pretrained(tmp_path / "new", metadata={"loss": float("nan")})
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_failed_save_leaves_nothing(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr(_weights_folder, "save", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        embedder.save_pretrained(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


# ---- errors when loading ----


def test_a_missing_folder_or_config_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        DeepInfoMaxEmbedder.from_pretrained(tmp_path / "nowhere")
    refused(folder / "config.json", "is a file: from_pretrained reads a folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"empty is not a folder of pre-trained weights: cannot read its config\.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "3", '{"format": "other"}', "[" * 100_000, '"' + "x" * 10**7])
def test_damaged_config_is_refused(text, folder):
    (folder / "config.json").write_text(text)
    refused(folder, "is not a folder of pre-trained weights: ")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_other_schema_versions_are_refused(version, folder):
    edit_config(folder, schema_version=version, skdim_version="9.9")
    refused(folder, f"has schema version {version!r}, and this skdim .* reads version 1: use skdim 9.9")


@pytest.mark.parametrize(
    "entry", ["parameters", "network", "seed", "site_features", "element_table", "featurizer", "training", "metadata"]
)
def test_missing_config_entries_are_refused(entry, folder):
    for value in (None, 3.5, True):
        edit_config(folder, **{entry: value})
        refused(folder, rf"config\.json is damaged: invalid {entry}")


def test_invalid_config_entries_are_refused(folder):
    for changes in (
        {"seed": -1},
        {"seed": 2**32},
        {"network": {"encoder": 3}},
        {"training": {"n_crystals": "many", "history": []}},
        {"training": {"n_crystals": 3, "history": 3}},
        {"training": {"n_crystals": 3, "history": [3]}},
        {"training": {"n_crystals": 3, "history": [{"train_loss": [1]}]}},
    ):
        before = (folder / "config.json").read_text()
        edit_config(folder, **changes)
        refused(folder, f"is damaged: invalid {next(iter(changes))}")
        (folder / "config.json").write_text(before)


def test_other_values_of_elemental_properties_are_refused(folder):
    edit_config(folder, element_table="0" * 64)
    refused(folder, r"trained with other values of the site features \['atomic_number'")


def test_unknown_site_features_are_refused(folder):
    features = json.loads((folder / "config.json").read_text())["site_features"]
    edit_config(folder, site_features=[*features, "colour"])
    refused(folder, "site features that are unknown to this skdim .*: unknown element properties: 'colour'")
    edit_config(folder, site_features=[])
    refused(folder, "unknown to this skdim")
    edit_config(folder, site_features=[*features, "oxidation_state", "oxidation_state"])
    refused(folder, "site_features has duplicates")
    edit_config(folder, site_features=[["row"]])
    refused(folder, "unknown to this skdim")


def test_unknown_parameters_are_refused(folder):
    edit_parameters(folder, colour="red")
    refused(folder, r"parameters that this skdim .* does not read from a file: \['colour'\]; a newer skdim")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"device": "cuda"}, r"does not read from a file: \['device'\]"),
        ({"checkpoint": "/etc/passwd"}, r"does not read from a file: \['checkpoint'\]"),
        ({"n_components": "four"}, "invalid parameter: The 'n_components' parameter"),
        ({"n_components": -4}, "has an invalid parameter"),
        ({"negatives": ["nobody"]}, "has an invalid parameter: negatives must be"),
        ({"encoder_params": {"colour": 1}}, "has an invalid parameter: encoder_params has unknown keys"),
        (
            {"encoder_params": {**NARROW, "pre_pool": "abc"}},
            "invalid parameter: The 'pre_pool' parameter of encoder_params",
        ),
        ({"encoder_params": {**NARROW, "pre_pool": [8, 0]}}, "pre_pool in encoder_params must contain positive"),
        (
            {"encoder_params": {**NARROW, "site_width": -8}},
            "invalid parameter: The 'site_width' parameter of encoder_params",
        ),
        (
            {"encoder_params": {**NARROW, "site_width": 0.5}},
            "invalid parameter: The 'site_width' parameter of encoder_params",
        ),
        ({"encoder_params": {"pre_pool": [8] * 10_000}}, "its parameters have more than 10000 characters"),
    ],
)
def test_invalid_parameters_are_refused(changes, match, folder):
    edit_parameters(folder, **changes)
    refused(folder, match)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_components": 10**9},
        {"n_components": 10**30},
        {"n_heads": 10**8},
        {"n_blocks": 10**9},
        {"local_dim": 10**12},
        {"encoder_params": {**NARROW, "value_hidden": 10**6, "attention_hidden": 10**6}},
        {"encoder_params": {**NARROW, "element_embedding": 10**9}},
        {"encoder_params": {**NARROW, "pre_pool": [10**6] * 100}},
    ],
)
def test_configs_of_huge_networks_allocate_no_memory(changes, folder):
    """The shapes in the weights file are compared before any tensor is allocated."""
    edit_parameters(folder, **changes)
    tracemalloc.start()
    refused(folder, "does not match its config.json|does not describe a network")
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_changed_defaults_are_refused(folder):
    """The weights would have the right shapes, and give other vectors."""
    config = json.loads((folder / "config.json").read_text())
    config["network"]["encoder"]["pooling"] = "max"
    edit_config(folder, network=config["network"], skdim_version="0.0.1")
    refused(folder, r"trained with pooling='max' \(here 'mean'\): defaults of this skdim .* differ; use skdim 0.0.1")
    config["network"]["encoder"] = {**config["network"]["encoder"], "pooling": "mean", "colour": "red"}
    edit_config(folder, network=config["network"])
    refused(folder, r"colour='red' \(here 'unknown'\)")


def test_overrides_that_change_the_network_are_refused(folder):
    match = r"\['n_components'\] would change the trained network, which has n_components=4, not 5"
    refused(folder, match, n_components=5)
    pooling = {**NARROW, "pooling": "max"}
    refused(folder, "which has pooling='mean', not 'max'", encoder_params=pooling)
    refused(folder, r"does not match \['kl_weight'\] or its config.json: encoder.bottleneck.bias is F32", kl_weight=0)
    refused(folder, "The 'representation' parameter", representation="none")
    with pytest.raises(TypeError, match="colour"):
        DeepInfoMaxEmbedder.from_pretrained(folder, colour="red")


def test_wrong_tensors_are_refused(folder):
    file = folder / "weights.safetensors"
    weights = load_file(file)
    name = "encoder.bottleneck.weight"

    def refuse(match, **changes):
        changed = {**weights, **{key.replace("__", "."): value for key, value in changes.items()}}
        save_file({key: value for key, value in changed.items() if value is not None}, file)
        refused(folder, match)

    bottleneck = "encoder__bottleneck__weight"
    refuse(rf"does not match its config.json: {name} is missing", **{bottleneck: None})
    refuse("extra is unexpected", extra=torch.zeros(3))
    refuse(rf"{name} is F32 \[8, 7\], not F32 \[8, 8\]", **{bottleneck: torch.zeros(8, 7)})
    refuse(rf"{name} is F64 \[8, 8\]", **{bottleneck: torch.zeros(8, 8, dtype=torch.float64)})
    refuse("and 2 more", a=torch.zeros(1), b=torch.zeros(1), c=torch.zeros(1), d=torch.zeros(1), e=torch.zeros(1))
    for value in (torch.nan, torch.inf):
        damaged = weights[name].clone()
        damaged[3, 2] = value
        refuse(f"{name} has non-finite values", **{bottleneck: damaged})


def test_damaged_weights_are_refused(folder):
    file = folder / "weights.safetensors"
    whole = file.read_bytes()
    for damage in (b"", whole[:-40], whole[:100], whole[8:], b"\xff" * 8 + whole[8:], pickle.dumps({"a": 1})):
        file.write_bytes(damage)
        refused(folder, r"weights\.safetensors is damaged or missing")
    file.unlink()
    refused(folder, r"weights\.safetensors is damaged or missing")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_weights_move_between_devices(embedder, folder, X, tmp_path):
    on_gpu = DeepInfoMaxEmbedder.from_pretrained(folder, device="cuda")
    assert next(on_gpu.net_.module_.parameters()).is_cuda
    on_gpu.save_pretrained(tmp_path / "again")
    back = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "again", device="cpu")
    assert_array_equal(back.transform(X), embedder.transform(X))
