"""Capabilities: root's power cut into 41 pieces, and which of them a container gets.

A process has five sets of them. *Bounding* is the ceiling: what is not in it, no later exec can bring back, not even
of a setuid program. *Permitted* is what may be used, *effective* what is in use, *inheritable* and *ambient* are what
survives an execve(2) of a program that is not root's. Docker keeps 14 of 41 in the ceiling, so that root in a container
can chown and bind port 80, but can't mount, load modules or trace its host. Man page: capabilities(7).

The order in the child: bounding set first (needs CAP_SETPCAP) → keep capabilities over the change of user (prctl(2),
PR_SET_KEEPCAPS: setresuid(2) from root clears them otherwise) → user → the other four sets.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from typing import ClassVar

from minidock import spec
from minidock.errors import SystemCallFailed, UsageError
from minidock.kernel import syscalls
from minidock.steps import Live, Step

_IN_ORDER = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID "
    "CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK "
    "CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN "
    "CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE "
    "CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND "
    "CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE"
)
NAMES = _IN_ORDER.split()
"""A capability's number is its place here: linux/capability.h."""

NUMBERS = {name: number for number, name in enumerate(NAMES)}

_DOCKERS = (
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_NET_BIND_SERVICE "
    "CAP_NET_RAW CAP_SYS_CHROOT CAP_MKNOD CAP_AUDIT_WRITE CAP_SETFCAP"
)
DEFAULT = _DOCKERS.split()
"""The 14 that Docker gives to every container."""

PR_SET_KEEPCAPS = 8  # linux/prctl.h
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4


# What a container gets: --cap-add, --cap-drop, --privileged.


def resolve(add: Sequence[str], drop: Sequence[str], privileged: bool, *, uid: int = 0) -> spec.Capabilities:
    """The sets for a container whose first process runs as `uid`. Raises UsageError with Docker's texts.

    For a user other than root only the ceiling is set: that is what execve(2) would leave them, and a program that
    is setuid root gets the container's capabilities, no more.
    """
    bounding = tweak(DEFAULT, add, drop, privileged)
    active = bounding if uid == 0 else []
    return spec.Capabilities(bounding=bounding, effective=active, permitted=active)


def tweak(basics: Sequence[str], add: Sequence[str], drop: Sequence[str], privileged: bool) -> list[str]:
    """Docker's rules: ALL in `add` means all that can be had, ALL in `drop` leaves just what is added."""
    if privileged:
        return available()
    if not add and not drop:
        return list(basics)
    added, dropped = normalize(add, "CapAdd"), normalize(drop, "CapDrop")
    if "ALL" in added:
        return [name for name in available() if name not in dropped]
    if added:
        _check_available(added)
    start = [] if "ALL" in dropped else [name for name in basics if name not in dropped]
    return sorted({*start, *added}, key=NAMES.index)


def normalize(names: Iterable[str], option: str) -> list[str]:
    """`net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are the same capability; `all` is every one."""
    result = []
    for raw in names:
        name = raw.upper()
        if name != "ALL":
            name = name if name.startswith("CAP_") else f"CAP_{name}"
            if name not in NUMBERS:
                raise UsageError(f'invalid {option}: unknown capability: "{name}"', hint="see capabilities(7)")
        result.append(name)
    return result


def available() -> list[str]:
    """What can be given at all: known to this kernel, and in our own ceiling."""
    return [name for number, name in enumerate(NAMES) if in_bounding_set(number)]


def _check_available(names: Sequence[str]) -> None:
    for name in names:
        if not in_bounding_set(NUMBERS[name]):
            raise UsageError(
                "invalid CapAdd: capability not supported by your kernel or not available in the current "
                f'environment: "{name}"',
                hint="minidock's own bounding set lacks it: grep CapBnd /proc/self/status",
            )


def in_bounding_set(number: int) -> bool | None:
    """True when we may hand the capability on, None when this kernel has no capability of that number."""
    try:
        return syscalls.prctl(PR_CAPBSET_READ, number) == 1
    except SystemCallFailed as error:
        if error.number == errno.EINVAL:
            return None
        raise


def grantable(sets: spec.Capabilities) -> spec.Capabilities:
    """The sets without what we can't give because we haven't got it; the specification asks for a warning only."""
    ceiling = set(available())

    def had(names: list[str]) -> list[str]:
        return [name for name in names if name in ceiling]

    return spec.Capabilities(
        bounding=had(sets.bounding),
        effective=had(sets.effective),
        inheritable=had(sets.inheritable),
        permitted=had(sets.permitted),
        # Ambient is for what is permitted and inheritable, else prctl(2) says EPERM.
        ambient=[name for name in had(sets.ambient) if name in sets.permitted and name in sets.inheritable],
    )


def mask(names: Iterable[str]) -> int:
    """The set as a bit mask. Names that neither we nor the OCI specification know are left out: never given."""
    return sum(1 << NUMBERS[name] for name in set(names) if name in NUMBERS)


def names_of(bits: int) -> list[str]:
    """The set as names; bits that are newer than our table appear as `CAP_41`."""
    return [NAMES[n] if n < len(NAMES) else f"CAP_{n}" for n in range(bits.bit_length()) if bits >> n & 1]


# The steps, in the order of the child.


class DropBoundingSet(Step, frozen=True):
    """Lower the ceiling. First, because it needs CAP_SETPCAP; what a newer kernel has beyond our table goes too."""

    keep: list[str]
    hold: str = ""
    """A capability that must outlive the next exec all the same: minidock-exec needs it, and gives it up."""
    man: ClassVar[str] = "capabilities(7)"

    def describe(self) -> str:
        return f"drop all but {_counted(self.keep)} from the bounding set"

    def setpriv(self) -> list[str]:
        """Its part of the setpriv(1) line that ends the script of --as-shell."""
        return ["--bounding-set=" + _setpriv_set(self.keep)]

    def shell(self) -> str:
        return f"setpriv {' '.join(self.setpriv())} COMMAND"

    def apply(self, live: Live) -> None:
        kept = mask(self.keep)
        if self.hold:  # as inheritable, which is what exec keeps beside the bounding set; only now, while it is in that
            effective, permitted, inheritable = syscalls.capget()
            syscalls.capset(effective, permitted, inheritable | mask([self.hold]))
        for number in range(64):
            held = in_bounding_set(number)
            if held is None:  # past the kernel's last capability
                return
            if held and not kept >> number & 1:
                syscalls.prctl(PR_CAPBSET_DROP, number)


class KeepCaps(Step, frozen=True):
    """Keep permitted capabilities when the user changes from root; execve(2) forgets the request again."""

    man: ClassVar[str] = "prctl(2)"

    def describe(self) -> str:
        return "keep capabilities over the change of user"

    def setpriv(self) -> list[str]:
        return []  # setpriv does it by itself

    def shell(self) -> str:
        return "# keep capabilities over the change of user: setpriv --reuid does that by itself"

    def apply(self, live: Live) -> None:
        syscalls.prctl(PR_SET_KEEPCAPS, 1)


class SetCapabilities(Step, frozen=True):
    """Effective, permitted, inheritable and ambient. After the user: setresuid(2) would clear effective again.

    execve(2) then computes them anew: for uid 0 permitted and effective become the bounding set, for anybody else
    they become the ambient set.
    """

    effective: list[str] = []
    permitted: list[str] = []
    inheritable: list[str] = []
    ambient: list[str] = []
    hold: str = ""
    """As in DropBoundingSet: it stays until minidock-exec (native/exec.c) has used it."""
    man: ClassVar[str] = "capset(2)"

    def describe(self) -> str:
        if not (self.permitted or self.ambient):
            return "give up all capabilities"
        kept = "keep " + _counted(self.permitted)
        return kept + (", ambient " + _counted(self.ambient) if self.ambient else "")

    def setpriv(self) -> list[str]:
        return ["--inh-caps=" + _setpriv_set(self.inheritable), "--ambient-caps=" + _setpriv_set(self.ambient)]

    def shell(self) -> str:
        return f"setpriv {' '.join(self.setpriv())} COMMAND  # exec computes permitted and effective"

    def apply(self, live: Live) -> None:
        held = [self.hold] if self.hold else []
        inheritable = mask([*self.inheritable, *held])
        try:
            syscalls.capset(mask(self.effective), mask([*self.permitted, *held]), inheritable)
        except SystemCallFailed as error:
            lacking = names_of(mask([*self.permitted, *held]) & ~syscalls.capget()[1])
            error.hint = f"minidock itself lacks {', '.join(lacking)}" if lacking else error.hint
            raise
        # Ambient may only hold what is permitted and inheritable, so it comes after capset.
        syscalls.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        for name in [*self.ambient, *held]:
            if name in NUMBERS:
                syscalls.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, NUMBERS[name])


def set_capabilities(sets: spec.Capabilities, hold: str = "") -> SetCapabilities:
    """The step for the sets of an OCI process."""
    return SetCapabilities(sets.effective, sets.permitted, sets.inheritable, sets.ambient, hold)


def _counted(names: Sequence[str]) -> str:
    """`14 capabilities`, or a few by name."""
    short = ", ".join(name.removeprefix("CAP_").lower() for name in names)
    if not 0 < len(names) < 5:
        return f"{len(names)} capabilities"
    return f"{len(names)} {'capability' if len(names) == 1 else 'capabilities'} ({short})"


def _setpriv_set(names: Iterable[str]) -> str:
    return ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in names if name in NUMBERS)])


SETS = {
    "bounding": "CapBnd",
    "permitted": "CapPrm",
    "effective": "CapEff",
    "inheritable": "CapInh",
    "ambient": "CapAmb",
}


def read(pid: int | str) -> dict[str, list[str]]:
    """The five sets of a process by name, from /proc/PID/status (proc(5))."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {name: names_of(int(lines[key], 16)) for name, key in SETS.items()}


def _counts() -> str:
    return ", ".join(f"{name} {len(names)}" for name, names in read("self").items())


def demo() -> None:
    """Fork a root that may only chown, and let it try to change the host's name."""
    sets = spec.Capabilities(bounding=["CAP_CHOWN"], effective=["CAP_CHOWN"], permitted=["CAP_CHOWN"])
    print(f"before: {_counts()}", flush=True)  # or the child has it in its buffer, too, and it is told twice
    pid = os.fork()
    if pid == 0:
        for step in (DropBoundingSet(sets.bounding), set_capabilities(sets)):
            step.apply(Live())
            print(f"{step.describe()}: now {_counts()}", flush=True)
        try:
            syscalls.sethostname(os.uname().nodename)
        except SystemCallFailed as error:
            print(f"uid {os.getuid()}, and yet {error}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
