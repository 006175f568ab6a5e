"""The descriptors between the container and its shim: three pipes, or one pty.

Named from both sides: `for_child` become 0, 1 and 2 of the container; `for_shim` are the other ends. With a terminal
the pty is opened inside the container's own devpts, and its master travels over `console`, a socket pair.
"""

from __future__ import annotations

import os
import stat

import msgspec

from minidock.kernel import user
from minidock.spec import Spec


class Ends(msgspec.Struct, frozen=True):
    """Numbers of the shim's ends; -1 where there is none."""

    stdin: int = -1
    stdout: int = -1
    stderr: int = -1
    console: int = -1


class Stdio:
    """Makes and owns the descriptors; A keeps none of them once the shim runs."""

    def __init__(self, *, terminal: bool, stdin: bool, inherit: list[int]) -> None:
        """`inherit` are further descriptors that the shim keeps: listening socket, first client, reserved ports."""
        self.inherit = inherit
        self.for_child: tuple[int, int, int] | None = None
        self.console = -1
        self._theirs: list[int] = []
        if terminal:
            import socket

            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            self.console = theirs.detach()
            self.for_shim = Ends(console=ours.detach())
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            self.for_child = (null, null, null)  # until the child has opened the terminal
            self._theirs = [null, self.console]
        else:
            read, write = os.pipe() if stdin else (os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), -1)
            (out_read, out), (err_read, err) = os.pipe(), os.pipe()
            self.for_child = (read, out, err)
            self.for_shim = Ends(stdin=write, stdout=out_read, stderr=err_read)
            self._theirs = [read, out, err]

    def give(self, spec: Spec) -> None:
        """To the user of the container's process where that is somebody of a user namespace: he can't take them."""
        if self.for_child is None or not (spec.linux.uid_mappings and spec.process):
            return
        owner = user.outside(spec.linux.uid_mappings, spec.process.user.uid)
        for fd in self.for_child:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.fchown(fd, owner, -1)

    def keep_for_shim(self) -> None:
        """In B, before its execv: these survive, all others are close-on-exec."""
        ends = self.for_shim
        for fd in (ends.stdin, ends.stdout, ends.stderr, ends.console, *self.inherit):
            if fd >= 0:
                os.set_inheritable(fd, True)
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)

    def close_theirs(self) -> None:
        """In A, once B is forked: else nobody would ever read end-of-file."""
        _close(self._theirs)
        self._theirs = []

    def close(self) -> None:
        """In A, at the end: B has its own copies."""
        self.close_theirs()
        ends = self.for_shim
        _close([ends.stdin, ends.stdout, ends.stderr, ends.console, *self.inherit])
        self.for_shim = Ends()
        self.inherit = []


def _close(fds: list[int]) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
