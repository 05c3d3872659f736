"""skops files of fitted estimators: `skdim.trusted_types` loads all of them, and loading one runs no code."""

import io
import os
import pickle
import zipfile
from importlib.metadata import version

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

import skdim
from skdim import (
    ApplicabilityDomain,
    CompositionStatistics,
    DeepInfoMaxEmbedder,
    DensityStatistics,
    NearestCrystals,
    OxidationStatistics,
    SiteNetClassifier,
    SiteNetFeaturizer,
    SiteNetRegressor,
    StructureStatistics,
    TwoPartRegressor,
)
from skdim._embedder.predicted_properties import PredictedProperties
from skdim._training.net import CrystalNet
from skdim.baselines import MagpieFeatures, MLIPFeatures, OrbitalFieldMatrix, XRDPattern
from skdim.model_selection import make_arm
from tests.helpers.small_estimators import SMALL

skops_io = pytest.importorskip("skops.io", reason="needs the extra 'skops'")

#: Estimators that learn nothing, by name.
SIMPLE = {
    "featurizer": SiteNetFeaturizer(),
    "composition statistics": CompositionStatistics(),
    "density statistics": DensityStatistics(),
    "oxidation statistics": OxidationStatistics(),
    "structure statistics": StructureStatistics(),
    "Magpie": MagpieFeatures(),
    "orbital field matrix": OrbitalFieldMatrix(),
    "X-ray pattern": XRDPattern(),
    "MLIP": MLIPFeatures(),
}
NETWORKS = {
    "embedder": DeepInfoMaxEmbedder(**SMALL, max_epochs=1),
    "verbose embedder": DeepInfoMaxEmbedder(**SMALL, max_epochs=1, verbose=1),
    "embedder with early stopping": DeepInfoMaxEmbedder(**SMALL, max_epochs=1, early_stopping=True),
    "embedder with checkpoint": DeepInfoMaxEmbedder(**SMALL, max_epochs=1),
    "regressor": SiteNetRegressor(**SMALL, max_epochs=1),
    "classifier": SiteNetClassifier(**SMALL, max_epochs=1),
    "nearest crystals": NearestCrystals(),
    "applicability domain": ApplicabilityDomain(),
    "block Gaussian process": make_arm("structure", head="block_gp"),
}
#: What `skdim fit` offers.
MODELS = ("best", "average", "composition", "structure", "representation", "supervised", "transfer")
#: The same for classes; the names of models and of arms.
OF_CLASSES = {f"{name} of classes": name for name in ("best", "composition", "structure")}
NAMES = [*SIMPLE, *NETWORKS, *MODELS, *OF_CLASSES, "two-part model", "predicted properties"]


@pytest.fixture(scope="module")
def fitted(structures, X, y, tmp_path_factory):
    """Every estimator, fitted, by name."""
    NETWORKS["embedder with checkpoint"].set_params(checkpoint=str(tmp_path_factory.mktemp("run") / "run.pt"))
    estimators = {name: estimator.fit(X if "statistics" in name else structures) for name, estimator in SIMPLE.items()}
    classes = np.where(y > np.median(y), "high", "low")
    estimators |= {
        name: estimator.fit(X, classes if is_classifier(estimator) else y) for name, estimator in NETWORKS.items()
    }
    for name in MODELS:
        model = make_arm(name, estimators["embedder"], max_epochs=1, device="cpu", random_state=0)
        estimators[name] = model.fit(X, y)
    two_part = make_pipeline(StructureStatistics(), TwoPartRegressor())
    estimators["two-part model"] = two_part.fit(X, np.maximum(y - np.median(y), 0))
    known = FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained("properties", device="cpu"))
    estimators["predicted properties"] = PredictedProperties(known).fit(X)
    for name, arm in OF_CLASSES.items():
        model = make_arm(arm, estimators["embedder"], task="classification", random_state=0)
        estimators[name] = model.fit(X, classes)
    return estimators


def types_of(estimator):
    """Types that skops asks the user to trust."""
    return set(skops_io.get_untrusted_types(data=skops_io.dumps(estimator)))


def output(estimator, structures, X):
    if isinstance(estimator, SiteNetFeaturizer):
        return estimator.transform(structures).distance
    if isinstance(estimator, NearestCrystals):
        return estimator.kneighbors(X)[0]
    if not hasattr(estimator, "predict"):
        return estimator.transform(structures if "baselines" in type(estimator).__module__ else X)
    return estimator.predict(X)


@pytest.mark.parametrize("name", NAMES)
def test_loaded_estimators_give_the_same_output(name, fitted, structures, X):
    if name == "orbital field matrix":
        pytest.importorskip("matminer", reason="needs the extra 'baselines'")
    if name == "MLIP":
        pytest.importorskip("chgnet", reason="needs the extra 'mlip'")
    loaded = skops_io.loads(skops_io.dumps(fitted[name]), trusted=skdim.trusted_types())
    np.testing.assert_array_equal(output(loaded, structures, X), output(fitted[name], structures, X))


def test_trusted_types_are_those_that_the_estimators_need(fitted):
    """And no others, as each trusted type is a risk."""
    needed = set().union(*map(types_of, fitted.values()))
    if version("skops").startswith("0.13."):  # which trusts scikit-learn's trees by itself
        needed.add("sklearn.tree._tree.Tree")
    assert needed == set(skdim.trusted_types())
    assert skdim.trusted_types() == sorted(set(skdim.trusted_types()))


@pytest.mark.parametrize("name", SIMPLE)
def test_estimators_that_learn_nothing_hold_no_other_type(name, fitted):
    kind = type(fitted[name])
    assert types_of(fitted[name]) == {f"{kind.__module__}.{kind.__name__}"}


def test_a_regressor_holds_no_type_of_the_embedder(fitted):
    assert not [name for name in types_of(fitted["regressor"]) if "Embedder" in name or "InfoMax" in name]


def test_other_types_are_refused():
    content = skops_io.dumps(make_pipeline(SiteNetFeaturizer(), np.polynomial.Polynomial([1, 2])))
    with pytest.raises(TypeError, match=r"numpy\.polynomial"):
        skops_io.loads(content, trusted=skdim.trusted_types())


def test_a_regressor_with_its_pretrained_embedder_in_a_pipeline(fitted, structures, X, y):
    regressor = SiteNetRegressor(
        **SMALL, max_epochs=1, freeze="encoder", pretrained=FrozenEstimator(fitted["embedder"])
    )
    pipeline = make_pipeline(SiteNetFeaturizer(), regressor).fit(structures, y)
    loaded = skops_io.loads(skops_io.dumps(pipeline), trusted=skdim.trusted_types())
    np.testing.assert_array_equal(loaded.predict(structures), pipeline.predict(structures))
    frozen = [p.requires_grad for p in loaded[-1].net_.module_.encoder.parameters()]
    assert frozen
    assert not any(frozen), "frozen parameters stay frozen"
    # It resumes training like the one that was never saved.
    for model in (pipeline[-1], loaded[-1]):
        model.set_params(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(loaded[-1].predict(X), pipeline[-1].predict(X))


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("evil",))


def test_a_network_runs_no_code(fitted, tmp_path, monkeypatch):
    """Even with all types trusted, only tensors and numbers are read from the weights."""
    monkeypatch.chdir(tmp_path)
    content = skops_io.dumps(fitted["embedder"])
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
                skops_io.loads(file.getvalue(), trusted=skdim.trusted_types())
    assert not (tmp_path / "evil").exists()
    # A net as skorch itself saves it, with a pickle inside, is refused.
    state = {"device": "cpu", "__cuda_dependent_attributes__": pickle.dumps(Evil())}
    with pytest.raises(ValueError, match="contains a pickle: it is not loaded"):
        CrystalNet.__new__(CrystalNet).__setstate__(state)
    assert not (tmp_path / "evil").exists()
