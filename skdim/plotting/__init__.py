"""Displays of results, in scikit-learn's conventions; they need matplotlib (``pip install 'skdim-crystals[plot]'``)."""

from ._embedding import EmbeddingDisplay
from ._label_efficiency import LabelEfficiencyDisplay

__all__ = ["EmbeddingDisplay", "LabelEfficiencyDisplay"]
