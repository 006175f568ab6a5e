"""Personality: as which kind of kernel Linux shows itself to a process.

A left-over of the days when Linux ran other systems' programs. What is still used is LINUX32: on a 64-bit machine
uname(2) then tells of the 32-bit one, so that builds in a 32-bit image don't take the wrong turn.
Man page: personality(2).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel import syscalls
from minidock.steps import Live, Step

DOMAINS = {"LINUX": 0x0000, "LINUX32": 0x0008}  # linux/personality.h


class SetPersonality(Step, frozen=True):
    """Kept over execve(2) and inherited by children."""

    domain: str
    man: ClassVar[str] = "personality(2)"

    def describe(self) -> str:
        return f"take the machine for {self.domain}"

    def shell(self) -> str:
        return f"setarch {'linux32' if self.domain == 'LINUX32' else 'linux64'} COMMAND"

    def apply(self, live: Live) -> None:
        syscalls.personality(DOMAINS[self.domain])


def steps(asked: spec.Personality | None) -> list[Step]:
    """For an OCI spec. Raises UsageError for a domain or flag that the specification doesn't have."""
    if asked is None:
        return []
    if asked.domain not in DOMAINS:
        raise UsageError(f"invalid personality domain {asked.domain}")
    if asked.flags:
        raise UsageError("unsupported flags for personality")
    return [SetPersonality(asked.domain)]


def read(pid: int) -> str:
    """The personality's number, in hexadecimal."""
    return Path(f"/proc/{pid}/personality").read_text(encoding="ascii").strip()


def demo() -> None:
    """Ask for the machine's name before and after."""
    print(os.uname().machine)
    pid = os.fork()
    if pid == 0:
        SetPersonality("LINUX32").apply(Live())
        print(f"as LINUX32: {os.uname().machine}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
