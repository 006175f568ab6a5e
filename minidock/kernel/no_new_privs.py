"""No new privileges: from here on, no execve(2) can give more than the process has.

Setuid bits and file capabilities of programs are ignored, for this process and all its children, for ever.
`--security-opt no-new-privileges` sets it. It is also what lets a process without CAP_SYS_ADMIN load a seccomp
filter: a filter could otherwise confuse a setuid program. Man page: prctl(2), PR_SET_NO_NEW_PRIVS.
"""

from __future__ import annotations

import os
from typing import ClassVar

from minidock.errors import SystemCallFailed
from minidock.kernel import syscalls
from minidock.steps import Live, Step

PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
PR_GET_NO_NEW_PRIVS = 39


class SetNoNewPrivs(Step, frozen=True):
    """Before the seccomp filter, whose load then needs no privilege."""

    man: ClassVar[str] = "prctl(2)"

    def describe(self) -> str:
        return "let no program gain privileges by setuid bits or file capabilities"

    def setpriv(self) -> list[str]:
        """Its part of the setpriv(1) line that ends the script of --as-shell."""
        return ["--no-new-privs"]

    def shell(self) -> str:
        return "setpriv --no-new-privs COMMAND"

    def apply(self, live: Live) -> None:
        syscalls.prctl(PR_SET_NO_NEW_PRIVS, 1)


def read(pid: int | str) -> bool:
    """Whether the process has given up gaining privileges, from /proc/PID/status (proc(5))."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return "NoNewPrivs:\t1\n" in file.readlines()


def demo() -> None:
    """Set it in a child, and show that it can't be taken back."""
    pid = os.fork()
    if pid == 0:
        SetNoNewPrivs().apply(Live())
        print(f"NoNewPrivs of the child: {read('self')}", flush=True)
        try:
            syscalls.prctl(PR_SET_NO_NEW_PRIVS, 0)
        except SystemCallFailed as error:
            print(f"taking it back: {error}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    print(f"NoNewPrivs of the parent: {read('self')}")


if __name__ == "__main__":
    demo()
