"""The terminal of a container in the foreground: its master is ours, and bytes go between it and our own terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import termios
from collections.abc import Iterator

from minidock.errors import MinidockError, UsageError
from minidock.kernel import pty
from minidock.oci import texts

CHUNK = 65536


def connect(path: str) -> int:
    """A connection to --console-socket, for the child to send the terminal's master over."""
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        wire.connect(path)
    except OSError as error:
        raise UsageError(f"dial unix {path}: connect: {os.strerror(error.errno or 0).lower()}") from error
    return wire.detach()


def check(terminal: bool, detach: bool, path: str) -> None:
    """runc's rules of when --console-socket is needed. Raises UsageError."""
    if detach and terminal and not path:
        raise texts.no_console_socket()
    if (not detach or not terminal) and path:
        raise UsageError("cannot use console socket if runc will not detach or allocate tty")


def pair() -> tuple[int, int]:
    """Ours and the child's end, for a terminal that we keep."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return ours.detach(), theirs.detach()


class Proxy:
    """Between our terminal (or whatever 0 and 1 are) and the container's."""

    def __init__(self, console: int) -> None:
        """`console` is our end of the pair, over which the master has been sent."""
        self.master = pty.receive_master(console)
        os.close(console)
        # Line ends stay as the program writes them: ours, or whatever 1 is, are not another terminal's to make.
        mode = termios.tcgetattr(self.master)
        mode[1] &= ~termios.ONLCR
        termios.tcsetattr(self.master, termios.TCSANOW, mode)
        self.size()

    def size(self) -> None:
        """The container's terminal is as large as ours."""
        from minidock.runtime import terminal

        if found := terminal.size(0, 1, 2):
            pty.resize(self.master, *found)

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Keys go to the container as they are."""
        from minidock.runtime import terminal

        if not os.isatty(0):
            yield
            return
        with terminal.RawMode(0):
            mode = termios.tcgetattr(0)
            mode[1] |= termios.OPOST  # our terminal adds the carriage returns
            termios.tcsetattr(0, termios.TCSANOW, mode)
            yield

    def copy(self, ended: int) -> None:
        """Until the last process has closed the terminal. `ended` is a pidfd of the container's process: its end is
        the end, even if somebody it has left behind keeps the terminal open."""
        poll = select.poll()
        for fd in (0, self.master, ended):
            poll.register(fd, select.POLLIN)
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGWINCH, lambda *_: self.size())
        while True:
            ready = dict(poll.poll())
            if 0 in ready:
                typed = _read(0)
                if typed:
                    _write_all(self.master, typed)
                else:
                    poll.unregister(0)
            if self.master in ready:
                shown = _read(self.master)
                if not shown:
                    return
                _write_all(1, shown)
            elif ended in ready:
                return


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except OSError as error:
        if error.errno == errno.EIO:  # nobody has the other side open any more
            return b""
        raise


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BrokenPipeError as error:
            raise MinidockError("write /dev/stdout: broken pipe") from error
