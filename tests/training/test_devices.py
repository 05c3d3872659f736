"""Worker processes take turns on a GPU. The tests need no GPU: locks depend only on its number."""

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
from skdim._training import devices
from skdim._training.devices import device_turn, resolve_device
from tests.helpers.small_estimators import SMALL


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Make this process appear as a worker with two GPUs, with locks in a temporary folder."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices.multiprocessing, "parent_process", lambda: "a parent")
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


@contextlib.contextmanager
def another_process(folder, *names):
    """Context manager: another process that holds the locks of these GPUs."""
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


def test_the_main_process_takes_no_turns(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
    for device in ("cuda", "cuda:1", "cpu"):
        with device_turn(device) as taken:
            assert taken == device


def test_workers_take_no_turns_on_the_cpu(gpus):
    with device_turn("cpu") as taken:
        assert taken == "cpu"
    assert list(gpus.iterdir()) == []


def test_a_worker_takes_the_first_free_gpu(gpus):
    with device_turn("cuda") as taken:
        assert taken == "cuda:0"
    with another_process(gpus, 0), device_turn("cuda") as taken:
        assert taken == "cuda:1"
    with device_turn("cuda") as taken:
        assert taken == "cuda:0", "the lock is released when its process ends"


def test_an_error_ends_the_turn(gpus):
    for _ in range(2):
        with pytest.raises(RuntimeError), device_turn("cuda:0"):
            raise RuntimeError
    with device_turn("cuda:0"):
        pass


@pytest.mark.parametrize(("device", "held", "which"), [("cuda", (0, 1), "all 2 GPUs"), ("cuda:1", (1,), "the GPU")])
def test_a_worker_waits_with_one_warning_if_all_gpus_are_in_use(gpus, monkeypatch, device, held, which):
    with another_process(gpus, *held) as process:
        waits = []

        def wait(seconds):
            waits.append(seconds)
            if len(waits) == 3:
                process.communicate("")

        monkeypatch.setattr(devices, "time", SimpleNamespace(sleep=wait))
        expected = pytest.warns(match=f"other worker processes use {which}: this one waits")
        with expected as caught, device_turn(device) as taken:
            assert taken in {f"cuda:{number}" for number in held}
        assert len(waits) >= 3
        assert len(caught) == 1


def test_nested_turns_do_not_wait(gpus):
    with device_turn("cuda:1"):
        for device, inner in (("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")):
            with device_turn(device) as taken:
                assert taken == inner
    with device_turn("cuda") as taken:
        assert taken == "cuda:0"


def test_lock_names_follow_cuda_visible_devices(gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-ab12")
    for device in ("cuda:0", "cuda:1"):
        with device_turn(device):
            pass
    assert {path.name.split("-cuda-")[1] for path in gpus.iterdir()} == {"3.lock", "GPU-ab12.lock"}


def turn(folder, seconds):
    """In a worker: the start and the end of a turn on a single GPU."""
    devices.tempfile.tempdir = folder
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
    """With another name of the CPU in place of the GPU of a worker."""
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
        used_devices = []
        forward = type(plain.net_).infer
        patched.setattr(
            type(plain.net_),
            "infer",
            lambda net, x, **kwargs: used_devices.append(net.device) or forward(net, x, **kwargs),
        )
        model = kind(**settings).fit(X, y).fit(X, y)
        score = model.score(X, y)
        assert set(used_devices) == {"cpu:0"}
        assert taken == ["cpu"] * 3
        assert model.net_.device == "cpu", "the device of the turn is not kept"
    plain.fit(X, y)
    assert score == plain.score(X, y)
    output = "predict" if hasattr(plain, "predict") else "transform"
    assert_array_equal(getattr(model, output)(X), getattr(plain, output)(X))
    assert np.isfinite(score)
