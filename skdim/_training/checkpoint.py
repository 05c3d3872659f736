"""A training run on disk: what one needs to take it up after a kill and end with the same weights to the bit."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile

import numpy as np
import torch
from skorch.callbacks import Callback, EarlyStopping, PassthroughScoring
from skorch.history import History

from .._crystals.blocks import blocks
from .._crystals.columns import COLUMNS
from .._shared.files import as_json, replaced_file
from .._shared.headers import FileFormat
from .callbacks import STOP, OneCycle

#: 2 has another fingerprint of the crystals.
FORMAT = FileFormat(
    "skdim.checkpoint", 2, "a checkpoint of skdim", "pass another path as checkpoint or remove the file"
)
#: Parameters of an estimator that do not change its weights, or not more than rounding does.
_FREE = {"callbacks", "checkpoint", "device", "n_jobs", "representation", "verbose", "warm_start"}
#: What the callbacks know beside the history.
_STATE = {
    OneCycle: ("first_epoch_", "peaks_"),
    EarlyStopping: ("misses_", "dynamic_threshold_", "best_epoch_"),
    PassthroughScoring: ("best_score_",),
}


class Checkpoint(Callback):
    """Keeps a run in one file, rewritten after every epoch, and restores it.

    skorch's own Checkpoint writes weights, optimiser and history one after another, so that a kill may leave three that
    do not fit, and knows nothing of other callbacks. Batches are drawn from generators seeded anew at each epoch
    (:meth:`CrystalNet.seed_epoch`), so that their state need not be kept.

    Parameters
    ----------
    path : str
    run : dict
        What makes the run this one; a file of another run is refused.
    ranks : Ranks or None
        Where several processes train together: the first one reads and writes for all.
    """

    def __init__(self, path, run, ranks=None):
        self.path = path
        self.run = run
        self.ranks = ranks
        self.state_ = self._found() if ranks is None else ranks.of_first(self._found)

    @property
    def n_done(self):
        """Epochs of this run that the file holds."""
        return self.state_["n_done"] if self.state_ else 0

    def restore(self, net):
        """Restore weights, optimiser and history from the file; return how many epochs are done."""
        self.first_epoch_ = len(net.history)
        if self.state_ is None:
            return 0
        settings = [group.keys() for group in net.optimizer_.param_groups]
        try:
            net.module_.load_state_dict(self.state_["module"])
            net.optimizer_.load_state_dict(self.state_["optimizer"])
            loaded = [group.keys() for group in net.optimizer_.param_groups]
            if not all(ours <= theirs for ours, theirs in zip(settings, loaded, strict=True)):
                raise ValueError("the optimiser lacks settings")
        except Exception as error:  # torch looks at what it loads as it goes along
            raise self._damaged(error) from error
        net.history = restored_history(self.state_["history"])
        return net.max_epochs if self.state_["stopped"] else self.n_done

    def on_train_begin(self, net, **kwargs):
        if self.state_ is None:
            return
        for name, callback in net.callbacks_:
            vars(callback).update(self.state_["callbacks"].get(name, {}))
            if name == STOP:
                callback.best_model_weights_ = self.state_["best"]
        # A pickle of the net needs no second copy of the weights.
        self.state_ = None

    def on_epoch_end(self, net, **kwargs):
        self._write(net, stopped=False)

    def on_train_end(self, net, **kwargs):
        # Early stopping ends an epoch before on_epoch_end comes here. An interrupt may end it anywhere: what it leaves
        # is no state to go on from.
        stops = [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]
        if any(stop.misses_ >= stop.patience for stop in stops):
            self._write(net, stopped=True)

    def _found(self):
        return self._read() if os.path.exists(self.path) else None

    def _write(self, net, stopped):
        if self.ranks is not None and not self.ranks.first:
            return
        callbacks, best = {}, None
        for name, callback in net.callbacks_:
            for kind, attributes in _STATE.items():
                if isinstance(callback, kind):
                    callbacks[name] = {attribute: getattr(callback, attribute) for attribute in attributes}
            if name == STOP:  # not one of the user's own
                best = callback.best_model_weights_
        content = {
            **FORMAT.header(),
            # As texts: JSON has no trouble with NumPy's numbers, and can hold nothing but numbers and names.
            "run": json.dumps(self.run),
            "history": json.dumps(epoch_records(net.history)),
            "callbacks": json.dumps(as_json(callbacks)),
            "n_done": len(net.history) - self.first_epoch_,
            "stopped": stopped,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "best": best,
        }
        whole = io.BytesIO()
        torch.save(content, whole)  # not into the file: of a disk that is full, torch tells nothing but a position
        with replaced_file(self.path) as file:
            file.write_bytes(whole.getvalue())

    def _read(self):
        if not os.path.isfile(self.path):
            raise ValueError(f"checkpoint={self.path!r} is no file: give it the path of one")
        with open(self.path, "rb") as file:
            content = io.BytesIO(file.read())
        try:
            with zipfile.ZipFile(content) as parts:  # torch compares no checksums
                if name := parts.testzip():
                    raise ValueError(f"the checksum of {name} is wrong")
            content.seek(0)
            # With weights_only nothing but tensors and plain containers is read, and no code is run.
            state = torch.load(content, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, zipfile.BadZipFile):
            # torch's message says how to read it all the same, and that is by running what it holds.
            raise self._damaged("it is no file of tensors and numbers") from None
        except Exception as error:  # of zipfile, or of torch, which looks at what it reads as it goes along
            raise self._damaged(error) from error
        FORMAT.check(state, self.path)
        try:
            run = json.loads(state["run"])
            state["history"], state["callbacks"] = json.loads(state["history"]), json.loads(state["callbacks"])
            different = _differences(run, self.run)
            whole = all(isinstance(record, dict) for record in state["history"]) and "best" in state
            whole = whole and {"module", "optimizer", "stopped"} <= state.keys() and state["n_done"] > 0
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error
        if not whole:
            raise self._damaged("it lacks entries")
        if different:
            raise ValueError(
                f"the checkpoint {self.path} is of another run: {'; '.join(different)}. Fit with its settings and "
                "crystals to go on with it; to train anew, give checkpoint another path or remove the file"
            )
        return state

    def _damaged(self, error):
        return ValueError(f"the checkpoint {self.path} is damaged ({error}): remove it to train anew")


def checkpoint_of(estimator, seed, *datasets, ranks=None):
    """The checkpoint that ``estimator.checkpoint`` names, for a fit on these datasets, or None.

    Raises
    ------
    ValueError
        If there is a file that is damaged or of another run, if no later fit could be the same run, or if the processes
        that are to train together are about to fit different things.
    """
    if estimator.checkpoint is None and ranks is None:
        return None
    if estimator.checkpoint is not None and estimator.random_state is None:
        raise ValueError(
            "checkpoint needs a random_state: with None every fit starts from other weights, and none could go on with "
            "another's; pass an integer"
        )
    settings = {k: v for k, v in estimator.get_params(deep=False).items() if k not in _FREE | {"random_state"}}
    warm = estimator.warm_start and hasattr(estimator, "net_")
    run = {
        "settings": as_json({**settings, "random_state (seed)": seed}),
        "crystals": [digest_of(dataset) for dataset in datasets],
        "start": weights_digest(estimator.net_.module_) if warm else "",
    }
    if ranks is not None:
        first, *others = ranks.all_of(run)
        for number, other in enumerate(others, 1):
            if different := _differences(first, other):
                raise ValueError(
                    f"the processes of a launch have to fit the same, but process 0's fit is another one than that of "
                    f"process {number}: {'; '.join(different)}"
                )
    return Checkpoint(os.fspath(estimator.checkpoint), run, ranks) if estimator.checkpoint is not None else None


def epoch_records(history):
    """A history as JSON has it, without its batches."""
    return as_json([{key: value for key, value in epoch.items() if key != "batches"} for epoch in history])


def restored_history(records):
    """The history of such records."""
    return History({"batches": [], **record} for record in records)


def digest_of(dataset):
    """Fingerprint of the crystals and targets of a CrystalDataset; of None, the empty text."""
    if dataset is None:
        return ""
    # Column by column: so it does not matter how large the blocks are.
    columns = {name: hashlib.sha256() for name in COLUMNS}
    for block in blocks(dataset.crystals, dataset.rows):
        for name, digest in columns.items():
            column = getattr(block, name)
            # Of offsets the lengths, which are the same wherever a block begins.
            digest.update(np.ascontiguousarray(np.diff(column) if name.endswith("_offsets") else column).data)
    whole = hashlib.sha256(repr(dataset.crystals.site_features).encode())
    for digest in columns.values():
        whole.update(digest.digest())
    whole.update(np.ascontiguousarray(dataset.targets[dataset.rows].numpy()).data)
    return whole.hexdigest()


def weights_digest(module):
    """Fingerprint of a module's weights."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.cpu().numpy()).data)
    return digest.hexdigest()


def _differences(theirs, ours):
    """How a checkpoint's run differs from this fit, in words."""
    found = []
    for name in sorted(theirs["settings"].keys() | ours["settings"].keys()):
        a, b = (run["settings"].get(name, "not a parameter") for run in (theirs, ours))
        if a != b:
            found.append(f"{name}={a!r} (here {b!r})")
    if theirs["crystals"] != ours["crystals"]:
        found.append("it was made with other crystals")
    if theirs["start"] != ours["start"]:
        found.append("it started from other weights (warm_start)")
    return found
