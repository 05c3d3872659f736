"""skops files of fitted estimators: what must be trusted to load them is listed in docs/trust.md, and runs no code."""

import io
import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor, StructureStatistics
from skdim._training.net import CrystalNet
from tests.helpers.small_estimators import SMALL

skops_io = pytest.importorskip("skops.io", reason="skops is not installed: pip install '.[test]'")

NETWORK = {
    "builtins.print",
    "functools.partial",
    "skdim._training.callbacks.OneCycle",
    "skdim._training.net.CrystalNet",
    "skdim._embedder.embedder.DeepInfoMaxEmbedder",
    "skdim._training.net.InfoMaxCriterion",
    "skdim.nn.infomax.DeepInfoMax",
    "skorch.callbacks.logging.EpochTimer",
    "skorch.callbacks.logging.PrintLog",
    "skorch.callbacks.scoring.PassthroughScoring",
    "skorch.dataset.Dataset",
    "skorch.history.History",
    "skorch.setter.optimizer_setter",
    "torch.optim.adamw.AdamW",
    "torch.utils.data.dataloader.DataLoader",
}
STOPPING = {"skorch.callbacks.training.EarlyStopping", "skdim._training.callbacks._silent"}
REGRESSOR = {
    "skdim._training.net.WeightedLoss",
    "skdim._regressor.regressor.SiteNetRegressor",
    "skdim.nn.sitenet.SiteNet",
}
#: Name -> (estimator, the types that must be trusted).
ESTIMATORS = {
    "featurizer": (SiteNetFeaturizer(), {"skdim._featurizer.featurizer.SiteNetFeaturizer"}),
    "composition": (CompositionStatistics(), {"skdim._statistics.composition.CompositionStatistics"}),
    "structure": (StructureStatistics(), {"skdim._statistics.structure.StructureStatistics"}),
    "embedder": (DeepInfoMaxEmbedder(**SMALL, max_epochs=1), NETWORK),
    "stopping": (DeepInfoMaxEmbedder(**SMALL, max_epochs=1, early_stopping=True), NETWORK | STOPPING),
    "regressor": (
        SiteNetRegressor(**SMALL, max_epochs=1),
        NETWORK - {t for t in NETWORK if "Embedder" in t or "InfoMax" in t} | REGRESSOR,
    ),
}


def fitted(name, structures, X, y):
    estimator = ESTIMATORS[name][0]
    return estimator.fit(structures if name == "featurizer" else X, y)


def output(estimator, structures, X):
    if isinstance(estimator, SiteNetFeaturizer):
        return estimator.transform(structures).distance
    return estimator.predict(X) if hasattr(estimator, "predict") else estimator.transform(X)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_dump_and_load(name, structures, X, y):
    estimator = fitted(name, structures, X, y)
    content = skops_io.dumps(estimator)
    trusted = skops_io.get_untrusted_types(data=content)
    assert set(trusted) == ESTIMATORS[name][1]
    loaded = skops_io.loads(content, trusted=trusted)
    np.testing.assert_array_equal(output(loaded, structures, X), output(estimator, structures, X))


def test_a_regressor_with_its_pretrained_embedder_in_a_pipeline(structures, X, y):
    embedder = fitted("embedder", structures, X, y)
    regressor = SiteNetRegressor(**SMALL, max_epochs=1, freeze="encoder", pretrained=FrozenEstimator(embedder))
    pipeline = make_pipeline(SiteNetFeaturizer(), regressor).fit(structures, y)
    content = skops_io.dumps(pipeline)
    trusted = skops_io.get_untrusted_types(data=content)
    assert set(trusted) == NETWORK | REGRESSOR | {"skdim._featurizer.featurizer.SiteNetFeaturizer"}
    loaded = skops_io.loads(content, trusted=trusted)
    np.testing.assert_array_equal(loaded.predict(structures), pipeline.predict(structures))
    frozen = [p.requires_grad for p in loaded[-1].net_.module_.encoder.parameters()]
    assert frozen
    assert not any(frozen), "what was frozen stays so"
    # It goes on training as the one that was never saved.
    for one in (pipeline[-1], loaded[-1]):
        one.set_params(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(loaded[-1].predict(X), pipeline[-1].predict(X))


def test_the_documented_list():
    text = (Path(__file__).parents[2] / "docs" / "trust.md").read_text(encoding="utf-8")
    for _, types in ESTIMATORS.values():
        for name in types:
            assert re.search(rf"`{re.escape(name)}`", text), f"docs/trust.md does not list {name}"


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("evil",))


def test_a_network_runs_no_code(structures, X, y, tmp_path, monkeypatch):
    """All types trusted, and still nothing but tensors and numbers is read of the weights."""
    monkeypatch.chdir(tmp_path)
    content = skops_io.dumps(fitted("embedder", structures, X, y))
    trusted = skops_io.get_untrusted_types(data=content)
    with io.BytesIO() as file:
        torch.save({"module_": Evil()}, file)
        by_torch = file.getvalue()
    for evil in (pickle.dumps({"module_": Evil()}, protocol=2), by_torch):
        with io.BytesIO() as file:
            with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
                names = [name for name in old.namelist() if name.endswith(".bin")]
                assert len(names) == 1
                for name in old.namelist():
                    new.writestr(name, evil if name in names else old.read(name))
            with pytest.raises(pickle.UnpicklingError):
                skops_io.loads(file.getvalue(), trusted=trusted)
    assert not (tmp_path / "evil").exists()
    # skorch's own form of a net, a pickle in it, is refused.
    state = {"device": "cpu", "__cuda_dependent_attributes__": pickle.dumps(Evil())}
    with pytest.raises(ValueError, match="was pickled by an older skdim"):
        CrystalNet.__new__(CrystalNet).__setstate__(state)
    assert not (tmp_path / "evil").exists()
