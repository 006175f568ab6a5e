"""A few threads at a time, all of which have ended afterwards: no container is ever started beside a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


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

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(waiting)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException as error:
        errors.append(error)
        stop()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        raise
    if errors:
        raise errors[0]
