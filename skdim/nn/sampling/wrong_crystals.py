"""Negatives of the global block that are wrong crystals: with wrong species, wrong distances, or both permuted."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ..shared_batch import Whole, rows_of
from .draws import Draws
from .negatives import has_negative, of_one_element, valid_partners
from .overlay import overlay_rows, with_pairs


class Engineered(NamedTuple):
    """Local vectors of a wrong crystal, the crystal that each is a negative of, and their weights in the loss."""

    vectors: Tensor
    crystal: Tensor
    weight: Tensor


def wrong_crystals(model, share: Whole, site_terms, pair_term, draws: Draws) -> list[Engineered]:
    """Negatives of the global block that are wrong crystals; weights sum to 1 over the sites of the batch."""
    result = []
    batch, part, encoder = share.batch, share.part, model.encoder
    classes = share.classes
    even = batch.site_share / len(batch)
    crystal = batch.crystal[classes]
    part_terms = tuple(term[classes] for term in site_terms)

    def vectors(changed, terms, term, noise):
        local = encoder.local(changed, terms, term)
        return local.mean if model.global_input == "means" else local.sample(rows_of(noise, classes))

    def with_species(species, noise):
        mixed = replace(part, site_inputs=batch.site_inputs[species], numbers=batch.numbers[species])
        terms = tuple(term.index_select(0, species) for term in site_terms)
        return vectors(mixed, terms, _pair_term(encoder, mixed, pair_term), noise)

    kinds = set(model.negatives)
    if model.pairing == "crystals" and kinds & {"composition", "structure"}:
        chimera = draws.chimera
        z = with_species(chimera.species_class[classes], draws.chimera_noise)
        weight = (even * has_negative(batch, chimera.species_of)[batch.crystal])[classes]
        owners = {"composition": crystal, "structure": chimera.species_of[crystal]}
        result += [Engineered(z, owner, weight) for kind, owner in owners.items() if kind in kinds]
    if model.pairing == "sites" and kinds & {"composition", "structure"}:
        weight = (even * valid_partners(batch, draws.partner))[classes]
        if "composition" in kinds:
            z = with_species(draws.partner[classes], None)
            result.append(Engineered(z, crystal, weight))
        if "structure" in kinds:
            rows = torch.arange(len(batch.numbers), device=crystal.device)[classes]
            row, pairs, partner_pairs, count = overlay_rows(batch, rows, draws.partner[classes])
            neighbour = batch.neighbour[pairs] - classes.start
            wrong = with_pairs(part, row, neighbour, batch.distance[partner_pairs], count)
            result.append(Engineered(vectors(wrong, part_terms, encoder.pair_term(wrong), None), crystal, weight))
    if "permuted" in kinds:
        turn = draws.turn[share.pairs] - share.pairs.start
        wrong = replace(part, distance=part.distance[turn])
        z = vectors(wrong, part_terms, _pair_term(encoder, wrong, pair_term, turn), draws.permuted_noise)
        weight = even
        if model.pairing == "crystals":
            # Mismatching changes nothing in a crystal of one element.
            weight = even * ~of_one_element(batch)[batch.crystal]
            weight = weight / weight.sum().clamp(min=1e-12)
        result.append(Engineered(z, crystal, weight[classes]))
    return result


def _pair_term(encoder, changed, pair_term, turn=None):
    """The pairs' term of a changed batch: the true one, reordered, unless species enter it."""
    if encoder.log_coulomb:
        return encoder.pair_term(changed)
    return pair_term if turn is None else pair_term._replace(which=pair_term.which.index_select(0, turn))
