"""Checkpoints: a training run in a file, from which it resumes to bitwise identical weights."""

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

from .._crystals.blocks import blocks
from .._crystals.columns import COLUMNS
from .._shared.files import as_json, replaced_file
from .._shared.headers import FileFormat
from .callbacks import STOP, OneCycle, stopped_early
from .history import epoch_records, history_of

FORMAT = FileFormat(
    "skdim.checkpoint", 3, "a checkpoint of skdim", "pass another path as checkpoint or remove the file"
)
#: Parameters that may differ in the resumed run: they change the weights by rounding at most.
_FREE = {"callbacks", "checkpoint", "device", "n_jobs", "representation", "verbose", "warm_start"}
#: Attributes of callbacks to save.
_STATE = {
    OneCycle: ("first_epoch_", "peaks_"),
    EarlyStopping: ("misses_", "dynamic_threshold_", "best_epoch_"),
    PassthroughScoring: ("best_score_",),
}


class Checkpoint(Callback):
    """Save a run to one file after every epoch, and restore it.

    skorch's Checkpoint writes weights, optimiser and history to three files, which do not match if the process is
    killed between them, and does not save the state of other callbacks. Generators are seeded at each epoch
    (:meth:`CrystalNet.seed_epoch`) and need not be saved.

    Parameters
    ----------
    path : str
    run : dict
        Identifies the run by its settings and crystals; the file of another run is refused.
    defaults : dict
        Values of parameters that a file does not have because an older version wrote it: the default of a new parameter
        is what older versions do.
    ranks : Ranks or None
        The processes that train together, of which the first one reads and writes the file.
    """

    def __init__(self, path, run, defaults, ranks=None):
        self.path = path
        self.run = run
        self.defaults = defaults
        self.writes = ranks is None or ranks.is_first
        self.state_ = self._read_if_exists() if ranks is None else ranks.call_on_first(self._read_if_exists)

    @property
    def n_done(self):
        """Number of epochs of this run in the file."""
        return self.state_["n_done"] if self.state_ else 0

    def restore(self, net):
        """Restore weights, optimiser and history from the file; return the number of epochs done."""
        self.first_epoch_ = len(net.history)
        if self.state_ is None:
            return 0
        expected = [group.keys() for group in net.optimizer_.param_groups]
        try:
            net.module_.load_state_dict(self.state_["module"])
            net.optimizer_.load_state_dict(self.state_["optimizer"])
            loaded = [group.keys() for group in net.optimizer_.param_groups]
            if not all(names <= loaded_names for names, loaded_names in zip(expected, loaded, strict=True)):
                raise ValueError("settings of the optimiser are missing")
        except Exception as error:  # torch raises errors of many types
            raise self._damaged(error) from error
        net.history = history_of(self.state_["history"])
        return net.max_epochs if self.state_["stopped"] else self.n_done

    def on_train_begin(self, net, **kwargs):
        if self.state_ is None:
            return
        for name, callback in net.callbacks_:
            vars(callback).update(self.state_["callbacks"].get(name, {}))
            if name == STOP:
                callback.best_model_weights_ = self.state_["best"]
        self.state_ = None  # a pickle of the net must not contain the weights twice

    def on_epoch_end(self, net, **kwargs):
        self._write(net, stopped=False)

    def on_train_end(self, net, **kwargs):
        if stopped_early(net):  # which prevents on_epoch_end of later callbacks
            self._write(net, stopped=True)

    def _read_if_exists(self):
        return self._read() if os.path.exists(self.path) else None

    def _write(self, net, stopped):
        if not self.writes:
            return
        callbacks, best = {}, None
        for name, callback in net.callbacks_:
            for kind, attributes in _STATE.items():
                if isinstance(callback, kind):
                    callbacks[name] = {attribute: getattr(callback, attribute) for attribute in attributes}
            if name == STOP:  # not early stopping among the user's callbacks
                best = callback.best_model_weights_
        content = {
            **FORMAT.header(),
            # As JSON, which converts NumPy's numbers; torch's weights_only does not load them.
            "run": json.dumps(self.run),
            "history": json.dumps(epoch_records(net.history)),
            "callbacks": json.dumps(as_json(callbacks)),
            "n_done": len(net.history) - self.first_epoch_,
            "stopped": stopped,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "best": best,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)  # not to the file: torch's error would not mention a full disk
        with replaced_file(self.path) as file:
            file.write_bytes(buffer.getvalue())

    def _read(self):
        if not os.path.isfile(self.path):
            raise ValueError(f"checkpoint={self.path!r} is not a file")
        with open(self.path, "rb") as file:
            content = io.BytesIO(file.read())
        try:
            with zipfile.ZipFile(content) as parts:  # torch does not verify checksums
                if name := parts.testzip():
                    raise ValueError(f"the checksum of {name} is wrong")
            content.seek(0)
            # weights_only reads tensors and plain containers and runs no code.
            state = torch.load(content, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, zipfile.BadZipFile):
            # torch's message recommends weights_only=False, which runs code.
            raise self._damaged("it is not a file of tensors and numbers") from None
        except Exception as error:  # zipfile and torch raise errors of many types
            raise self._damaged(error) from error
        FORMAT.check(state, self.path)
        try:
            run = json.loads(state["run"])
            state["history"], state["callbacks"] = json.loads(state["history"]), json.loads(state["callbacks"])
            run["settings"] = {**self.defaults, **run["settings"]}
            different = _differences(run, self.run)
            complete = all(isinstance(record, dict) for record in state["history"]) and state["n_done"] > 0
            complete = complete and {"module", "optimizer", "stopped", "best"} <= state.keys()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(error) from error
        if not complete:
            raise self._damaged("entries are missing")
        if different:
            raise ValueError(
                f"the checkpoint {self.path} is of another run: {'; '.join(different)}. Fit with its settings and "
                "crystals to resume it; to start a new run, pass another path as checkpoint or remove the file"
            )
        return state

    def _damaged(self, error):
        return ValueError(f"the checkpoint {self.path} is damaged ({error}): remove it to start a new run")


def checkpoint_of(estimator, seed, *datasets, source=None, ranks=None):
    """Checkpoint of an estimator for a fit on these datasets; None if its parameter ``checkpoint`` is None.

    ``source`` is the fitted estimator whose weights are the first ones, or None.

    Raises
    ------
    ValueError
        If the file is damaged or of another run, if there is no ``random_state``, or if the processes of ``ranks`` have
        different settings or crystals.
    """
    if estimator.checkpoint is None and ranks is None:
        return None
    if estimator.checkpoint is not None and estimator.random_state is None:
        raise ValueError(
            "checkpoint needs a random_state: with None every fit starts from different weights, and a run cannot be "
            "resumed; pass an integer"
        )
    fixed = estimator.get_params(deep=False).keys() - _FREE - {"random_state", "pretrained"}
    settings, defaults = (
        {name: getattr(each, name) for name in sorted(fixed)} for each in (estimator, type(estimator)())
    )
    if estimator.warm_start and hasattr(estimator, "net_"):
        source = estimator
    run = {
        "settings": as_json({**settings, "random_state (seed)": seed}),
        "crystals": [dataset_digest(dataset) for dataset in datasets],
        "start": "" if source is None else weights_digest(source.net_.module_),
    }
    if ranks is not None:
        first, *others = ranks.gather(run)
        for number, other in enumerate(others, 1):
            if different := _differences(first, other):
                raise ValueError(
                    f"launched processes must fit the same model to the same crystals, but process 0 differs from "
                    f"process {number}: {'; '.join(different)}"
                )
    if estimator.checkpoint is None:
        return None
    return Checkpoint(os.fspath(estimator.checkpoint), run, as_json(defaults), ranks)


def dataset_digest(dataset):
    """Hash of the crystals, targets and properties of a CrystalDataset; the empty string for None."""
    if dataset is None:
        return ""
    # One hash per column, so that the result does not depend on the size of the blocks.
    columns = {name: hashlib.sha256() for name in COLUMNS}
    for block in blocks(dataset.crystals, dataset.rows):
        for name, digest in columns.items():
            column = getattr(block, name)
            # Lengths instead of offsets, which are relative to the start of a block.
            digest.update(np.ascontiguousarray(np.diff(column) if name.endswith("_offsets") else column).data)
    dataset_digest = hashlib.sha256(repr(dataset.crystals.site_features).encode())
    for digest in columns.values():
        dataset_digest.update(digest.digest())
    for values in () if dataset.targets is None else dataset.targets.take(dataset.rows):
        dataset_digest.update(np.ascontiguousarray(values.numpy()).data)
    if dataset.properties is not None:
        dataset_digest.update(np.ascontiguousarray(dataset.properties[dataset.rows].numpy()).data)
    return dataset_digest.hexdigest()


def weights_digest(module):
    """Hash of a module's weights."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value.cpu().numpy()).data)
    return digest.hexdigest()


def _differences(run, other):
    """Descriptions of the differences between two runs; values of ``other`` are marked "here"."""
    differences = []
    for name in sorted(run["settings"].keys() | other["settings"].keys()):
        a, b = (each["settings"].get(name, "not a parameter") for each in (run, other))
        if a != b:
            differences.append(f"{name}={a!r} (here {b!r})")
    if run["crystals"] != other["crystals"]:
        differences.append("it was made with other crystals")
    if run["start"] != other["start"]:
        differences.append("it started from other weights (warm_start)")
    return differences
