"""Negatives of the local block, partners site by site, and duplicates, compared with plain loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from skdim import SiteNetFeaturizer
from skdim._training.batches import make_batch
from skdim.datasets import make_crystals
from skdim.nn.losses import info_nce
from skdim.nn.sampling import negatives as draw
from skdim.nn.sampling.draws import draw_all
from skdim.nn.sampling.overlay import overlay_rows, pairs_of
from skdim.nn.shared_batch import Whole
from tests.helpers.small_networks import SMALL, generator, make_model, toy_batch

KINDS = ("batch", "composition", "structure", "permuted")


@pytest.fixture(scope="module")
def crystals():
    structures, _ = make_crystals(12, random_state=3)
    return SiteNetFeaturizer(max_sites=30).fit_transform(structures)


@pytest.fixture(scope="module")
def batch(crystals):
    return make_batch(crystals).to(torch.float64)


def columns(batch, i):
    """Neighbour, distance and number of columns of each pair of a row."""
    pairs = slice(int(batch.pair_offsets[i]), int(batch.pair_offsets[i + 1]))
    return list(
        zip(batch.neighbour[pairs].tolist(), batch.distance[pairs].tolist(), batch.count[pairs].tolist(), strict=True)
    )


def overlay(batch, i, n):
    """Overlaps of the columns of two rows as intervals of (0, 1), one after the other."""
    rows = []
    for row in (i, n):
        ends = np.cumsum([count for *_, count in columns(batch, row)])
        rows.append(ends / ends[-1])
    borders = np.unique(np.concatenate(rows).round(9))
    start = 0.0
    for end in borders:
        a, b = (int(np.searchsorted(ends, (start + end) / 2)) for ends in rows)
        yield columns(batch, i)[a], columns(batch, n)[b], end - start
        start = end


def test_pairs_of_rows():
    batch = toy_batch([[3, 8], [11]], [[1, 1], [1]], n_pairs=3)
    pairs, row = pairs_of(batch, torch.tensor([2, 0, 2]))
    assert pairs.tolist() == [6, 7, 8, 0, 1, 2, 6, 7, 8]
    assert row.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_overlay_of_rows_is_a_loop_over_intervals(batch):
    partner = draw.draw_partner(batch, generator())
    classes = torch.arange(len(batch.numbers))
    result = overlay_rows(batch, classes, partner)
    expected = []
    for i in classes.tolist():
        for (j, _, _), (_, d, _), share in overlay(batch, i, int(partner[i])):
            expected.append((i, j, d, share))
    overlays = zip(
        result.row.tolist(),
        batch.neighbour[result.pair].tolist(),
        batch.distance[result.partner_pair].tolist(),
        result.share.tolist(),
        strict=True,
    )
    for one, other in zip(overlays, expected, strict=True):
        assert one[:3] == other[:3]
        assert one[3] == pytest.approx(other[3], abs=1e-8)


def record_scores(monkeypatch):
    """A list that scores of InfoNCE are appended to."""
    seen = []

    def recording(scores, target):
        seen.append(scores)
        return info_nce(scores, target)

    monkeypatch.setattr("skdim.nn.infomax.info_nce", recording)
    return seen


def key_of(model, batch, neighbour, distance):
    score = model.neighbour_score
    hidden = functional.mish(score.site(batch.site_inputs[neighbour]) + score.distance.weight[:, 0] * distance)
    return score.key(functional.layer_norm(hidden, hidden.shape[-1:]))


@pytest.mark.parametrize("pairing", ["crystals", "sites"])
@pytest.mark.parametrize("kind", KINDS)
def test_local_loss_of_each_kind_is_a_loop(kind, pairing, batch):
    model = make_model(dtype=torch.float64, local_negatives=(kind,), pairing=pairing)
    one_element = draw.of_one_element(batch)
    with torch.no_grad():
        z = torch.randn(len(batch.numbers), SMALL["local_dim"], dtype=torch.float64, generator=generator(1))
        draws = draw_all(model, batch, generator(7))
        loss = float(model.local_loss(Whole(batch), z, draws))
        queries = model.neighbour_score.query(z)
        total = 0.0
        for i in range(len(batch.numbers)):
            n = int(draws.partner[i])
            query = queries[i]
            if kind == "batch" and pairing == "crystals":
                query, negative = queries[n], [(j, d, c) for j, d, c in columns(batch, i)]
            elif kind == "batch":
                negative = columns(batch, n)
            elif kind == "composition":
                negative = [(j, d, share) for (_, d, _), (j, _, _), share in overlay(batch, i, n)]
            elif kind == "structure":
                negative = [(j, d, share) for (j, _, _), (_, d, _), share in overlay(batch, i, n)]
            else:
                first = int(batch.pair_offsets[i])
                turned = batch.distance[draws.turn[first : first + len(columns(batch, i))]].tolist()
                negative = [(j, d, c) for (j, _, c), d in zip(columns(batch, i), turned, strict=True)]
            site = 0.0
            for pairs, sign, q in ((columns(batch, i), -1, queries[i]), (negative, 1, query)):
                weights = np.array([count / (d + 1) ** 2 for _, d, count in pairs])
                scores = [float(q @ key_of(model, batch, j, d)) for j, d, _ in pairs]
                term = float(weights @ np.logaddexp(0, sign * np.array(scores)) / weights.sum())
                if not (sign == 1 and kind == "permuted" and one_element[batch.crystal[i]]):
                    site += term
            total += float(batch.site_share[i]) * site
    assert loss == pytest.approx(total / len(batch), rel=1e-7)


def test_local_negatives_are_averaged(batch):
    with torch.no_grad():
        z = torch.randn(len(batch.numbers), SMALL["local_dim"], dtype=torch.float64, generator=generator(1))
        every = make_model(dtype=torch.float64, local_negatives=KINDS)
        draws = draw_all(every, batch, generator(7))
        losses = {}
        for kinds in (KINDS, *((kind,) for kind in KINDS)):
            model = make_model(dtype=torch.float64, local_negatives=kinds)
            model.load_state_dict(every.state_dict())
            losses[kinds] = float(model.local_loss(Whole(batch), z, draws))
    assert losses[KINDS] == pytest.approx(np.mean([losses[kind,] for kind in KINDS]))


@pytest.mark.parametrize("objective", ["jsd", "infonce"])
@pytest.mark.parametrize("pairing", ["crystals", "sites"])
def test_gradients_of_all_negatives_agree_with_finite_differences(objective, pairing):
    small = toy_batch([[3, 8], [11, 17, 8], [12, 8]], [[1, 2], [1, 1, 3], [4, 1]]).to(torch.float64)
    model = make_model(objective, torch.float64, local_negatives=KINDS, pairing=pairing, global_input="means")
    local = {id(p) for part in model.encoder.local_modules() for p in part.parameters()}
    chosen = [p for name, p in model.named_parameters() if id(p) in local or name.startswith("neighbour_score")]
    gradients = torch.autograd.grad(model(small, generator())["local"], chosen)
    direction = [torch.randn(p.shape, dtype=p.dtype, generator=generator(1)) for p in chosen]
    values = []
    for step in (1e-6, -2e-6):
        with torch.no_grad():
            for p, d in zip(chosen, direction, strict=True):
                p.add_(d, alpha=step)
            values.append(float(model(small, generator())["local"]))
    expected = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_local_info_nce_has_one_candidate_more_for_each_wrong_neighbour(kind, batch, monkeypatch):
    model = make_model("infonce", torch.float64, local_negatives=(kind,))
    seen = record_scores(monkeypatch)
    draws = draw_all(model, batch, generator(3))
    with torch.no_grad():
        z = torch.randn(len(batch.numbers), SMALL["local_dim"], dtype=torch.float64, generator=generator(1))
        model.local_loss(Whole(batch), z, draws)
        (scores,) = seen
        n = len(batch.numbers)
        if kind == "batch":
            assert scores.shape == (n, n)
            return
        assert scores.shape == (n, n + 1)
        assert (torch.isfinite(scores[:, :n]) == torch.eye(n, dtype=torch.bool)).all()
        queries = functional.normalize(model.neighbour_score.query(z), dim=1)
        for i in range(n):
            j, d = (int(batch.neighbour[draws.pair[i]]), batch.distance[draws.pair[i]])
            if kind == "permuted":
                wrong = (j, batch.distance[draws.turn[draws.pair[i]]])
            else:
                other = draws.pair[draws.partner[i]]
                wrong = (j, batch.distance[other]) if kind == "structure" else (int(batch.neighbour[other]), d)
            equal = batch.numbers[wrong[0]] == batch.numbers[j] and abs(float(wrong[1] - d)) < 0.05
            if equal or (kind == "permuted" and draw.of_one_element(batch)[batch.crystal[i]]):
                assert scores[i, n] == -torch.inf
            else:
                key = functional.normalize(key_of(model, batch, *wrong), dim=0)
                assert float(scores[i, n]) == pytest.approx(float(queries[i] @ key) / 0.1)


# ---- duplicates ----


@pytest.fixture
def doubled(crystals):
    """Four crystals; 0, 2 and 4 are the same, described by other settings."""
    structures, _ = make_crystals(4, random_state=3)
    again = structures[0] * 1
    again.translate_sites(list(range(len(again))), [0.3, 0.1, 0.2])
    again = again.get_sorted_structure(key=lambda site: -site.specie.Z)
    rows = [structures[0], structures[1], again.make_supercell([2, 1, 1], in_place=False), structures[2], structures[0]]
    return make_batch(SiteNetFeaturizer(max_sites=30).fit_transform(rows))


def test_duplicates_are_recognized(doubled, crystals):
    numbers = doubled.duplicates.tolist()
    assert numbers[0] == numbers[2] == numbers[4]
    assert len(set(numbers)) == 3
    assert len(make_batch(crystals).duplicates.unique()) == len(crystals)
    # Another size of the cell is another crystal.
    strained = replace(doubled, distance=doubled.distance * torch.where(doubled.crystal[doubled.row] == 2, 1.01, 1.0))
    assert len(strained.duplicates.unique()) == 4


def test_the_bundled_set_has_few_duplicates(formation_crystals):
    batch = make_batch(SiteNetFeaturizer().transform(formation_crystals))
    assert len(batch.duplicates.unique()) == len(formation_crystals)


def test_duplicates_are_not_negatives_of_each_other(doubled):
    same = {0, 2, 4}
    for seed in range(40):
        other = draw.other_crystal(doubled, generator(seed)).tolist()
        assert not any(k in same and other[k] in same for k in range(5))
        partner = draw.draw_partner(doubled, generator(seed))
        assert (draw.valid_partners(doubled, partner) == 1).all()


@pytest.mark.parametrize("objective", ["jsd", "infonce"])
def test_a_duplicate_in_the_batch_does_not_change_scores_of_candidates(objective, doubled, monkeypatch):
    """In the global block a site's crystal competes with other crystals only."""
    seen = record_scores(monkeypatch)
    model = make_model(objective, negatives=("batch",), kl_weight=0.0)
    losses = model(doubled, generator())
    assert torch.isfinite(losses["loss"])
    same = doubled.duplicates[doubled.crystal][:, None] == doubled.duplicates
    if objective == "infonce":
        masked = torch.isinf(seen[1])
        itself = functional.one_hot(doubled.crystal, 5).bool()
        assert torch.equal(masked, same & ~itself)
        return
    with torch.no_grad():
        z = model.encoder.local_mean(doubled)
        crystals = model.crystal_score.crystal(model.encoder.pool(doubled, z).mean)
        scores = model.crystal_score.site(z) @ crystals.T
        positive = functional.softplus(-scores.gather(1, doubled.crystal[:, None]))[:, 0]
        negative = (functional.softplus(scores) * ~same).sum(dim=1) / (~same).sum(dim=1)
        expected = (doubled.site_share * (positive + negative)).sum() / 5
    torch.testing.assert_close(losses["global"], expected)


@pytest.mark.parametrize("objective", ["jsd", "infonce"])
@pytest.mark.parametrize("pairing", ["crystals", "sites"])
def test_a_batch_of_duplicates_has_a_finite_loss(objective, pairing, crystals):
    twins = make_batch(crystals[[1, 1, 1]])
    model = make_model(objective, pairing=pairing, local_negatives=KINDS)
    losses = model(twins, generator())
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
