"""How estimators on crystals are compared: by the labels that they need.

- :func:`label_efficiency` trains each arm on the same random draws of few labels, and tests it on the same rows. It can
  be killed and taken up again; :func:`read_results` reads the file of its fits.
- :func:`summarize` and :func:`paired_difference` say what came of it.
- :func:`make_arm` makes the arms that docs and command line recommend, by name; :func:`cross_validate_arms` tests arms,
  fold by fold, on formulas that they were not trained on, when there is no test set.
- :func:`label_draws` makes the draws alone, for a search or a cross-validation of scikit-learn.
- :func:`formula_split` and :class:`FormulaKFold` put each reduced formula on the same side in every data set, and
  :func:`formula_groups` labels crystals by it, so that a splitter of scikit-learn keeps polymorphs together.

:class:`skdim.plotting.LabelEfficiencyDisplay` draws the result.
"""

from ._arms import make_arm
from ._cross_validate_arms import cross_validate_arms
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
    "formula_groups",
    "formula_split",
    "label_draws",
    "label_efficiency",
    "make_arm",
    "paired_difference",
    "read_results",
    "summarize",
]
