"""Self-supervised learning on crystal structures, as scikit-learn estimators."""

from ._version import __version__
