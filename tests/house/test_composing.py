"""The estimators inside scikit-learn's: pipelines, searches, cross-validation, unions, frozen steps."""

import subprocess
import sys
from copy import deepcopy

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skdim import Crystals, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from tests.helpers.small_estimators import SMALL


class Sizes(TransformerMixin, BaseEstimator):
    """Another transformer on Crystals."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.column_stack([X.n_sites, X.n_sites**2]).astype(float)

    def get_feature_names_out(self, input_features=None):
        return np.array(["n_sites", "n_sites^2"], dtype=object)


# -- a pre-trained embedder as a parameter -----------------------------------------------------------------------------


def test_a_frozen_embedder_survives_clone(X, y, embedder):
    model = SiteNetRegressor(**SMALL, max_epochs=1, pretrained=FrozenEstimator(embedder))
    copy = clone(clone(model))
    assert copy.pretrained.estimator is embedder
    assert_array_equal(copy.fit(X, y).predict(X), model.fit(X, y).predict(X))


# Where it is the first one with n_jobs=2 it waits for joblib's two processes, each of which imports torch and
# scikit-learn (six seconds): what users have, and so no faster kind of process here.
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_search_over_pretrained_or_not(X, y, embedder, n_jobs):
    model = SiteNetRegressor(**SMALL, max_epochs=1)
    search = GridSearchCV(model, {"pretrained": [None, FrozenEstimator(embedder)]}, cv=2, n_jobs=n_jobs)
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]
    alone = cross_val_score(clone(model).set_params(pretrained=FrozenEstimator(embedder)), X, y, cv=2)
    assert_allclose(scores[1], alone.mean(), rtol=1e-4)
    assert search.predict(X).shape == (40,)


def test_a_bare_embedder_works_in_a_plain_fit(X, y, embedder):
    bare = SiteNetRegressor(**SMALL, max_epochs=1, pretrained=embedder).fit(X, y)
    frozen = SiteNetRegressor(**SMALL, max_epochs=1, pretrained=FrozenEstimator(embedder)).fit(X, y)
    assert_array_equal(bare.predict(X), frozen.predict(X))


def test_an_embedder_emptied_by_clone_raises_an_error_that_names_FrozenEstimator(X, y, embedder):
    model = SiteNetRegressor(**SMALL, max_epochs=1, pretrained=embedder)
    with pytest.raises(ValueError, match=r"pass it as pretrained=FrozenEstimator\(\.\.\.\)"):
        cross_val_score(model, X, y, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"pass it as pretrained=FrozenEstimator\(\.\.\.\)"):
        clone(model).fit(X, y)
    with pytest.raises(ValueError, match="The 'pretrained' parameter of SiteNetRegressor must be"):
        SiteNetRegressor(pretrained="embedder").fit(X, y)
    with pytest.raises(TypeError, match="not StandardScaler"):
        SiteNetRegressor(pretrained=FrozenEstimator(StandardScaler())).fit(X, y)


LOAD = """
import sys
import joblib
import numpy as np
search, X, y, before, after = joblib.load(sys.argv[1])
np.testing.assert_allclose(search.predict(X), before, rtol=1e-5, atol=1e-6)
# Another fit starts from the pre-trained weights, which the file contains.
np.testing.assert_allclose(search.best_estimator_.fit(X, y[::-1]).predict(X), after, rtol=1e-5, atol=1e-6)
"""


def test_a_search_over_transfer_predicts_and_refits_in_a_fresh_process(X, y, embedder, tmp_path):
    model = SiteNetRegressor(**SMALL, max_epochs=1, pretrained=FrozenEstimator(embedder))
    search = GridSearchCV(model, {"freeze": ["local", "encoder"]}, cv=2).fit(X, y)
    before, after = search.predict(X), clone(search.best_estimator_).fit(X, y[::-1]).predict(X)
    assert not np.allclose(before, after)
    joblib.dump((search, X, y, before, after), tmp_path / "search.joblib")
    command = [sys.executable, "-W", "error", "-c", LOAD, str(tmp_path / "search.joblib")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


# -- pipelines ---------------------------------------------------------------------------------------------------------


def frozen_pipeline(embedder):
    steps = [("featurize", FrozenEstimator(SiteNetFeaturizer())), ("embed", FrozenEstimator(embedder))]
    head = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=30, alpha=1.0, random_state=0)
    return Pipeline([*steps, ("scale", StandardScaler()), ("regress", head)])


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_frozen_steps_in_cross_validation_on_structures(structures, X, y, embedder):
    pipe = frozen_pipeline(embedder)
    scores = cross_val_score(pipe, structures, y, cv=3)
    assert np.isfinite(scores).all()
    # What is frozen is not fitted: the same as working on its output.
    assert_allclose(scores, cross_val_score(pipe[2:], embedder.transform(X), y, cv=3), rtol=1e-3)
    parallel = cross_validate(pipe, structures, y, cv=3, n_jobs=2, return_estimator=True)
    assert_allclose(parallel["test_score"], scores, rtol=1e-3)
    assert all(isinstance(fitted["embed"].estimator, DeepInfoMaxEmbedder) for fitted in parallel["estimator"])


def test_a_whole_pipeline_is_fitted_in_each_fold(structures, y):
    pipe = make_pipeline(SiteNetFeaturizer(), DeepInfoMaxEmbedder(**SMALL, max_epochs=1), StandardScaler(), Ridge())
    predictions = cross_val_predict(pipe, structures, y, cv=KFold(3))
    train, test = next(KFold(3).split(structures))
    by_hand = clone(pipe).fit([structures[k] for k in train], y[train]).predict([structures[k] for k in test])
    assert_allclose(predictions[test], by_hand, rtol=1e-6)
    supervised = make_pipeline(SiteNetFeaturizer(), SiteNetRegressor(**SMALL, max_epochs=1))
    assert cross_val_predict(supervised, structures, y, cv=GroupKFold(3), groups=np.arange(40) % 5).shape == (40,)


def kinds_of_input(structures):
    array = np.empty(len(structures), dtype=object)
    array[:] = structures
    return {
        "list": list(structures),
        "tuple": tuple(structures),
        "array": array,
        "Series": pd.Series(list(structures), index=np.arange(len(structures)) + 100),
        "DataFrame": pd.DataFrame({"structure": list(structures)}),
        "dicts": [structure.as_dict() for structure in structures],
        "CIF": [structure.to(fmt="cif") for structure in structures],
    }


@pytest.mark.parametrize("kind", ["list", "tuple", "array", "Series", "DataFrame", "dicts", "CIF"])
def test_every_kind_of_input_gives_the_same_predictions(kind, structures, y, embedder):
    pipe = make_pipeline(SiteNetFeaturizer(), FrozenEstimator(embedder), Ridge())
    given = kinds_of_input(structures)[kind]
    expected = cross_val_predict(pipe, structures, y, cv=3)
    # A CIF rounds coordinates.
    assert_allclose(cross_val_predict(pipe, given, y, cv=3), expected, atol=1e-2 if kind == "CIF" else 1e-4)
    assert len(train_test_split(given, random_state=0)[0]) == 30


def test_row_order_does_not_change_predictions(structures, y, embedder):
    pipe = make_pipeline(SiteNetFeaturizer(), FrozenEstimator(embedder), Ridge())
    order = np.random.default_rng(0).permutation(40)
    shuffled = pipe.fit([structures[k] for k in order], y[order])
    assert_allclose(shuffled.predict(structures), clone(pipe).fit(structures, y).predict(structures), atol=1e-4)


def test_set_output_and_names(structures, y, embedder):
    pipe = make_pipeline(SiteNetFeaturizer(), DeepInfoMaxEmbedder(**SMALL, max_epochs=1), StandardScaler(), Ridge())
    pipe.set_output(transform="pandas").fit(structures, y)
    names = [*(f"global{k}" for k in range(4)), *(f"local_{what}{k}" for what in ("mean", "std") for k in range(4))]
    assert list(pipe[:-1].get_feature_names_out()) == names
    table = pipe[:-1].transform(structures)
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == names
    assert isinstance(pipe[:1].transform(structures), Crystals)
    for representation, n in (("global", 4), ("local", 8)):
        part = clone(embedder).set_params(representation=representation, max_epochs=0)
        part.set_output(transform="pandas")
        assert part.fit_transform(pipe[0].transform(structures)).shape == (40, n)


def test_set_output_of_the_whole_library(structures, X, embedder):
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(SiteNetFeaturizer().fit_transform(structures), Crystals)
        assert isinstance(embedder.transform(X), pd.DataFrame)


def test_a_union_with_another_transformer(X, y, embedder):
    union = FeatureUnion([("embed", FrozenEstimator(embedder)), ("sizes", Sizes())])
    pipe = make_pipeline(union, StandardScaler(), Ridge())
    assert np.isfinite(cross_val_score(pipe, X, y, cv=3)).all()
    pipe.fit(X, y)
    assert_array_equal(pipe[0].transform(X), np.hstack([embedder.transform(X), Sizes().transform(X)]))
    names = list(pipe[:-1].get_feature_names_out())
    assert names[0] == "embed__global0"
    assert names[-2:] == ["sizes__n_sites", "sizes__n_sites^2"]
    # set_output reaches the embedder inside, which other tests use too.
    assert deepcopy(pipe[0]).set_output(transform="pandas").transform(X).shape == (40, 14)


# -- searches without and with labels ----------------------------------------------------------------------------------


def test_search_over_embedders_needs_no_labels(X):
    search = GridSearchCV(DeepInfoMaxEmbedder(**SMALL, max_epochs=20), {"learning_rate_init": [1e-6, 1e-2]}, cv=2)
    search.fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_ == {"learning_rate_init": 1e-2}
    assert search.transform(X).shape == (40, 12)
    assert search.score(X) == search.best_estimator_.score(X)


def test_search_over_the_steps_of_a_pipeline(structures, y, embedder):
    pipe = Pipeline([("featurize", SiteNetFeaturizer()), ("embed", Sizes()), ("regress", Ridge())])
    grid = {"embed": [FrozenEstimator(embedder), Sizes()], "regress": [Ridge(0.1), Ridge(10)]}
    scores = GridSearchCV(pipe, grid, cv=2).fit(structures, y).cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert len(set(scores)) == 4, "each combination gives another model"
    nested = {"featurize__max_sites": [20, 30], "embed__representation": ["global", "both"]}
    pipe.set_params(embed=DeepInfoMaxEmbedder(**SMALL, max_epochs=0))
    assert np.isfinite(GridSearchCV(pipe, nested, cv=2).fit(structures, y).best_score_)


def test_memory_caches_the_steps_that_are_fitted(structures, y, embedder, tmp_path, monkeypatch):
    calls, transform = [], SiteNetFeaturizer.transform
    monkeypatch.setattr(SiteNetFeaturizer, "transform", lambda self, X: calls.append(len(X)) or transform(self, X))
    pipe = frozen_pipeline(embedder)[:2]
    pipe.steps.append(("regress", Ridge()))
    pipe.set_params(memory=joblib.Memory(tmp_path, verbose=0))
    first = cross_val_score(pipe, structures, y, cv=2)
    assert calls == [20] * 4
    # pymatgen stores values in structures when they are first used, which changes their hash: the second run may miss.
    cross_val_score(pipe, structures, y, cv=2)
    calls.clear()
    assert_array_equal(cross_val_score(pipe, structures, y, cv=2), first)
    assert calls == [20, 20], "test rows only: the training rows come from the cache"


def test_learning_curve_gives_the_scores_of_the_vectors(X, y, structures, embedder):
    model = SiteNetRegressor(**SMALL, max_epochs=1, pretrained=FrozenEstimator(embedder))
    sizes, _, scores = learning_curve(model, X, y, train_sizes=[5, 15], cv=2)
    assert list(sizes) == [5, 15]
    assert np.isfinite(scores).all()
    pipe = make_pipeline(SiteNetFeaturizer(), FrozenEstimator(embedder), Ridge())
    test_scores = learning_curve(pipe, structures, y, train_sizes=[5, 15], cv=2)[2]
    expected = learning_curve(Ridge(), embedder.transform(X), y, train_sizes=[5, 15], cv=2)[2]
    assert_allclose(test_scores, expected, rtol=1e-3)


def test_a_search_warns_of_fits_that_failed(X, y):
    model = SiteNetRegressor(**SMALL, max_epochs=1)
    failed = pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4")
    with failed, pytest.warns(UserWarning, match="One or more of the test scores are non-finite"):
        search = GridSearchCV(model, {"n_components": [4, -1]}, cv=2).fit(X, y)
    assert search.best_params_ == {"n_components": 4}


# -- weights -----------------------------------------------------------------------------------------------------------


def test_sample_weights_pass_through_a_pipeline(structures, X, y):
    weight = np.ones(40)
    weight[:10] = 0
    model = SiteNetRegressor(**SMALL, max_epochs=1)
    expected = clone(model).fit(X, y, sample_weight=weight).predict(X)
    pipe = Pipeline([("featurize", SiteNetFeaturizer()), ("regress", clone(model))])
    assert_array_equal(pipe.fit(structures, y, regress__sample_weight=weight).predict(structures), expected)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipe = Pipeline([("featurize", SiteNetFeaturizer()), ("regress", routed)])
        assert_array_equal(pipe.fit(structures, y, sample_weight=weight).predict(structures), expected)
        if parse_version(sklearn.__version__) >= parse_version("1.8"):  # before, none through a Pipeline's score
            scores = cross_validate(pipe, structures, y, cv=KFold(2), params={"sample_weight": weight})["test_score"]
            assert np.isfinite(scores).all()
