"""Deep InfoMax losses: pure functions of scores and distributions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .encoder import Gaussian


def jensen_shannon_true(scores: Tensor) -> Tensor:
    """softplus(-T): what the Jensen-Shannon estimator adds for a true pair (Hjelm et al. 2019, arXiv:1808.06670)."""
    return functional.softplus(-scores)


def jensen_shannon_false(scores: Tensor) -> Tensor:
    """softplus(T): what it adds for a false pair."""
    return functional.softplus(scores)


def info_nce(scores: Tensor, target: Tensor) -> Tensor:
    """Minus the log-probability of the true candidate among all (van den Oord et al. 2018, arXiv:1807.03748).

    Parameters
    ----------
    scores : Tensor of shape (n, n_candidates)
        Already divided by the temperature; -inf masks a candidate.
    target : Tensor of int64 of shape (n,)

    Returns
    -------
    Tensor of shape (n,)
    """
    return functional.cross_entropy(scores, target, reduction="none")


def _with_spread(distribution):
    if distribution.log_var is None:
        raise ValueError("a Kullback-Leibler term needs vectors with a spread: give the encoder spread=True")
    return distribution


def kl_gaussian(distribution: Gaussian) -> Tensor:
    """Kullback-Leibler divergence from the unit normal, mean over components: (mu^2 + var - 1 - log var) / 2."""
    mean, log_var = _with_spread(distribution)
    return 0.5 * (mean.square() + torch.exp(log_var) - 1 - log_var).mean(dim=-1)


def kl_reference(distribution: Gaussian) -> Tensor:
    """The form of the reference implementation, mean over components: mu^2 / 2 + var - log var.

    Its smallest value is 1, not 0, and it pulls the variance half as hard again relative to the mean.
    """
    mean, log_var = _with_spread(distribution)
    return (0.5 * mean.square() + torch.exp(log_var) - log_var).mean(dim=-1)


KL_FORMS = {"gaussian": kl_gaussian, "reference": kl_reference}
