"""The compiled loops against the same formulas in torch, in double precision."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from skdim import DeepInfoMaxEmbedder
from skdim._training.batches import make_batch
from skdim.nn.compiled import autograd as fused
from skdim.nn.encoder import SiteNetEncoder
from skdim.nn.functional import mish
from tests.helpers.small_networks import SMALL, generator, make_model

pytest.importorskip("numba", reason="compiled loops need the extra [fast]")


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


def assert_gradients_close(found, expected, tol):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = value.abs().max().clamp(min=1e-6)
        torch.testing.assert_close(found[name].double() / scale, value / scale, rtol=0, atol=tol, msg=name)


def test_they_are_used_for_single_precision_on_the_cpu_alone(monkeypatch):
    assert fused.fusible(torch.zeros(2))
    assert not fused.fusible(torch.zeros(2, dtype=torch.float64))
    assert not fused.fusible(torch.zeros(2, device="meta"))
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    assert not fused.fusible(torch.zeros(2))


def test_distinct_distances(batch, monkeypatch):
    values, which = batch.distinct
    assert torch.equal(values[which], batch.distance)
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    expected, which_expected = replace(batch).distinct  # a copy has not made them yet
    assert torch.equal(expected[which_expected], batch.distance)
    assert len(values) == len(expected) < 0.7 * len(batch.distance)
    # No two crystals share one.
    of = torch.full((len(values),), -1)
    of[which] = batch.crystal[batch.row]
    assert torch.equal(of[which], batch.crystal[batch.row])


def test_distances_of_huge_cells(batch, monkeypatch):
    """Each crystal's are told from the next one's, however long they are."""
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    huge = replace(batch, distance=batch.distance * 3000)
    assert huge.distance.max() > 20_000
    values, which = huge.distinct
    torch.testing.assert_close(values[which], huge.distance)


@pytest.mark.parametrize("width", [1, 7, 64])
def test_dense(width, threads):
    x = 4 * torch.randn(2100, width, dtype=torch.float64, generator=generator())
    # The ends of the range: exp must neither overflow nor lose the tail.
    x[0], x[1], x[2] = 60.0, -60.0, 1e4
    x[3] = torch.linspace(-100, 100, width)
    grad = torch.randn(2100, width, dtype=torch.float64, generator=generator(1))
    x.requires_grad_()
    expected = functional.layer_norm(mish(x), (width,))
    expected.backward(grad)
    found = x.detach().float().requires_grad_()
    result = fused.dense(found)
    result.backward(grad.float())
    # A row whose values are all alike is normalised by the rounding of their mean, in any precision.
    usual = (mish(x).std(dim=1, correction=0) > 1e-2).detach() if width > 1 else torch.zeros(2100, dtype=torch.bool)
    torch.testing.assert_close(result.double()[usual], expected[usual], rtol=0, atol=2e-5)
    torch.testing.assert_close(found.grad.double()[usual], x.grad[usual], rtol=1e-4, atol=1e-4)
    assert torch.isfinite(result).all()
    assert torch.isfinite(found.grad).all()


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

    found = gradients(single, lambda: value(single, batch, weights.float()))
    expected = gradients(double, lambda: value(double, batch.to(torch.float64), weights))
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-4, atol=1e-4)
    assert_gradients_close(found[1], expected[1], 2e-4)
    n = len(attention) // 2
    for ours, theirs in zip(attention[:n], attention[n:], strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-5)


def test_scores_of_several_queries(batch, threads):
    model = make_model()
    score, double = model.neighbour_score, make_model(dtype=torch.float64).neighbour_score
    queries = torch.randn(3, len(batch.numbers), score.key.out_features, generator=generator())
    weights = torch.randn(3, len(batch.row), generator=generator(1))

    found = gradients(score, lambda: (score.of_rows(batch, *queries) * weights).sum())
    wide = batch.to(torch.float64)
    expected = gradients(double, lambda: (double.of_rows(wide, *queries.double()) * weights.double()).sum())
    torch.testing.assert_close(found[0].double(), expected[0], rtol=1e-4, atol=1e-4)
    assert_gradients_close(found[1], expected[1], 2e-4)


@pytest.mark.parametrize("objective", ["jsd", "infonce"])
def test_pretraining_is_the_same_without_them(objective, crystals, monkeypatch):
    embedder = DeepInfoMaxEmbedder(
        objective=objective, kl_weight=0.1, max_epochs=3, batch_sites=40, random_state=0, device="cpu"
    )
    fast = embedder.fit(crystals).transform(crystals)
    losses = [epoch["train_loss"] for epoch in embedder.history_]
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    slow = embedder.fit(crystals)
    np.testing.assert_allclose([epoch["train_loss"] for epoch in slow.history_], losses, rtol=1e-4)
    np.testing.assert_allclose(slow.transform(crystals), fast, rtol=0, atol=2e-3 * np.abs(fast).max())


def test_one_thread_gives_the_same_to_the_bit(crystals):
    fits = [DeepInfoMaxEmbedder(max_epochs=2, random_state=0, device="cpu").fit(crystals) for _ in range(2)]
    np.testing.assert_array_equal(*(fit.transform(crystals) for fit in fits))


def test_a_process_without_numba_does_the_same_in_torch(tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('there is none')")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "numba" else find(name, *a)
from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import make_crystals
X = SiteNetFeaturizer().fit_transform(make_crystals(20, random_state=0)[0])
print(DeepInfoMaxEmbedder(max_epochs=1, random_state=0, device="cpu").fit(X).transform(X).shape)
assert "numba" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(20, 192)\n", "")
