"""Split a model into what learns nothing from the labelled rows, and the rest."""

from __future__ import annotations

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.utils import get_tags

from ..._heads.few_labels import FewLabelsRegressor
from .rows_with_features import AddFeatures, Part


def split_steps(estimator):
    """Split an estimator into leading steps that learn nothing, and the rest.

    The ``features`` of a :class:`~skdim.FewLabelsRegressor` are such a step if they learn nothing. The rest then reads
    its table from :class:`RowsWithFeatures`, and its networks the rows.

    Returns
    -------
    steps : list of transformers
    rest : estimator
        To fit to the rows after these steps.
    """
    if isinstance(estimator, FewLabelsRegressor):
        return _split_features(estimator)
    if not isinstance(estimator, Pipeline):
        return [], estimator
    first = 0
    while first < len(estimator.steps) - 1 and learns_nothing(estimator.steps[first][1]):
        first += 1
    steps, rest = [step for _, step in estimator.steps[:first]], estimator[first:]
    if len(rest.steps) == 1:
        inner_steps, inner = split_steps(rest[0])
        if inner_steps:
            return steps + inner_steps, inner
    return steps, rest


def _split_features(regressor):
    if regressor.features is None or not learns_nothing(regressor.features):
        return [], regressor
    networks = [(name, make_pipeline(Part("rows"), network)) for name, network in regressor.networks]
    rest = clone(regressor).set_params(features=Part("features"), networks=networks)
    return [AddFeatures(regressor.features)], rest


def learns_nothing(step):
    """Whether fitting a step to the labelled rows does not change it."""
    if step in (None, "passthrough", "drop") or isinstance(step, FrozenEstimator):
        return True
    if isinstance(step, FeatureUnion):
        return all(learns_nothing(part) for _, part in step.transformer_list)
    if isinstance(step, Pipeline):
        return all(learns_nothing(part) for _, part in step.steps)
    return not get_tags(step).requires_fit
