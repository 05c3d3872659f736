"""The compiled implementation gives the values and gradients of the plain one."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from skdim._training.batches import make_batch
from skdim.nn import operations
from skdim.nn.compiled import autograd
from skdim.nn.operations import plain
from tests.helpers.small_networks import generator


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    with autograd.threads(request.param):
        yield request.param


@pytest.fixture(scope="module")
def batch(crystals):
    batch = make_batch(crystals)
    assert len(batch.row) > 2000, "enough for two threads"
    return batch


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed))


def terms(batch, width):
    n_distances, which = len(batch.distinct_distances[0]), batch.distinct_distances[1]
    return [random(n, width, seed=k) for k, n in enumerate((len(batch.numbers),) * 2 + (n_distances,))], which


def layers(*sizes):
    """Weights and biases of linear layers between these sizes."""
    shapes = [shape for n_in, n_out in pairwise(sizes) for shape in ((n_out, n_in), (n_out,))]
    return [random(*shape, seed=k) for k, shape in enumerate(shapes)]


def assert_same(name, tensors, *options):
    """Values, and gradients of a random linear function of them, of compiled float32 and of plain float64."""
    results = []
    for module, dtype in ((autograd, torch.float32), (plain, torch.float64)):
        inputs = [x.to(dtype, copy=True).requires_grad_() for x in tensors]
        batch, *others = (x.to(dtype) if hasattr(x, "to") and not isinstance(x, torch.Tensor) else x for x in options)
        others = [x.to(dtype) if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in others]
        output = CALLS[name](module, inputs, batch, *others)
        outputs = output if isinstance(output, tuple) else (output,)
        (outputs[0] * random(*outputs[0].shape, seed=9).to(dtype)).sum().backward()
        results.append([x.detach().double() for x in (*outputs, *(x.grad for x in inputs))])
    for compiled, expected in zip(*results, strict=True):
        scale = expected.abs().max().clamp(min=1e-6)
        torch.testing.assert_close(compiled / scale, expected / scale, rtol=0, atol=1e-5)


CALLS = {
    "normalize": lambda module, inputs, _, activation: module.normalize(*inputs, activation),
    "dense": lambda module, inputs, _, activated, activation: module.dense(
        inputs[0], inputs[1:], activated, activation
    ),
    "site_terms": lambda module, inputs, _, activation: torch.cat(
        module.site_terms(inputs[0], inputs[1:3], inputs[3:5], inputs[5:], activation), dim=1
    ),
    "pool": lambda module, inputs, batch, n_before, activated, activation: module.pool(
        inputs[0], inputs[1 : 2 * n_before + 1], inputs[2 * n_before + 1 :], activated, batch, activation
    ),
    "linear": lambda module, inputs, _: module.linear(*inputs),
    "crystal_mean": lambda module, inputs, batch: module.crystal_mean(*inputs, batch),
    "crystal_moments": lambda module, inputs, batch: module.crystal_moments(*inputs, batch),
    "distance_term": lambda module, inputs, _, distances, activation: module.distance_term(
        distances, *inputs, activation
    ),
    "attend": lambda module, inputs, batch, which, log_count, activation: module.attend(
        *inputs[:3], which, inputs[3], batch, log_count, activation
    ),
    "pair_hidden": lambda module, inputs, batch, which, activation: module.pair_hidden(
        *inputs, which, batch, activation
    ),
    "pair_scores": lambda module, inputs, batch, *options: module.pair_scores(*inputs, batch, *options),
}
activations = pytest.mark.parametrize("activation", ["mish", "relu"])


def test_compiled_loops_process_float32_on_the_cpu_only(monkeypatch):
    assert operations.implementation(torch.zeros(2)) is autograd
    assert operations.implementation(torch.zeros(2, dtype=torch.float64)) is plain
    assert operations.implementation(torch.zeros(2, device="meta")) is plain
    monkeypatch.setenv("SKDIM_NO_NUMBA", "1")
    assert operations.implementation(torch.zeros(2)) is plain


def test_both_implementations_have_the_functions_of_the_interface():
    names = {
        name for name, value in vars(operations).items() if getattr(value, "__module__", "") == operations.__name__
    }
    assert names - {"implementation"} == {*CALLS, "distinct_distances"}
    for name in names - {"implementation"}:
        assert callable(getattr(plain, name))
        assert callable(getattr(autograd, name))


@activations
@pytest.mark.parametrize("width", [1, 7, 64])
def test_normalize(width, activation, batch, threads):
    if width == 1:  # a single value is normalized to 0, whatever it is
        out = autograd.normalize(torch.randn(50, 1), activation)
        torch.testing.assert_close(out, torch.zeros(50, 1), rtol=0, atol=1e-3)
        return
    assert_same("normalize", [3 * random(2100, width)], batch, activation)


@activations
@pytest.mark.parametrize("activated", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 1, 0)], ids=str)
def test_dense_layers(activated, activation, batch, threads):
    activated = tuple(map(bool, activated))
    assert_same("dense", [random(1100, 8, seed=8), *layers(8, 12, 20, 5)], batch, activated, activation)


@activations
def test_site_terms(activation, batch, threads):
    assert_same("site_terms", [random(2100, 9), *layers(9, 8, 6), random(6, 8, seed=7)], batch, activation)


@activations
@pytest.mark.parametrize("n_before", [0, 1, 2])
def test_pool(n_before, activation, batch, threads):
    sizes = (9, 7, 8, 6, 5)[2 - n_before :]
    tensors = [random(len(batch.numbers), sizes[0], seed=8), *layers(*sizes)]
    assert_same("pool", tensors, batch, n_before, (True,) * (n_before + 1) + (False,), activation)


def test_dense_layers_leave_out_gradients_that_nobody_needs():
    x, weight, bias = random(30, 8).float(), random(5, 8).float(), random(5).float()
    for needed in ([0, 1, 2], [0], [1], [2]):
        tensors = [each.clone().requires_grad_(k in needed) for k, each in enumerate((x, weight, bias))]
        autograd.dense(tensors[0], tensors[1:], (True,)).square().sum().backward()
        assert [k for k, each in enumerate(tensors) if each.grad is not None] == needed


@pytest.mark.parametrize("bias", [True, False])
def test_linear_layer(bias, batch, threads):
    assert_same("linear", [random(2100, 9), random(5, 9, seed=1), *([random(5, seed=2)] if bias else [])], batch)


def test_linear_layer_of_a_transposed_matrix(batch):
    x, weight = random(30, 9).float(), random(9, 5, seed=1).float()
    torch.testing.assert_close(autograd.linear(x.T.contiguous().T, weight.T), x @ weight)


def test_second_derivatives_are_refused():
    x, weight = random(30, 8).float().requires_grad_(), random(5, 8).float()
    (gradient,) = torch.autograd.grad(plain.linear(x, weight).square().sum(), x, create_graph=True)
    assert gradient.requires_grad
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(autograd.linear(x, weight).square().sum(), x, create_graph=True)


@activations
def test_distance_term(activation, batch, threads):
    distances = batch.distinct_distances[0]
    assert_same("distance_term", [random(12, 1), random(12), random(20, 12)], batch, distances, activation)


@pytest.mark.parametrize("n", [1, 64, 65, 7000])
def test_distance_term_of_many_distances(n, batch, threads):
    distances = 10 * random(n).abs()
    assert_same("distance_term", [random(16, 1), random(16, seed=1), random(6, 16, seed=2)], batch, distances, "mish")
    weights = [x.float() for x in (random(16, 1), random(16, seed=1), random(6, 16, seed=2))]
    with_gradient = autograd.distance_term(distances.float(), *[w.requires_grad_() for w in weights])
    with torch.no_grad():
        assert torch.equal(autograd.distance_term(distances.float(), *weights), with_gradient)


@pytest.mark.parametrize("operation", ["crystal_mean", "crystal_moments"])
def test_means_over_the_sites_of_crystals(operation, batch, threads):
    assert_same(operation, [random(len(batch.numbers), 7)], batch)


@activations
@pytest.mark.parametrize("n_heads", [1, 3])
def test_attend(n_heads, activation, batch, threads):
    parts, which = terms(batch, 8 + 12)
    assert_same("attend", [*parts, random(n_heads, 8, seed=5)], batch, which, torch.log(batch.count), activation)


def test_attend_leaves_pairs_out(batch, threads):
    """A logarithm of -inf gives no weight."""
    parts, which = terms(batch, 8 + 12)
    log_count = torch.where(batch.distance < 3, torch.log(batch.count), -torch.inf)
    assert 0.5 < torch.isinf(log_count).float().mean() < 1
    assert_same("attend", [*parts, random(2, 8, seed=5)], batch, which, log_count, "mish")


@activations
def test_pair_hidden(activation, batch, threads):
    parts, which = terms(batch, 12)
    assert_same("pair_hidden", parts, batch, which, activation)


def test_pair_scores_with_neighbours_in_other_crystals(batch):
    """Threads do not lose gradients of neighbours that several of them have."""
    n = len(batch.numbers)
    crossed = replace(batch, neighbour=batch.neighbour % 5)
    for n_threads in (1, 2):
        with autograd.threads(n_threads):
            for _ in range(5):
                assert_same("pair_scores", [random(n, 16), random(16), random(3, n, 16, seed=2)], crossed)


@activations
@pytest.mark.parametrize("normalized", [True, False])
def test_pair_scores(normalized, activation, batch, threads):
    n = len(batch.numbers)
    assert_same("pair_scores", [random(n, 16), random(16), random(3, n, 16, seed=2)], batch, activation, normalized)


@activations
@pytest.mark.parametrize("n_heads", [1, 3])
def test_attend_in_parts_is_the_same(n_heads, activation, batch, monkeypatch):
    parts, which = terms(batch, 8 + 12)
    inputs = [*parts, random(n_heads, 8, seed=5)]
    log_count = torch.where(batch.distance < 6, torch.log(batch.count), -torch.inf)
    _assert_parts_change_nothing("attend", inputs, monkeypatch, batch, which, log_count, activation)


@activations
@pytest.mark.parametrize("normalized", [True, False])
def test_pair_scores_in_parts_are_the_same(normalized, activation, batch, monkeypatch):
    n = len(batch.numbers)
    inputs = [random(n, 16), random(16), random(3, n, 16, seed=2)]
    _assert_parts_change_nothing("pair_scores", inputs, monkeypatch, batch, activation, normalized)


def _assert_parts_change_nothing(name, tensors, monkeypatch, batch, *options):
    batch = batch.to(torch.float64)
    options = [x.double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in options]
    results = []
    for part in (len(batch.row), 300, 1):
        monkeypatch.setattr(plain, "_PART", part)
        assert plain.in_parts(batch.distance, len(batch.row)) == (part < len(batch.row))
        inputs = [x.clone().requires_grad_() for x in tensors]
        output = CALLS[name](plain, inputs, batch, *options)
        outputs = output if isinstance(output, tuple) else (output,)
        (outputs[0] * random(*outputs[0].shape, seed=9)).sum().backward()
        results.append([x.detach() for x in (*outputs, *(x.grad for x in inputs))])
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=1e-9, atol=1e-9)
