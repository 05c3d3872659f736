"""Helper threads, which take calls over from the thread that trains. They wait without computing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property, lru_cache
from typing import Any, Protocol

import torch


class Task(Protocol):
    """A call that has been started."""

    def result(self) -> Any:
        """Its result, when it is complete."""


class _Later:
    """A call that is made when its result is needed."""

    def __init__(self, function):
        self._function = function

    @cached_property
    def _result(self):
        return self._function()

    def result(self):
        return self._result


@contextlib.contextmanager
def tasks(n_threads: int) -> Iterator[Callable[[Callable[[], Any]], Task]]:
    """Context manager: a function that starts a call in a helper thread; if ``n_threads`` is 1, when it is needed.

    Calls start in order, so that a later one can wait for the future of an earlier one. They inherit whether gradients
    are recorded. At the end of the block, also after an error or an interrupt, all have ended.
    """
    started: list[Future] = []
    with_gradients = torch.is_grad_enabled()

    def start(function):
        if n_threads == 1:
            return _Later(function)

        def call():
            with torch.set_grad_enabled(with_gradients):
                return function()

        future = helpers(os.getpid(), n_threads - 1).submit(call)
        started.append(future)
        return future

    try:
        yield start
    finally:
        wait([future for future in started if not future.cancel()])


@lru_cache(maxsize=4)
def helpers(pid: int, n: int) -> ThreadPoolExecutor:
    """Helper threads of this process: a forked process has none of its parent's."""
    return ThreadPoolExecutor(n, thread_name_prefix="skdim")
