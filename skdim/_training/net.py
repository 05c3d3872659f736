"""The skorch net that trains both estimators."""

from __future__ import annotations

import contextlib
import io
import threading
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import skorch
import torch
from skorch.utils import TeeGenerator, get_map_location

from ..nn.compiled import autograd as fused
from .batches import CrystalDataset, RaggedLoader, inference_sites
from .callbacks import stopped_early
from .devices import device_turn
from .precision import single_precision
from .threads import map_in_threads, resolve_threads, torch_threads

#: Weights are drawn from torch's global generator; threads must take turns.
_INIT_LOCK = threading.Lock()
#: Attributes that are pickled as bytes of tensors and numbers, and the entry of the state that has these bytes.
_TENSOR_ATTRIBUTES = ("module_", "criterion_", "optimizer_")
_TENSOR_BYTES = "saved_parts"
#: Attribute for the state of an optimiser that has not been made yet.
_OPTIMIZER_STATE = "_optimizer_state"
_DIVERGED = "the network gives non-finite values: its training diverged; lower learning_rate_init"


class CrystalNet(skorch.NeuralNet):
    """skorch's training loop on ragged batches of crystals.

    Differences from skorch: batches come from :class:`RaggedLoader`; training and validation data are passed as a pair,
    so that no data are split off implicitly; an interrupt ends ``partial_fit`` with KeyboardInterrupt; and every epoch
    draws from generators seeded with (seed, epoch), so that training neither depends on the global random state nor
    changes it, and can be resumed at any epoch.

    Parameters
    ----------
    seed : int
    batch_sites, min_crystals : int
        As in :class:`RaggedLoader`.
    loss_parts : tuple of str
        Entries of the module's output dict to record in the history.
    threads : int or None
        Number of CPU threads, as ``n_jobs`` of the estimators: a fitted net may be used on another machine.
    ranks : Ranks or None
        The processes that train this net together, each on its share of every batch.
    prepare : callable or None
        Called once with the new module and :meth:`batches`, before the optimiser is made.
    """

    def __init__(
        self,
        module,
        *args,
        seed=0,
        batch_sites=1200,
        min_crystals=1,
        loss_parts=(),
        ranks=None,
        prepare=None,
        threads=None,
        **kwargs,
    ):
        self.seed = seed
        self.ranks = ranks
        self.prepare = prepare
        self.threads = threads
        self.batch_sites = batch_sites
        self.min_crystals = min_crystals
        self.loss_parts = loss_parts
        super().__init__(module, *args, **kwargs)

    device: Any

    # ---- device ----

    def on_device(self, device):
        """Move this net with its criterion and optimiser to a device; return it."""
        if device != self.device:
            self.device = device
            self.module_.to(device)
            self.criterion_.to(device)
            if "optimizer_" in vars(self):
                # Loading its state moves it to the device of the weights.
                self.optimizer_.load_state_dict(self.optimizer_.state_dict())
        return self

    # ---- optimiser ----

    # skorch adds a prefix for parameters only in its own initialize_optimizer.
    prefixes_: ClassVar = [*skorch.NeuralNet.prefixes_, "optimizer"]

    def initialize_optimizer(self):
        """Discard the optimiser. A new one is made when needed, which imports modules of torch for a second."""
        for name in ("optimizer_", _OPTIMIZER_STATE):
            self.__dict__.pop(name, None)
        return self

    @cached_property
    def optimizer_(self):
        """The optimiser, made at first use, with the state from a pickle if there is one."""
        groups, options = self.get_params_for_optimizer("optimizer", self.get_all_learnable_params())
        optimizer = self.optimizer(*groups, **options)
        if state := self.__dict__.pop(_OPTIMIZER_STATE, None):
            optimizer.load_state_dict(state)
        return optimizer

    # ---- data ----

    def get_split_datasets(self, X, y=None, **fit_params):
        return X if isinstance(X, tuple) else (X, None)

    def check_data(self, X, y=None):
        """Do nothing: the estimators have checked the data."""

    def get_iterator(self, dataset, training=False):
        return RaggedLoader(
            dataset,
            batch_sites=self.batch_sites,
            min_crystals=self.min_crystals,
            shuffle=training,
            generator=self._generators()[0] if training else None,
            prepare=self.module_.prepare if self._differentiates else None,
        )

    @property
    def _differentiates(self):
        """Whether the module computes its gradients, part by part."""
        return hasattr(self.module_, "differentiate")

    def infer(self, x, backward=False, **fit_params):
        module = self.module_.differentiate if backward else self.module_
        generator = self._generators()[1]
        if self.ranks is None:
            return module(x.to(self.device), generator)
        share = self.ranks.share(x, self.device)
        return module(share.batch, generator, share)

    def train_step(self, batch, **fit_params):
        """Train on one batch, as skorch does, but with the one optimiser, which needs no closure."""
        x, targets = batch
        self.optimizer_.zero_grad()
        y_pred = self.infer(x, backward=self._differentiates, **fit_params)
        loss = self.get_loss(y_pred, targets, X=x, training=True)
        if not self._differentiates:
            loss.backward()
        if self.ranks is not None:
            self.ranks.sum_gradients(self.module_)
        parameters = TeeGenerator(self.get_all_learnable_params())
        self.notify("on_grad_computed", named_parameters=parameters, batch=batch, training=True)
        self.optimizer_.step()
        return {"loss": loss, "y_pred": y_pred}

    def get_loss(self, y_pred, y_true, X=None, training=False):
        return self.criterion_(y_pred, None if y_true is None else y_true.to(self.device))

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for more epochs. After an interrupt, skorch's method would return as after a complete training."""
        self.notify("on_train_begin", X=X, y=y)
        try:
            self.fit_loop(X, y, **fit_params)
        except KeyboardInterrupt:
            if not stopped_early(self):  # skorch's early stopping raises KeyboardInterrupt too
                raise
        self.notify("on_train_end", X=X, y=y)
        return self

    # ---- randomness ----

    def initialize(self):
        """Initialise with weights that depend only on ``seed``."""
        # Modules are always made on the CPU. torch.manual_seed would seed every device.
        with _INIT_LOCK, single_precision(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            return super().initialize()

    def initialize_module(self):
        super().initialize_module()
        if self.prepare is not None:
            self.module_.to(self.device)
            self.prepare(self.module_, self.batches)
            self.prepare = None  # it may refer to crystals and another estimator, which must not be pickled
        return self

    def _generators(self):
        """Generators on the CPU, for the order of the rows, and on the device, for the module."""
        by_device = self.__dict__.setdefault("_generators_by_device", {})
        if self.device not in by_device:
            by_device[self.device] = (torch.Generator(), torch.Generator(device=self.device))
        return by_device[self.device]

    def seed_epoch(self, epoch):
        """Seed the generators for an epoch; -1 is for validation."""
        seeds = np.random.SeedSequence([self.seed, epoch + 1]).generate_state(2, np.uint64)
        for generator, seed in zip(self._generators(), seeds, strict=True):
            generator.manual_seed(int(seed) >> 1)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        # Validation uses the same negative samples after every epoch, so that losses are comparable.
        self.seed_epoch(len(self.history) if training else -1)
        if training:  # validation_step sets evaluation mode
            self.module_.train()
            self.criterion_.train()
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if self.ranks is not None:
            # Losses can differ by rounding. A process that stopped early alone would leave the others waiting.
            epoch = self.history[-1]
            epoch["batches"] = self.ranks.call_on_first(lambda: epoch["batches"])

    # ---- pickles ----

    def __getstate__(self):
        """The state, with modules and optimiser as bytes of tensors and numbers.

        skorch's state contains a pickle of them, which could run code when a skops file is loaded.
        """
        state = vars(self).copy()
        state.pop("_generators_by_device", None)
        content = {name: state.pop(name).state_dict() for name in _TENSOR_ATTRIBUTES if name in state}
        if content:
            if _OPTIMIZER_STATE in state:
                content["optimizer_"] = state.pop(_OPTIMIZER_STATE)
            content["frozen"] = [name for name, p in self.module_.named_parameters() if not p.requires_grad]
            with io.BytesIO() as file:
                torch.save(content, file)
                state[_TENSOR_BYTES] = file.getvalue()
        return state

    def __setstate__(self, state):
        if "__cuda_dependent_attributes__" in state:
            raise ValueError("this is the state of a plain skorch net, which contains a pickle: it is not loaded")
        state = dict(state)
        content = state.pop(_TENSOR_BYTES, None)
        location = get_map_location(state["device"])  # with a warning, the CPU if CUDA is not available
        if location.type != torch.device(state["device"]).type:
            state["device"] = str(location)
        self.__dict__.update(state)
        if content is None:
            return
        saved = torch.load(io.BytesIO(content), map_location=location, weights_only=True)
        with (
            _INIT_LOCK,
            single_precision(),
            torch.random.fork_rng(devices=[]),
        ):  # the random initial weights are replaced below
            module = self.initialized_instance(self.module, self.get_params_for("module"))
            criterion = self.initialized_instance(self.criterion, self.get_params_for("criterion"))
        # Not by setattr: skorch would register them a second time.
        self.__dict__.update(module_=module.to(self.device), criterion_=criterion.to(self.device))
        for name in saved["frozen"]:
            module.get_parameter(name).requires_grad_(False)
        module.load_state_dict(saved["module_"])
        criterion.load_state_dict(saved["criterion_"])
        if "optimizer_" in saved:
            self.__dict__[_OPTIMIZER_STATE] = saved["optimizer_"]

    # ---- loss parts ----

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        for name in self.loss_parts:
            prefix = "train" if training else "valid"
            self.history.record_batch(f"{prefix}_{name}", kwargs["y_pred"][name].item())

    # ---- inference ----

    @contextlib.contextmanager
    def inference_module(self):
        """Context manager: the module in evaluation mode, on a device that this process has its turn on."""
        device = self.device
        with device_turn(device) as self.device, torch.no_grad(), torch_threads(resolve_threads(self.threads)):
            try:
                yield self.module_.to(self.device).eval()
            finally:
                self.device = device

    def batches(self, crystals, rows=None, min_crystals=1):
        """Yield batches of all rows, or of some, in order, on the device."""
        for batch, _ in RaggedLoader(CrystalDataset(crystals, rows), self.batch_sites, min_crystals):
            yield batch.to(self.device)

    def map_batches(self, function, crystals, rows=None):
        """Yield ``function(module, batch)`` of all rows, or of some, in order, as float32 ndarrays."""
        with self.inference_module() as module:
            # With the compiled loops torch has one thread, and batches are computed in parallel threads.
            n_threads = fused.n_threads() if torch.get_num_threads() == 1 else 1

            dataset = CrystalDataset(crystals, rows)
            loader = RaggedLoader(dataset, inference_sites(dataset.n_sites, self.batch_sites))

            def compute(rows):
                with torch.no_grad():  # threads do not inherit it
                    values = function(module, loader.load(rows)[0].to(self.device)).cpu().numpy()
                if not np.isfinite(values).all():
                    raise ValueError(_DIVERGED)
                return values

            yield from map_in_threads(compute, loader.rows(), n_threads)

    def evaluate_loss(self, crystals, rows):
        """Mean loss per crystal of some rows, with the negative samples of validation."""
        total = 0.0
        with self.inference_module() as module:
            self.seed_epoch(-1)
            generator = self._generators()[1]
            for batch in self.batches(crystals, rows, self.min_crystals):
                total += len(batch) * float(module(batch, generator)["loss"])
        if not np.isfinite(total):
            raise ValueError(_DIVERGED)
        return total / len(rows)


def draw_seed(random_state):
    """Draw a seed from a checked RandomState."""
    return int(random_state.randint(np.iinfo(np.int32).max))
