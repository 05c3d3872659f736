"""Two processes that share every batch train like one: losses, weights, checkpoints, random draws."""

import contextlib
import io
import os
import shutil
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import joblib
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback

from skdim import DeepInfoMaxEmbedder
from skdim._training.batches import make_batch
from skdim._training.net import CrystalNet
from skdim._training.ranks import ranks_of
from skdim.nn.shared_batch import Share
from tests.helpers import processes
from tests.helpers.small_estimators import SMALL

pytest.importorskip("accelerate", reason="needs the extra 'accelerate'")

from accelerate import PartialState

MODELS = {
    "default": DeepInfoMaxEmbedder(**SMALL, batch_sites=60, max_epochs=3, early_stopping=True, validation_fraction=0.3),
    "paper": DeepInfoMaxEmbedder.paper(
        **{**SMALL, "local_dim": 4}, batch_sites=60, max_epochs=3, learning_rate_init=1e-2, kl_form="gaussian"
    ),
    # Two blocks and pair features of both species; batches of two crystals, so that a process often has none.
    "tiny batches": DeepInfoMaxEmbedder(
        **{**SMALL, "encoder_params": {**SMALL["encoder_params"], "log_coulomb": True, "pooling": "max"}},
        n_blocks=2,
        kl_weight=0.1,
        batch_sites=1,
        max_epochs=2,
    ),
    # Networks for scores, which get no gradients.
    "no contrastive objective": DeepInfoMaxEmbedder(
        **SMALL, objective=None, descriptor_weight=1, weight_decay=0.1, batch_sites=60, max_epochs=2
    ),
}


class Stop(Exception):
    pass


class StopAfterTwo(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise Stop


def fitted(model, X, **params):
    screen = io.StringIO()
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        model = clone(model).set_params(device="accelerate", **params).fit(X)
    return {
        "history": model.history_,
        "weights": model.net_.module_.state_dict(),
        "screen": screen.getvalue(),
        "vectors": model.transform(X),
        "score": model.score(X),
        "device": model.net_.device,
        "ranks": model.net_.ranks,
    }


@contextlib.contextmanager
def losses_that_differ(rank):
    """Context manager: the validation loss decreases after every epoch in process 0, never in process 1."""
    step = CrystalNet.validation_step

    def validation_step(self, batch, **fit_params):
        return step(self, batch, **fit_params) | {"loss": torch.tensor(1 if rank else 1 / len(self.history))}

    CrystalNet.validation_step = validation_step
    yield
    CrystalNet.validation_step = step


def work(X, folder):
    """Run in each of the two processes."""
    warnings.simplefilter("error")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does; accelerate warns otherwise
    default, rank = MODELS["default"], int(os.environ["RANK"])
    result = {name: fitted(model, X) for name, model in MODELS.items()}
    result["verbose"] = fitted(default, X, verbose=1)
    # The global random states of the processes differ, and their seeds would too.
    result["unseeded"] = fitted(default, X, random_state=None)

    with losses_that_differ(rank):
        result["losses differ"] = fitted(default, X, max_epochs=5, n_iter_no_change=2)

    # A file that only the first process can read, as with processes on different machines.
    path = folder / "run.pt" if rank == 0 else folder / "nowhere" / "run.pt"
    with contextlib.suppress(Stop):
        fitted(default, X, checkpoint=path, callbacks=StopAfterTwo())
    assert path.exists() == (rank == 0)
    if rank == 0:
        shutil.copy(path, folder / "two_epochs.pt")
    result["resumed from one process"] = fitted(default, X, checkpoint=folder / "one_process.pt")
    result["resumed"] = fitted(default, X, checkpoint=path)

    damaged = folder / "damaged.pt"
    if rank == 0:
        damaged.write_text("nothing")
    result["errors"] = []
    for rows, changes in ((X, {"kl_weight": 0.1 * rank}), (X[rank:], {}), (X, {"checkpoint": damaged})):
        try:
            fitted(default, rows, **changes)
        except ValueError as error:
            result["errors"].append(str(error))
    joblib.dump(result, folder / f"rank{rank}")
    torch.distributed.destroy_process_group()


def launch(X, folder):
    """As torchrun, except for the start method of the processes."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    processes.context()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id="test",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="forkserver",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder / "logs")),
    )
    elastic_launch(config, work)(X, folder)


@pytest.fixture(scope="module")
def results(X, tmp_path_factory):
    """Results of the two processes, by rank."""
    folder = tmp_path_factory.mktemp("launched")
    with contextlib.suppress(Stop):
        clone(MODELS["default"]).set_params(checkpoint=folder / "one_process.pt", callbacks=StopAfterTwo()).fit(X)
    with ThreadPoolExecutor(1) as pool:  # in the main thread the launcher would replace signal handlers
        pool.submit(launch, X, folder).result()
    results = [joblib.load(folder / f"rank{rank}") for rank in range(2)]
    return [result | {"folder": folder} for result in results]


def losses(history):
    return {name: history[:, name] for name in history[0] if name.endswith(("loss", "local", "global", "kl"))}


@pytest.mark.parametrize("name", MODELS)
def test_two_processes_train_like_one(name, results, X):
    whole = clone(MODELS[name]).fit(X)
    for result in results:
        expected, actual = losses(whole.history_), losses(result[name]["history"])
        assert expected.keys() == actual.keys()
        for loss, values in expected.items():
            assert_allclose(actual[loss], values, rtol=1e-4, err_msg=loss)
        assert_allclose(result[name]["vectors"], whole.transform(X), rtol=1e-3, atol=1e-3)
        assert result[name]["score"] == pytest.approx(whole.score(X), rel=1e-4)
        assert result[name]["device"] == "cpu"
        assert result[name]["ranks"] is None


@pytest.mark.parametrize("name", [*MODELS, "unseeded", "resumed"])
def test_all_processes_end_with_the_same_weights(name, results):
    first, second = (result[name]["weights"] for result in results)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_weights_without_gradients_stay_as_they_are(results, X):
    name = "no contrastive objective"
    whole = clone(MODELS[name]).fit(X).net_.module_.state_dict()
    scores = [key for key in whole if key.startswith(("crystal_score", "neighbour_score"))]
    assert scores
    for result in results:
        assert all(torch.equal(result[name]["weights"][key], whole[key]) for key in scores)


def test_processes_stop_early_by_the_losses_of_the_first(results):
    for result in results:
        assert_allclose(result["losses differ"]["history"][:, "valid_loss"], [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5], rtol=1e-6)


def test_only_the_first_process_reports(results):
    first, second = (result["verbose"]["screen"] for result in results)
    assert "3 of 3 epochs" in first
    assert second == ""


def test_a_run_resumes_from_the_file_of_the_first_process(results):
    for result in results:
        for key, value in result["resumed"]["weights"].items():
            assert torch.equal(value, result["default"]["weights"][key])


def test_a_run_resumes_with_another_number_of_processes(results, X):
    """Up to rounding, like the run of one process that was not interrupted."""
    whole = clone(MODELS["default"]).fit(X)
    resumed = clone(whole).set_params(checkpoint=results[0]["folder"] / "two_epochs.pt").fit(X)
    for history, vectors in (
        (resumed.history_, resumed.transform(X)),
        *((result["resumed from one process"][key] for key in ("history", "vectors")) for result in results),
    ):
        assert len(history) == 3
        assert_allclose(history[:, "train_loss"], whole.history_[:, "train_loss"], rtol=1e-4)
        assert_allclose(vectors, whole.transform(X), rtol=1e-3, atol=1e-3)
    # The first two epochs are those of the file, to the last bit.
    assert resumed.history_[:2, "train_loss"] == results[0]["default"]["history"][:2, "train_loss"]
    assert results[0]["resumed from one process"]["history"][:2, "train_loss"] == whole.history_[:2, "train_loss"]


def test_errors_are_raised_in_all_processes(results):
    for result in results:
        settings, crystals, damaged = result["errors"]
        assert "process 0 differs from process 1: kl_weight=0.0 (here 0.1)" in settings
        assert "other crystals" in crystals
        assert "damaged.pt is damaged" in damaged


def test_accelerate_without_a_launcher_trains_in_one_process(X):
    model = DeepInfoMaxEmbedder(**SMALL, max_epochs=1)
    alone = clone(model).set_params(device="accelerate").fit(X)
    assert alone.net_.ranks is None
    assert_array_equal(alone.transform(X), model.fit(X).transform(X))


def test_a_state_of_one_process_among_several_is_refused(monkeypatch):
    PartialState(cpu=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match=r"2 processes were launched.*PartialState\(cpu=True\)"):
        ranks_of("accelerate")


def test_the_device_of_the_process_is_current_in_every_thread(monkeypatch):
    device, current = torch.device("cuda:1"), []
    state = SimpleNamespace(num_processes=2, process_index=1, device=device)
    monkeypatch.setattr("accelerate.PartialState", lambda cpu: state)
    monkeypatch.setattr("torch.cuda.set_device", current.append)
    assert ranks_of("accelerate").rank == 1
    assert current == [device]


def test_missing_accelerate_names_the_extra(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"skdim-crystals\[accelerate\]"):
        DeepInfoMaxEmbedder(device="accelerate").fit(X)


@pytest.mark.parametrize("n_ranks", [1, 2, 3, 50])
def test_shares_are_a_partition(n_ranks, X):
    batch = make_batch(X)
    shares = [Share(batch, rank, n_ranks) for rank in range(n_ranks)]
    assert sum(len(share.part) for share in shares) == len(X)
    for name in ("site_inputs", "numbers", "multiplicity", "distance", "count"):
        assert torch.equal(torch.cat([getattr(share.part, name) for share in shares]), getattr(batch, name))
    for share in shares:
        if len(share.part):
            alone = make_batch(X[share.crystals])
            for name in ("crystal", "class_offsets", "pair_offsets", "row", "neighbour"):
                assert torch.equal(getattr(share.part, name), getattr(alone, name))
    # Equal, except for the crystals at the ends.
    largest = max(len(row.distance) for row in X)
    assert max(len(share.part.distance) for share in shares) <= len(X.distance) / n_ranks + largest
