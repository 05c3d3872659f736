"""Deep InfoMax: which weights each loss trains, what the negatives are, and the values of the losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._training.batches import make_batch
from skdim.datasets import make_crystals
from skdim.nn.choices import NEGATIVES
from skdim.nn.compiled.autograd import threads
from skdim.nn.encoder import Gaussian
from skdim.nn.losses import info_nce, kl_gaussian, kl_reference
from skdim.nn.sampling.draws import draw_all
from skdim.nn.sampling.wrong_crystals import wrong_crystals
from skdim.nn.shared_batch import Whole
from tests.helpers.small_networks import SMALL, generator, make_model, toy_batch


@pytest.fixture(scope="module")
def batch():
    structures, _ = make_crystals(12, random_state=3)
    return make_batch(SiteNetFeaturizer(max_sites=30).fit_transform(structures))


# ---- gradients ----


@pytest.mark.parametrize("descriptor_weight", [0.0, 10.0])
@pytest.mark.parametrize("objective", ["jsd", "infonce"])
def test_the_two_blocks_train_disjoint_weights(objective, descriptor_weight, batch):
    model = make_model(objective, descriptor_weight=descriptor_weight)
    encoder_local = {id(p) for part in model.encoder.local_modules() for p in part.parameters()}

    def learns(part):
        model.zero_grad(set_to_none=True)
        model(batch, generator())[part].backward()
        return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}

    every = {name for name, _ in model.named_parameters()}
    readout = {name for name in every if name.startswith("descriptors.")}
    assert bool(readout) == bool(descriptor_weight)
    of_local = {n for n, p in model.named_parameters() if id(p) in encoder_local or n.startswith("neighbour_score")}
    of_global = every - of_local - readout
    assert any(name.startswith("encoder.post_pool") for name in of_global)
    # A constant added to all scores of a row does not change their softmax.
    without_effect = set() if objective == "jsd" else {"crystal_score.site.1.bias"}
    assert learns("local") == of_local
    assert of_global - without_effect <= learns("global") <= of_global
    assert learns("loss") == every
    if descriptor_weight:
        assert learns("descriptors") == {name for name in every if name.startswith(("encoder.", "descriptors."))}


@pytest.mark.parametrize("pairing", ["crystals", "sites"])
@pytest.mark.parametrize("objective", ["jsd", "infonce", None])
def test_losses_and_gradients_of_two_threads(objective, pairing, batch):
    """To the bit those of one thread, and up to rounding those of one loss."""
    others = {"descriptor_weight": 2.0, "prior_weight": 0.1, "composition_weight": 0.1, "radial_weight": 0.5}
    model = make_model(objective, pairing=pairing, kl_weight=0.3, **others)

    def results(compute):
        model.zero_grad(set_to_none=True)
        losses = compute()
        return losses, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    def one_loss():
        losses = model(batch, generator())
        losses["loss"].backward()
        return losses

    expected, gradients = results(one_loss)
    assert {"kl", "descriptors", "prior", "composition", "radial"} <= set(expected)
    one, two = [], []
    for n_threads, result in ((1, one), (2, two)):
        with threads(n_threads):
            result += results(lambda: model.differentiate(model.prepare(batch), generator()))
    for values, reference in zip(one, (expected, gradients), strict=True):
        assert list(values) == list(reference)
        for name, value in values.items():
            assert not value.requires_grad
            torch.testing.assert_close(value, reference[name].detach(), rtol=1e-4, atol=1e-6, msg=name)
    for values, reference in zip(two, one, strict=True):
        assert all(torch.equal(value, reference[name]) for name, value in values.items())


@pytest.mark.parametrize("zeroed", ["crystal", "site"])
def test_descriptors_train_local_weights_through_z_and_global_weights_through_g(zeroed, batch):
    """A map of zero weights passes no gradient: the weights of the encoder that still learn do so by the other map."""
    model = make_model(descriptor_weight=1.0)
    torch.nn.init.zeros_(getattr(model.descriptors, zeroed).weight)
    model(batch, generator())["descriptors"].backward()
    learns = {id(p) for p in model.encoder.parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    local = {id(p) for part in model.encoder.local_modules() for p in part.parameters()}
    every = {id(p) for p in model.encoder.parameters()}
    assert learns == (local if zeroed == "crystal" else every - local)


def test_gradients_agree_with_finite_differences():
    """Central differences along a random direction in all weights."""
    small = toy_batch([[3, 8], [11, 17, 8], [12]], [[1, 2], [1, 1, 3], [4]]).to(torch.float64)
    for objective in ("jsd", "infonce"):
        model = make_model(objective, torch.float64)
        # With z detached the global loss is not a function of the local weights: check each part on its own weights.
        local = {id(p) for part in model.encoder.local_modules() for p in part.parameters()}
        for part in ("local", "global"):
            chosen = [
                p
                for name, p in model.named_parameters()
                if (part == "local") == (id(p) in local or name.startswith("neighbour_score"))
            ]
            gradients = torch.autograd.grad(model(small, generator())[part], chosen)
            direction = [torch.randn(p.shape, dtype=p.dtype, generator=generator(1)) for p in chosen]
            values = []
            for step in (1e-6, -2e-6):
                with torch.no_grad():
                    for p, d in zip(chosen, direction, strict=True):
                        p.add_(d, alpha=step)
                    values.append(float(model(small, generator())[part]))
            slope = (values[0] - values[1]) / 2e-6
            expected = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True))
            assert slope == pytest.approx(expected, rel=1e-4)


# ---- Kullback-Leibler ----


def test_kl_forms():
    standard = Gaussian(torch.zeros(2, 3), torch.zeros(2, 3))
    assert kl_gaussian(standard).tolist() == [0, 0]
    assert kl_reference(standard).tolist() == [1, 1]
    mean, log_var = torch.randn(5, 3, generator=generator()), torch.randn(5, 3, generator=generator(1))
    ours = torch.distributions.Normal(mean, torch.exp(log_var / 2))
    expected = torch.distributions.kl_divergence(ours, torch.distributions.Normal(0.0, 1.0)).mean(dim=1)
    torch.testing.assert_close(kl_gaussian(Gaussian(mean, log_var)), expected)
    expected = (mean**2 / 2 + torch.exp(log_var) - log_var).mean(dim=1)
    torch.testing.assert_close(kl_reference(Gaussian(mean, log_var)), expected)
    for form in (kl_gaussian, kl_reference):
        with pytest.raises(ValueError, match="spread=True"):
            form(Gaussian(mean, None))


@pytest.mark.parametrize("form", ["gaussian", "reference"])
def test_the_loss_is_the_sum_of_its_parts(form, batch):
    losses = make_model(kl_form=form, kl_weight=0.3)(batch, generator())
    torch.testing.assert_close(losses["loss"], losses["local"] + losses["global"] + 0.3 * losses["kl"])
    losses = make_model(kl_form=form, kl_weight=0.3, descriptor_weight=2.0)(batch, generator())
    without = losses["local"] + losses["global"] + 0.3 * losses["kl"]
    torch.testing.assert_close(losses["loss"], without + 2 * losses["descriptors"])


def test_without_the_kl_term_there_is_no_noise(batch):
    model = make_model(kl_weight=0.0, negatives=("composition", "permuted"))
    assert not model.encoder.spread
    assert "kl" not in model(batch, generator())
    state = model.encoder.local(batch, model.encoder.site_terms(batch), model.encoder.pair_term(batch))
    assert state.log_var is None
    assert state.sample(torch.ones_like(state.mean)) is state.mean


def test_noise_and_negatives_come_only_from_the_generator(batch):
    model = make_model()
    first, again, other = (model(batch, generator(seed))["loss"].item() for seed in (1, 1, 2))
    before = torch.get_rng_state()
    assert first == again != other
    assert torch.equal(before, torch.get_rng_state())


# ---- engineered negatives ----


@pytest.mark.parametrize("log_coulomb", [False, True])
def test_engineered_vectors_are_those_of_wrong_crystals(log_coulomb, batch):
    """Compared with the encoder on batches with the wrong species or the wrong distances."""
    settings = {"n_blocks": 2, "n_heads": 2, "log_coulomb": log_coulomb, "element_embedding": 3}
    model = make_model(kl_weight=0.0, encoder=settings)
    encoder = model.encoder
    with torch.no_grad():
        sites, term = encoder.site_terms(batch), encoder.pair_term(batch)
        draws = draw_all(model, batch, generator(5))
        engineered = wrong_crystals(model, Whole(batch), sites, term, draws)
    (composition, geometry_of, _), (structure, species_of, _), (permuted, permuted_of, _) = engineered
    chimera, turn, species = draws.chimera, draws.turn, draws.chimera.species_class
    wrong_species = replace(batch, site_inputs=batch.site_inputs[species], numbers=batch.numbers[species])
    wrong_distances = replace(batch, distance=batch.distance[turn])
    with torch.no_grad():
        torch.testing.assert_close(composition, encoder(wrong_species)[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(permuted, encoder(wrong_distances)[0], rtol=1e-4, atol=1e-5)
    # A chimera is a negative of the crystal whose geometry it has and of the one whose species it has.
    assert structure is composition
    assert torch.equal(geometry_of, batch.crystal)
    assert torch.equal(permuted_of, batch.crystal)
    assert torch.equal(species_of, batch.crystal[chimera.species_class])
    assert (species_of != batch.crystal).all()


# ---- Jensen-Shannon values ----


def per_site(batch):
    """Indices of the classes, each as often as it has sites, crystal by crystal."""
    return [
        torch.arange(len(batch.numbers))[batch.crystal == k].repeat_interleave(
            batch.multiplicity[batch.crystal == k].long()
        )
        for k in range(len(batch))
    ]


def key_of(model, batch, pair):
    score = model.neighbour_score
    raw = score.site(batch.site_inputs[batch.neighbour[pair]]) + score.distance(batch.distance[pair, None])
    hidden = functional.mish(raw)
    return score.key(functional.layer_norm(hidden, hidden.shape[-1:]))


@pytest.mark.parametrize(("distance_power", "self_weight"), [(2.0, 1.0), (4.0, 0.0)])
def test_local_loss_is_a_loop_over_sites_and_neighbours(distance_power, self_weight, batch):
    model = make_model(dtype=torch.float64, distance_power=distance_power, self_weight=self_weight)
    batch = batch.to(torch.float64)
    with torch.no_grad():
        z = torch.randn(len(batch.numbers), SMALL["local_dim"], dtype=torch.float64, generator=generator(1))
        draws = draw_all(model, batch, generator(7))
        loss = model.local_loss(Whole(batch), z, draws)
        partner = draws.partner
        assert (batch.crystal[partner] != batch.crystal).all()
        queries = model.neighbour_score.query(z)
        of_crystal = []
        for sites in per_site(batch):
            losses = []
            for i in sites.tolist():
                pairs = torch.arange(int(batch.pair_offsets[i]), int(batch.pair_offsets[i + 1]))
                keys = key_of(model, batch, pairs)
                weight = batch.count[pairs] / (batch.distance[pairs] + 1) ** distance_power
                weight = torch.where(batch.distance[pairs] == 0, self_weight * weight, weight)
                terms = functional.softplus(-keys @ queries[i]) + functional.softplus(keys @ queries[partner[i]])
                losses.append(float(weight @ terms / weight.sum()))
            of_crystal.append(np.mean(losses))
    assert float(loss) == pytest.approx(np.mean(of_crystal), rel=1e-9)


@pytest.mark.parametrize("negatives", [NEGATIVES, ("batch",), ("structure", "permuted")])
def test_global_loss_is_a_loop_over_crystals_and_sites(negatives, batch):
    model = make_model(dtype=torch.float64, negatives=negatives)
    batch = batch.to(torch.float64)
    with torch.no_grad():
        z = torch.randn(len(batch.numbers), SMALL["local_dim"], dtype=torch.float64, generator=generator(1))
        g = torch.randn(len(batch), SMALL["n_components"], dtype=torch.float64, generator=generator(2))
        sites, term = model.encoder.site_terms(batch), model.encoder.pair_term(batch)
        draws = draw_all(model, batch, generator(3))
        engineered = wrong_crystals(model, Whole(batch), sites, term, draws)
        loss = model.global_loss(Whole(batch), g, z, engineered, draws)

        def score(k, vectors):
            return model.crystal_score.site(vectors) @ model.crystal_score.crystal(g[k])

        positive, negative = [], []
        for k, sites in enumerate(per_site(batch)):
            positive.append(functional.softplus(-score(k, z[sites])).mean())
            others = [functional.softplus(score(other, z[sites])).mean() for other in range(len(batch)) if other != k]
            negative.append(torch.stack(others).mean())
        expected = torch.stack(positive).mean()
        kinds = [torch.stack(negative).mean()] if "batch" in negatives else []
        for vectors, crystal, weight in engineered:
            terms = [weight[i] * functional.softplus(score(crystal[i], vectors[i])) for i in range(len(weight))]
            kinds.append(sum(terms) / weight.sum())
    assert float(loss) == pytest.approx(float(expected + sum(kinds) / len(kinds)), rel=1e-9)


# ---- InfoNCE ----


def test_info_nce_is_the_log_probability_of_the_positive():
    scores = torch.randn(4, 6, generator=generator())
    scores[0, 3] = -torch.inf
    target = torch.tensor([0, 5, 2, 1])
    expected = -torch.log(torch.softmax(scores, dim=1)[torch.arange(4), target])
    torch.testing.assert_close(info_nce(scores, target), expected)


def test_neighbours_in_the_same_crystal_and_equal_neighbours_are_not_negatives(monkeypatch):
    """Na at 1.50 and at 1.53 angstrom in different crystals are equal neighbours, Na at 1.60 is not."""
    three = toy_batch([[11, 11], [11], [11, 8]], [[1, 1], [1], [1, 1]], n_pairs=1)
    three.distance = torch.tensor([1.5, 3.0, 1.53, 1.6, 1.5])
    model = make_model("infonce")
    seen = []

    def recording(scores, target):
        seen.append((scores, target))
        return info_nce(scores, target)

    monkeypatch.setattr("skdim.nn.infomax.info_nce", recording)
    z = torch.randn(5, SMALL["local_dim"], generator=generator())
    model.local_loss(Whole(three), z, draw_all(model, three, generator()))
    ((scores, target),) = seen
    masked = torch.isinf(scores)
    assert target.tolist() == [0, 1, 2, 3, 4]
    assert masked.int().tolist() == [
        [0, 1, 1, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
    ]


def test_info_nce_without_engineered_negatives_is_the_choice_among_crystals(batch):
    model = make_model("infonce", negatives=("batch",))
    with torch.no_grad():
        global_loss = model(batch, generator())["global"]
        both = make_model("infonce", negatives=("batch", "composition"))
        both.load_state_dict(model.state_dict())
        assert global_loss < both(batch, generator())["global"], "a further choice adds to the loss"
    assert 0 < global_loss < 3 * np.log(len(batch))


def test_info_nce_scores_are_cosines_over_the_temperature(batch, monkeypatch):
    seen = []
    monkeypatch.setattr("skdim.nn.infomax.info_nce", lambda s, t: seen.append(s) or info_nce(s, t))
    make_model("infonce", temperature=0.25)(batch, generator())
    assert len(seen) == 2
    for scores in seen:
        assert scores[torch.isfinite(scores)].abs().max() <= 4 * (1 + 1e-5)
    assert seen[1].shape == (len(batch.numbers), len(batch))


def test_neighbour_weights_sum_to_one_and_count_equal_columns(batch):
    model = make_model(distance_power=3.0)
    weights = model.neighbour_weights(batch)
    total = torch.zeros(len(batch.numbers)).index_add_(0, batch.row, weights)
    torch.testing.assert_close(total, torch.ones_like(total))
    raw = batch.count / (1 + batch.distance) ** 3
    ratio = weights / raw
    torch.testing.assert_close(ratio, ratio[batch.pair_offsets[:-1]][batch.row])
    without_self = make_model(self_weight=0.0).neighbour_weights(batch)
    assert (without_self[batch.distance == 0] == 0).all()
    assert int((batch.distance == 0).sum()) == len(batch.numbers)


@pytest.mark.filterwarnings("ignore:the published network reads")
@pytest.mark.parametrize("make", [DeepInfoMaxEmbedder, DeepInfoMaxEmbedder.paper])
def test_losses_under_autocast_are_close(make, X):
    net = make(max_epochs=0, random_state=0, device="cpu").fit(X).net_
    batch = next(net.batches(X, min_crystals=2))
    expected = net.module_(batch, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        losses = net.module_(batch, torch.Generator().manual_seed(0))
    losses["loss"].backward()
    for name, value in losses.items():
        torch.testing.assert_close(value.float(), expected[name], rtol=2e-2, atol=2e-2)
    assert all(p.grad.isfinite().all() for p in net.module_.parameters() if p.grad is not None)
