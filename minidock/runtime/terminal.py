"""Our own terminal while a container has it: raw mode, size, and the keys that give it back.

In raw mode the keyboard's bytes go to the container as they are, ^C included: its terminal, not ours, makes a signal
of it. Whatever ends us, the old mode must come back, or the user's shell is left without echo. Man page: termios(3).
"""

from __future__ import annotations

import os
import signal
import termios
from types import TracebackType

from minidock.errors import UsageError
from minidock.runtime.attach import DETACH_KEYS

CONTROL_KEYS = "@abcdefghijklmnopqrstuvwxyz[\\]^_"
"""ctrl-X is the byte whose number is X's place here (ascii(7))."""


def parse_detach_keys(text: str) -> bytes:
    """Docker's --detach-keys: `ctrl-p,ctrl-q`, `ctrl-a,x`, `DEL`; empty is the default. Raises UsageError."""
    keys = b""
    for word in text.split(",") if text else []:
        if len(word) == 1 and word.isascii():
            keys += word.encode()
        elif word == "DEL":
            keys += b"\x7f"
        elif len(word) == 6 and word.startswith("ctrl-") and word[5] in CONTROL_KEYS:
            keys += bytes([CONTROL_KEYS.index(word[5])])
        else:
            raise UsageError(f"Invalid detach keys ({text}) provided")
    return keys or DETACH_KEYS


class DetachKeys:
    """Looks for the keys in what is typed. Keeps back what may be their beginning."""

    def __init__(self, keys: bytes) -> None:
        self.keys = keys
        self.held = b""
        self.complete = False

    def feed(self, typed: bytes) -> bytes:
        """What is to be passed on of `typed` and of what was kept back. Sets `complete` at the last key."""
        passed = bytearray()
        for byte in typed:
            self.held += bytes([byte])
            while not self.keys.startswith(self.held):  # not them; but a later byte may begin them anew
                passed.append(self.held[0])
                self.held = self.held[1:]
            if self.held == self.keys:
                self.complete = True
                break
        return bytes(passed)

    def release(self) -> bytes:
        """Nothing followed in time: it wasn't the beginning after all."""
        held, self.held = self.held, b""
        return held


class RawMode:
    """`with RawMode(fd):` the terminal is raw inside, and as before outside, however it is left."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.before = termios.tcgetattr(fd)

    def __enter__(self) -> RawMode:
        self.enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.leave()

    def enter(self) -> None:
        """As cfmakeraw(3)."""
        mode = termios.tcgetattr(self.fd)
        mode[0] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        mode[1] &= ~termios.OPOST
        mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.fd, termios.TCSANOW, mode)

    def leave(self) -> None:
        """The old mode. From the background this would stop us with SIGTTOU (tcsetattr(3)); it mustn't."""
        old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
        try:
            termios.tcsetattr(self.fd, termios.TCSANOW, self.before)
        except termios.error:  # EIO: the terminal itself is gone, as after SIGHUP; there is nothing to restore
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)


def size(*fds: int) -> tuple[int, int] | None:
    """Rows and columns of the first of the descriptors that is a terminal with a size."""
    for fd in fds:
        try:
            columns, rows = os.get_terminal_size(fd)
        except OSError:  # ENOTTY, EBADF
            continue
        if rows and columns:
            return rows, columns
    return None
