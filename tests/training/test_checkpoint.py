"""A killed training run resumes from its checkpoint and ends like an uninterrupted one; bad files are refused."""

import json
import os
import pickle
import signal
import zipfile

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from skorch.callbacks import Callback, EarlyStopping

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim._training.checkpoint import FORMAT
from skdim.datasets import make_crystals
from tests.helpers.processes import run_killed
from tests.helpers.small_estimators import SMALL

SETTINGS = {**SMALL, "batch_sites": 40, "max_epochs": 5}
STOPPING = {
    "early_stopping": True,
    "validation_fraction": 0.4,
    "n_iter_no_change": 2,
    "max_epochs": 60,
    "learning_rate": "constant",
    "learning_rate_init": 3e-2,
}


class Kill(Callback):
    """Kill the process in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch and len(net.history[-1, "batches"]) == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def fit_and_die(embedder, X, moment, epoch):
    """Fit, and kill the process in an epoch or while a checkpoint is written."""
    calls, replace = [], os.replace

    def killing_replace(source, target):
        calls.append(target)
        if len(calls) == epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    if moment == "writing":
        os.replace = killing_replace
    else:
        embedder.set_params(callbacks=Kill(epoch))
    embedder.fit(X)


class Count(Callback):
    """Record the epoch of each training batch, in a list that copies share."""

    def __init__(self):
        self.epochs = []

    def __deepcopy__(self, memo):
        return self

    def on_batch_begin(self, net, training=False, **kwargs):
        if training:
            self.epochs.append(len(net.history))


class Interrupt(Callback):
    """Raise KeyboardInterrupt in the middle of an epoch, as Ctrl-C does."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch:
            raise KeyboardInterrupt


def assert_same_run(resumed, whole, X):
    states = (model.net_.module_.state_dict() for model in (resumed, whole))
    for (name, a), (other, b) in zip(*(state.items() for state in states), strict=True):
        assert name == other
        assert torch.equal(a, b), name
    optimizers = [model.net_.optimizer_.state_dict() for model in (resumed, whole)]
    assert optimizers[0]["param_groups"] == optimizers[1]["param_groups"]
    for a, b in zip(*(optimizer["state"].values() for optimizer in optimizers), strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
    records = [
        [{k: v for k, v in epoch.items() if k not in ("batches", "dur")} for epoch in model.history_]
        for model in (resumed, whole)
    ]
    assert records[0] == records[1]
    assert resumed.n_iter_ == whole.n_iter_
    assert_array_equal(resumed.transform(X), whole.transform(X))


@pytest.mark.parametrize(
    ("changes", "moment", "epoch"),
    [
        ({}, "training", 4),
        ({}, "writing", 3),
        ({"learning_rate": "constant"}, "training", 2),
        (STOPPING, "training", 4),
        ({**STOPPING, "learning_rate": "one_cycle"}, "writing", 3),
    ],
)
def test_a_killed_run_resumes_and_equals_an_uninterrupted_one(changes, moment, epoch, X, tmp_path):
    model = DeepInfoMaxEmbedder(**{**SETTINGS, **changes}, checkpoint=tmp_path / "runs" / "run.pt")
    whole = clone(model).set_params(checkpoint=None).fit(X)
    run_killed(fit_and_die, model, X, moment, epoch)
    count = Count()
    resumed = clone(model).set_params(callbacks=count).fit(X)
    assert min(count.epochs) == epoch, "earlier epochs are not trained again"
    assert_same_run(resumed, whole, X)


def test_a_run_killed_in_its_first_epoch_starts_again(X, tmp_path):
    model = DeepInfoMaxEmbedder(**SETTINGS, checkpoint=str(tmp_path / "run.pt"))
    run_killed(fit_and_die, model, X, "training", 1)
    assert not (tmp_path / "run.pt").exists()
    assert_same_run(model.fit(X), clone(model).set_params(checkpoint=None).fit(X), X)


def fit_again(model, X):
    """A second fit of a finished run, which must train nothing."""
    count = Count()
    again = clone(model).set_params(callbacks=count).fit(X)
    assert count.epochs == []
    assert_same_run(again, model, X)


def test_a_finished_run_is_returned_without_training_or_writing(X, tmp_path):
    model = DeepInfoMaxEmbedder(**SETTINGS, checkpoint=tmp_path / "run.pt").fit(X)
    modified = (tmp_path / "run.pt").stat().st_mtime_ns
    fit_again(model, X)
    assert (tmp_path / "run.pt").stat().st_mtime_ns == modified
    fit_again(model, X)


def test_a_run_that_stopped_early_is_returned_without_training(X, tmp_path):
    model = DeepInfoMaxEmbedder(**{**SETTINGS, **STOPPING}, checkpoint=tmp_path / "run.pt").fit(X)
    assert model.n_iter_ < STOPPING["max_epochs"]
    for _ in range(2):
        fit_again(model, X)


def test_early_stopping_among_the_callbacks_does_not_replace_the_best_weights(X, tmp_path):
    stop = EarlyStopping(monitor="train_loss", patience=100, load_best=False)
    model = DeepInfoMaxEmbedder(**SETTINGS, early_stopping=True, callbacks=[stop], checkpoint=tmp_path / "run.pt")
    expected = model.fit(X).net_.module_.state_dict()
    best = torch.load(tmp_path / "run.pt", weights_only=True)["best"]
    assert best.keys() == expected.keys()
    assert all(torch.equal(best[name], expected[name]) for name in best)


def test_an_interrupted_run_resumes_from_its_last_complete_epoch(X, tmp_path):
    model = DeepInfoMaxEmbedder(**SETTINGS, checkpoint=tmp_path / "run.pt")
    with pytest.raises(KeyboardInterrupt, match="training was interrupted in epoch 3"):
        clone(model).set_params(callbacks=Interrupt(3)).fit(X)
    count = Count()
    resumed = clone(model).set_params(callbacks=count).fit(X)
    assert min(count.epochs) == 3
    assert_same_run(resumed, clone(model).set_params(checkpoint=None).fit(X), X)


def test_a_warm_start_resumes(X, tmp_path):
    first = DeepInfoMaxEmbedder(**SETTINGS, warm_start=True).fit(X)
    data = pickle.dumps(first)
    whole = pickle.loads(data).set_params(max_epochs=4).fit(X)
    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt, match="interrupted in epoch 8"):
        pickle.loads(data).set_params(max_epochs=4, checkpoint=path, callbacks=Interrupt(8)).fit(X)
    resumed = pickle.loads(data).set_params(max_epochs=4, checkpoint=path).fit(X)
    assert resumed.n_iter_ == 9
    assert_same_run(resumed, whole, X)
    with pytest.raises(ValueError, match=r"started from other weights \(warm_start\)"):
        DeepInfoMaxEmbedder(**SETTINGS, checkpoint=path).set_params(max_epochs=4).fit(X)


def test_a_checkpoint_does_not_change_the_fit(X, tmp_path):
    model = DeepInfoMaxEmbedder(**SETTINGS)
    assert_same_run(clone(model).set_params(checkpoint=tmp_path / "run.pt").fit(X), model.fit(X), X)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


def test_the_progress_bar_of_a_resumed_run_starts_at_its_epoch(X, tmp_path, capsys):
    model = DeepInfoMaxEmbedder(**SETTINGS, checkpoint=tmp_path / "run.pt", verbose=1)
    with pytest.raises(KeyboardInterrupt, match="interrupted in epoch 4"):
        clone(model).set_params(callbacks=Interrupt(4), verbose=0).fit(X)
    model.fit(X)
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "pre-train: 4 of 5 epochs",
        "pre-train: 5 of 5 epochs",
    ]


def test_only_parameters_that_do_not_change_the_weights_may_differ(X, tmp_path):
    path = tmp_path / "run.pt"
    model = DeepInfoMaxEmbedder(**SETTINGS, checkpoint=path).fit(X)
    clone(model).set_params(representation="local", verbose=0, n_jobs=1, negatives=list(model.negatives)).fit(X)
    with pytest.raises(ValueError, match=r"of another run: max_epochs=5 \(here 6\)\. Fit with its settings"):
        clone(model).set_params(max_epochs=6).fit(X)
    with pytest.raises(ValueError, match=r"random_state \(seed\)="):
        clone(model).set_params(random_state=1).fit(X)
    with pytest.raises(ValueError, match="was made with other crystals"):
        clone(model).fit(X[1:])
    other = SiteNetFeaturizer(site_features=["row", "group"]).transform(make_crystals(40, random_state=0)[0])
    with pytest.raises(ValueError, match="was made with other crystals"):
        clone(model).fit(other)
    assert_same_run(clone(model).fit(X), model, X)


def test_a_checkpoint_needs_a_random_state(X, tmp_path):
    with pytest.raises(ValueError, match="checkpoint needs a random_state"):
        DeepInfoMaxEmbedder(checkpoint=tmp_path / "run.pt").fit(X)
    model = DeepInfoMaxEmbedder(**{**SETTINGS, "random_state": np.random.RandomState(3)}, checkpoint=tmp_path / "r.pt")
    resumed = clone(model).set_params(random_state=np.random.RandomState(3))
    assert_same_run(resumed.fit(X), model.fit(X), X)


def test_parameters_may_be_numpy_numbers(X, tmp_path):
    """As in a search over np.logspace."""
    rates = {"learning_rate_init": np.float64(1e-3), "weight_decay": np.float32(0.25)}
    model = DeepInfoMaxEmbedder(**{**SETTINGS, **rates}, checkpoint=tmp_path / "run.pt").fit(X)
    plain = {name: float(value) for name, value in rates.items()}
    assert_same_run(clone(model).fit(X), DeepInfoMaxEmbedder(**{**SETTINGS, **plain}).fit(X), X)


# ---- invalid files ----


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("evil",))


def test_loading_a_checkpoint_runs_no_code(X, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))):
        write({"format": "skdim.checkpoint", "schema_version": FORMAT.version, "evil": Evil()}, tmp_path / "run.pt")
        with pytest.raises(ValueError, match=r"run\.pt is damaged \(it is not a file of tensors and numbers\): remove"):
            DeepInfoMaxEmbedder(**SETTINGS, checkpoint="run.pt").fit(X)
    assert not (tmp_path / "evil").exists()


def test_damaged_files_are_refused_and_kept(X, tmp_path):
    path = tmp_path / "run.pt"
    model = DeepInfoMaxEmbedder(**SETTINGS, checkpoint=path).fit(X)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as parts:
        size, name = max((part.file_size, part.filename) for part in parts.infolist() if "/data/" in part.filename)
        at = whole.index(parts.read(name)) + size // 2
    flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]  # one bit of a weight, which torch does not notice
    for damage in (b"", whole[:1000], whole[:-200], b"hello", flipped):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"run\.pt is damaged"):
            model.fit(X)
        assert path.read_bytes() == damage, "a damaged file is not overwritten"
    with pytest.raises(ValueError, match="is not a file"):
        clone(model).set_params(checkpoint=tmp_path).fit(X)


def test_files_with_other_content_are_refused(X, tmp_path):
    path = tmp_path / "run.pt"
    model = DeepInfoMaxEmbedder(**SETTINGS, checkpoint=path).fit(X)
    state = torch.load(path, weights_only=True)
    assert set(json.loads(state["run"])) == {"settings", "crystals", "start"}

    def refused(match, **changes):
        torch.save({k: v for k, v in {**state, **changes}.items() if v != "remove"}, path)
        with pytest.raises(ValueError, match=match):
            clone(model).fit(X)

    refused("is not a checkpoint of skdim: its format is 'other'", format="other")
    refused(
        rf"schema version 1, and this skdim .* reads version {FORMAT.version}: use skdim .*, or pass another path",
        schema_version=1,
    )
    for key in ("run", "history", "n_done", "stopped", "best", "module", "optimizer", "callbacks"):
        refused("is damaged", **{key: "remove"})
    refused("is damaged", history="{")
    refused("is damaged", n_done="3")
    module = dict(state["module"])
    module[next(iter(module))] = torch.zeros(3)
    refused("is damaged", module=module)
    (group,) = state["optimizer"]["param_groups"]
    group = {name: value for name, value in group.items() if name != "lr"}
    refused("settings of the optimiser are missing", optimizer={**state["optimizer"], "param_groups": [group]})
    torch.save([1], path)
    with pytest.raises(ValueError, match="is not a checkpoint of skdim"):
        clone(model).fit(X)
