"""Whether the compiled loops are available, and for which tensors."""

from __future__ import annotations

import os
import warnings
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor

#: Environment variable that switches the compiled loops off when set to 1.
_OFF = "SKDIM_NO_NUMBA"


@cache
def loops():
    """The loops; None, with a warning, if numba cannot be imported."""
    try:
        import numba  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: its library cannot be loaded
        warnings.warn(
            f"numba cannot be imported ({error}), and skdim computes with torch alone: on one core, about "
            f"half as fast. Install numba, or set {_OFF}=1 to silence this warning.",
            stacklevel=2,
        )
        return None
    from . import pair_loops, row_loops

    return SimpleNamespace(**vars(row_loops), **{k: v for k, v in vars(pair_loops).items() if k not in vars(row_loops)})


def supports(values: Tensor) -> bool:
    """Whether the compiled loops can process these values."""
    return (
        values.dtype == torch.float32
        and values.is_cpu
        and not torch.is_autocast_enabled("cpu")
        and os.environ.get(_OFF) != "1"
        and loops() is not None
    )
