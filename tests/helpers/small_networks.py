"""Small networks and batches for several test files."""

from itertools import chain

import torch
from torch.nn import functional

from skdim._chemistry.elements import ALL_SITE_FEATURES
from skdim.nn.batch import Batch
from skdim.nn.infomax import DeepInfoMax

#: Encoder of a few hundred weights, for crystals of the default SiteNetFeaturizer.
SMALL = {
    "n_site_inputs": len(ALL_SITE_FEATURES),
    "n_components": 5,
    "local_dim": 4,
    "site_width": 6,
    "pair_width": 4,
    "attention_hidden": 5,
    "value_hidden": 6,
    "pre_pool": (7,),
    "post_pool": (6,),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_model(objective="jsd", dtype=torch.float32, encoder=None, **settings):
    torch.manual_seed(0)
    return DeepInfoMax({**SMALL, **(encoder or {})}, objective=objective, **settings).to(dtype)


def toy_batch(numbers, multiplicity, n_pairs=3):
    """A batch of crystals, from lists of the atomic numbers and multiplicities of their classes."""
    sizes = torch.tensor([len(crystal) for crystal in numbers])
    n_classes = int(sizes.sum())
    flat = torch.tensor(list(chain.from_iterable(numbers)))
    class_offsets = functional.pad(sizes.cumsum(0), (1, 0))
    row = torch.arange(n_classes).repeat_interleave(n_pairs)
    return Batch(
        site_inputs=torch.randn(n_classes, SMALL["n_site_inputs"], generator=generator()),
        numbers=flat,
        multiplicity=torch.tensor(list(chain.from_iterable(multiplicity)), dtype=torch.float32),
        crystal=torch.arange(len(sizes)).repeat_interleave(sizes),
        class_offsets=class_offsets,
        pair_offsets=torch.arange(n_classes + 1) * n_pairs,
        row=row,
        neighbour=row,
        distance=torch.arange(n_pairs).repeat(n_classes) * 1.5,
        count=torch.ones(len(row)),
    )
