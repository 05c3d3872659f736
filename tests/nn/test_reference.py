"""The presets have the arithmetic of the published networks: weights, inputs and results of tests/nn/reference."""

from pathlib import Path

import numpy as np
import pytest
import torch

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetRegressor
from skdim._chemistry.elements import OXIDATION_FEATURE, element_table
from skdim._embedder.infomax_net import module_settings
from skdim._geometry.merge_sites import compress_sites
from skdim._training.input_scaling import input_scale
from skdim._training.train import encoder_settings
from skdim.nn.batch import Batch
from skdim.nn.encoder import SiteNetEncoder, log_coulomb
from skdim.nn.infomax import DeepInfoMax
from skdim.nn.sampling.draws import Draws, draw_all
from skdim.nn.sampling.overlay import overlay_rows, wrong_neighbours
from skdim.nn.sampling.wrong_crystals import wrong_crystals
from skdim.nn.shared_batch import Whole
from skdim.nn.sitenet import SiteNet

FOLDER = Path(__file__).with_name("reference")
FEATURES = (*PAPER_SITE_FEATURES, OXIDATION_FEATURE)


@pytest.fixture(scope="module")
def dim2025():
    with np.load(FOLDER / "dim2025.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(scope="module")
def sitenet2023():
    with np.load(FOLDER / "sitenet2023.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


@pytest.fixture(params=["compiled", "plain", "plain double"])
def dtype(request, monkeypatch):
    if request.param != "compiled":
        monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    return torch.float64 if request.param == "plain double" else torch.float32


def assert_reference(result, expected):
    """Equal to 1e-5 of the largest value."""
    scale = expected.double().abs().max()
    torch.testing.assert_close(result.detach().double() / scale, expected.double() / scale, rtol=0, atol=1e-5)


def numbers_of(data, k):
    name = f"crystal.{k}.atomic_numbers"
    return data[name].long() if name in data else (10 * data[f"crystal.{k}.site_inputs"][:, 0]).round().long()


def inputs_of(data, k):
    if f"crystal.{k}.site_inputs" in data:
        return data[f"crystal.{k}.site_inputs"]
    return torch.cat([data[f"crystal.{k}.properties"], data[f"crystal.{k}.oxidation_states"][:, None]], dim=1).float()


class Sample:
    """The reference crystals as a batch, and the site class of each site."""

    def __init__(self, data, compressed, dtype):
        parts, self.sites = [], []
        for k in range(len(data["size.M"])):
            numbers, distances = numbers_of(data, k), data[f"crystal.{k}.distances"]
            m, n = distances.shape
            class_of, neighbour, distance = torch.arange(m), data[f"crystal.{k}.column_site"].long(), distances
            count, lengths, first = torch.ones(m * n), torch.full((m,), n), torch.arange(m)
            neighbour, distance = neighbour.repeat(m), distance.flatten()
            if compressed:
                # Columns in the order of the featurizer: one copy of the primitive cell after the other.
                order = data[f"crystal.{k}.column_site"].argsort(stable=True).reshape(m, n // m).T.flatten()
                merged = compress_sites(distances[:, order].double().numpy(), numbers.numpy(), tol=1e-5)
                class_of, lengths = torch.from_numpy(merged.class_of), torch.from_numpy(merged.n_pairs)
                neighbour, distance = torch.from_numpy(merged.neighbour), torch.from_numpy(merged.distance)
                count = torch.from_numpy(merged.count)
                first = torch.tensor([int((class_of == c).nonzero()[0]) for c in range(len(lengths))])
            n_before = sum(len(part["numbers"]) for part in parts)
            self.sites.append(class_of + n_before)
            parts.append(
                {
                    "site_inputs": inputs_of(data, k)[first],
                    "numbers": numbers[first],
                    "multiplicity": torch.bincount(class_of).to(dtype),
                    "crystal": torch.full((len(lengths),), k),
                    "lengths": lengths,
                    "neighbour": neighbour + n_before,
                    "distance": distance,
                    "count": count,
                }
            )
        joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        lengths = joined.pop("lengths")
        n_classes = torch.tensor([len(part["numbers"]) for part in parts])
        self.batch = Batch(
            row=torch.arange(len(lengths)).repeat_interleave(lengths),
            pair_offsets=torch.nn.functional.pad(lengths.cumsum(0), (1, 0)),
            class_offsets=torch.nn.functional.pad(n_classes.cumsum(0), (1, 0)),
            **joined,
        ).to(dtype)
        self.sites = torch.cat(self.sites)


def load(module, named):
    """Weights into a module, all of it; names map to tensors or to lists of tensors to be joined."""
    state = {name: torch.cat(value) if isinstance(value, list) else value for name, value in named.items()}
    module.load_state_dict(state)


# ---- Deep InfoMax, 2025 ----


def paper_weights(data):
    w = data
    hidden, value = w["attention.hidden.weight"], w["value.first.weight"]
    bond = torch.cat([hidden, value])
    named = {
        "encoder.blocks.0.bond.centre.weight": bond[:, :64],
        "encoder.blocks.0.bond.centre.bias": [w["attention.hidden.bias"], w["value.first.bias"]],
        "encoder.blocks.0.bond.neighbour.weight": bond[:, 64:128],
        "encoder.blocks.0.bond.pair.weight": bond[:, 128:],
        # The bias of the logits adds the same to all columns of a row.
        "encoder.blocks.0.logit.weight": w["attention.logit.weight"],
        "neighbour_score.site.weight": w["local_score.key.0.weight"][:, :9],
        "neighbour_score.site.bias": w["local_score.key.0.bias"],
        "neighbour_score.distance.weight": w["local_score.key.0.weight"][:, 9:],
    }
    layers = {
        "encoder.lift_site.linear": "lift_site",
        "encoder.lift_pair.linear": "lift_pair",
        "encoder.blocks.0.value.linear": "value.second",
        "encoder.pre_pool.0.linear": "pre_pool.0",
        "encoder.pre_pool.1.linear": "pre_pool.1",
        "encoder.post_pool.0.linear": "post_pool.0",
        "neighbour_score.query.0.linear": "local_score.query.0",
        "neighbour_score.query.1": "local_score.query.1",
        "neighbour_score.key": "local_score.key.1",
        "crystal_score.crystal.0.linear": "global_score.query.0",
        "crystal_score.crystal.1": "global_score.query.1",
        "crystal_score.site.0.linear": "global_score.key.0",
        "crystal_score.site.1": "global_score.key.1",
    }
    for kind in ("weight", "bias"):
        named |= {f"{ours}.{kind}": w[f"{theirs}.{kind}"] for ours, theirs in layers.items()}
        named[f"encoder.bottleneck.{kind}"] = [w[f"bottleneck.mean.{kind}"], w[f"bottleneck.log_var.{kind}"]]
        named[f"encoder.post_pool.1.{kind}"] = [w[f"global.mean.{kind}"], w[f"global.log_var.{kind}"]]
    return named


def paper_model(data, activation, dtype):
    settings = module_settings(DeepInfoMaxEmbedder.paper(local_activation=activation), FEATURES)
    settings["encoder"]["input_scale"] = None  # the reference has inputs as the network reads them
    model = DeepInfoMax(**settings)
    load(model, paper_weights(data))
    return model.to(dtype)


def local_vectors(model, batch, attention=None):
    encoder = model.encoder
    return encoder.local(batch, encoder.site_terms(batch), encoder.pair_term(batch), attention)


activations = pytest.mark.parametrize("activation", ["mish", "relu"])


@activations
@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "uncompressed"])
def test_vectors_and_kl_of_2025(compressed, activation, dtype, dim2025):
    model, sample = paper_model(dim2025, activation, dtype), Sample(dim2025, compressed, dtype)
    batch, sites = sample.batch, sample.sites
    assert len(batch.numbers) < 50 if compressed else len(batch.numbers) == 50
    local = local_vectors(model, batch)
    crystal = model.encoder.pool(batch, local.mean)
    assert_reference(local.mean[sites], dim2025[f"{activation}.local_mean"])
    assert_reference(local.log_var[sites], dim2025[f"{activation}.local_log_var"])
    assert_reference(crystal.mean, dim2025[f"{activation}.crystal_mean"])
    assert_reference(crystal.log_var, dim2025[f"{activation}.crystal_log_var"])
    kl = dim2025[f"{activation}.local_kl"] + dim2025[f"{activation}.crystal_kl"]
    assert_reference(model.kl_of_sites(Whole(batch), local) + model.kl_of_crystals(Whole(batch), crystal), kl)


@activations
@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "uncompressed"])
def test_attention_and_local_weights_of_2025(compressed, activation, dtype, dim2025):
    """Of merged columns, as their sum."""
    model, sample = paper_model(dim2025, activation, dtype), Sample(dim2025, compressed, dtype)
    batch, weights = sample.batch, []
    local_vectors(model, batch, weights)
    columns = {"attention": weights[0][:, 0], "weights": model.neighbour_weights(batch)}
    site = 0
    for k, (m, n) in enumerate(zip(dim2025["size.M"].tolist(), dim2025["size.N"].tolist(), strict=True)):
        expected = {"attention": dim2025[f"{activation}.attention.{k}"], "weights": dim2025[f"local_weights.{k}"]}
        for i in range(m):
            row = sample.sites[site + i]
            pairs = slice(int(batch.pair_offsets[row]), int(batch.pair_offsets[row + 1]))
            distances = dim2025[f"crystal.{k}.distances"][i]
            classes = sample.sites[site + dim2025[f"crystal.{k}.column_site"].long()]
            # The pair that each column belongs to: the nearest in distance of the same class.
            apart = (distances[:, None] - batch.distance[pairs]).abs()
            apart[classes[:, None] != batch.neighbour[pairs]] = torch.inf
            assert apart.min(dim=1).values.max() < 2e-5
            same = torch.nn.functional.one_hot(apart.argmin(dim=1), apart.shape[1])
            for name, values in columns.items():
                if compressed:
                    result = same.T.to(dtype) @ expected[name][i].to(dtype)
                    assert_reference(values[pairs], result)
                else:
                    assert values[pairs].shape == (n,)
                    assert_reference(values[pairs], expected[name][i])
        site += m


def given_draws(data, batch, noisy):
    """Negatives and noise of the reference."""
    partner = data["negative.site"].long()
    turn = []
    for k, (m, n) in enumerate(zip(data["size.M"].tolist(), data["size.N"].tolist(), strict=True)):
        # Column j keeps its distance and gets the site of column permutation[j].
        given = data[f"crystal.{k}.permutation"].long().argsort()
        start = int(batch.pair_offsets[batch.class_offsets[k]])
        turn += [start + i * n + given for i in range(m)]
    noise = {"noise": data["noise.local"], "crystal_noise": data["noise.crystal"]} if noisy else {}
    return Draws(
        partner=partner, turn=torch.cat(turn), **{name: x.to(batch.distance.dtype) for name, x in noise.items()}
    )


def in_reference_order(batch, pairs, values):
    """Values of pairs crystal by crystal, (M, N) each."""
    lengths = pairs.pair_offsets[batch.class_offsets[1:]] - pairs.pair_offsets[batch.class_offsets[:-1]]
    n_sites = batch.class_offsets.diff().tolist()
    return [x.reshape(m, -1) for x, m in zip(values.split(lengths.tolist()), n_sites, strict=True)]


@activations
@pytest.mark.parametrize("noise", ["plain", "noisy"])
def test_local_scores_and_losses_of_2025(noise, activation, dtype, dim2025):
    """Of uncompressed rows, as negatives pair columns by position."""
    model, batch = paper_model(dim2025, activation, dtype), Sample(dim2025, False, dtype).batch
    draws = given_draws(dim2025, batch, noise == "noisy")
    z = local_vectors(model, batch).sample(draws.noise)
    queries = model.neighbour_score.queries(z)
    share = Whole(batch)
    wrong = wrong_neighbours(share, draws, model.local_negatives, model.pairing)
    kinds = [(batch, torch.ones(50, dtype=dtype)), *wrong]
    assert len(kinds) == 4
    true, false = (dim2025[f"{activation}.{noise}.local_{name}"] for name in ("true", "false"))
    # True; another site's neighbours; true species with its distances; its species with true distances.
    for k, (pairs, is_negative) in enumerate(kinds):
        assert (is_negative == 1).all()
        scores = model.neighbour_score.of_rows(pairs, queries, site_inputs=batch.site_inputs)[0]
        for crystal, part in enumerate(in_reference_order(batch, pairs, scores)):
            assert_reference(part, dim2025[f"{activation}.{noise}.local_scores.{crystal}"][k])
        sign = -1 if k == 0 else 1
        losses = model.neighbour_weights(pairs) * torch.nn.functional.softplus(sign * scores)
        per_site = torch.zeros(50, dtype=dtype).index_add(0, pairs.row, losses)
        assert_reference(per_site, true if k == 0 else false[:, k - 1])
    assert_reference(model.local_loss(share, z, draws), dim2025[f"{activation}.{noise}.local_loss"])


@activations
@pytest.mark.parametrize("noise", ["plain", "noisy"])
def test_global_scores_and_losses_of_2025(noise, activation, dtype, dim2025):
    model, batch = paper_model(dim2025, activation, dtype), Sample(dim2025, False, dtype).batch
    draws, share, encoder = given_draws(dim2025, batch, noise == "noisy"), Whole(batch), model.encoder
    mean = local_vectors(model, batch).mean
    crystal = encoder.pool(batch, mean)
    g = crystal.sample(draws.crystal_noise)
    engineered = wrong_crystals(model, share, encoder.site_terms(batch), encoder.pair_term(batch), draws)
    names = ("composition", "structure", "permuted")
    queries, keys = model.crystal_score.crystal(g), model.crystal_score.site(mean)
    partner = batch.crystal[draws.partner]
    scores = [(queries[batch.crystal] * keys).sum(dim=1), (queries[partner] * keys).sum(dim=1)]
    for name, wrong in zip(names, engineered, strict=True):
        assert_reference(wrong.vectors, dim2025[f"{activation}.engineered.{name}"])
        scores.append((queries[wrong.crystal] * model.crystal_score.site(wrong.vectors)).sum(dim=1))
    scores = torch.stack(scores, dim=1)
    assert_reference(scores, dim2025[f"{activation}.{noise}.global_scores"])
    assert_reference(torch.nn.functional.softplus(-scores[:, 0]), dim2025[f"{activation}.{noise}.global_true"])
    assert_reference(torch.nn.functional.softplus(scores[:, 1:]), dim2025[f"{activation}.{noise}.global_false"])
    loss = model.global_loss(share, g, mean, engineered, draws)
    assert_reference(loss, dim2025[f"{activation}.{noise}.global_loss"])


@activations
@pytest.mark.parametrize("noise", ["plain", "noisy"])
def test_objective_of_2025(noise, activation, dtype, dim2025):
    """The loss that training minimizes, in one call."""
    model, batch = paper_model(dim2025, activation, dtype), Sample(dim2025, False, dtype).batch
    losses = model.losses(Whole(batch), given_draws(dim2025, batch, noise == "noisy"))
    prefix = f"{activation}.{noise}"
    assert_reference(losses["local"], dim2025[f"{prefix}.local_loss"])
    assert_reference(losses["global"], dim2025[f"{prefix}.global_loss"])
    kl = dim2025[f"{activation}.local_kl"] + dim2025[f"{activation}.crystal_kl"]
    total = dim2025[f"{prefix}.local_loss"] + dim2025[f"{prefix}.global_loss"] + 0.1 * kl
    assert_reference(losses["loss"], total)


def test_drawn_negatives_of_2025_are_of_other_crystals(dim2025):
    model, batch = paper_model(dim2025, "mish", torch.float32), Sample(dim2025, False, torch.float32).batch
    for seed in range(20):
        draws = draw_all(model, batch, torch.Generator().manual_seed(seed))
        assert (batch.crystal[draws.partner] != batch.crystal).all()
        assert draws.noise.shape == (50, 32)
        assert draws.chimera is None
        assert torch.isfinite(model.losses(Whole(batch), draws)["loss"])


@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "uncompressed"])
def test_gains_and_offsets_of_2025(compressed, dtype, dim2025):
    settings = encoder_settings(DeepInfoMaxEmbedder.paper(), FEATURES) | {"input_scale": None, "gains": True}
    encoder = SiteNetEncoder(**settings)
    layers = {
        "lift_site.norm": "lift_site",
        "lift_pair.norm": "lift_pair",
        "blocks.0.logit_norm": "attention.hidden",
        "blocks.0.value_norm": "value.first",
        "blocks.0.value.norm": "value.second",
        "pre_pool.0.norm": "pre_pool.0",
        "pre_pool.1.norm": "pre_pool.1",
        "post_pool.0.norm": "post_pool.0",
    }
    named = {k.removeprefix("encoder."): v for k, v in paper_weights(dim2025).items() if k.startswith("encoder.")}
    named |= {f"{ours}.weight": dim2025[f"affine.{theirs}.gain"] for ours, theirs in layers.items()}
    named |= {f"{ours}.bias": dim2025[f"affine.{theirs}.offset"] for ours, theirs in layers.items()}
    load(encoder, named)
    sample = Sample(dim2025, compressed, dtype)
    encoder.to(dtype)
    local = encoder.local(sample.batch, encoder.site_terms(sample.batch), encoder.pair_term(sample.batch))
    crystal = encoder.pool(sample.batch, local.mean)
    assert_reference(local.mean[sample.sites], dim2025["affine.local_mean"])
    assert_reference(local.log_var[sample.sites], dim2025["affine.local_log_var"])
    assert_reference(crystal.mean, dim2025["affine.crystal_mean"])
    assert_reference(crystal.log_var, dim2025["affine.crystal_log_var"])


# ---- supervised Site-Net, 2023 ----


def sitenet_2023(data, gains, dtype):
    regressor = SiteNetRegressor.sitenet_2023(output_activation="trelu")
    settings = encoder_settings(regressor, FEATURES) | {"input_scale": None, "spread": False}
    options = {"hidden_layer_sizes": regressor.hidden_layer_sizes, "output_activation": regressor.output_activation}
    net = SiteNet(
        encoder=settings,
        target_mean=[0.0],
        target_scale=[1.0],
        representation=regressor.representation,
        head_norm=regressor.head_norm,
        **options,
    )
    assert sum(p.numel() for p in net.parameters()) == 304_085
    state = net.state_dict()
    # [element embedding, properties, oxidation state] in the reference; properties first here.
    order = torch.cat([torch.arange(92, 101), torch.arange(92)])
    named = {"encoder.lift_site.linear.weight": data["lift_site.weight"][:, order]}
    table = state["encoder.element.weight"].clone()
    table[data["element_embedding.atomic_numbers"].long()] = data["element_embedding.weight"]
    named["encoder.element.weight"] = table
    for block in (0, 1):
        name, ours = f"block.{block}", f"encoder.blocks.{block}"
        parts = [f"{name}.attention.hidden", f"{name}.value", f"{name}.pair"]
        weights = [data.get(f"{part}.weight", torch.zeros(48, 228)) for part in parts]  # the last pair layer is idle
        bond = torch.cat(weights)
        named[f"{ours}.bond.centre.bias"] = [data.get(f"{part}.bias", torch.zeros(48)) for part in parts]
        named |= {
            f"{ours}.bond.centre.weight": bond[:, :90],
            f"{ours}.bond.neighbour.weight": bond[:, 90:180],
            f"{ours}.bond.pair.weight": bond[:, 180:],
        }
    layers = {
        "encoder.lift_site.linear": "lift_site",
        "encoder.lift_pair.linear": "lift_pair",
        **{f"encoder.blocks.{b}.logit": f"block.{b}.attention.logit" for b in (0, 1)},
        **{f"encoder.blocks.{b}.site.linear": f"block.{b}.site" for b in (0, 1)},
        "encoder.pre_pool.0.linear": "pre_pool.0",
        "encoder.post_pool.0.linear": "post_pool.0",
        "encoder.post_pool.1.linear": "post_pool.1",
        "encoder.post_pool.2": "post_pool.2",
        "head.0": "output",
    }
    for kind in ("weight", "bias"):
        named = {f"{ours}.{kind}": data[f"{theirs}.{kind}"] for ours, theirs in layers.items()} | named
    norms = {
        "encoder.lift_site.norm": "lift_site",
        "encoder.lift_pair.norm": "lift_pair",
        **{f"encoder.blocks.{b}.logit_norm": f"block.{b}.attention.hidden" for b in (0, 1)},
        **{f"encoder.blocks.{b}.value_norm": f"block.{b}.value" for b in (0, 1)},
        **{f"encoder.blocks.{b}.site.norm": f"block.{b}.site" for b in (0, 1)},
        "encoder.blocks.0.pair_norm": "block.0.pair",
        "encoder.pre_pool.0.norm": "pre_pool.0",
        "encoder.post_pool.0.norm": "post_pool.0",
        "encoder.post_pool.1.norm": "post_pool.1",
        "encoder.output_norm": "post_pool.2",
    }
    if gains:
        named |= {f"{ours}.weight": data[f"affine.{theirs}.gain"] for ours, theirs in norms.items()}
        named |= {f"{ours}.bias": data[f"affine.{theirs}.offset"] for ours, theirs in norms.items()}
    # What the reference does not have: standardization, which does nothing here, gains of 1, and idle weights.
    fixed = {name: state[name] for name in state if name.split(".")[0] in {"target_mean", "target_scale"}}
    fixed |= {name: state[name] for name in state if name.startswith("feature_")}
    ones = {} if gains else {f"{n}.{kind}": state[f"{n}.{kind}"] for n in norms for kind in ("weight", "bias")}
    idle = {
        f"encoder.blocks.1.pair_norm.{kind}": state[f"encoder.blocks.1.pair_norm.{kind}"] for kind in ("weight", "bias")
    }
    load(net, named | fixed | ones | idle)
    return net.to(dtype).eval()


@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "uncompressed"])
def test_network_of_2023(compressed, dtype, sitenet2023):
    net, sample = sitenet_2023(sitenet2023, False, dtype), Sample(sitenet2023, compressed, dtype)
    batch, sites, encoder = sample.batch, sample.sites, net.encoder
    lifted = []
    handle = encoder.lift_site.register_forward_hook(lambda module, inputs, output: lifted.append((inputs[0], output)))
    blocks = [block.register_forward_hook(lambda module, i, output: lifted.append(output)) for block in encoder.blocks]
    local = encoder.local_mean(batch)
    for hook in (handle, *blocks):
        hook.remove()
    (inputs, lifted_sites), first, second = lifted
    order = torch.cat([torch.arange(9, 101), torch.arange(9)])
    assert_reference(inputs[sites][:, order], sitenet2023["result.site_inputs"])
    assert_reference(lifted_sites[sites], sitenet2023["result.lifted_sites"])
    assert_reference(first[0][sites], sitenet2023["result.block.0.sites"])
    assert_reference(second[0][sites], sitenet2023["result.block.1.sites"])
    assert torch.equal(local, torch.cat([first[0], second[0]], dim=1))
    assert second[1] is None
    assert_reference(encoder.pre_pool(local)[sites], sitenet2023["result.pre_pool"])
    assert_reference(encoder.pool(batch, local).mean, sitenet2023["result.representation"])
    vectors = encoder.pool(batch, local).mean
    assert_reference(net.head(vectors)[:, 0], sitenet2023["result.prediction"])
    assert_reference(net(batch)[:, 0], sitenet2023["result.prediction_clamped"])
    if not compressed:
        assert_reference(first[1][:100], sitenet2023["result.block.0.pairs.0"][0])
        start = 0
        for k, (m, n) in enumerate(zip(sitenet2023["size.M"].tolist(), sitenet2023["size.N"].tolist(), strict=True)):
            for block, output in enumerate((first, second)):
                attention = output[2][start : start + m * n].reshape(m, n, 3)
                assert_reference(attention, sitenet2023[f"result.block.{block}.attention.{k}"])
            start += m * n


@pytest.mark.parametrize("compressed", [True, False], ids=["compressed", "uncompressed"])
def test_gains_and_offsets_of_2023(compressed, dtype, sitenet2023):
    net, sample = sitenet_2023(sitenet2023, True, dtype), Sample(sitenet2023, compressed, dtype)
    local = net.encoder.local_mean(sample.batch)
    assert_reference(local[:, :90][sample.sites], sitenet2023["affine.result.block.0.sites"])
    assert_reference(local[:, 90:][sample.sites], sitenet2023["affine.result.block.1.sites"])
    vectors = net.encoder.pool(sample.batch, local).mean
    assert_reference(vectors, sitenet2023["affine.result.representation"])
    assert_reference(net.head(vectors)[:, 0], sitenet2023["affine.result.prediction"])


def test_log_coulomb_of_2023(sitenet2023):
    batch = Sample(sitenet2023, False, torch.float64).batch
    expected = torch.cat([sitenet2023[f"crystal.{k}.log_coulomb"].flatten() for k in range(4)])
    assert_reference(log_coulomb(batch), expected)


def test_clamp_of_2023_passes_gradients(sitenet2023):
    net, batch = sitenet_2023(sitenet2023, False, torch.float64), Sample(sitenet2023, False, torch.float64).batch
    with torch.no_grad():
        net.head[0].bias -= 100.0
    prediction = net(batch)
    assert (prediction == 0).all()
    prediction.sum().backward()
    assert float(net.head[0].bias.grad) == len(batch)


# ---- inputs ----


@pytest.mark.parametrize("scaling", ["2025", "2023"])
def test_inputs_have_the_published_scale(scaling, dim2025, sitenet2023):
    """All but the density of oxygen: that of the liquid in skdim, that of the gas in the published inputs."""
    data = dim2025 if scaling == "2025" else sitenet2023
    scale = input_scale(scaling, FEATURES)
    table = element_table(PAPER_SITE_FEATURES)
    for k in range(len(data["size.M"])):
        numbers, expected = numbers_of(data, k).numpy(), inputs_of(data, k).numpy()
        standardized = np.column_stack([table[numbers], np.zeros(len(numbers))])
        result = standardized * [factor for factor, _ in scale] + [offset for _, offset in scale]
        np.testing.assert_allclose(result[:, :7], expected[:, :7], rtol=5e-4)  # the atomic weight of Zn was revised
        np.testing.assert_allclose(result[numbers != 8, 7], expected[numbers != 8, 7], rtol=5e-3)
        assert (result[:, 8] == expected[:, 8]).all()


def test_overlays_of_equal_rows_pair_columns_by_position(dim2025):
    batch = Sample(dim2025, False, torch.float64).batch
    partner = dim2025["negative.site"].long()
    overlay = overlay_rows(batch, torch.arange(50), partner)
    assert torch.equal(overlay.pair, torch.arange(len(batch.row)))
    assert torch.equal(overlay.row, batch.row)
    column = overlay.pair - batch.pair_offsets[batch.row]
    assert torch.equal(overlay.partner_pair, batch.pair_offsets[partner[batch.row]] + column)
