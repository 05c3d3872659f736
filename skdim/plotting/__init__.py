"""Displays of results, following scikit-learn's conventions. Requires ``pip install 'skdim-crystals[plot]'``.

To plot predictions against labels, use scikit-learn's :class:`~sklearn.metrics.PredictionErrorDisplay`:

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
from ._calibration import CalibrationDisplay
from ._embedding import EmbeddingDisplay
from ._figure_s1 import FigureS1Display
from ._history import PretrainingHistoryDisplay
from ._label_efficiency import LabelEfficiencyDisplay
from ._site_contributions import SiteContributionDisplay

__all__ = [
    "AttentionDistanceDisplay",
    "CalibrationDisplay",
    "EmbeddingDisplay",
    "FigureS1Display",
    "LabelEfficiencyDisplay",
    "PretrainingHistoryDisplay",
    "SiteContributionDisplay",
]
