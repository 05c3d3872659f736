"""Single precision whatever the caller's settings of torch are: other packages change its default dtype."""

from __future__ import annotations

import contextlib
import threading

import torch

_lock = threading.Lock()
_depth = 0
_before = torch.float32


@contextlib.contextmanager
def single_precision():
    """Context manager: float32 as torch's default dtype, and no automatic mixed precision.

    The default dtype belongs to the process. Of several threads inside the context, the last to leave restores it.
    """
    global _depth, _before
    with _lock:
        if _depth == 0:
            _before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
        _depth += 1
    try:
        with contextlib.ExitStack() as stack:
            for device in {"cpu", "cuda" if torch.cuda.is_available() else "cpu"}:
                stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                torch.set_default_dtype(_before)
