"""scikit-learn's estimator checks on all estimators.

``check_estimator`` skips nearly all checks if the tags of an estimator exclude numeric tables. Therefore each estimator
has a subclass here that converts each row of a numeric table into a crystal; all of scikit-learn's checks run on it. A
subclass, unlike a wrapper, has the parameters, attributes, clones and pickles of the estimator itself.
"""

import inspect
import re
from functools import lru_cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pymatgen.core import Lattice, Structure
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.utils import estimator_checks, estimator_html_repr, get_tags
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator, parametrize_with_checks
from sklearn.utils.validation import validate_data

from skdim import (
    ApplicabilityDomain,
    CompositionStatistics,
    Crystals,
    DeepInfoMaxEmbedder,
    DensityStatistics,
    NearestCrystals,
    OxidationStatistics,
    SiteNetClassifier,
    SiteNetFeaturizer,
    SiteNetRegressor,
    StructureStatistics,
)

NARROW = {
    "site_width": 4,
    "pair_width": 4,
    "attention_hidden": 4,
    "value_hidden": 4,
    "pre_pool": (4,),
    "post_pool": (4,),
}
TINY = {"n_components": 3, "local_dim": 2, "encoder_params": NARROW, "max_epochs": 2, "device": "cpu"}


CATIONS = ["Li", "Na", "Mg", "K", "Ca", "Fe", "Zn", "Ag", "Ba", "La"]
ANIONS = ["H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "I"]


# -- rows of numbers as crystals ---------------------------------------------------------------------------------------


def crystal_of(row):
    """A triclinic crystal AB; mixtures of the row's numbers set its elements, cell and second site."""
    place = np.arange(1, len(row) + 1)
    mixed = [np.cos(k * place) @ row / np.sqrt(len(row)) for k in range(1, 10)]
    share = 0.5 + np.arctan(mixed) / np.pi  # from 0 to 1, however large the numbers
    lattice = Lattice.from_parameters(*(4 + 2 * share[:3]), *(80 + 20 * share[3:6]))
    elements = [CATIONS[int(share[7] * len(CATIONS))], ANIONS[int(share[8] * len(ANIONS))]]
    return Structure(lattice, elements, [[0, 0, 0], [0.35 + 0.3 * share[6], 0.5, 0.5]])


@lru_cache(maxsize=4096)
def featurized(row):
    return SiteNetFeaturizer(supercell="primitive").transform([crystal_of(np.frombuffer(row))])


class OnRows(BaseEstimator):
    """Validates tables as scikit-learn's estimators do, and sets n_features_in_ and feature_names_in_."""

    def structures(self, X, **options):
        return [crystal_of(row) for row in validate_data(self, X, dtype=np.float64, **options)]

    def crystals(self, X, **options):
        rows = validate_data(self, X, dtype=np.float64, **options)
        return Crystals.concatenate([featurized(row.tobytes()) for row in rows])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.string = tags.input_tags.dict = tags.input_tags.allow_nan = False
        return tags

    def get_feature_names_out(self, input_features=None):
        if input_features is not None and len(input_features) != self.n_features_in_:
            raise ValueError("input_features should have length equal to number of features")
        return super().get_feature_names_out(input_features)


class RowsFeaturizer(OnRows, SiteNetFeaturizer):
    def fit(self, X, y=None):
        return super().fit(self.structures(X), y)

    def transform(self, X):
        """One column, as get_feature_names_out has one name."""
        X = super().transform(self.structures(X, reset=False))
        pairs = X.pair_offsets[X.class_offsets]
        return np.add.reduceat(X.distance * X.count, pairs[:-1])[:, None]


class RowsEmbedder(OnRows, DeepInfoMaxEmbedder):
    def fit(self, X, y=None):
        return super().fit(self.crystals(X), y)

    def transform(self, X):
        return super().transform(self.crystals(X, reset=False))

    def score(self, X, y=None):
        return super().score(self.crystals(X, reset=False), y)


class RowsComposition(OnRows, CompositionStatistics):
    def fit(self, X, y=None):
        return super().fit(self.crystals(X), y)

    def transform(self, X):
        return super().transform(self.crystals(X, reset=False))


class RowsOxidation(OnRows, OxidationStatistics):
    def fit(self, X, y=None):
        return super().fit(self.crystals(X), y)

    def transform(self, X):
        return super().transform(self.crystals(X, reset=False))


class RowsDensity(OnRows, DensityStatistics):
    def fit(self, X, y=None):
        return super().fit(self.crystals(X), y)

    def transform(self, X):
        return super().transform(self.crystals(X, reset=False))


class RowsStructure(OnRows, StructureStatistics):
    def fit(self, X, y=None):
        return super().fit(self.crystals(X), y)

    def transform(self, X):
        return super().transform(self.crystals(X, reset=False))


class RowsNearest(OnRows, NearestCrystals):
    def fit(self, X, y=None):
        return super().fit(self.crystals(X), y)


class RowsDomain(OnRows, ApplicabilityDomain):
    def fit(self, X, y=None):
        return super().fit(self.crystals(X), y)

    def transform(self, X):
        """The scores as one column, as crystals are no array."""
        return self.score_samples(X)[:, None]

    def score_samples(self, X):
        return super().score_samples(self.crystals(X, reset=False))

    def get_feature_names_out(self, input_features=None):
        return np.array(["score"], dtype=object)


class RowsRegressor(OnRows, SiteNetRegressor):
    def fit(self, X, y, sample_weight=None):
        return super().fit(self.crystals(X), y, sample_weight)

    def predict(self, X):
        return super().predict(self.crystals(X, reset=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # of two epochs with four units
        return tags


class RowsClassifier(OnRows, SiteNetClassifier):
    def fit(self, X, y, sample_weight=None):
        return super().fit(self.crystals(X), y, sample_weight)

    def _outputs(self, X):
        return super()._outputs(self.crystals(X, reset=False))

    def predict(self, X):
        outputs = self._outputs(X)
        return self.classes_[outputs.argmax(axis=1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # of two epochs with four units
        return tags


# -- scikit-learn's checks ---------------------------------------------------------------------------------------------

SINGLE_PRECISION = (
    "requires 7 digits; the networks compute in single precision, where the last bit of a product depends on the "
    "position of its row in the batch. test_rows_do_not_depend_on_the_other_rows has a tolerance for single precision"
)
EXPECTED_FAILURES = {
    RowsEmbedder: {"check_methods_sample_order_invariance": SINGLE_PRECISION},
    RowsRegressor: {
        "check_methods_sample_order_invariance": SINGLE_PRECISION,
        "check_methods_subset_invariance": SINGLE_PRECISION,
        "check_sample_weight_equivalence_on_dense_data": (
            "requires 7 digits; sums over repeated rows and over weighted rows round differently in single precision. "
            "test_weights_equal_repeated_rows has a tolerance for single precision"
        ),
    },
}
EXPECTED_FAILURES[RowsClassifier] = EXPECTED_FAILURES[RowsRegressor]
NOVELTY = "requires outliers in the training set; no training crystal is far from itself"
EXPECTED_FAILURES[RowsDomain] = dict.fromkeys(["check_outliers_fit_predict", "check_outliers_train"], NOVELTY)
NETWORKS = [RowsEmbedder(**TINY), RowsRegressor(**TINY), RowsClassifier(**TINY)]


#: Estimators without a network of their own.
SIMPLE = [
    RowsFeaturizer(),
    RowsComposition(),
    RowsDensity(),
    RowsOxidation(),
    RowsStructure(),
    RowsNearest(embedder=StructureStatistics()),
    RowsDomain(),
]


@parametrize_with_checks(
    [*SIMPLE, *NETWORKS],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator), {}),
)
def test_every_check_of_sklearn(estimator, check):
    check(estimator)


def test_tags_do_not_disable_checks():
    """The tags of the subclasses must not disable checks, as those of the estimators do."""
    for simple in SIMPLE:
        assert len(list(estimator_checks_generator(simple))) >= (30 if isinstance(simple, RowsNearest) else 40)
    for kind, least in ((RowsEmbedder, 40), (RowsRegressor, 50), (RowsClassifier, 50)):
        assert len(list(estimator_checks_generator(kind(**TINY)))) >= least
    for names in EXPECTED_FAILURES.values():
        assert all(hasattr(estimator_checks, name) for name in names)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    return X, X @ [1.0, -2.0, 0.5]


@pytest.mark.parametrize("estimator", [RowsEmbedder(**TINY, random_state=0), RowsRegressor(**TINY, random_state=0)])
def test_rows_do_not_depend_on_the_other_rows(estimator, table):
    X, y = table
    estimator = clone(estimator).fit(X, y)
    compute = getattr(estimator, "predict", None) or estimator.transform
    together = compute(X)
    order = np.random.default_rng(1).permutation(len(X))
    spread = together.std(axis=0).max()
    assert_allclose(compute(X[order]), together[order], rtol=1e-6, atol=1e-3 * spread)
    assert_allclose(np.concatenate([compute(X[[k]]) for k in range(len(X))]), together, rtol=1e-6, atol=1e-3 * spread)


def test_weights_equal_repeated_rows(table):
    """In one batch, so that batches do not depend on the order and number of rows."""
    X, y = table
    weight = np.random.default_rng(2).integers(0, 4, size=len(X))
    model = RowsRegressor(**{**TINY, "max_epochs": 10}, batch_sites=10_000, learning_rate_init=1e-2, random_state=0)
    weighted = clone(model).fit(X, y, sample_weight=weight).predict(X)
    repeated = clone(model).fit(X.repeat(weight, axis=0), y.repeat(weight)).predict(X)
    unweighted = clone(model).fit(X, y).predict(X)
    assert_allclose(weighted, repeated, atol=1e-2 * weighted.std())
    assert np.abs(weighted - unweighted).max() > weighted.std()


# -- the estimators themselves -----------------------------------------------------------------------------------------

ESTIMATORS = [
    SiteNetFeaturizer,
    CompositionStatistics,
    DensityStatistics,
    OxidationStatistics,
    StructureStatistics,
    DeepInfoMaxEmbedder,
    SiteNetRegressor,
    SiteNetClassifier,
    NearestCrystals,
    ApplicabilityDomain,
]


@pytest.fixture(params=ESTIMATORS)
def estimator(request):
    return request.param()


@pytest.mark.filterwarnings("ignore:Can't test estimator:sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:Skipping check:sklearn.exceptions.SkipTestWarning")  # of other array types
def test_check_estimator(estimator):
    results = check_estimator(estimator, on_fail=None)
    assert not [result["check_name"] for result in results if result["status"] == "failed"]


def assert_conventions(estimator):
    """Those of scikit-learn's checks that need no table."""
    for check in (
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_mixin_order,
    ):
        check(type(estimator).__name__, estimator)


def test_checks_that_need_no_table(estimator):
    assert_conventions(estimator)


@pytest.mark.parametrize("estimator", [*SIMPLE, *NETWORKS], ids=lambda estimator: type(estimator).__name__)
def test_every_parameter_is_validated(estimator):
    estimator_checks.check_param_validation(type(estimator).__name__, estimator)


def test_clone_keeps_every_parameter(estimator):
    every = {
        "max_sites": 7,
        "n_components": 7,
        "device": "cpu",
        "site_features": ["row"],
        "verbose": 1,
        "n_jobs": 2,
        "quantile": 0.5,
    }
    changed = {name: value for name, value in every.items() if name in estimator.get_params()}
    estimator.set_params(**changed)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert {name: copy.get_params()[name] for name in changed} == changed
    assert not [name for name in vars(copy) if name.endswith("_")]


def test_parameters_are_keyword_only_and_documented(estimator):
    parameters = list(inspect.signature(type(estimator)).parameters.values())
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
    text = inspect.cleandoc(estimator.__doc__)
    listed = text.split("Parameters\n")[1].split("Attributes\n")[0].split("See Also\n")[0]
    heads = re.findall(r"^(\w+(?:, \w+)*)(?: :|$)", listed, flags=re.MULTILINE)
    assert [name for head in heads for name in head.split(", ")] == [p.name for p in parameters]


def test_repr_and_html_repr(estimator):
    name = type(estimator).__name__
    assert repr(estimator) == f"{name}()"
    parameter = next(
        p for p in ("verbose", "site_features", "n_jobs", "quantile", "columns") if p in estimator.get_params()
    )
    value = {"site_features": ["row"], "quantile": 0.5, "columns": ["log_mass_density"]}.get(parameter, 2)
    assert f"{parameter}={value!r}" in repr(estimator.set_params(**{parameter: value}))
    assert name in estimator_html_repr(estimator)


def test_tags():
    featurizer, composition, density, oxidation, structure, embedder, regressor, classifier, nearest, domain = every = [
        get_tags(kind()) for kind in ESTIMATORS
    ]
    assert [tags.input_tags.two_d_array for tags in every] == [False] * 8 + [True, False]
    assert nearest.input_tags.allow_nan
    assert domain.estimator_type == "outlier_detector"
    for tags in (featurizer, composition, density, oxidation, structure):
        assert tags.transformer_tags.preserves_dtype == []
        assert not tags.requires_fit
    assert embedder.requires_fit
    assert not embedder.target_tags.required
    assert is_regressor(SiteNetRegressor())
    assert regressor.target_tags.required
    assert regressor.target_tags.multi_output
    assert not regressor.regressor_tags.poor_score
    assert is_classifier(SiteNetClassifier())
    assert classifier.target_tags.required
    assert not classifier.target_tags.multi_output
    assert classifier.classifier_tags.multi_class
    assert not classifier.classifier_tags.poor_score


@pytest.mark.parametrize("kind", [DeepInfoMaxEmbedder, SiteNetRegressor, SiteNetClassifier])
def test_fit_refuses_anything_but_crystals(kind, table):
    X, y = table
    for wrong in (X, [crystal_of(row) for row in X], None):
        with pytest.raises(TypeError, match="add a SiteNetFeaturizer before it"):
            kind(max_epochs=0).fit(wrong, y)
