"""One round of attention of each site over its neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import operations
from .batch import Batch
from .layers import BondLinear, Dense, Gain, Linear
from .operations.functional import segment_softmax, segment_sum


class PairTerm(NamedTuple):
    """Contribution of pairs to a bond layer: ``rows`` (U, hidden), and ``which`` (P,), the row of each pair."""

    rows: Tensor
    which: Tensor


class AttentionBlock(nn.Module):
    """Attention of each site over its neighbours (figure S2 of the paper).

    From the bond vectors b_ij = [x_i, x_j, e_ij], the network g^W gives a logit per head; softmax over j makes
    weights w_ij. The network g^A gives values a_ij. Their weighted sums over j, all heads side by side, pass through
    g^S and are the new x_i. The network g^I gives the pairs e_ij of the next block. The first layers of g^W, g^A and
    g^I are one bond layer.

    Parameters
    ----------
    site_width, pair_width : int
        Widths of x_i and e_ij, all heads together.
    n_heads, attention_hidden, value_hidden : int
    last : bool
        Whether no block follows, so that g^I is not needed.
    value_network : {"linear", "dense", "single"}
        Layers of g^A. "linear": a hidden layer and a linear layer, which is applied after the sum; "dense": a hidden
        layer and a layer with activation and normalization; "single": one layer with activation and normalization.
    shared_values : bool
        Whether all heads have the same values. Otherwise each has its share of the outputs of g^A. The components of
        shared values are interleaved: component v of head k is component v * n_heads + k of the sum.
    site_network : bool
        Whether there is a g^S. Otherwise the weighted sums are the new x_i.
    activation : {"mish", "relu"}
    gains : bool
        Whether layer normalizations have gains and offsets.
    idle_weights : bool
        Whether there are weights that change no result: biases of the logits, and g^I of the last block.
    """

    def __init__(
        self,
        site_width,
        pair_width,
        n_heads,
        attention_hidden,
        value_hidden,
        last,
        *,
        value_network="linear",
        shared_values=False,
        site_network=True,
        activation="mish",
        gains=False,
        idle_weights=False,
    ):
        super().__init__()
        self.n_heads = n_heads
        self.value_network = value_network
        self.shared_values = shared_values
        self.activation = activation
        value_width = site_width // n_heads if shared_values else site_width
        first_width = value_width if value_network == "single" else value_hidden
        self.widths = (attention_hidden, first_width)
        self.has_pairs = not last
        pairs = pair_width if idle_weights or not last else 0
        self.bond = BondLinear(site_width, pair_width, sum(self.widths) + pairs)
        self.logit = nn.Linear(attention_hidden, n_heads, bias=idle_weights)
        self.value: Any = None
        if value_network == "linear":
            self.value = Linear(value_hidden, value_width)
        elif value_network == "dense":
            self.value = Dense(value_hidden, value_width, activation, gains=gains)
        self.site = Dense(site_width, site_width, activation, gains=gains) if site_network else None
        self.logit_norm = Gain(attention_hidden) if gains else None
        self.value_norm = Gain(first_width) if gains else None
        self.pair_norm = Gain(pair_width) if gains and pairs else None

    def site_terms(self, sites: Tensor) -> tuple[Tensor, Tensor]:
        """Contributions of sites (C, width) to the bond layer, as centres and as neighbours, (C, hidden) each."""
        return self.bond.centre(sites), self.bond.neighbour(sites)

    def forward(self, site_terms: tuple[Tensor, Tensor], pair_term: PairTerm, batch: Batch, log_count: Tensor):
        """New sites (C, width), new pairs (P, width) or None, and the attention weights (P, H).

        The weight of a distinct pair is the sum over the ``count`` equal columns that it stands for.
        """
        which, activation = pair_term.which, self.activation
        first, end = self.widths[0], sum(self.widths)
        centre, near, far = *site_terms, pair_term.rows

        def terms(columns) -> tuple[Tensor, Tensor, Tensor]:
            return centre[:, columns], near[:, columns], far[:, columns]

        def hidden_layer(columns):
            return operations.pair_hidden(*terms(columns), which, batch, activation)

        logit_weight = self.logit.weight
        if self.logit_norm is not None:
            logit_weight = logit_weight * self.logit_norm.weight  # its offset is the same for all columns of a row
        if self.value_network == "dense":
            logits = functional.linear(hidden_layer(slice(first)), logit_weight)
            attention = segment_softmax(logits + log_count[:, None], batch.row, len(batch.numbers))
            hidden = hidden_layer(slice(first, end))
            values = self.value(hidden if self.value_norm is None else self.value_norm(hidden))
            heads = values.chunk(self.n_heads, dim=1) if not self.shared_values else [values] * self.n_heads
            sums = [
                segment_sum(head, weight, batch.pair_offsets, batch.row)
                for head, weight in zip(heads, attention.unbind(dim=1), strict=True)
            ]
            sites = self._join(sums)
        else:
            # A slice of all columns would cost its gradient a copy.
            used = (centre, near, far) if end == centre.shape[1] else terms(slice(end))
            summed, attention = operations.attend(*used, which, logit_weight, batch, log_count, activation)
            sites = self._new_sites(summed if self.value_norm is None else self.value_norm(summed))
        new_pairs = None
        if self.has_pairs:
            new_pairs = hidden_layer(slice(end, None))
            new_pairs = new_pairs if self.pair_norm is None else self.pair_norm(new_pairs)
        return sites, new_pairs, attention

    def _new_sites(self, summed):
        """New sites from the weighted sums of the first layer of g^A (H, C, hidden)."""
        # The weights of a row sum to 1, so a last layer of g^A that is linear can follow the sum.
        if (
            self.value_network == "linear"
            and self.n_heads == 1
            and self.site is not None
            and self.site.is_one_operation
        ):
            layers = [p for layer in (self.value, self.site.linear) for p in (layer.weight, layer.bias)]
            return operations.dense(summed[0], layers, (False, True), self.activation)
        return self._join(self._heads(summed))

    def _heads(self, summed):
        """The weighted sums of the values of each head."""
        if self.value_network == "single":
            if self.shared_values:
                return list(summed)
            return [one.chunk(self.n_heads, dim=1)[head] for head, one in enumerate(summed)]
        if self.shared_values or self.n_heads == 1:
            return [self.value(one) for one in summed]
        shares = zip(self.value.weight.chunk(self.n_heads), self.value.bias.chunk(self.n_heads), summed, strict=True)
        return [operations.linear(one, weight, bias) for weight, bias, one in shares]

    def _join(self, heads):
        """New sites from the weighted sums of the values of each head."""
        if len(heads) == 1:
            sites = heads[0]
        else:
            sites = torch.stack(heads, dim=2).flatten(1) if self.shared_values else torch.cat(heads, dim=1)
        return sites if self.site is None else self.site(sites)
