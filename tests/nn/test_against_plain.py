"""The compressed, split and folded networks of skdim give the results of plain dense networks."""

import numpy as np
import pytest
import torch

from skdim import SiteNetFeaturizer, SiteNetRegressor
from skdim._chemistry.elements import ALL_SITE_FEATURES, PAPER_SITE_FEATURES
from skdim._training.batches import make_batch
from skdim.datasets import load_formation_energy
from skdim.nn.infomax import DeepInfoMax
from skdim.nn.losses import jensen_shannon_positive
from tests.helpers import plain_sitenet as plain

N_CRYSTALS = 30


@pytest.fixture(scope="module")
def structures():
    """Crystals of all sizes, and of each size those with the fewest and the most elements."""
    everything = load_formation_energy().structures
    order = sorted(range(len(everything)), key=lambda i: (len(everything[i]), len(everything[i].composition), i))
    return [everything[order[k]] for k in np.linspace(0, len(order) - 1, N_CRYSTALS).astype(int)]


@pytest.fixture(scope="module", params=[PAPER_SITE_FEATURES, ALL_SITE_FEATURES], ids=["paper", "all"])
def site_features(request):
    return request.param


@pytest.fixture(scope="module")
def dense_crystals(structures, site_features):
    return [plain.dense_crystal(s, site_features=site_features) for s in structures]


@pytest.fixture(scope="module")
def featurized(structures, site_features):
    """Crystals by (compress, distance_tol)."""
    cases = [(True, 1e-6), (False, 1e-6), (True, 1e-3)]
    return {
        (compress, tol): SiteNetFeaturizer(
            compress=compress, distance_tol=tol, site_features=site_features
        ).fit_transform(structures)
        for compress, tol in cases
    }


def test_the_test_crystals_are_varied(structures, dense_crystals):
    assert min(len(s) for s in structures) == 1
    assert max(len(s) for s in structures) >= 20
    assert len({len(c.numbers) for c in dense_crystals}) >= 10
    assert len({int(z) for c in dense_crystals for z in c.numbers}) >= 30
    assert {len(c.numbers.unique()) for c in dense_crystals} >= {1, 2, 3, 4}


def test_supercells_have_the_same_distances(featurized, dense_crystals):
    """Compared after sorting, so the order of columns does not matter."""
    crystals = featurized[False, 1e-6]
    for k, dense in enumerate(dense_crystals):
        one = crystals[k]
        expected = np.sort(dense.distances.numpy().ravel())
        assert np.allclose(np.sort(one.distance), expected, atol=1e-5)


def _compare_sites(crystals, batch_local, dense_crystals, locals_, tol):
    for k, (dense, expected) in enumerate(zip(dense_crystals, locals_, strict=True)):
        local = batch_local[crystals.class_offsets[k] : crystals.class_offsets[k + 1]]
        classes = crystals.site_class[crystals.site_offsets[k] : crystals.site_offsets[k + 1]].astype(np.int64)
        torch.testing.assert_close(local[classes], expected[dense.site_of], rtol=0, atol=tol)


@pytest.mark.parametrize("n_blocks", [1, 2])
@pytest.mark.parametrize("n_heads", [1, 3])
def test_deep_infomax_agrees_with_dense_network(n_blocks, n_heads, site_features, featurized, dense_crystals):
    torch.manual_seed(n_blocks * 10 + n_heads)
    widths = {"site_width": 20, "pair_width": 12, "attention_hidden": 24, "value_hidden": 28}
    settings = {"n_site_inputs": len(site_features), "n_blocks": n_blocks, "n_heads": n_heads}
    model = DeepInfoMax({**settings, **widths}).double()
    state = model.state_dict()
    encoder_state = model.encoder.state_dict()
    with torch.no_grad():
        locals_ = [plain.local_vectors(encoder_state, c, n_blocks, n_heads) for c in dense_crystals]
        means = [x[:, :32] for x in locals_]
        vectors = torch.stack([plain.crystal_vector(encoder_state, x) for x in means])
        losses = [plain.true_local_loss(state, c, x) for c, x in zip(dense_crystals, means, strict=True)]
        for (compress, tol), crystals in featurized.items():
            allowed = 1e-5 if tol == 1e-6 else 2e-3
            batch = make_batch(crystals).to(torch.float64)
            encoder = model.encoder
            local = encoder.local(batch, encoder.site_terms(batch), encoder.pair_term(batch))
            _compare_sites(crystals, torch.cat(local, dim=1), dense_crystals, locals_, allowed)
            crystal = encoder.pool(batch, local.mean)
            torch.testing.assert_close(torch.cat(crystal, dim=1), vectors, rtol=0, atol=allowed, msg=str(compress))
            true = jensen_shannon_positive(model.local_true_scores(batch, local.mean))
            per_site = torch.zeros(len(batch.numbers), dtype=torch.float64)
            per_site.index_add_(0, batch.row, model.neighbour_weights(batch) * true)
            loss = (batch.site_share * per_site).sum() / len(batch)
            assert float(loss) == pytest.approx(float(sum(losses) / len(losses)), abs=allowed)


@pytest.mark.parametrize("distance_tol", [1e-6, 1e-3])
def test_supervised_network_agrees_with_dense_network(distance_tol, structures, featurized, dense_crystals):
    """Two blocks of three heads, element embedding, log-Coulomb pairs, no bottleneck; and the head."""
    crystals = featurized[True, distance_tol]
    widths = {"attention_hidden": 24, "value_hidden": 20, "site_width": 10, "pre_pool": (12,), "post_pool": (20, 20)}
    regressor = SiteNetRegressor(
        n_blocks=2,
        n_heads=3,
        local_dim=None,
        n_components=16,
        hidden_layer_sizes=(),
        representation="global",
        encoder_params={**widths, "pair_width": 16, "element_embedding": 8, "log_coulomb": True},
        max_epochs=0,
        device="cpu",
        random_state=0,
    )
    y = np.array([s.density for s in structures])
    prediction = torch.from_numpy(regressor.fit(crystals, y).predict(crystals))
    net = regressor.net_.module_.double()
    state = net.encoder.state_dict()
    with torch.no_grad():
        locals_ = [plain.local_vectors(state, c, 2, 3, log_coulomb=True) for c in dense_crystals]
        vectors = torch.stack([plain.crystal_vector(state, x) for x in locals_])
        standardised = (vectors - net.feature_mean) / net.feature_scale
        expected = plain.linear(net.state_dict(), "head.0", standardised)[:, 0] * y.std() + y.mean()
        allowed = 1e-5 if distance_tol == 1e-6 else 2e-3
        local, crystal = net.encoder(make_batch(crystals).to(torch.float64))
        _compare_sites(crystals, local, dense_crystals, locals_, allowed)
        torch.testing.assert_close(crystal, vectors, rtol=0, atol=allowed)
    # predict uses single precision, and standardizing the head's inputs magnifies components of small spread.
    torch.testing.assert_close(prediction.double(), expected, rtol=0, atol=20 * allowed)
