"""Descriptors: nothing of the host may stay open in a container.

A descriptor of a host's directory is a door out: `openat(fd, "../../etc/shadow")` (CVE-2024-21626 was that, in runc).
So everything above standard error is marked to be closed by execve(2), in one call. Marked, not closed: the socket
to the parent must live until the exec, whose success the parent learns from its end-of-file.
Man page: close_range(2).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import ClassVar

from minidock.kernel import syscalls
from minidock.steps import Live, Step


class CloseLeaked(Step, frozen=True):
    """`first` is 3, or more where descriptors are passed on purpose (LISTEN_FDS, sd_listen_fds(3))."""

    first: int = 3
    man: ClassVar[str] = "close_range(2)"

    def describe(self) -> str:
        return f"mark every descriptor from {self.first} on to be closed by exec"

    def shell(self) -> str:
        return f'for fd in /proc/self/fd/*; do fd=${{fd##*/}}; [ "$fd" -lt {self.first} ] || eval "exec $fd>&-"; done'

    def apply(self, live: Live) -> None:
        syscalls.close_range(self.first, flags=syscalls.CLOSE_RANGE_CLOEXEC)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor above standard error but these: what our caller, or we, have left open is nobody's."""
    first = 3
    for fd in sorted(number for number in set(kept) if number >= 3):
        if first < fd:
            syscalls.close_range(first, fd - 1)
        first = fd + 1
    syscalls.close_range(first)


def read(pid: int | str) -> dict[int, str]:
    """The open descriptors of a process and what each is, from /proc/PID/fd (proc(5))."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:  # closed since the listing, as the listing's own descriptor
            continue
    return found


def demo() -> None:
    """Open the host's root, leak it, and show what a program would find with the step and without."""
    for steps in ([], [CloseLeaked()]):
        pid = os.fork()
        if pid == 0:
            leak = os.open("/", os.O_RDONLY)
            os.set_inheritable(leak, True)
            for step in steps:
                step.apply(Live())
            print("with" if steps else "without", "the step a program finds:", flush=True)
            os.execvp("ls", ["ls", "-l", "/proc/self/fd"])
        os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
