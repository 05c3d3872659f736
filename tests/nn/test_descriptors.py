"""Descriptors: statistics of the surroundings against a plain loop, and the regression on them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch.autograd import gradcheck
from torch.nn import functional

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._chemistry.elements import element_table
from skdim._training.batches import make_batch
from skdim.nn.descriptors import Descriptors, Standardised, crystal_statistics, environments
from tests.helpers import assertions
from tests.helpers.small_estimators import SMALL
from tests.helpers.small_networks import generator, make_model, toy_batch

CHANGES = [
    assertions.assert_unchanged_by_rotation,
    assertions.assert_unchanged_by_translation,
    assertions.assert_unchanged_by_site_order,
    assertions.assert_unchanged_by_lattice_choice,
    assertions.assert_unchanged_by_supercell,
]


@pytest.fixture(scope="module")
def uncompressed(formation_crystals):
    return SiteNetFeaturizer(compress=False, distance_tol=1e-6).transform(formation_crystals[::3])


# ---- the statistics ----


def plain_environments(x):
    """One uncompressed crystal: every site with every column of its row, one after the other, in double precision."""
    features = element_table(x.site_features)[x.numbers]
    rows = []
    for i in range(len(x.numbers)):
        total, neighbours = 0.0, []
        for column in range(x.pair_offsets[i], x.pair_offsets[i + 1]):
            d = float(x.distance[column])
            if d > 0:
                neighbours.append((max(d, 0.5) ** -6, d, features[x.neighbour[column]] - features[i]))
                total += neighbours[-1][0]
        shares = [weight / total for weight, _, _ in neighbours]
        difference = sum(share * diff for share, (_, _, diff) in zip(shares, neighbours, strict=True))
        contrast = sum(share * np.abs(diff) for share, (_, _, diff) in zip(shares, neighbours, strict=True))
        distance = sum(share * d for share, (_, d, _) in zip(shares, neighbours, strict=True))
        geometry = [distance, np.log(total), np.log(1 / sum(share**2 for share in shares))]
        rows.append((difference, contrast, geometry))
    return [np.array(part) for part in zip(*rows, strict=True)]


def test_environments_are_a_loop_over_sites_and_neighbours(uncompressed):
    assert (uncompressed.count == 1).all()
    expected = [np.concatenate(part) for part in zip(*map(plain_environments, uncompressed), strict=True)]
    for got, plain in zip(environments(make_batch(uncompressed)), expected, strict=True):
        assert got.shape == plain.shape
        assert_allclose(got.numpy(), plain, rtol=1e-5, atol=1e-5)


def test_neighbours_nearer_than_half_an_angstrom_weigh_as_if_they_were_there():
    batch = toy_batch([[8]], [[1]], n_pairs=3)
    batch.distance = torch.tensor([0.0, 0.1, 0.5])
    assert_allclose(environments(batch)[2][0], [0.5, np.log(2 * 0.5**-6), np.log(2)], rtol=1e-6)


def test_crystal_statistics_are_moments_over_all_primitive_sites(uncompressed):
    for x in uncompressed:
        difference, _, geometry = plain_environments(x)
        sites = np.column_stack([element_table(x.site_features)[x.numbers], difference, geometry])
        got = crystal_statistics(make_batch(x))[0].numpy()
        assert_allclose(got, np.concatenate([sites.mean(axis=0), sites.std(axis=0)]), rtol=1e-4, atol=1e-5)


def test_compression_changes_nothing(formation_crystals, uncompressed):
    compressed = SiteNetFeaturizer(distance_tol=1e-6).transform(formation_crystals[::3])
    assert len(compressed.distance) < len(uncompressed.distance)
    full, merged = (crystal_statistics(make_batch(X).to(torch.float64)) for X in (uncompressed, compressed))
    assert_allclose(merged, full, rtol=0, atol=1e-5)


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__.removeprefix("assert_unchanged_by_"))
def test_the_statistics_belong_to_the_crystal(change, formation_crystals):
    featurizer = SiteNetFeaturizer(distance_tol=1e-6)
    change(lambda s: crystal_statistics(make_batch(featurizer.transform(s))).numpy(), formation_crystals[::3], 2e-4)


def test_a_site_without_neighbours_has_no_surroundings():
    """The featurizer refuses a lone atom; in a batch, each site here is its own only neighbour."""
    lone = toy_batch([[29], [3, 8]], [[1], [1, 2]], n_pairs=1)
    for part in environments(lone):
        assert torch.equal(part, torch.zeros_like(part))
    statistics = crystal_statistics(lone)
    n = lone.site_inputs.shape[1]
    assert torch.isfinite(statistics).all()
    assert torch.equal(statistics[0, :n], lone.site_inputs[0])
    assert (statistics[0, n:] == 0).all()
    model = make_model(descriptor_weight=1.0)
    model.descriptors.standardise([lone])
    loss = model(lone, generator())["loss"]
    loss.backward()
    assert torch.isfinite(loss)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert any(name.startswith("descriptors.") for name in gradients)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


# ---- targets ----


def test_standardised_columns():
    values = torch.randn(1000, 3, generator=generator()) * torch.tensor([1.0, 50.0, 0.0]) + torch.tensor([0.0, 9, 4])
    scaled = Standardised(3)
    scaled.fix(values)
    result = scaled(values)
    assert_allclose(result.mean(dim=0), 0, atol=1e-5)
    assert_allclose(result.std(dim=0, correction=0), [1, 1, 0], atol=1e-5)
    far = scaled(torch.tensor([[1e9, -1e9, 4.5]]))
    assert far.tolist() == [[5, -5, 0.5]], "outliers end at five deviations; a constant column keeps its units"


def test_what_differs_by_rounding_alone_is_constant():
    """Columns whose only spread is that of single precision must not be blown up to one deviation."""
    for value in (1e-3, 4.0, -9.7):
        column = torch.full((500, 1), value)
        noisy = column * (1 + 1.2e-7 * torch.randint(-4, 5, column.shape, generator=generator()))
        scaled = Standardised(1)
        scaled.fix(noisy)
        assert scaled(noisy).abs().max() < 1e-3


# ---- the regression ----


def make_descriptors(batch, local_dim=4, n_components=5):
    torch.manual_seed(0)
    descriptors = Descriptors(batch.site_inputs.shape[1], local_dim, n_components)
    descriptors.standardise([batch])
    z = torch.randn(len(batch.numbers), local_dim, generator=generator(1))
    g = torch.randn(len(batch), n_components, generator=generator(2))
    return descriptors, z, g


def test_the_loss_is_a_loop_over_crystals_and_sites(crystals):
    batch = make_batch(crystals[:9])
    descriptors, z, g = make_descriptors(batch)
    with torch.no_grad():
        got = float(descriptors(batch, z, g))
        targets = torch.cat([batch.site_inputs, *environments(batch)], dim=1)
        raw, of_crystals = [], []
        for k in range(len(batch)):
            own = torch.arange(len(targets))[batch.crystal == k]
            own = own.repeat_interleave(batch.multiplicity[own].long())
            raw.append(torch.cat([targets[own].mean(dim=0), targets[own].std(dim=0, correction=0)]))
            wanted = descriptors.site_target(targets[own])
            of_crystals.append(float(functional.smooth_l1_loss(descriptors.site(z[own]), wanted)))
        raw = torch.stack(raw)
        scale = raw.std(dim=0, correction=0)
        wanted = (raw - raw.mean(dim=0)) / torch.where(scale > 1e-4, scale, 1)
        of_vectors = functional.smooth_l1_loss(descriptors.crystal(g), wanted.clamp(-5, 5))
    assert got == pytest.approx(np.mean(of_crystals) + float(of_vectors), rel=1e-4)


def test_gradients_agree_with_finite_differences():
    batch = toy_batch([[3, 8], [11, 17, 8], [12]], [[1, 2], [1, 1, 3], [4]]).to(torch.float64)
    descriptors, z, g = make_descriptors(batch)
    descriptors.double()
    descriptors.standardise([batch])
    parameters = dict(descriptors.named_parameters())

    def loss(z, g, *values):
        return torch.func.functional_call(descriptors, dict(zip(parameters, values, strict=True)), (batch, z, g))

    values = (z.double(), g.double(), *(p.detach() for p in parameters.values()))
    assert gradcheck(loss, tuple(value.requires_grad_() for value in values), fast_mode=True)


def test_without_weight_there_are_no_readings(crystals):
    with_readings, without = (set(make_model(descriptor_weight=weight).state_dict()) for weight in (0.1, 0.0))
    assert without == {name for name in with_readings if not name.startswith("descriptors.")} != with_readings
    assert "descriptors" not in make_model(descriptor_weight=0.0)(make_batch(crystals[:4]), generator())


# ---- in the estimator ----


def scales(embedder):
    return {name: value.clone() for name, value in embedder.net_.module_.descriptors.named_buffers()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_scale_is_that_of_the_training_crystals_and_stays(X, crystals):
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=0).fit(X)
    fixed = scales(embedder)
    batch = make_batch(X)
    sites = torch.cat([batch.site_inputs, *environments(batch)], dim=1)
    assert_allclose(fixed["site_target.mean"], sites.mean(dim=0), rtol=1e-4, atol=1e-5)
    n = batch.site_inputs.shape[1]
    sites_of = [batch.crystal == k for k in range(len(batch))]
    mean_inputs = torch.stack([batch.site_share[own] @ batch.site_inputs[own] for own in sites_of])
    assert_allclose(fixed["crystal_target.mean"][:n], mean_inputs.mean(dim=0), rtol=1e-4, atol=1e-5)
    scale = mean_inputs.std(dim=0, correction=0)
    assert_allclose(fixed["crystal_target.scale"][:n], torch.where(scale > 1e-4, scale, 1), rtol=1e-4)
    assert_same(scales(clone(embedder).set_params(max_epochs=3).fit(X)), fixed)
    embedder.transform(crystals)
    embedder.score(crystals)
    embedder.set_params(warm_start=True, max_epochs=1).fit(crystals)
    assert_same(scales(embedder), fixed)


def test_held_out_crystals_have_no_part_in_the_scale(X):
    """Early stopping holds the same rows out whatever the weights: those left are what a fit on them alone sees."""
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1, early_stopping=True, validation_fraction=0.5).fit(X)
    rng = np.random.RandomState(SMALL["random_state"])
    rng.randint(np.iinfo(np.int32).max)  # the seed of the net
    order = rng.permutation(len(X))
    rows = np.sort(order[len(X) // 2 :])
    assert_same(scales(embedder), scales(DeepInfoMaxEmbedder(**SMALL, max_epochs=0).fit(X[rows])))


def test_the_scale_is_saved_with_the_weights(X, tmp_path):
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=1).fit(X)
    embedder.save_pretrained(tmp_path / "saved")
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "saved", device="cpu")
    assert_same(scales(loaded), scales(embedder))
    assert loaded.score(X) == embedder.score(X)
    without = clone(embedder).set_params(descriptor_weight=0.0).fit(X)
    without.save_pretrained(tmp_path / "without")
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "without", device="cpu")
    assert loaded.net_.module_.descriptors is None
    assert_array_equal(loaded.transform(X), without.transform(X))


def test_a_seed_gives_the_same_again(X):
    first, again, other = (
        DeepInfoMaxEmbedder(**{**SMALL, "random_state": seed}, max_epochs=2).fit(X) for seed in (1, 1, 2)
    )
    assert_same(first.net_.module_.state_dict(), again.net_.module_.state_dict())
    assert first.history_[:, "train_descriptors"] == again.history_[:, "train_descriptors"]
    assert first.history_[:, "train_descriptors"] != other.history_[:, "train_descriptors"]


def test_pretraining_learns_to_read_held_out_crystals(formation_data):
    rows = np.random.default_rng(0).permutation(len(formation_data.structures))[:260]
    X = SiteNetFeaturizer().transform([formation_data.structures[row] for row in rows])
    batch = make_batch(X[200:])

    def loss(**params):
        embedder = DeepInfoMaxEmbedder(batch_sites=200, random_state=0, device="cpu", **params).fit(X[:200])
        with torch.no_grad():
            return float(embedder.net_.module_(batch, generator())["descriptors"])

    untrained, trained = loss(max_epochs=0), loss(max_epochs=6)
    assert trained < 0.6 * untrained
    # Deep InfoMax alone pays little heed to them.
    assert trained < 0.9 * loss(max_epochs=6, descriptor_weight=1e-3)
