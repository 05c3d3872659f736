"""Deep InfoMax: two blocks of score networks that train the encoder without labels.

The local block scores whether a local vector and a neighbour (its raw features and distance) belong together, the
global block whether a crystal's vector and a local vector do. The global block gets local vectors without gradient, so
the two blocks train disjoint weights, and one optimizer serves both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .adversaries import CompositionAdversary, PriorAdversary
from .batch import Batch
from .choices import LOCAL_NEGATIVES, NEGATIVES
from .compiled.helper_threads import Task
from .descriptors import Descriptors, RadialStatistics
from .encoder import Gaussian, SiteNetEncoder
from .known_properties import KnownProperties
from .losses import KL_FORMS, info_nce, jensen_shannon_negative, jensen_shannon_positive
from .operations.functional import segment_total
from .sampling.draws import Draws, draw_all
from .sampling.negatives import of_one_element, valid_partners
from .sampling.overlay import wrong_neighbours
from .sampling.wrong_crystals import Engineered, wrong_crystals
from .scores import CrystalScore, NeighbourScore
from .shared_batch import Whole, mean_over_sites, rows_of
from .sitenet import embedding_width, vectors_of

#: Neighbours of one element whose distances differ by less, in angstrom, are equal: no negatives of each other.
_SAME_DISTANCE = 0.05


class Targets(NamedTuple):
    """What the losses compare with, without gradients: wrong crystals, and the descriptors of sites and crystals."""

    engineered: list[Engineered]
    sites: Any
    crystals: Any


class DeepInfoMax(nn.Module):
    """The encoder with its score networks; the forward pass returns the loss and its parts.

    Parameters
    ----------
    encoder : dict
        Parameters of :class:`SiteNetEncoder`.
    objective : {"jsd", "infonce", None}, default="jsd"
        None turns both blocks off: the other tasks alone train the encoder.
    negatives : tuple of {"batch", "composition", "structure", "permuted"}
        Negatives of the global block. "batch": other crystals; "composition", "structure", "permuted": local vectors
        of crystals with wrong species, wrong distances, or both in a wrong order.
    local_negatives : tuple of the same, default=("batch",)
        Negatives of the local block. "batch": neighbours in other crystals; the others: neighbours with the species or
        the distance of a neighbour in another crystal, or with the distance of another neighbour.
    pairing : {"crystals", "sites"}, default="crystals"
        "crystals": a crystal is compared with all others, and wrong composition and wrong structure are the same
        chimeras, so one pass serves both. "sites": as in the paper, each site has one partner site in another crystal,
        which provides its other crystal, wrong species and, column by column, wrong distances; permuted crystals of
        one element count although they are not wrong.
    kl_weight : float, default=0.1
        Weight of the Kullback-Leibler terms. At 0 there is no noise either.
    kl_form : {"gaussian", "reference"}
        "reference" averages over all sites of the batch instead of crystal by crystal.
    global_input : {"samples", "means"}, default="samples"
        Whether the global block gets noisy samples of the local vectors or their means.
    score_norm : bool, default=True
        Whether the score networks have layer normalization.
    temperature : float, default=0.1
        Of InfoNCE, on cosine scores.
    distance_power : float, default=2.0
        A neighbour has the weight (d + 1)^-distance_power in the local block.
    self_weight : float, default=1.0
        Factor on the weight of a site's pair with itself.
    descriptor_weight : float, default=0.0
        Weight of the regression of :class:`Descriptors`. It keeps the gradient paths apart as the two blocks do.
    prior_weight : float, default=0.0
        Weight of the :class:`PriorAdversary` of local and crystal vectors.
    composition_weight : float, default=0.0
        Weight of the :class:`CompositionAdversary` of crystal vectors.
    property_weight : float, default=0.0
        Weight of the regression of :class:`KnownProperties`, whose gradient reaches all of the encoder.
    n_properties : int, default=0
    radial_weight : float, default=0.0
        Weight of the regression of :class:`RadialStatistics`, whose gradient reaches all of the encoder.
    radial_features : tuple of int, default=()
        Columns of the site inputs whose radial correlations are predicted.
    """

    def __init__(
        self,
        encoder,
        objective="jsd",
        negatives=NEGATIVES,
        local_negatives=LOCAL_NEGATIVES,
        pairing="crystals",
        kl_weight=0.1,
        kl_form="gaussian",
        global_input="samples",
        score_norm=True,
        temperature=0.1,
        distance_power=2.0,
        self_weight=1.0,
        descriptor_weight=0.0,
        prior_weight=0.0,
        composition_weight=0.0,
        property_weight=0.0,
        n_properties=0,
        radial_weight=0.0,
        radial_features=(),
    ):
        super().__init__()
        self.objective = objective
        self.negatives = tuple(negatives)
        self.local_negatives = tuple(local_negatives)
        self.pairing = pairing
        self.kl_weight = kl_weight
        self.kl_form = kl_form
        self.global_input = global_input
        self.temperature = temperature
        self.distance_power = distance_power
        self.self_weight = self_weight
        self.descriptor_weight = descriptor_weight
        self.prior_weight = prior_weight
        self.composition_weight = composition_weight
        self.property_weight = property_weight
        self.radial_weight = radial_weight
        self.encoder = SiteNetEncoder(**encoder, spread=kl_weight > 0)
        n_inputs, local_dim, n_components = encoder["n_site_inputs"], self.encoder.local_dim, self.encoder.n_components
        options = {"activation": self.encoder.local_activation, "norm": score_norm}
        self.neighbour_score = NeighbourScore(local_dim, n_inputs, self.encoder.input_scale, **options)
        self.crystal_score = CrystalScore(n_components, local_dim, norm=score_norm)
        self.descriptors = Descriptors(n_inputs, local_dim, n_components) if descriptor_weight else None
        self.local_prior = PriorAdversary(local_dim) if prior_weight else None
        self.crystal_prior: Any = PriorAdversary(n_components) if prior_weight else None
        self.composition = CompositionAdversary(n_components) if composition_weight else None
        width = embedding_width(self.encoder, "both")
        self.properties = KnownProperties(width, n_properties) if n_properties else None
        self.radial = RadialStatistics(width, radial_features) if radial_weight else None

    def forward(
        self, batch: Batch, generator: torch.Generator | None = None, share: Whole | None = None
    ) -> dict[str, Tensor]:
        """Losses of a batch of at least two crystals.

        "loss" is the total of "local", "global" and the weighted "kl", "descriptors" and (for a batch with properties)
        "properties", and the weighted "radial", less the weighted losses of the adversaries, "prior" and "composition".

        ``generator`` makes all draws. ``share`` is the part of the batch that this process computes, where several
        processes train together: their losses are equal, that of the whole batch, and their gradients add up to its
        gradient.
        """
        return self.losses(share or Whole(batch), draw_all(self, batch, generator))

    def differentiate(
        self, batch: Batch, generator: torch.Generator | None = None, share: Whole | None = None
    ) -> dict[str, Tensor]:
        """The losses as numbers, with their gradients added to those of the parameters.

        The results of :meth:`forward` and ``["loss"].backward()``, computed by two threads if there are several: the
        losses of sites and those of crystals depend on disjoint weights.
        """
        return self.losses(share or Whole(batch), draw_all(self, batch, generator), backward=True)

    def prepare(self, batch: Batch) -> Batch:
        """The batch, with what the losses need of it and does not depend on weights."""
        _ = batch.site_share, batch.distinct_distances
        if self.objective is not None:
            _ = batch.duplicates
        return batch

    def losses(self, share: Whole, draws: Draws, backward: bool = False) -> dict[str, Tensor]:
        """The losses for given draws; with ``backward``, numbers whose gradients have been computed."""
        batch, part, encoder = share.batch, share.part, self.encoder
        # The terms of all sites: other crystals lend their species.
        site_terms, pair_term = encoder.site_terms(batch), encoder.pair_term(part)
        with share.tasks() as start:
            targets = start(lambda: self._targets(share, site_terms, pair_term, draws))
            local = encoder.local(part, tuple(term[share.classes] for term in site_terms), pair_term)
            z = local.sample(rows_of(draws.noise, share.classes))
            sites = (local.mean if self.global_input == "means" else z).detach()

            def of_crystals():
                return self._finish(self._crystal_losses(share, sites, targets.result(), draws), backward)

            crystal_losses = start(of_crystals)
            of_sites = self._finish(self._site_losses(share, local, z, targets, draws), backward)
            branches = of_sites, crystal_losses.result()
        names = [name for name in self._weights() if any(name in branch for branch in branches)]
        values = [torch.stack([branch[name] for branch in branches if name in branch]).sum() for name in names]
        parts = dict(zip(names, share.total(torch.stack(values)), strict=True))
        return {"loss": self._total(parts), **parts}

    def _weights(self):
        """Weight of each part of the loss; negative where the encoder maximizes what a network minimizes."""
        return {
            "local": 1.0,
            "global": 1.0,
            "kl": self.kl_weight,
            "descriptors": self.descriptor_weight,
            "prior": -self.prior_weight,
            "composition": -self.composition_weight,
            "radial": self.radial_weight,
            "properties": self.property_weight,
        }

    def _total(self, parts: dict[str, Tensor]) -> Any:
        """The value that the encoder minimizes, with the gradients that reverse_gradient has made."""
        weights = self._weights()
        total: Any = sum(abs(weights[name]) * value for name, value in parts.items())
        for name, value in parts.items():
            if weights[name] < 0:
                total = total + 2 * weights[name] * value.detach()
        return total

    def _finish(self, parts: dict[str, Tensor], backward: bool) -> dict[str, Tensor]:
        """The parts of one branch; with ``backward`` as numbers, after computing its gradients."""
        if backward and parts:
            self._total(parts).backward()
            parts = {name: value.detach() for name, value in parts.items()}
        return parts

    @torch.no_grad()
    def _targets(self, share, site_terms, pair_term, draws) -> Targets:
        engineered = [] if self.objective is None else wrong_crystals(self, share, site_terms, pair_term, draws)
        of_sites, of_crystals = (None, None) if self.descriptors is None else self.descriptors.targets(share.part)
        return Targets(engineered, of_sites, of_crystals)

    def _site_losses(self, share: Whole, local: Gaussian, z: Tensor, targets: Task, draws: Draws) -> dict[str, Tensor]:
        """Parts of the loss that train local vectors, and those that train all of the encoder."""
        batch, part = share.batch, share.part
        parts: dict[str, Tensor] = {}
        if self.objective is not None:
            parts["local"] = self.local_loss(share, z, draws)
        if self.kl_weight and local.log_var is not None:
            parts["kl"] = self.kl_of_sites(share, local)
        if self.descriptors is not None:
            parts["descriptors"] = self.descriptors.of_sites(part, z, targets.result().sites) / len(batch)
        if self.local_prior is not None:
            parts["prior"] = mean_over_sites(share, self.local_prior(z, rows_of(draws.uniform, share.classes)))
        if self.properties is not None or self.radial is not None:
            vectors = vectors_of(self.encoder, part, local.mean, "both")
        if self.radial is not None:
            parts["radial"] = self.radial.loss(part, vectors) / len(batch) if len(part) else z.sum()
        if self.properties is not None and part.properties is not None:
            parts["properties"] = self.properties.loss(vectors, part.properties) / len(batch)
        return parts

    def _crystal_losses(self, share: Whole, sites: Tensor, targets: Targets, draws: Draws) -> dict[str, Tensor]:
        """Parts of the loss that train crystal vectors, from local vectors without gradient."""
        batch, part = share.batch, share.part
        crystal = self.encoder.pool(part, sites)
        g = crystal.sample(rows_of(draws.crystal_noise, share.crystals))
        parts: dict[str, Tensor] = {}
        if self.objective is not None:
            parts["global"] = self.global_loss(share, g, sites, targets.engineered, draws)
        if self.kl_weight:
            parts["kl"] = self.kl_of_crystals(share, crystal)
        if self.descriptors is not None:
            parts["descriptors"] = self.descriptors.of_crystals(g, targets.crystals) / len(batch)
        if self.crystal_prior is not None:
            of_crystals = self.crystal_prior(g, rows_of(draws.crystal_uniform, share.crystals))
            parts["prior"] = of_crystals.sum() / len(batch)
        if self.composition is not None:
            parts["composition"] = self.composition(part, g).sum() / len(batch)
        return parts

    # ---- local block ----

    def neighbour_weights(self, batch: Batch) -> Tensor:
        """Weight of each pair in its site's local loss, (P,); they sum to 1 for every site."""
        weights = batch.count * (batch.distance + 1) ** -self.distance_power
        if self.self_weight != 1:
            weights = torch.where(batch.distance == 0, self.self_weight * weights, weights)
        total = segment_total(weights, batch.row, len(batch.numbers))
        # Without the pair with itself, a lone atom has none.
        return weights / total.clamp(min=1e-30).index_select(0, batch.row)

    def local_true_scores(self, batch: Batch, z: Tensor) -> Tensor:
        """Scores (P,) of local vectors with their neighbours."""
        return self.neighbour_score.of_rows(batch, self.neighbour_score.queries(z))[0]

    def local_loss(self, share: Whole, z: Tensor, draws: Draws) -> Tensor:
        """Loss of the local block for local vectors z of this process's part."""
        queries = self.neighbour_score.queries(z)
        if self.objective == "infonce":
            return self._local_info_nce(share, queries, draws)
        batch, part, score = share.batch, share.part, self.neighbour_score
        valid = valid_partners(batch, draws.partner)[share.classes]
        negatives = []
        stacked = [queries]
        if "batch" in self.local_negatives and self.pairing == "crystals":
            # The neighbours of each site with the local vector of its partner: both scores from one hidden layer.
            all_queries = share.gather(queries, share.classes, len(batch.numbers))
            stacked.append(all_queries.index_select(0, draws.partner[share.classes]))
        scores = score.of_rows(part, *stacked)
        weights = self.neighbour_weights(part)

        def per_site(pairs, weights, values):
            return segment_total(weights * values, pairs.row, len(part.numbers))

        true = per_site(part, weights, jensen_shannon_positive(scores[0]))
        if len(stacked) > 1:
            negatives.append(valid * per_site(part, weights, jensen_shannon_negative(scores[1])))
        for pairs, is_negative in wrong_neighbours(share, draws, self.local_negatives, self.pairing):
            values = jensen_shannon_negative(score.of_rows(pairs, queries, site_inputs=batch.site_inputs)[0])
            negatives.append(is_negative * per_site(pairs, self.neighbour_weights(pairs), values))
        return mean_over_sites(share, true + sum(negatives) / max(1, len(negatives)))

    def _local_info_nce(self, share, queries, draws):
        batch, chosen = share.batch, draws.pair
        element, distance = batch.numbers[batch.neighbour[chosen]], batch.distance[chosen]
        keys = self.neighbour_score.keys(
            batch.site_inputs, batch.neighbour[chosen[share.classes]], distance[share.classes]
        )
        keys = share.gather(functional.normalize(keys, dim=1), share.classes, len(chosen))
        queries = functional.normalize(queries, dim=1)
        scores = queries @ keys.T / self.temperature
        rows = torch.arange(len(chosen), device=chosen.device)[share.classes]
        group = batch.duplicates[batch.crystal]
        same = group[rows, None] == group
        same |= (element[rows, None] == element) & ((distance[rows, None] - distance).abs() < _SAME_DISTANCE)
        if "batch" not in self.local_negatives:
            same[:] = True
        same[torch.arange(len(rows), device=rows.device), rows] = False
        scores = [scores.masked_fill(same, -torch.inf)]
        neighbour, length = batch.neighbour[chosen[rows]], distance[rows]
        for kind in self.local_negatives:
            if kind == "batch":
                continue
            wrong_neighbour, wrong_length = neighbour, length
            if kind == "permuted":
                wrong_length = batch.distance[draws.turn[chosen[rows]]]
                equal = of_one_element(batch)[batch.crystal[rows]]
            else:
                partner = chosen[draws.partner[rows]]
                wrong_neighbour = batch.neighbour[partner] if kind == "composition" else neighbour
                wrong_length = batch.distance[partner] if kind == "structure" else length
                equal = valid_partners(batch, draws.partner)[rows] == 0
            equal = equal | (
                (batch.numbers[wrong_neighbour] == batch.numbers[neighbour])
                & ((wrong_length - length).abs() < _SAME_DISTANCE)
            )
            wrong = functional.normalize(
                self.neighbour_score.keys(batch.site_inputs, wrong_neighbour, wrong_length), dim=1
            )
            score = torch.linalg.vecdot(queries, wrong) / self.temperature
            scores.append(score.masked_fill(equal, -torch.inf)[:, None])
        return mean_over_sites(share, info_nce(torch.cat(scores, dim=1), rows))

    # ---- global block ----

    def global_loss(self, share: Whole, g: Tensor, sites: Tensor, engineered: list[Engineered], draws: Draws) -> Tensor:
        """Loss of the global block for crystal vectors g and local vectors of this process's part."""
        n = len(share.batch)
        crystals = self.crystal_score.crystal(g)
        sites = self.crystal_score.site(sites)
        wrong_sites = [self.crystal_score.site(wrong.vectors) for wrong in engineered]
        nce = self.objective == "infonce"
        if nce:
            crystals, sites = functional.normalize(crystals, dim=1), functional.normalize(sites, dim=1)
            wrong_sites = [functional.normalize(s, dim=1) for s in wrong_sites]
        crystals = share.gather(crystals, share.crystals, n)
        scores = sites @ crystals.T  # sites of this process, all crystals
        wrong_scores = [
            torch.linalg.vecdot(s, crystals.index_select(0, wrong.crystal))
            for s, wrong in zip(wrong_sites, engineered, strict=True)
        ]
        if nce:
            return self._global_info_nce(share, scores, wrong_scores, engineered)
        batch = share.batch
        crystal = batch.crystal[share.classes]
        loss = mean_over_sites(share, jensen_shannon_positive(scores.gather(1, crystal[:, None])[:, 0]))
        negative = []
        if "batch" in self.negatives and self.pairing == "crystals":
            # The mean over all other crystals, where one drawn at random would have the same expectation.
            same = batch.duplicates == batch.duplicates[crystal][:, None]
            other = jensen_shannon_negative(scores).masked_fill(same, 0).sum(dim=1) / (~same).sum(dim=1).clamp(min=1)
            negative.append(mean_over_sites(share, other))
        elif "batch" in self.negatives:
            partner = batch.crystal[draws.partner[share.classes]]
            other = jensen_shannon_negative(scores.gather(1, partner[:, None])[:, 0])
            negative.append(mean_over_sites(share, valid_partners(batch, draws.partner)[share.classes] * other))
        for score, wrong in zip(wrong_scores, engineered, strict=True):
            negative.append((wrong.weight * jensen_shannon_negative(score)).sum())
        return loss + sum(negative) / len(negative) if negative else loss

    def _global_info_nce(self, share, scores, wrong_scores, engineered):
        """Each site finds its crystal among the batch's, and each crystal tells its sites from wrong ones."""
        batch, part = share.batch, share.part
        crystal = batch.crystal[share.classes]
        # Duplicates of its crystal are not candidates.
        same = batch.duplicates == batch.duplicates[crystal][:, None]
        same.scatter_(1, crystal[:, None], False)
        loss = mean_over_sites(share, info_nce((scores / self.temperature).masked_fill(same, -torch.inf), crystal))
        if not engineered:
            return loss
        true = scores.gather(1, crystal[:, None])[:, 0] / self.temperature
        mean_true = segment_total(part.site_share * true, part.crystal, len(part))
        mean_true = share.gather(mean_true, share.crystals, len(batch))
        for score, wrong in zip(wrong_scores, engineered, strict=True):
            # A binary choice: the mean true score over the crystal's sites against the score of each wrong site.
            margin = score / self.temperature - mean_true.index_select(0, wrong.crystal)
            loss = loss + (wrong.weight * functional.softplus(margin)).sum() / len(engineered)
        return loss

    # ---- regularization ----

    def kl_of_sites(self, share: Whole, local: Gaussian) -> Tensor:
        """Kullback-Leibler term of local vectors."""
        of_sites = KL_FORMS[self.kl_form](local)
        if self.kl_form == "reference":  # over all sites of the batch
            return (share.part.multiplicity * of_sites).sum() / share.batch.multiplicity.sum()
        return mean_over_sites(share, of_sites)

    def kl_of_crystals(self, share: Whole, crystal: Gaussian) -> Tensor:
        """Kullback-Leibler term of crystal vectors."""
        return KL_FORMS[self.kl_form](crystal).sum() / len(share.batch)
