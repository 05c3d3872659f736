"""Correctness and speed on a GPU, or on the CPU where there is none, which tests that everything runs.

Results of the device are compared with those of the CPU: vectors, losses and gradients with the same weights and the
same random draws, and models that were pickled on one and loaded on the other. Speed is that of the steps of training
and embedding, with crystals on the CPU and batches made in every step, as in ``fit`` and ``transform``.
"""

import gc
import io
import time
from contextlib import nullcontext

import joblib
import numpy as np
import torch

from skdim import PAPER_SITE_FEATURES, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import load_formation_energy
from skdim.nn.sampling.draws import draw_all
from skdim.nn.shared_batch import Whole
from skdim.nn.sitenet import embed

from ._results import Result
from .speed import count_operations, matrix_rate, sample, wait_for

#: Maximum difference between device and CPU, relative to the largest value.
TOLERANCE = 1e-4


def run(quick=False):
    """Differences between device and CPU, and rates for several batch sizes and precisions."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    small = quick or device == "cpu"
    n, seconds = (40, 0.0) if small else (3147, 3.0)
    sizes = (1200, 4800) if small else (1200, 5000, 20_000, 100_000)
    data = load_formation_energy()
    featurizer = SiteNetFeaturizer(max_sites=50, site_features=PAPER_SITE_FEATURES)
    crystals = featurizer.fit_transform(sample(data.structures, n))
    y = np.asarray(sample(data.target, n))
    results = differences(crystals[:200], y[:200], device)
    rates = {
        dtype: matrix_rate(8192 if device == "cuda" else 512, device=device, dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    }
    results += [Result(f"{name}: matrix product, {_short(d)}", rate, "GFLOP/s") for d, rate in rates.items()]
    for size in sizes:
        results += speeds(crystals, device, size, seconds, rates)
    return results


def differences(crystals, y, device):
    """Of vectors, predictions, losses and gradients, relative to the largest value; and across pickles."""
    embedder = DeepInfoMaxEmbedder.paper(max_epochs=1, device="cpu", random_state=0).fit(crystals)
    regressor = SiteNetRegressor(max_epochs=2, device="cpu", random_state=0).fit(crystals, y)
    results = []
    for what, model, call in (
        ("vectors", embedder, lambda model: model.transform(crystals)),
        ("predictions", regressor, lambda model: model.predict(crystals)),
    ):
        moved = _on(device, model)
        results.append(_difference(f"{what}, device and CPU", call(moved), call(model)))
        back = _pickled(_on("cpu", _pickled(moved)))
        results.append(_difference(f"{what}, pickled on the device and loaded on the CPU", call(back), call(model)))
    losses, gradients = zip(*(_step(embedder, crystals, where) for where in (device, "cpu")), strict=True)
    results.append(_difference("losses, device and CPU", *losses))
    results.append(_difference("gradients, device and CPU", *gradients))
    # Training itself draws other random numbers on a device: only that it learns can be compared.
    trained = DeepInfoMaxEmbedder.paper(max_epochs=3, device=device, random_state=0).fit(crystals)
    gain = trained.history_[0, "train_loss"] - trained.history_[-1, "train_loss"]
    results.append(Result("decrease of the loss in three epochs on the device", float(gain), "", (">=", 0.0)))
    return results


def _step(embedder, crystals, device):
    """Losses and gradients of one batch on a device, with random numbers drawn on the CPU."""
    net = _on("cpu", embedder).net_
    module = net.module_
    batch = next(net.batches(crystals, min_crystals=2))
    draws = draw_all(module, batch, torch.Generator().manual_seed(0))
    module.to(device)
    losses = module.losses(Whole(batch.to(device)), _moved(draws, device))
    losses["loss"].backward()
    gradients = [p.grad.flatten().cpu() for p in module.parameters() if p.grad is not None]
    return torch.stack(list(losses.values())).detach().cpu().numpy(), torch.cat(gradients).numpy()


def speeds(crystals, device, batch_sites, seconds, rates):
    """Crystals per second of training and embedding with batches of a number of sites, in two precisions."""
    embedder = DeepInfoMaxEmbedder.paper(max_epochs=0, device=device, batch_sites=batch_sites, random_state=0)
    net = embedder.fit(crystals).net_
    training, embedding = (count / len(crystals) for count in count_operations(embedder, crystals))
    module, optimizer = net.module_, net.optimizer_
    generator = torch.Generator(device=device).manual_seed(0)
    compiled = torch.compile(module.encoder, dynamic=True) if device == "cuda" else None
    results = []
    for dtype, rate in rates.items():

        def cast(dtype=dtype):
            return torch.autocast(device, dtype) if dtype != torch.float32 else nullcontext()

        def train(batch, cast=cast):
            optimizer.zero_grad()
            with cast():
                loss = module(batch, generator)["loss"]
            loss.backward()
            optimizer.step()

        def transform(batch, encoder=module.encoder, cast=cast):
            with torch.no_grad(), cast():
                embed(encoder, batch, "global")

        steps = {"pre-training": (train, training), "embedding": (transform, embedding)}
        if compiled is not None:
            steps["embedding, torch.compile"] = (lambda batch, step=transform: step(batch, compiled)), embedding
        for step, (function, operations) in steps.items():
            speed, peak = _rate(function, net, crystals, device, seconds)
            what = f"{batch_sites} sites, {_short(dtype)}: {step}"
            results.append(Result(what, speed, "crystals/s"))
            results.append(Result(f"{what}, share of the matrix rate", 100 * speed * operations / rate / 1e9, "%"))
            if device == "cuda":
                results.append(Result(f"{what}, peak memory", peak / 2**20, "MiB"))
    return results


def _rate(step, net, crystals, device, seconds):
    """Crystals per second of a step, including the making of batches, and the peak of memory in bytes."""
    gc.collect()
    for batch in net.batches(crystals[: max(2, len(crystals) // 10)], min_crystals=2):  # warm up
        step(batch)
    wait_for(device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - start < seconds:
        for batch in net.batches(crystals, min_crystals=2):
            step(batch)
            done += len(batch)
        wait_for(device)
    rate = done / (time.perf_counter() - start)
    return rate, torch.cuda.max_memory_allocated() if device == "cuda" else 0


def _on(device, model):
    """A copy of a fitted model that works on a device."""
    model = _pickled(model).set_params(device=device)
    model.net_.device = device
    model.net_.module_.to(device)
    return model


def _pickled(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def _moved(draws, device):
    """A nested tuple of tensors on a device."""
    if draws is None:
        return None
    if torch.is_tensor(draws):
        return draws.to(device)
    return type(draws)(*(_moved(each, device) for each in draws))


def _difference(name, values, expected):
    scale = np.abs(expected).max()
    return Result(f"difference of {name}", float(np.abs(values - expected).max() / scale), "", ("<=", TOLERANCE))


def _short(dtype):
    return str(dtype).removeprefix("torch.")
