"""Threads that have all ended afterwards, and Ctrl-C while they are waited for."""

import _thread
import threading
import time

import pytest

from minidock.image.registry.together import Worker, run_all, together


def test_a_ctrl_c_that_wakes_nobody_is_not_forgotten() -> None:
    """interrupt_main() notes the signal and sends none: as when it comes just before the main thread falls asleep."""
    stopped, tried = threading.Event(), []

    def work() -> None:
        time.sleep(0.2)  # until the main thread sleeps: too early, and this would prove nothing
        _thread.interrupt_main()
        tried.append(stopped.wait(20))

    worker = Worker(work)
    with pytest.raises(KeyboardInterrupt):
        run_all([worker], stopped.set)
    assert tried == [True]
    assert not worker.is_alive()


def test_the_first_error_stops_the_others() -> None:
    stopped = threading.Event()

    def failing() -> None:
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        together([failing, lambda: stopped.wait(20) and None], 2, stopped.set)  # type: ignore[func-returns-value]
    assert stopped.is_set()
