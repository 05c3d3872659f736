"""Networks with compiled loops give the results of networks in plain torch, in double precision."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim._training.batches import make_batch
from skdim.datasets import load_formation_energy
from skdim.nn.compiled import autograd as fused
from skdim.nn.encoder import SiteNetEncoder
from skdim.nn.operations.functional import mish
from tests.helpers.small_networks import SMALL, generator, make_model


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    with fused.threads(request.param):
        yield request.param


@pytest.fixture
def batch(crystals):
    return make_batch(crystals)


def gradients(module, function):
    module.zero_grad()
    value = function()
    value.backward()
    return value.detach(), {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def assert_gradients_close(gradients, expected, tol):
    assert gradients.keys() == expected.keys()
    for name, value in expected.items():
        scale = value.abs().max().clamp(min=1e-6)
        torch.testing.assert_close(gradients[name].double() / scale, value / scale, rtol=0, atol=tol, msg=name)


def test_distinct_distances(batch, monkeypatch):
    values, which = batch.distinct_distances
    assert torch.equal(values[which], batch.distance)
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    expected, which_expected = replace(batch).distinct_distances  # a copy has no cached result
    assert torch.equal(expected[which_expected], batch.distance)
    assert len(values) == len(expected) < 0.7 * len(batch.distance)
    # No two crystals share a distance.
    crystal = torch.full((len(values),), -1)
    crystal[which] = batch.crystal[batch.row]
    assert torch.equal(crystal[which], batch.crystal[batch.row])


def test_distances_of_huge_cells_stay_apart(batch, monkeypatch):
    """Distances of different crystals are kept apart, however long they are."""
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    huge = replace(batch, distance=batch.distance * 3000)
    assert huge.distance.max() > 20_000
    values, which = huge.distinct_distances
    torch.testing.assert_close(values[which], huge.distance)


@pytest.mark.parametrize("width", [1, 7, 64])
def test_normalize_at_extreme_values(width, threads):
    x = 4 * torch.randn(2100, width, dtype=torch.float64, generator=generator())
    # exp must neither overflow nor lose the tail.
    x[0], x[1], x[2] = 60.0, -60.0, 1e4
    x[3] = torch.linspace(-100, 100, width)
    grad = torch.randn(2100, width, dtype=torch.float64, generator=generator(1))
    x.requires_grad_()
    expected = functional.layer_norm(mish(x), (width,))
    expected.backward(grad)
    single = x.detach().float().requires_grad_()
    result = fused.normalize(single)
    result.backward(grad.float())
    # In any precision, a row of equal values is normalized by the rounding error of their mean.
    usual = (mish(x).std(dim=1, correction=0) > 1e-2).detach() if width > 1 else torch.zeros(2100, dtype=torch.bool)
    torch.testing.assert_close(result.double()[usual], expected[usual], rtol=0, atol=2e-5)
    torch.testing.assert_close(single.grad.double()[usual], x.grad[usual], rtol=1e-4, atol=1e-4)
    assert torch.isfinite(result).all()
    assert torch.isfinite(single.grad).all()


@pytest.mark.parametrize(
    "settings",
    [{}, {"n_heads": 3}, {"n_blocks": 2}, {"n_blocks": 2, "n_heads": 2, "log_coulomb": True}, {"log_coulomb": True}],
    ids=str,
)
def test_encoder_and_its_gradient(settings, batch, threads):
    torch.manual_seed(0)
    single = SiteNetEncoder(**{**SMALL, "site_width": 12, **settings}, spread=False)
    double = SiteNetEncoder(**{**SMALL, "site_width": 12, **settings}, spread=False).double()
    double.load_state_dict(single.state_dict())
    weights = torch.randn(len(batch), SMALL["n_components"], dtype=torch.float64, generator=generator())
    attention = []

    def value(encoder, data, weights):
        local = encoder.local(data, encoder.site_terms(data), encoder.pair_term(data), attention).mean
        return (encoder.pool(data, local).mean * weights).sum()

    compiled = gradients(single, lambda: value(single, batch, weights.float()))
    expected = gradients(double, lambda: value(double, batch.to(torch.float64), weights))
    torch.testing.assert_close(compiled[0].double(), expected[0], rtol=1e-4, atol=1e-4)
    assert_gradients_close(compiled[1], expected[1], 2e-4)
    n = len(attention) // 2
    for in_single, in_double in zip(attention[:n], attention[n:], strict=True):
        torch.testing.assert_close(in_single.double(), in_double, rtol=0, atol=1e-5)


def test_scores_of_several_queries(batch, threads):
    model = make_model()
    score, double = model.neighbour_score, make_model(dtype=torch.float64).neighbour_score
    queries = torch.randn(3, len(batch.numbers), score.key.out_features, generator=generator())
    weights = torch.randn(3, len(batch.row), generator=generator(1))

    compiled = gradients(score, lambda: (score.of_rows(batch, *queries) * weights).sum())
    wide = batch.to(torch.float64)
    expected = gradients(double, lambda: (double.of_rows(wide, *queries.double()) * weights.double()).sum())
    torch.testing.assert_close(compiled[0].double(), expected[0], rtol=1e-4, atol=1e-4)
    assert_gradients_close(compiled[1], expected[1], 2e-4)


@pytest.mark.parametrize("objective", ["jsd", "infonce"])
def test_pretraining_is_the_same_without_compiled_loops(objective, crystals, monkeypatch):
    embedder = DeepInfoMaxEmbedder(
        objective=objective, kl_weight=0.1, max_epochs=3, batch_sites=40, random_state=0, device="cpu"
    )
    fast = embedder.fit(crystals).transform(crystals)
    losses = [epoch["train_loss"] for epoch in embedder.history_]
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    slow = embedder.fit(crystals)
    np.testing.assert_allclose([epoch["train_loss"] for epoch in slow.history_], losses, rtol=1e-4)
    np.testing.assert_allclose(slow.transform(crystals), fast, rtol=0, atol=2e-3 * np.abs(fast).max())


@pytest.fixture(scope="module")
def many_crystals():
    X = SiteNetFeaturizer(max_sites=50).fit_transform(load_formation_energy().structures[::40])
    assert len(make_batch(X[:40]).row) > 4000, "enough for four threads"
    return X


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("objective", ["jsd", "infonce"])
def test_pretraining_does_not_depend_on_the_number_of_threads(objective, n_threads, many_crystals):
    embedder = DeepInfoMaxEmbedder(objective=objective, max_epochs=2, random_state=0, device="cpu", n_blocks=2)
    expected = embedder.fit(many_crystals).transform(many_crystals)
    vectors = embedder.set_params(n_jobs=n_threads).fit(many_crystals).transform(many_crystals)
    np.testing.assert_array_equal(vectors, expected)


def test_shipped_vectors_and_regressor_do_not_depend_on_the_number_of_threads(many_crystals):
    vectors, predictions = [], []
    for n_threads in (1, 2, 4):
        embedder = DeepInfoMaxEmbedder.from_pretrained(device="cpu", n_jobs=n_threads)
        vectors.append(embedder.transform(many_crystals))
        model = SiteNetRegressor(max_epochs=2, batch_sites=1200, random_state=0, device="cpu", n_jobs=n_threads)
        predictions.append(model.fit(many_crystals, vectors[0][:, 0]).predict(many_crystals))
    for each in (vectors, predictions):
        np.testing.assert_array_equal(each[1], each[0])
        np.testing.assert_array_equal(each[2], each[0])


def test_pretraining_works_without_numba(tmp_path):
    """One warning says how much slower it is."""
    (tmp_path / "numba.py").write_text("raise ImportError('not installed')")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import make_crystals
X = SiteNetFeaturizer().fit_transform(make_crystals(20, random_state=0)[0])
print(DeepInfoMaxEmbedder(max_epochs=1, random_state=0, device="cpu").fit(X).transform(X).shape)
assert "numba" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "(20, 192)\n"
    warning = (
        "UserWarning: numba cannot be imported (not installed), and skdim computes with torch alone: on one core, "
    )
    assert done.stderr.count(warning) == done.stderr.count("Warning") == 1
