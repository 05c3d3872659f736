"""Displays of results, in scikit-learn's conventions; they need matplotlib (``pip install 'skdim-crystals[plot]'``).

Predictions against labels are scikit-learn's own :class:`~sklearn.metrics.PredictionErrorDisplay`, which takes a
:class:`skdim.SiteNetRegressor`, or a Pipeline that ends in a regressor, as it takes any other:

>>> from sklearn.metrics import PredictionErrorDisplay
>>> from skdim import SiteNetFeaturizer, SiteNetRegressor
>>> from skdim.datasets import make_crystals
>>> structures, y = make_crystals(40, random_state=0)
>>> X = SiteNetFeaturizer().fit_transform(structures)
>>> model = SiteNetRegressor(max_epochs=2, random_state=0).fit(X[:30], y[:30])
>>> display = PredictionErrorDisplay.from_estimator(model, X[30:], y[30:], kind="actual_vs_predicted")
>>> len(display.y_pred)
10
"""

from ._attention import AttentionDistanceDisplay
from ._embedding import EmbeddingDisplay
from ._history import PretrainingHistoryDisplay
from ._label_efficiency import LabelEfficiencyDisplay

__all__ = ["AttentionDistanceDisplay", "EmbeddingDisplay", "LabelEfficiencyDisplay", "PretrainingHistoryDisplay"]
