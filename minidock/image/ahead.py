"""A stream that is read in a thread of its own, a little before it is wanted.

Unpacking a layer takes two kinds of time: the processor's, for gunzip and two digests, and the file system's, for the
files. In one thread the first waits for the second. Both let go of Python's lock meanwhile, so two threads do both at
once; what lies between them is at most AHEAD chunks, whatever the layer's size.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator

from .compression import CHUNK, Read

AHEAD = 8
"""Chunks that wait at most: 2 MiB."""


@contextlib.contextmanager
def reading_ahead(read: Read, give_up: Callable[[], None] | None) -> Iterator[Read]:
    """A stream with what `read` gives; the thread has ended afterwards.

    `give_up` lets a `read` that waits for bytes fail: without it nobody could end the thread, and there is none.
    """
    if give_up is None:
        yield read
        return
    ahead = _Ahead(read)
    try:
        yield ahead.read
    except BaseException:
        give_up()
        raise
    finally:
        ahead.end()


class _Ahead:
    def __init__(self, read: Read) -> None:
        self._source = read
        self._change = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._whole = False
        self._unwanted = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="read ahead", daemon=True)
        self._thread.start()

    def read(self, n: int) -> bytes:
        """The next chunk. Raises what the source has raised, after all that came before it."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._whole)
            if self._waiting:
                self._change.notify_all()
                return self._waiting.popleft()
        if self._error is not None:
            raise self._error
        return b""

    def end(self) -> None:
        with self._change:
            self._unwanted = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (data := self._source(CHUNK)) and self._passed_on(data):
                pass
        except BaseException as error:  # noqa: BLE001  raised again by whoever reads
            self._error = error
        finally:
            with self._change:
                self._whole = True
                self._change.notify_all()

    def _passed_on(self, data: bytes) -> bool:
        """False when nobody wants more."""
        with self._change:
            self._change.wait_for(lambda: len(self._waiting) < AHEAD or self._unwanted)
            self._waiting.append(data)
            self._change.notify_all()
            return not self._unwanted
