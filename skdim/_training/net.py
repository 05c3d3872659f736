"""The one skorch net that trains both estimators."""

from __future__ import annotations

import contextlib
import io
import threading
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import skorch
import torch
from skorch.utils import get_map_location

from ..nn.compiled import autograd as fused
from ..nn.sitenet import LOSSES
from .batches import CrystalDataset, RaggedLoader
from .devices import device_turn
from .threads import in_threads, torch_threads

#: Weights are drawn from torch's global generator; two threads must not interleave their draws.
_INIT_LOCK = threading.Lock()
#: What of a net is kept as tensors and numbers alone, and the entry of its state that holds them.
_PARTS = ("module_", "criterion_", "optimizer_")
_SAVED = "saved_parts"
#: State of an optimiser that is not made yet.
_PAST = "_optimizer_state"
_DIVERGED = "the network gives values that are not finite: its training diverged; lower learning_rate_init"


class CrystalNet(skorch.NeuralNet):
    """skorch's training loop on ragged batches of crystals.

    Its own: batches come from :class:`RaggedLoader`; training and validation data are handed over as a pair, so that
    nothing is ever split off silently; and every epoch draws from generators seeded by (seed, epoch), so that a fit
    does not depend on the global random state, leaves it alone, and can be taken up again at any epoch.

    Parameters
    ----------
    seed : int
    batch_sites, min_crystals : int
        As in :class:`RaggedLoader`.
    loss_parts : tuple of str
        Further entries that the module's output dict has, recorded in the history.
    threads : int
        Threads of the CPU that torch may use.
    ranks : Ranks or None
        The processes that train this net together, each its share of every batch.
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
        threads=1,
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
        """This net, taken to a device with all that it trains with."""
        if device != self.device:
            self.device = device
            self.module_.to(device)
            self.criterion_.to(device)
            if "optimizer_" in vars(self):
                # What it knows of the weights follows them when it is loaded.
                self.optimizer_.load_state_dict(self.optimizer_.state_dict())
        return self

    # ---- optimiser ----

    # Where skorch looks for it, and for its parameters.
    _optimizers: ClassVar = ["optimizer"]
    prefixes_: ClassVar = [*skorch.NeuralNet.prefixes_, "optimizer"]

    def initialize_optimizer(self):
        """Forget an earlier one: nets that only embed need none, and torch imports for a second to make one."""
        for name in ("optimizer_", _PAST):
            self.__dict__.pop(name, None)
        return self

    @cached_property
    def optimizer_(self):
        """The optimiser, made when it is first asked for, and told what a pickle knew of its past."""
        groups, options = self.get_params_for_optimizer("optimizer", self.get_all_learnable_params())
        optimizer = self.optimizer(*groups, **options)
        if past := self.__dict__.pop(_PAST, None):
            optimizer.load_state_dict(past)
        return optimizer

    # ---- data ----

    def get_split_datasets(self, X, y=None, **fit_params):
        return X if isinstance(X, tuple) else (X, None)

    def check_data(self, X, y=None):
        """Nothing: the estimators have checked the crystals."""

    def get_iterator(self, dataset, training=False):
        return RaggedLoader(
            dataset,
            batch_sites=self.batch_sites,
            min_crystals=self.min_crystals,
            shuffle=training,
            generator=self._generators()[0] if training else None,
        )

    def infer(self, x, **fit_params):
        generator = self._generators()[1]
        if self.ranks is None:
            return self.module_(x.to(self.device), generator)
        share = self.ranks.share(x, self.device)
        return self.module_(share.batch, generator, share)

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        if self.ranks is not None:
            self.ranks.sum_gradients(self.module_)
        return step

    def get_loss(self, y_pred, y_true, X=None, training=False):
        return self.criterion_(y_pred, y_true.to(self.device))

    # ---- randomness ----

    def initialize(self):
        """Initialise with weights that depend on ``seed`` alone."""
        # Modules are made on the CPU, also those that train elsewhere; torch.manual_seed would reach every device.
        with _INIT_LOCK, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            return super().initialize()

    def initialize_module(self):
        super().initialize_module()
        if self.prepare is not None:
            self.module_.to(self.device)
            self.prepare(self.module_, self.batches)
            # Once is enough, and it may hold crystals and another estimator, which have no place in a pickle.
            self.prepare = None
        return self

    def _generators(self):
        """Generators on the CPU (order of the rows) and on the device (what the module draws)."""
        made = self.__dict__.setdefault("_drawn_from", {})
        if self.device not in made:
            made[self.device] = (torch.Generator(), torch.Generator(device=self.device))
        return made[self.device]

    def seed_epoch(self, epoch):
        """Set the generators to what they are at the start of an epoch; -1 is the one that validation uses."""
        seeds = np.random.SeedSequence([self.seed, epoch + 1]).generate_state(2, np.uint64)
        for generator, seed in zip(self._generators(), seeds, strict=True):
            generator.manual_seed(int(seed) >> 1)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        # Validation meets the same negatives after every epoch: only the weights change its loss.
        self.seed_epoch(len(self.history) if training else -1)
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    # ---- pickles ----

    def __getstate__(self):
        """Everything, with the modules and the optimiser as bytes of tensors.

        skorch's own has a pickle of them inside, which is run when it is read: also from a skops file, which is read
        by those who do not want to run anything.
        """
        state = vars(self).copy()
        state.pop("_drawn_from", None)
        content = {name: state.pop(name).state_dict() for name in _PARTS if name in state}
        if content:
            if _PAST in state:
                content["optimizer_"] = state.pop(_PAST)
            content["frozen"] = [name for name, p in self.module_.named_parameters() if not p.requires_grad]
            with io.BytesIO() as file:
                torch.save(content, file)
                state[_SAVED] = file.getvalue()
        return state

    def __setstate__(self, state):
        if "__cuda_dependent_attributes__" in state:
            raise ValueError(
                "this network was pickled by an older skdim: load it with that one and write it with save_pretrained, "
                "or fit it again"
            )
        state = dict(state)
        content = state.pop(_SAVED, None)
        location = get_map_location(state["device"])
        state["device"] = self._check_device(state["device"], location)
        self.__dict__.update(state)
        if content is None:
            return
        saved = torch.load(io.BytesIO(content), map_location=location, weights_only=True)
        with _INIT_LOCK, torch.random.fork_rng(devices=[]):  # the weights that it draws are replaced at once
            module = self.initialized_instance(self.module, self.get_params_for("module"))
            criterion = self.initialized_instance(self.criterion, self.get_params_for("criterion"))
        # Not as attributes, which skorch would register a second time.
        self.__dict__.update(module_=module.to(self.device), criterion_=criterion.to(self.device))
        for name in saved["frozen"]:
            module.get_parameter(name).requires_grad_(False)
        module.load_state_dict(saved["module_"])
        criterion.load_state_dict(saved["criterion_"])
        if "optimizer_" in saved:
            self.__dict__[_PAST] = saved["optimizer_"]

    # ---- loss parts ----

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        for name in self.loss_parts:
            prefix = "train" if training else "valid"
            self.history.record_batch(f"{prefix}_{name}", kwargs["y_pred"][name].item())

    # ---- use after training ----

    @contextlib.contextmanager
    def working(self):
        """The module, ready to be used inside the block, on a device that this process has the turn on."""
        wanted = self.device
        with device_turn(wanted) as self.device, torch.no_grad(), torch_threads(self.threads):
            try:
                yield self.module_.to(self.device).eval()
            finally:
                self.device = wanted

    def batches(self, crystals, rows=None, min_crystals=1):
        """Batches of all rows, or of some, in order, on the device."""
        for batch, _ in RaggedLoader(CrystalDataset(crystals, rows), self.batch_sites, min_crystals):
            yield batch.to(self.device)

    def map_batches(self, function, crystals, rows=None):
        """``function(module, batch)`` of all rows, or of some, in order: a float32 ndarray for each batch."""
        with self.working() as module:
            # Where torch has one thread because the compiled loops have the others, batches are worked on side by side.
            n_threads = fused.n_threads() if torch.get_num_threads() == 1 else 1

            def of_one(batch):
                with torch.no_grad():  # which threads do not inherit
                    values = function(module, batch).cpu().numpy()
                if not np.isfinite(values).all():
                    raise ValueError(_DIVERGED)
                return values

            yield from in_threads(of_one, self.batches(crystals, rows), n_threads)

    def evaluate_loss(self, crystals, rows):
        """Loss of held-out crystals, averaged over them, with the negatives that validation uses."""
        total = 0.0
        with self.working() as module:
            self.seed_epoch(-1)
            generator = self._generators()[1]
            for batch in self.batches(crystals, rows, self.min_crystals):
                total += len(batch) * float(module(batch, generator)["loss"])
        if not np.isfinite(total):
            raise ValueError(_DIVERGED)
        return total / len(rows)


class InfoMaxCriterion(torch.nn.Module):
    """Takes the total out of the losses that the module has computed."""

    def forward(self, losses, target):
        return losses["loss"]


class WeightedLoss(torch.nn.Module):
    """Mean loss of standardised targets over a batch, each crystal with its weight.

    Parameters
    ----------
    loss : str
        A key of ``LOSSES``.
    scale : array of shape (n_targets,)
        Size of one standard deviation of each target.
    """

    def __init__(self, loss, scale):
        super().__init__()
        self.loss = loss  # the name: functions without one of their own cannot be pickled
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, prediction, target):
        """``target`` (K, n_targets + 1) has the weights as its last column."""
        target, weight = target[:, :-1], target[:, -1]
        per_crystal = LOSSES[self.loss](prediction / self.scale, target / self.scale).mean(dim=1)
        return (weight * per_crystal).sum() / weight.sum()


def seed_of(random_state):
    """A seed from a checked RandomState."""
    return int(random_state.randint(np.iinfo(np.int32).max))
