"""Deep InfoMax: two blocks of score networks that train the encoder without labels.

The local block asks whether a local vector and a neighbour (its raw features and distance) belong together, the global
block whether a crystal's vector and a local vector do. The global block sees local vectors without gradient, so the two
train disjoint weights, and one optimiser serves both.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import negatives as draw
from . import operations
from .batch import Batch
from .choices import NEGATIVES
from .descriptors import Descriptors
from .encoder import Gaussian, SiteNetEncoder
from .layers import dense_stack
from .losses import KL_FORMS, info_nce, jensen_shannon_false, jensen_shannon_true
from .operations.functional import segment_total
from .shared_batch import Whole

#: Neighbours of one element whose distances differ by less, in angstrom, are the same thing: no false partners.
_SAME_DISTANCE = 0.05


class NeighbourScore(nn.Module):
    """Score network of the local block: <f(z), h(x_j, d_ij)>, with h a hidden layer and a wide linear layer.

    The wide layer W acts on the site's side once, <u, W h + b> = <W' u, h> + <u, b>, and its hidden layer splits into a
    term of the neighbour's class and one of the distance, so that nothing wide is made for a pair.
    """

    def __init__(self, local_dim, n_site_inputs, hidden=64, width=128):
        super().__init__()
        self.query = dense_stack(local_dim, (hidden,), width)
        self.site = nn.Linear(n_site_inputs, hidden)
        self.distance = nn.Linear(1, hidden, bias=False)
        self.key = nn.Linear(hidden, width)

    def queries(self, local: Tensor) -> Tensor:
        """f(z), (C, width)."""
        return self.query(local)

    def of_rows(self, batch: Batch, *queries: Tensor) -> Tensor:
        """Scores (n, P) of each pair with n queries (C, width) of its row."""
        stacked = torch.stack(queries)
        folded, offset = stacked @ self.key.weight, stacked @ self.key.bias
        scores = operations.pair_scores(self.site(batch.site_inputs), self.distance.weight[:, 0], folded, batch)
        return scores + offset.index_select(1, batch.row)

    def keys(self, batch: Batch, chosen: Tensor) -> Tensor:
        """h of some pairs, (n, width)."""
        near = self.site(batch.site_inputs).index_select(0, batch.neighbour[chosen])
        hidden = near.addcmul_(batch.distance[chosen][:, None], self.distance.weight.T)
        return self.key(operations.normalize(hidden))


class CrystalScore(nn.Module):
    """Score network of the global block: <f(g), h(z)>."""

    def __init__(self, n_components, local_dim, hidden=64, width=128):
        super().__init__()
        self.crystal = dense_stack(n_components, (hidden,), width)
        self.site = dense_stack(local_dim, (hidden,), width)


class DeepInfoMax(nn.Module):
    """The encoder with its score networks; the forward pass returns the loss and its parts.

    Parameters
    ----------
    encoder : dict
        Parameters of :class:`SiteNetEncoder`.
    objective : {"jsd", "infonce"}, default="jsd"
    negatives : tuple of str
        From ``NEGATIVES``. "batch": sites of another crystal; "composition", "structure", "permuted": local vectors of
        crystals put together wrongly, for the global block.
    kl_weight : float, default=0.1
        Weight of the Kullback-Leibler terms. At 0 there is no noise either.
    kl_form : {"gaussian", "reference"}
    temperature : float, default=0.1
        Of InfoNCE, on cosine scores.
    distance_power : float, default=2.0
        A neighbour weighs (d + 1)^-distance_power in the local block.
    self_weight : float, default=1.0
        Factor on the weight of a site's pair with itself.
    descriptor_weight : float, default=0.0
        Weight of the regression of :class:`Descriptors`. It keeps the gradient paths apart as the two blocks do.
    """

    def __init__(
        self,
        encoder,
        objective="jsd",
        negatives=NEGATIVES,
        kl_weight=0.1,
        kl_form="gaussian",
        temperature=0.1,
        distance_power=2.0,
        self_weight=1.0,
        descriptor_weight=0.0,
    ):
        super().__init__()
        self.objective = objective
        self.negatives = tuple(negatives)
        self.kl_weight = kl_weight
        self.kl_form = kl_form
        self.temperature = temperature
        self.distance_power = distance_power
        self.self_weight = self_weight
        self.encoder = SiteNetEncoder(**encoder, spread=kl_weight > 0)
        self.neighbour_score = NeighbourScore(self.encoder.local_dim, encoder["n_site_inputs"])
        self.crystal_score = CrystalScore(self.encoder.n_components, self.encoder.local_dim)
        self.descriptor_weight = descriptor_weight
        widths = encoder["n_site_inputs"], self.encoder.local_dim, self.encoder.n_components
        self.descriptors = Descriptors(*widths) if descriptor_weight else None

    def forward(
        self, batch: Batch, generator: torch.Generator | None = None, share: Whole | None = None
    ) -> dict[str, Tensor]:
        """Losses of a batch of at least two crystals.

        "loss" is the total of "local", "global" and the weighted "kl" and "descriptors".

        ``generator`` makes all draws: negatives, and the noise of the Kullback-Leibler term. ``share`` is what this
        process computes of the batch, where several work on it: their losses are the same, that of the whole batch, and
        their gradients add up to its gradient.
        """
        share = share or Whole(batch)
        encoder, own = self.encoder, share.own
        # The terms of all sites: other crystals lend their species.
        site_terms, pair_term = encoder.site_terms(batch), encoder.pair_term(own)
        local = encoder.local(own, tuple(part[share.classes] for part in site_terms), pair_term)
        z = local.sample(generator, len(batch.numbers), share.classes)
        crystal = encoder.pool(own, z.detach())
        g = crystal.sample(generator, len(batch), share.crystals)
        with torch.no_grad():
            wrong = self._engineered(share, site_terms, pair_term, generator)
        parts = {
            "local": self._local_loss(share, z, generator),
            "global": self._global_loss(share, g, z.detach(), wrong),
        }
        weights = {"local": 1.0, "global": 1.0}
        if self.kl_weight:
            parts["kl"], weights["kl"] = self._kl(share, local, crystal), self.kl_weight
        if self.descriptors is not None:
            parts["descriptors"] = self.descriptors(own, z, g) * (len(own) / len(batch)) if len(own) else z.sum()
            weights["descriptors"] = self.descriptor_weight
        parts = dict(zip(parts, share.total(torch.stack(list(parts.values()))), strict=True))
        return {"loss": sum(weight * parts[name] for name, weight in weights.items()), **parts}

    # ---- parts ----

    def neighbour_weights(self, batch: Batch) -> Tensor:
        """Weight of each pair in its site's local loss, (P,): they add up to 1 for every site."""
        weights = batch.count * (batch.distance + 1) ** -self.distance_power
        if self.self_weight != 1:
            weights = torch.where(batch.distance == 0, self.self_weight * weights, weights)
        total = segment_total(weights, batch.row, len(batch.numbers))
        return weights / total.index_select(0, batch.row)

    def local_true_scores(self, batch: Batch, z: Tensor) -> Tensor:
        """Scores (P,) of local vectors with their own neighbours."""
        return self.neighbour_score.of_rows(batch, self.neighbour_score.queries(z))[0]

    def _local_loss(self, share, z, generator):
        batch, own = share.batch, share.own
        queries = self.neighbour_score.queries(z)
        if self.objective == "infonce":
            return self._local_info_nce(share, queries, generator)
        # The surroundings of each site meet the local vector of a site of another crystal.
        other = draw.other_crystal(batch, generator)
        stranger = draw.draw_class(batch, other[batch.crystal], generator)[share.classes]
        strange = share.gather(queries, share.classes, len(batch.numbers)).index_select(0, stranger)
        true, false = self.neighbour_score.of_rows(own, queries, strange)
        true, false = jensen_shannon_true(true), jensen_shannon_false(false)
        per_site = segment_total(self.neighbour_weights(own) * (true + false), own.row, len(own.numbers))
        return self._mean(share, per_site)

    def _local_info_nce(self, share, queries, generator):
        batch = share.batch
        chosen = draw.draw_pair(batch, self.neighbour_weights(batch), generator)
        keys = self.neighbour_score.keys(share.own, chosen[share.classes] - share.pairs.start)
        keys = share.gather(functional.normalize(keys, dim=1), share.classes, len(chosen))
        scores = functional.normalize(queries, dim=1) @ keys.T / self.temperature
        element, distance = batch.numbers[batch.neighbour[chosen]], batch.distance[chosen]
        rows = torch.arange(len(chosen), device=chosen.device)[share.classes]
        same = batch.crystal[rows, None] == batch.crystal
        same |= (element[rows, None] == element) & ((distance[rows, None] - distance).abs() < _SAME_DISTANCE)
        same[torch.arange(len(rows), device=rows.device), rows] = False
        return self._mean(share, info_nce(scores.masked_fill(same, -torch.inf), rows))

    def _engineered(self, share, site_terms, pair_term, generator):
        """False local vectors for the global block: list of (site vectors, crystal they are false for, weights).

        The weights add up to 1 over the sites of the whole batch.
        """
        wrong = []
        batch, own = share.batch, share.own
        n, classes = len(batch.numbers), share.classes
        even = batch.site_share / len(batch)
        if {"composition", "structure"} & set(self.negatives):
            chimera = draw.draw_chimera(batch, generator)
            species = chimera.species_class[classes]
            mixed = replace(own, site_inputs=batch.site_inputs[species], numbers=batch.numbers[species])
            term = self._pair_term(mixed, pair_term)
            mixed_terms = tuple(part.index_select(0, species) for part in site_terms)
            z = self.encoder.local(mixed, mixed_terms, term).sample(generator, n, classes)
            if "composition" in self.negatives:
                wrong.append((z, batch.crystal[classes], even[classes]))
            if "structure" in self.negatives:
                wrong.append((z, chimera.species_of[batch.crystal[classes]], even[classes]))
        if "permuted" in self.negatives:
            turn = draw.permute_pairs(batch, generator)[share.pairs] - share.pairs.start
            term = self._pair_term(replace(own, distance=own.distance[turn]), pair_term, turn)
            z = self.encoder.local(own, tuple(part[classes] for part in site_terms), term).sample(generator, n, classes)
            # Of a crystal of one element nothing can be mismatched: what it gives is true, not false.
            weight = even * ~draw.of_one_element(batch)[batch.crystal]
            wrong.append((z, batch.crystal[classes], (weight / weight.sum().clamp(min=1e-12))[classes]))
        return wrong

    def _pair_term(self, changed, pair_term, turn=None):
        """The pairs' term for a changed batch: that of the true one, reordered, unless species enter it."""
        if self.encoder.log_coulomb:
            return self.encoder.pair_term(changed)
        return pair_term if turn is None else pair_term._replace(which=pair_term.which.index_select(0, turn))

    def _global_loss(self, share, g, z, wrong):
        n = len(share.batch)
        crystals = self.crystal_score.crystal(g)
        sites = self.crystal_score.site(z)
        wrong_sites = [self.crystal_score.site(z_wrong) for z_wrong, _, _ in wrong]
        nce = self.objective == "infonce"
        if nce:
            crystals, sites = functional.normalize(crystals, dim=1), functional.normalize(sites, dim=1)
            wrong_sites = [functional.normalize(s, dim=1) for s in wrong_sites]
        crystals = share.gather(crystals, share.crystals, n)
        scores = sites @ crystals.T  # own classes, all crystals
        wrong_scores = [
            torch.linalg.vecdot(s, crystals.index_select(0, owner))
            for s, (_, owner, _) in zip(wrong_sites, wrong, strict=True)
        ]
        if nce:
            return self._global_info_nce(share, scores, wrong_scores, wrong)
        crystal = share.batch.crystal[share.classes]
        loss = self._mean(share, jensen_shannon_true(scores.gather(1, crystal[:, None])[:, 0]))
        false = []
        if "batch" in self.negatives:
            # Every other crystal of the batch, where one drawn at random would have the same mean.
            own = functional.one_hot(crystal, n).bool()
            strange = jensen_shannon_false(scores).masked_fill(own, 0).sum(dim=1) / (n - 1)
            false.append(self._mean(share, strange))
        for score, (_, _, weight) in zip(wrong_scores, wrong, strict=True):
            false.append((weight * jensen_shannon_false(score)).sum())
        return loss + sum(false) / len(false) if false else loss

    def _global_info_nce(self, share, scores, wrong_scores, wrong):
        """Each site finds its crystal among the batch's; and each crystal tells its sites from wrong ones."""
        own = share.own
        crystal = share.batch.crystal[share.classes]
        loss = self._mean(share, info_nce(scores / self.temperature, crystal))
        if not wrong:
            return loss
        true = scores.gather(1, crystal[:, None])[:, 0] / self.temperature
        mean_true = segment_total(own.site_share * true, own.crystal, len(own))
        mean_true = share.gather(mean_true, share.crystals, len(share.batch))
        for score, (_, owner, weight) in zip(wrong_scores, wrong, strict=True):
            # A binary choice: the true score's mean over the owner's sites against each wrong site's.
            margin = score / self.temperature - mean_true.index_select(0, owner)
            loss = loss + (weight * functional.softplus(margin)).sum() / len(wrong)
        return loss

    def _kl(self, share, local: Gaussian, crystal: Gaussian):
        form = KL_FORMS[self.kl_form]
        kl = form(crystal).sum() / len(share.batch)
        return kl + self._mean(share, form(local)) if local.log_var is not None else kl

    @staticmethod
    def _mean(share, per_site):
        """Own share of a mean over each crystal's sites, then over crystals."""
        return (share.own.site_share * per_site).sum() / len(share.batch)
