"""Resource limits: how much of something one process may use, inherited by its children.

Older than cgroups and per process (or per user for nproc), they are still what caps open files, core dumps and locked
memory. The soft limit is the one enforced, the hard one its ceiling; raising the ceiling needs CAP_SYS_RESOURCE in the
*host's* user namespace. Man page: getrlimit(2).
"""

from __future__ import annotations

import errno
import os
import resource
from typing import ClassVar

from minidock import spec
from minidock.errors import SystemCallFailed, UsageError
from minidock.steps import Live, Step

_IN_ORDER = "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
NAMES = _IN_ORDER.split()
"""A limit's number is its place here: asm-generic/resource.h (the same on x86 and arm)."""

NUMBERS = {f"RLIMIT_{name}": number for number, name in enumerate(NAMES)}

INFINITY = 2**64 - 1
"""As the OCI specification and the kernel write "unlimited"; -1 on Docker's command line."""


def type_of(name: str) -> str:
    """`nofile`, as in --ulimit, to `RLIMIT_NOFILE`. Raises UsageError with Docker's text."""
    kind = f"RLIMIT_{name.upper()}"
    if kind not in NUMBERS:
        raise UsageError(f"invalid ulimit type: {name}", hint=f"one of {' '.join(NAMES).lower()}")
    return kind


class SetRlimit(Step, frozen=True):
    """Late in the child, but while it still has its capabilities: a low `nofile` or `as` binds us, too."""

    type: str
    soft: int
    hard: int
    man: ClassVar[str] = "prlimit(2)"

    def describe(self) -> str:
        return f"limit {self.type.removeprefix('RLIMIT_').lower()} to {_shown(self.soft)} (at most {_shown(self.hard)})"

    def shell(self) -> str:
        name = self.type.removeprefix("RLIMIT_").lower()
        return f"prlimit --pid $$ --{name}={_shown(self.soft)}:{_shown(self.hard)}"

    def apply(self, live: Live) -> None:
        if self.type not in NUMBERS:
            raise SystemCallFailed(f"prlimit(0, {self.type})", errno.EINVAL, hint="no limit of that name: getrlimit(2)")
        try:
            resource.prlimit(0, NUMBERS[self.type], (_signed(self.soft), _signed(self.hard)))
        except (OSError, ValueError) as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError | ValueError) -> SystemCallFailed:
        """Python says ValueError where the kernel said EINVAL."""
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
        call = f"prlimit(0, {self.type}, {_shown(self.soft)}, {_shown(self.hard)})"
        now = _shown(resource.prlimit(0, NUMBERS[self.type])[1])
        hints = {
            errno.EPERM: f"the hard limit is {now} now, and raising it needs CAP_SYS_RESOURCE, which is missing here",
            errno.EINVAL: "the soft limit can't be above the hard one",
        }
        return SystemCallFailed(call, number, hint=hints.get(number, ""))


def steps(limits: list[spec.Rlimit]) -> list[SetRlimit]:
    """One step for each limit of an OCI process."""
    return [SetRlimit(limit.type, limit.soft, limit.hard) for limit in limits]


def _signed(value: int) -> int:
    """prlimit(2) takes unsigned 64 bits, Python's resource module signed ones: unlimited is -1 there."""
    return value - 2**64 if value >= 2**63 else value


def _shown(value: int) -> str:
    return "unlimited" if value in (INFINITY, -1) else str(value)


def read(pid: int | str) -> dict[str, tuple[int, int]]:
    """(soft, hard) of every limit of a process, -1 where unlimited."""
    number = os.getpid() if pid == "self" else int(pid)
    return {kind: resource.prlimit(number, place) for kind, place in NUMBERS.items()}


def table(pid: int | str) -> dict[str, tuple[str, str]]:
    """The same in the kernel's words, from /proc/PID/limits: prlimit(2) wants CAP_SYS_RESOURCE for other users'."""
    with open(f"/proc/{pid}/limits", encoding="ascii", errors="replace") as file:
        lines = file.read().splitlines()[1:]
    return {line[:26].strip().lower(): (line[26:47].strip(), line[47:68].strip()) for line in lines}


def demo() -> None:
    """Allow a child five open files, and let it open more."""
    pid = os.fork()
    if pid == 0:
        step = SetRlimit("RLIMIT_NOFILE", 5, 5)
        step.apply(Live())
        print(step.describe(), flush=True)
        try:
            while True:
                print(f"opened descriptor {os.open('/dev/null', os.O_RDONLY)}", flush=True)
        except OSError as error:
            print(f"the next one: {error.strerror}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
