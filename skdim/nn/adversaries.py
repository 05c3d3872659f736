"""Adversarial regularizers: networks trained against the encoder, by the same optimizer.

A loss is minimized by the adversary's weights and maximized by the encoder's (gradient reversal, Ganin and Lempitsky
2015, arXiv:1409.7495).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .batch import Batch
from .layers import dense_stack

#: Largest atomic number plus one.
_N_ELEMENTS = 104


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -grad


def reverse_gradient(x: Tensor) -> Tensor:
    """x, whose gradient is passed on with the opposite sign."""
    return _Reversal.apply(x)


class PriorAdversary(nn.Module):
    """A discriminator between vectors and samples of the uniform distribution on (0, 1), per component.

    What the encoder learns from it is to distribute its vectors like the samples (Makhzani et al. 2015,
    arXiv:1511.05644).
    """

    def __init__(self, width: int, hidden: int = 64):
        super().__init__()
        self.logit = dense_stack(width, (hidden, hidden), 1)

    def forward(self, vectors: Tensor, samples: Tensor) -> Tensor:
        """Cross-entropy of the discriminator for each vector and its sample, (n,)."""
        false, true = self.logit(reverse_gradient(vectors)), self.logit(samples)
        return (functional.softplus(false) + functional.softplus(-true))[:, 0]


class CompositionAdversary(nn.Module):
    """A decoder of the element fractions of a crystal from its vector.

    What the encoder learns from it is to leave the composition out of the vector.
    """

    def __init__(self, width: int, hidden: int = 64):
        super().__init__()
        self.logits = dense_stack(width, (hidden,), _N_ELEMENTS)

    def forward(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Cross-entropy of the decoded fractions of each crystal, (K,)."""
        fractions = torch.zeros(len(batch), _N_ELEMENTS, dtype=vectors.dtype, device=vectors.device)
        fractions.index_put_((batch.crystal, batch.numbers), batch.site_share.to(vectors.dtype), accumulate=True)
        return -(fractions * functional.log_softmax(self.logits(reverse_gradient(vectors)), dim=1)).sum(dim=1)
