"""Worker processes that would use one GPU take turns. No GPU is needed: locks know only numbers."""

import contextlib
import itertools
import os
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal

from skdim import DeepInfoMaxEmbedder, SiteNetRegressor
from skdim._training import devices as _devices
from skdim._training.devices import device_turn, resolve_device
from tests.helpers.small_estimators import SMALL


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Makes this process a worker that sees two GPUs; locks are files of this test's folder."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(_devices.multiprocessing, "parent_process", lambda: "a parent")
    monkeypatch.setattr(_devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@contextlib.contextmanager
def another_process(folder, *names):
    """Another process holds the locks of these GPUs; it leaves them when the block ends."""
    script = """
import sys
from skdim._shared.locks import lock_file
files = [open(path, "ab") for path in sys.argv[1:]]
for file in files:
    lock_file(file)
print("held", flush=True)
sys.stdin.read()
"""
    paths = [str(folder / f"skdim-{os.getuid()}-cuda-{name}.lock") for name in names]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_no_turns_without_workers(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
    for device in ("cuda", "cuda:1", "cpu"):
        with device_turn(device) as taken:
            assert taken == device


def test_no_turns_on_the_cpu(gpus):
    with device_turn("cpu") as taken:
        assert taken == "cpu"
    assert list(gpus.iterdir()) == []


def test_a_worker_takes_the_first_gpu_that_is_free(gpus):
    with device_turn("cuda") as taken:
        assert taken == "cuda:0"
    with another_process(gpus, 0), device_turn("cuda") as taken:
        assert taken == "cuda:1"
    with device_turn("cuda") as taken:
        assert taken == "cuda:0", "a turn ends with the process that has it"


def test_a_turn_ends_with_an_error(gpus):
    for _ in range(2):
        with pytest.raises(RuntimeError), device_turn("cuda:0"):
            raise RuntimeError
    with device_turn("cuda:0"):
        pass


@pytest.mark.parametrize(("device", "held", "which"), [("cuda", (0, 1), "all 2 GPUs"), ("cuda:1", (1,), "the one GPU")])
def test_a_worker_waits_for_its_turn(gpus, monkeypatch, device, held, which):
    with another_process(gpus, *held) as process:
        waits = []

        def wait(seconds):
            waits.append(seconds)
            if len(waits) == 3:
                process.communicate("")

        monkeypatch.setattr(_devices, "time", SimpleNamespace(sleep=wait))
        expected = pytest.warns(match=f"other worker processes use {which}: this one waits")
        with expected as caught, device_turn(device) as taken:
            assert taken in {f"cuda:{number}" for number in held}
        assert len(waits) >= 3
        assert len(caught) == 1


def test_inside_a_turn_there_is_no_other(gpus):
    with device_turn("cuda:1"):
        for device, inner in (("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")):
            with device_turn(device) as taken:
                assert taken == inner
    with device_turn("cuda") as taken:
        assert taken == "cuda:0"


def test_locks_are_named_by_the_gpus_that_cuda_shows(gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-ab12")
    for device in ("cuda:0", "cuda:1"):
        with device_turn(device):
            pass
    assert {path.name.split("-cuda-")[1] for path in gpus.iterdir()} == {"3.lock", "GPU-ab12.lock"}


def turn(folder, seconds):
    """In a worker: when a turn on the one GPU began and ended."""
    _devices.tempfile.tempdir = folder
    torch.cuda.device_count = lambda: 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it waits
        with device_turn("cuda") as device:
            start = time.monotonic()
            time.sleep(seconds)
            return device, start, time.monotonic()


def test_joblib_workers_take_turns(tmp_path):
    with parallel_config(backend="loky", n_jobs=2):
        turns = Parallel()(delayed(turn)(str(tmp_path), 0.1) for _ in range(6))
    assert {device for device, _, _ in turns} == {"cuda:0"}
    turns = sorted(turns, key=lambda one: one[1])
    assert all(end <= start for (_, _, end), (_, start, _) in itertools.pairwise(turns))


@pytest.mark.parametrize("kind", [DeepInfoMaxEmbedder, SiteNetRegressor])
def test_estimators_work_on_the_device_of_their_turn(kind, X, y, monkeypatch):
    """A second name of the CPU stands for the GPU that a worker gets."""
    taken = []

    @contextlib.contextmanager
    def other_name(device):
        taken.append(device)
        yield "cpu:0"

    settings = {**SMALL, "max_epochs": 2, "warm_start": True, "learning_rate": "constant"}
    plain = kind(**settings).fit(X, y)
    with monkeypatch.context() as patched:
        for module in ("skdim._training.train", "skdim._training.net"):
            patched.setattr(sys.modules[module], "device_turn", other_name)
        devices = []
        forward = type(plain.net_).infer
        patched.setattr(
            type(plain.net_), "infer", lambda net, x, **kwargs: devices.append(net.device) or forward(net, x, **kwargs)
        )
        model = kind(**settings).fit(X, y).fit(X, y)
        score = model.score(X, y)
        assert set(devices) == {"cpu:0"}
        assert taken == ["cpu"] * 3
        assert model.net_.device == "cpu", "which GPU it was is forgotten"
    plain.fit(X, y)
    assert score == plain.score(X, y)
    output = "predict" if hasattr(plain, "predict") else "transform"
    assert_array_equal(getattr(model, output)(X), getattr(plain, output)(X))
    assert np.isfinite(score)
