"""Measures of predicted standard deviations: are the intervals as wide as they should be?

- :func:`calibration_scores`: coverage of intervals, miscalibration area and negative log-likelihood.
- :func:`interval_coverage`: fraction of the labels in the central intervals of each level.

:class:`skdim.plotting.CalibrationDisplay` plots the coverage against the level.
"""

from ._calibration import calibration_scores, interval_coverage

__all__ = ["calibration_scores", "interval_coverage"]
