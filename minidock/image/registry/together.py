"""A few threads at a time, all of which have ended afterwards: no container is ever started beside a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

LOOK = 0.5
"""Seconds after which whoever waits looks up. A signal that comes when Python has just looked for signals, and the
thread doesn't sleep in the kernel yet, wakes nobody: Ctrl-C would be forgotten until the thread waited for ends."""


class Worker(threading.Thread):
    """A thread whose end can be waited for again after Ctrl-C came into the waiting.

    Thread.join() can't: interrupted once, it takes the thread for ended (Python issue 90882). Nor can an Event: Ctrl-C
    between its lock and its `with` leaves the lock taken for ever (issue 74174). A bare lock has no such moment.
    """

    def __init__(self, act: Callable[..., None], *arguments: object) -> None:
        super().__init__(target=act, args=arguments, daemon=True)
        self._over = False
        self._bell = threading.Lock()
        self._bell.acquire()

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._over = True
            self._bell.release()

    def wait(self) -> None:
        if self.ident is not None:
            while not self._over:
                self._bell.acquire(timeout=LOOK)
            self.join()


def run_all(workers: Sequence[Worker], stop: Callable[[], None]) -> None:
    """Start them and wait. Ctrl-C is raised after `stop` has made them end, and they have."""
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait()
    except BaseException:
        stop()
        for worker in workers:
            worker.wait()
        raise


def together(jobs: Sequence[Callable[[], None]], at_once: int, stop: Callable[[], None]) -> None:
    """Run all jobs. After the first error, or Ctrl-C, `stop` lets the others fail; then it is raised."""
    waiting = list(jobs)
    errors: list[BaseException] = []

    def work() -> None:
        while not errors:
            try:
                job = waiting.pop(0)
            except IndexError:
                return
            try:
                job()
            except BaseException as error:  # noqa: BLE001  raised below, by the thread that waits for us
                errors.append(error)
                stop()

    def stop_all() -> None:
        waiting.clear()
        stop()

    run_all([Worker(work) for _ in range(min(at_once, len(waiting)))], stop_all)
    if errors:
        raise errors[0]
