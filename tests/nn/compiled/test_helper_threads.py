"""Helper threads: results, errors, gradients; nothing runs on after the end; loops do not wait for busy helpers."""

import threading
import time

import pytest
import torch

from skdim.nn.compiled.helper_threads import tasks
from skdim.nn.compiled.parallel import in_threads, threads


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_a_call_can_use_the_result_of_an_earlier_one(n_threads):
    with tasks(n_threads) as start:
        first = start(lambda: 2)
        second = start(lambda: first.result() + 1)
        assert (second.result(), first.result()) == (3, 2)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_is_raised_where_the_result_is_needed(n_threads):
    with tasks(n_threads) as start:
        call = start(lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            call.result()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_calls_have_ended(error):
    running, ended = threading.Event(), []

    def call():
        running.set()
        time.sleep(0.05)
        ended.append(1)

    def start_and_fail():
        with tasks(2) as start:
            start(call)
            assert running.wait(20)
            raise error

    with pytest.raises(error):
        start_and_fail()
    assert ended == [1]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("recorded", [True, False])
def test_calls_record_gradients_as_their_caller_does(n_threads, recorded):
    weight = torch.ones(2, requires_grad=True)
    with torch.set_grad_enabled(recorded), tasks(n_threads) as start:
        assert start(lambda: weight * 2).result().requires_grad == recorded


def test_loops_do_not_wait_for_busy_helpers():
    release, parts = threading.Event(), []
    with tasks(2) as start, threads(2):
        busy = start(lambda: release.wait(20))
        in_threads(lambda first, last: parts.append((first, last)), [0, 2, 5, 9], [()] * 3)
        assert parts == [(0, 2), (2, 5), (5, 9)]
        release.set()
        assert busy.result()


def test_an_error_in_a_part_is_raised_whichever_thread_has_it():
    def fail_at_five(first, last):
        time.sleep(0.01)
        if first == 5:
            raise ValueError("five")

    with threads(2), pytest.raises(ValueError, match="five"):
        in_threads(fail_at_five, [0, 2, 5, 9], [()] * 3)
