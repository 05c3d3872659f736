"""Compare estimators on crystals by the number of labels that they need.

- :func:`label_efficiency` fits each model on the same random draws of few labels and tests it on the same rows. An
  interrupted run can be resumed; :func:`read_results` reads the file of finished fits.
- :func:`summarize` and :func:`paired_difference` evaluate the results.
- :func:`make_arm` makes the models that docs and command line recommend, by name. (A compared model is called an arm,
  as in a clinical trial.) :func:`cross_validate_arms` compares models by cross-validation over formulas, where there is
  no test set.
- :func:`figure_s1` runs the comparison of the paper's figure S1.
- :func:`label_draws` returns only the draws, for searches and cross-validation in scikit-learn.
- :func:`formula_split` and :class:`FormulaKFold` put each reduced formula on the same side in every data set.
  :func:`formula_groups` labels crystals by formula, so that scikit-learn's splitters keep polymorphs together;
  :func:`duplicate_groups` labels near-duplicates.

:class:`skdim.plotting.LabelEfficiencyDisplay` plots the results.
"""

from .._similarity.duplicates import duplicate_groups
from ._arms import make_arm
from ._cross_validate_arms import cross_validate_arms
from ._figure_s1 import figure_s1
from ._formula_groups import formula_groups
from ._formula_split import FormulaKFold, formula_split
from ._label_draws import LabelDraw, label_draws
from ._label_efficiency import label_efficiency
from ._results_file import read_results
from ._summaries import paired_difference, summarize

__all__ = [
    "FormulaKFold",
    "LabelDraw",
    "cross_validate_arms",
    "duplicate_groups",
    "figure_s1",
    "formula_groups",
    "formula_split",
    "label_draws",
    "label_efficiency",
    "make_arm",
    "paired_difference",
    "read_results",
    "summarize",
]
