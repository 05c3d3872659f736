"""Losses: pure functions of scores, distributions and targets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .encoder import Gaussian


def jensen_shannon_positive(scores: Tensor) -> Tensor:
    """softplus(-T): the Jensen-Shannon estimator's term of a positive pair (Hjelm et al. 2019, arXiv:1808.06670)."""
    return functional.softplus(-scores)


def jensen_shannon_negative(scores: Tensor) -> Tensor:
    """softplus(T): its term of a negative pair."""
    return functional.softplus(scores)


def info_nce(scores: Tensor, target: Tensor) -> Tensor:
    """Minus the log-probability of the positive candidate among all (van den Oord et al. 2018, arXiv:1807.03748).

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
        raise ValueError("a Kullback-Leibler term needs log-variances: create the encoder with spread=True")
    return distribution


def kl_gaussian(distribution: Gaussian) -> Tensor:
    """Kullback-Leibler divergence from the unit normal, mean over components: (mu^2 + var - 1 - log var) / 2."""
    mean, log_var = _with_spread(distribution)
    return 0.5 * (mean.square() + torch.exp(log_var) - 1 - log_var).mean(dim=-1)


def kl_reference(distribution: Gaussian) -> Tensor:
    """The form of the reference implementation, mean over components: mu^2 / 2 + var - log var.

    Its minimum is 1, not 0, and relative to the mean it regularizes the variance twice as strongly.
    """
    mean, log_var = _with_spread(distribution)
    return (0.5 * mean.square() + torch.exp(log_var) - log_var).mean(dim=-1)


def loss_of_known(loss: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, target: Tensor) -> Tensor:
    """Elementwise loss of predictions, 0 where the target is NaN, which stands for unknown."""
    known = torch.isfinite(target)
    # NaN must not reach the loss: a product with 0 would leave its gradient NaN.
    return torch.where(known, loss(prediction, torch.where(known, target, 0.0)), 0.0)


KL_FORMS = {"gaussian": kl_gaussian, "reference": kl_reference}
