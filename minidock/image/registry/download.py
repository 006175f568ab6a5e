"""One blob → one file that grows, for somebody who reads it while it does.

    partial/HEX      what has arrived so far; renamed to blobs/sha256/HEX when it is whole and its digest is right

The file outlives us: the next pull goes on where this one broke off, with a Range request. What was there before is
hashed again as it is read, so a damaged beginning is found out. Whoever downloads holds a lock (flock) on the file: a
second command that wants the same layer waits for it, and then finds the layer in the store.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from minidock.errors import InvalidImage, MinidockError, RegistryError

from ..compression import CHUNK
from ..manifest import Descriptor
from .client import Repository
from .failures import Cut
from .wire import Answer

FRUITLESS = 5
"""How often in a row a connection may end before it has brought a single byte."""
POLL = 0.1
"""Seconds between two looks at a lock: flock(2) can't be waited for and interrupted at once."""

Progress = Callable[[str, int], None]
"""What is being done, and how many bytes of the blob are through."""


class Stopped(MinidockError):
    """Another layer failed, or the user has had enough."""

    def __init__(self) -> None:
        super().__init__("interrupted")


class Partial:
    """The file, ours as long as it is open."""

    def __init__(self, path: Path, stopped: threading.Event, waiting: Callable[[], None]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.fd = self._claim(stopped, waiting)

    def _claim(self, stopped: threading.Event, waiting: Callable[[], None]) -> int:
        told = False
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_ours(fd):  # not renamed or removed by whoever had the lock before
                    return fd
            except BlockingIOError:
                if not told:
                    waiting()
                    told = True
                if stopped.wait(POLL):
                    os.close(fd)
                    raise Stopped from None
            os.close(fd)

    def _is_ours(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path, follow_symlinks=False))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        if self._is_ours(self.fd):
            os.unlink(self.path)

    def empty(self) -> None:
        os.ftruncate(self.fd, 0)

    def close(self) -> None:
        """What is empty is of no use to anybody."""
        if os.fstat(self.fd).st_size == 0:
            self.remove()
        os.close(self.fd)


class Download:
    """Fills the file in a thread of its own; `read` follows it in another."""

    def __init__(
        self, repository: Repository, blob: Descriptor, partial: Partial, stopped: threading.Event, tell: Progress
    ) -> None:
        self.repository = repository
        self.blob = blob
        self.fd = partial.fd
        self.resumed = os.fstat(self.fd).st_size
        self._stopped = stopped
        self._tell = tell
        self._abandoned = False
        self._answer: Answer | None = None
        self._change = threading.Condition()
        self._arrived = 0
        self._ended = False
        self._error: BaseException | None = None
        self._at = 0
        self._thread = threading.Thread(target=self._run, name=f"download {blob.digest[7:19]}", daemon=True)

    def start(self, done: Callable[[bool], None]) -> None:
        """`done` is called when the last byte is there (True), or the last hope gone (False)."""
        self._done = done
        if self.resumed > self.blob.size:
            os.ftruncate(self.fd, 0)
            self.resumed = 0
        self._arrived = self.resumed
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def abandon(self) -> None:
        """Nobody reads any more: end the thread."""
        self._abandoned = True
        if (answer := self._answer) is not None:
            answer.shut()
        self._thread.join()

    # The reader's side

    def read(self, n: int) -> bytes:
        """The next bytes, as soon as there are any. Raises what ended the download, or Stopped."""
        with self._change:
            while self._at >= self._arrived and not self._ended:
                self._change.wait(1)
                if self._stopped.is_set():
                    raise Stopped
            available = self._arrived - self._at
            if not available and self._error is not None:
                raise self._error
            whole = self._ended
        data = os.pread(self.fd, min(n, available), self._at) if available else b""
        self._at += len(data)
        if whole and data:
            self._tell("Extracting", self._at)
        return data

    # The thread's side

    def _run(self) -> None:
        try:
            self._fetch()
            os.fdatasync(self.fd)
        except BaseException as error:  # noqa: BLE001  it is raised again by whoever reads
            self._error = error
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()
            self._done(self._error is None)

    def _fetch(self) -> None:
        """All of it, however often the connection ends; as long as each one brings something."""
        fruitless = 0
        while self._arrived < self.blob.size:
            before = self._arrived
            try:
                self._receive()
            except Cut:
                fruitless = 0 if self._arrived > before else fruitless + 1
                if fruitless >= FRUITLESS or self._abandoned:
                    raise
                if self._stopped.wait(min(self.repository.wire.pause * 2**fruitless, 5)):
                    raise

    def _receive(self) -> None:
        """From one connection, into the file."""
        answer = self._answer = self.repository.blob(self.blob.digest, self._arrived, self.blob.urls)
        try:
            skip = self._position(answer.status, answer.headers)
            while self._arrived < self.blob.size:
                if self._stopped.is_set() or self._abandoned:
                    raise Stopped
                if not (data := answer.read(CHUNK)):
                    raise Cut(f'Get "{answer.url}": unexpected EOF')
                if skip:  # the registry began at the beginning, and we have that
                    data, skip = data[skip:], max(0, skip - len(data))
                self._append(data)
            answer.response.release_conn()
        finally:
            if self._arrived < self.blob.size:
                answer.close()

    def _position(self, status: int, headers: dict[str, str]) -> int:
        """How many of the bytes to come are here already. Raises InvalidImage when the length can't be right."""
        length = headers.get("content-length", "")
        if status == 206:
            place = re.match(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("content-range", ""))
            if place is None or int(place[1]) != self._arrived:
                raise RegistryError(f"blob {self.blob.digest}: the registry sent another part than it was asked for")
            if place[3] != "*" and int(place[3]) != self.blob.size:
                raise InvalidImage(f"blob {self.blob.digest} has {place[3]} bytes instead of {self.blob.size}")
            return 0
        if status == 416:
            raise InvalidImage(f"blob {self.blob.digest} has fewer than the {self.blob.size} bytes of its manifest")
        if length.isdigit() and int(length) != self.blob.size:
            raise InvalidImage(f"blob {self.blob.digest} has {length} bytes instead of {self.blob.size}")
        return self._arrived

    def _append(self, data: bytes) -> None:
        view = memoryview(data)[: self.blob.size - self._arrived]
        while view:
            written = os.pwrite(self.fd, view, self._arrived)
            view = view[written:]
            with self._change:
                self._arrived += written
                self._change.notify_all()
        self._tell("Downloading", self._arrived)
