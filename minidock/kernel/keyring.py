"""Keyrings: keys and tokens that the kernel holds for a process, in a ring of the container's own.

Every process has a session keyring, and inherits the one of its parent: without this step a container would see the
keys (Kerberos tickets, ecryptfs, fscrypt) of whoever started it. Keyrings have no namespace of their own; a new
session keyring is all the separation there is, and Docker's seccomp profile denies keyctl(2) besides.
Man page: keyrings(7), session-keyring(7).
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar

from minidock.errors import SystemCallFailed
from minidock.kernel import syscalls
from minidock.steps import Live, Step


class JoinSessionKeyring(Step, frozen=True):
    """`name` shows up in /proc/keys. Before the user changes: the ring counts against the quota of its maker."""

    name: str
    man: ClassVar[str] = "keyctl(2)"

    def describe(self) -> str:
        return f"join a new session keyring {self.name}"

    def shell(self) -> str:
        return f"# a new session keyring: exec keyctl session {self.name} COMMAND (Debian package keyutils)"

    def apply(self, live: Live) -> None:
        try:
            syscalls.join_session_keyring(self.name)
        except SystemCallFailed as error:
            if error.number == errno.ENOSYS:  # a kernel without CONFIG_KEYS has no keys that could leak
                return
            if error.number == errno.EDQUOT:
                error.hint = "the user has too many keys: see /proc/sys/kernel/keys/maxkeys and root_maxkeys"
            raise


def read(pid: int | str) -> list[str]:
    """The keyrings of a process; the kernel shows a reader only its own, so for another pid the list is empty.

    Lines of /proc/keys that tell of keyrings (keyrings(7)).
    """
    if str(pid) not in ("self", str(os.getpid())):
        return []
    try:
        with open("/proc/keys", encoding="ascii", errors="replace") as file:
            return [line.rstrip() for line in file if " keyring " in line]
    except FileNotFoundError:  # a kernel without CONFIG_KEYS
        return []


def demo() -> None:
    """Join a ring in a child and list the rings there."""
    pid = os.fork()
    if pid == 0:
        JoinSessionKeyring("minidock-demo").apply(Live())
        print("\n".join(read("self")) or "this kernel has no keys", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
