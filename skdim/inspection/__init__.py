"""Why a model predicts what it predicts: contributions of sites, and the nearest labelled crystals."""

from ._nearest_labelled import nearest_labelled
from ._site_contributions import site_contributions

__all__ = ["nearest_labelled", "site_contributions"]
