"""Score networks: how well a local vector and a neighbour, or a crystal's vector and a local vector, fit together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import operations
from .batch import Batch
from .layers import InputScale, Linear, dense_stack
from .operations.plain import ACTIVATIONS


class NeighbourScore(nn.Module):
    """Score network of the local block: <f(z), h(x_j, d_ij)>; f and h have a hidden layer and a wide linear layer.

    The wide layer W of h is applied to the query of a site, <u, W h + b> = <W' u, h> + <u, b>, and its hidden layer is
    the sum of a term of the neighbour's class and one of the distance, so that nothing wide is computed for a pair.

    Parameters
    ----------
    local_dim, n_site_inputs : int
    input_scale : InputScale
        Of the encoder.
    hidden, width : int
    activation : {"mish", "relu"}
    norm : bool
        Whether layer normalization follows the hidden layers.
    """

    def __init__(
        self,
        local_dim,
        n_site_inputs,
        input_scale: InputScale,
        hidden=64,
        width=128,
        activation="mish",
        norm=True,
    ):
        super().__init__()
        self.activation = activation
        self.normalized = norm
        self.query = dense_stack(local_dim, (hidden,), width, activation=activation, norm=norm)
        self.site = Linear(n_site_inputs, hidden)
        self.distance = nn.Linear(1, hidden, bias=False)
        self.key = Linear(hidden, width)
        self.input_scale = input_scale

    def queries(self, local: Tensor) -> Tensor:
        """f(z), (C, width)."""
        return self.query(local)

    def of_rows(self, batch: Batch, *queries: Tensor, site_inputs: Tensor | None = None) -> Tensor:
        """Scores (n, P) of each pair with n queries (C, width) of its row.

        ``site_inputs`` are those that neighbours index, by default the batch's.
        """
        rows = torch.cat(queries)
        folded = operations.linear(rows, self.key.weight.T).view(len(queries), -1, self.key.in_features)
        offset = (rows @ self.key.bias).view(len(queries), -1)
        near = self._site_terms(batch.site_inputs if site_inputs is None else site_inputs)
        options = self.activation, self.normalized
        scores = operations.pair_scores(near, self.distance.weight[:, 0], folded, batch, *options)
        return scores + offset.index_select(1, batch.row)

    def keys(self, site_inputs: Tensor, neighbour: Tensor, distance: Tensor) -> Tensor:
        """h of neighbours at these distances, (n, width)."""
        near = self._site_terms(site_inputs).index_select(0, neighbour)
        hidden = near.addcmul_(distance[:, None], self.distance.weight.T)
        if self.normalized:
            return self.key(operations.normalize(hidden, self.activation))
        return self.key(ACTIVATIONS[self.activation](hidden))

    def _site_terms(self, site_inputs):
        return self.site(self.input_scale(site_inputs))


class CrystalScore(nn.Module):
    """Score network of the global block: <f(g), h(z)>."""

    def __init__(self, n_components, local_dim, hidden=64, width=128, norm=True):
        super().__init__()
        self.crystal = dense_stack(n_components, (hidden,), width, norm=norm)
        self.site = dense_stack(local_dim, (hidden,), width, norm=norm)
