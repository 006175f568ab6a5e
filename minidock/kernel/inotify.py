"""inotify: be woken when a file changes, instead of looking again and again.

A watch on a directory tells what happens to the files in it, and to the directory's entries: so one watch is enough
for a log that is rotated. What is read from the descriptor is only a hint that something happened; the files
themselves say what. Man page: inotify(7).
"""

from __future__ import annotations

import contextlib
import os
import select
from types import TracebackType

from minidock.kernel import syscalls

# sys/inotify.h
IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_NONBLOCK = os.O_NONBLOCK
IN_CLOEXEC = os.O_CLOEXEC

ROOM = 64 << 10
"""Bytes read at once: hundreds of changes."""


class Watch:
    """Wakes whoever waits when something in the directory is written, made or renamed."""

    def __init__(self, directory: str) -> None:
        self._fd = syscalls.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        try:
            syscalls.inotify_add_watch(self._fd, directory, IN_MODIFY | IN_MOVED_TO | IN_CREATE)
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        """Readable when something happened, for select(2) and its like."""
        return self._fd

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until something happened since the last time, at most so long. False when the time is over."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if not poll.poll(None if seconds is None else max(0, seconds * 1000)):
            return False
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._fd, ROOM)) > ROOM // 2:
                pass  # a queue that overflows says so once, and is a hint like the others
        return True


def demo() -> None:
    """A child writes to a file in three portions; we sleep in between."""
    import tempfile
    import time

    with tempfile.TemporaryDirectory() as directory, Watch(directory) as watch:
        if os.fork() == 0:
            for _ in range(3):
                time.sleep(0.2)
                with open(f"{directory}/file", "a") as file:
                    file.write("more")
            os._exit(0)
        begun = time.monotonic()
        while watch.wait(1.0):
            print(f"after {time.monotonic() - begun:.1f} s: {os.listdir(directory)}")
        print("nothing more for a second")
        os.wait()


if __name__ == "__main__":
    demo()
