"""Descriptors: statistics of local environments compared with a plain loop, and the regression on them."""

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
from skdim.nn.descriptors import (
    SHELLS,
    Descriptors,
    RadialStatistics,
    Standardised,
    crystal_statistics,
    environments,
    radial_statistics,
)
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
    """Of one uncompressed crystal, as a loop over sites and columns in double precision."""
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
    for result, plain in zip(environments(make_batch(uncompressed)), expected, strict=True):
        assert result.shape == plain.shape
        assert_allclose(result.numpy(), plain, rtol=1e-5, atol=1e-5)


def test_neighbours_within_half_an_angstrom_have_the_weight_of_that_distance():
    batch = toy_batch([[8]], [[1]], n_pairs=3)
    batch.distance = torch.tensor([0.0, 0.1, 0.5])
    assert_allclose(environments(batch)[2][0], [0.5, np.log(2 * 0.5**-6), np.log(2)], rtol=1e-6)


def test_crystal_statistics_are_moments_over_all_primitive_sites(uncompressed):
    for x in uncompressed:
        difference, _, geometry = plain_environments(x)
        sites = np.column_stack([element_table(x.site_features)[x.numbers], difference, geometry])
        result = crystal_statistics(make_batch(x))[0].numpy()
        assert_allclose(result, np.concatenate([sites.mean(axis=0), sites.std(axis=0)]), rtol=1e-4, atol=1e-5)


def test_compression_does_not_change_statistics(formation_crystals, uncompressed):
    compressed = SiteNetFeaturizer(distance_tol=1e-6).transform(formation_crystals[::3])
    assert len(compressed.distance) < len(uncompressed.distance)
    full, merged = (crystal_statistics(make_batch(X).to(torch.float64)) for X in (uncompressed, compressed))
    assert_allclose(merged, full, rtol=0, atol=1e-5)


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__.removeprefix("assert_unchanged_by_"))
def test_statistics_do_not_depend_on_the_description(change, formation_crystals):
    featurizer = SiteNetFeaturizer(distance_tol=1e-6)
    change(lambda s: crystal_statistics(make_batch(featurizer.transform(s))).numpy(), formation_crystals[::3], 2e-4)


def test_statistics_of_sites_without_neighbours_are_zero():
    """Each site is its only neighbour."""
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


def plain_radial_statistics(x, feature):
    """Of one uncompressed crystal, as a loop over sites, neighbours and shells in double precision."""
    values = element_table(x.site_features)[x.numbers][:, feature]
    deviation = values - values.mean()
    numbers, products = np.zeros(len(SHELLS)), np.zeros(len(SHELLS))
    for i in range(len(values)):
        for column in range(x.pair_offsets[i], x.pair_offsets[i + 1]):
            d = float(x.distance[column])
            if d > 0:
                shares = np.exp(-(((d - np.array(SHELLS)) / 0.3) ** 2) / 2) / len(values)
                numbers += shares
                products += shares * deviation[i] * deviation[x.neighbour[column]]
    return np.concatenate([np.log1p(numbers), products])


def test_radial_statistics_are_a_loop_over_neighbours(uncompressed):
    result = radial_statistics(make_batch(uncompressed), (5,)).numpy()
    assert result.shape == (len(uncompressed), 2 * len(SHELLS))
    expected = np.array([plain_radial_statistics(x, 5) for x in uncompressed])
    assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert (np.abs(expected).max(axis=0) > 0).all()
    assert_array_equal(radial_statistics(make_batch(uncompressed), ()).numpy(), result[:, : len(SHELLS)])


def test_compression_does_not_change_radial_statistics(formation_crystals, uncompressed):
    compressed = SiteNetFeaturizer(distance_tol=1e-6).transform(formation_crystals[::3])
    full, merged = (radial_statistics(make_batch(X).to(torch.float64), (5, 6)) for X in (uncompressed, compressed))
    assert_allclose(merged, full, rtol=0, atol=1e-4)


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__.removeprefix("assert_unchanged_by_"))
def test_radial_statistics_do_not_depend_on_the_description(change, formation_crystals):
    featurizer = SiteNetFeaturizer(distance_tol=1e-6)
    change(
        lambda s: radial_statistics(make_batch(featurizer.transform(s)), (5,)).numpy(), formation_crystals[::3], 2e-3
    )


def test_radial_statistics_of_sites_without_neighbours_are_zero():
    assert (radial_statistics(toy_batch([[29], [3, 8]], [[1], [1, 2]], n_pairs=1), (5,)) == 0).all()


# ---- targets ----


def test_standardised_columns():
    values = torch.randn(1000, 3, generator=generator()) * torch.tensor([1.0, 50.0, 0.0]) + torch.tensor([0.0, 9, 4])
    scaled = Standardised(3)
    scaled.fix(values)
    result = scaled(values)
    assert_allclose(result.mean(dim=0), 0, atol=1e-5)
    assert_allclose(result.std(dim=0, correction=0), [1, 1, 0], atol=1e-5)
    far = scaled(torch.tensor([[1e9, -1e9, 4.5]]))
    assert far.tolist() == [[5, -5, 0.5]], "outliers are clipped at five deviations; a constant column keeps its units"


def test_rounding_errors_are_not_standardized():
    """Columns that are constant except for single precision are not scaled to a deviation of one."""
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
        loss = float(descriptors(batch, z, g))
        targets = torch.cat([batch.site_inputs, *environments(batch)], dim=1)
        raw, of_crystals = [], []
        for k in range(len(batch)):
            sites = torch.arange(len(targets))[batch.crystal == k]
            sites = sites.repeat_interleave(batch.multiplicity[sites].long())
            raw.append(torch.cat([targets[sites].mean(dim=0), targets[sites].std(dim=0, correction=0)]))
            expected = descriptors.site_target(targets[sites])
            of_crystals.append(float(functional.smooth_l1_loss(descriptors.site(z[sites]), expected)))
        raw = torch.stack(raw)
        scale = raw.std(dim=0, correction=0)
        expected = (raw - raw.mean(dim=0)) / torch.where(scale > 1e-4, scale, 1)
        of_vectors = functional.smooth_l1_loss(descriptors.crystal(g), expected.clamp(-5, 5))
    assert loss == pytest.approx(np.mean(of_crystals) + float(of_vectors), rel=1e-4)


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


def test_without_weight_there_are_no_descriptors(crystals):
    with_descriptors, without = (set(make_model(descriptor_weight=weight).state_dict()) for weight in (0.1, 0.0))
    assert without == {name for name in with_descriptors if not name.startswith("descriptors.")} != with_descriptors
    assert "descriptors" not in make_model(descriptor_weight=0.0)(make_batch(crystals[:4]), generator())


def test_the_loss_of_radial_statistics_is_that_of_standardized_columns(crystals):
    batch = make_batch(crystals[:9])
    torch.manual_seed(0)
    layer = RadialStatistics(4, (5,))
    vectors = torch.randn(9, 4, generator=generator()) * 100
    layer.standardise([batch], vectors)
    raw = radial_statistics(batch, (5,))
    scale = raw.std(dim=0, correction=0)
    target = ((raw - raw.mean(dim=0)) / torch.where(scale > 1e-4, scale, 1)).clamp(-5, 5)
    spread = vectors.std(dim=0, correction=0)
    predicted = (vectors - vectors.mean(dim=0)) / spread @ layer.linear.weight.T + layer.linear.bias
    expected = sum(functional.smooth_l1_loss(predicted[k], target[k]) for k in range(9))
    assert_allclose(layer.loss(batch, vectors).detach(), expected.detach(), rtol=1e-5)


def test_the_gradient_of_radial_statistics_reaches_the_whole_encoder(crystals):
    batch = make_batch(crystals[:9])
    model = make_model("infonce", radial_weight=2.0, radial_features=(5,))
    model.radial.standardise([batch], torch.randn(20, model.radial.linear.in_features, generator=generator()))
    losses = model(batch, generator())
    losses["radial"].backward()
    for name in ("lift_pair", "bottleneck", "pre_pool", "post_pool"):
        gradients = [p.grad for n, p in model.encoder.named_parameters() if n.startswith(name)]
        assert any(gradient.abs().max() > 0 for gradient in gradients), name
    model.radial = None
    without = model(batch, generator())
    assert "radial" not in without
    assert_allclose(losses["loss"].detach(), (without["loss"] + 2 * losses["radial"]).detach(), rtol=1e-6)


# ---- in the estimator ----


def test_radial_statistics_can_be_the_only_task(X, crystals, tmp_path):
    """They are learned, saved and scored, and correlate the features that the crystals have."""
    params = {**SMALL, "objective": None, "descriptor_weight": 0.0, "radial_weight": 1.0}
    embedder = DeepInfoMaxEmbedder(**params, max_epochs=20, learning_rate_init=1e-2).fit(X)
    losses = embedder.history_[:, "train_radial"]
    assert losses == pytest.approx(embedder.history_[:, "train_loss"])
    assert losses[-1] < 0.7 * losses[0]
    features = embedder.net_.module_.radial.features
    assert [X.site_features[k] for k in features] == ["electronegativity", "atomic_radius"]
    embedder.save_pretrained(tmp_path / "saved")
    loaded = DeepInfoMaxEmbedder.from_pretrained(tmp_path / "saved", device="cpu")
    assert loaded.score(crystals) == embedder.score(crystals) < 0
    few = DeepInfoMaxEmbedder(**params, max_epochs=0).fit(X.with_site_features(["group", "electronegativity"]))
    assert few.net_.module_.radial.features == (1,)


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
    mean_inputs = torch.stack([batch.site_share[sites] @ batch.site_inputs[sites] for sites in sites_of])
    assert_allclose(fixed["crystal_target.mean"][:n], mean_inputs.mean(dim=0), rtol=1e-4, atol=1e-5)
    scale = mean_inputs.std(dim=0, correction=0)
    assert_allclose(fixed["crystal_target.scale"][:n], torch.where(scale > 1e-4, scale, 1), rtol=1e-4)
    assert_same(scales(clone(embedder).set_params(max_epochs=3).fit(X)), fixed)
    embedder.transform(crystals)
    embedder.score(crystals)
    embedder.set_params(warm_start=True, max_epochs=1).fit(crystals)
    assert_same(scales(embedder), fixed)


def test_the_scale_does_not_depend_on_validation_crystals(X):
    """The scale is that of a fit to the training crystals alone."""
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


def test_fits_with_one_seed_are_equal(X):
    first, again, other = (
        DeepInfoMaxEmbedder(**{**SMALL, "random_state": seed}, max_epochs=2).fit(X) for seed in (1, 1, 2)
    )
    assert_same(first.net_.module_.state_dict(), again.net_.module_.state_dict())
    assert first.history_[:, "train_descriptors"] == again.history_[:, "train_descriptors"]
    assert first.history_[:, "train_descriptors"] != other.history_[:, "train_descriptors"]


def test_pretraining_learns_descriptors_of_held_out_crystals(formation_data):
    rows = np.random.default_rng(0).permutation(len(formation_data.structures))[:260]
    X = SiteNetFeaturizer().transform([formation_data.structures[row] for row in rows])
    batch = make_batch(X[200:])

    def loss(**params):
        embedder = DeepInfoMaxEmbedder(batch_sites=200, random_state=0, device="cpu", **params).fit(X[:200])
        with torch.no_grad():
            return float(embedder.net_.module_(batch, generator())["descriptors"])

    untrained, trained = loss(max_epochs=0), loss(max_epochs=6)
    assert trained < 0.6 * untrained
    # Deep InfoMax alone learns less of them.
    assert trained < 0.9 * loss(max_epochs=6, descriptor_weight=1e-3)
