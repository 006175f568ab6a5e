"""Architectures as a seccomp filter meets them: how they are told apart, and the numbers of their system calls.

One kernel serves several sets of numbers at once. On x86_64 a program may also call as i386 does (`int $0x80`), or with
bit 30 set as the x32 ABI does: `write` is 1, 4 or 0x40000001. A filter that checks only the first set is walked around
in three instructions, so each set has its own part of the program. Man page: seccomp(2), syscalls(2).
"""

from __future__ import annotations

import msgspec

from minidock.errors import UsageError
from minidock.kernel.seccomp import data_directory

X32_BIT = 0x40000000
"""Calls of the x32 ABI have AUDIT_ARCH_X86_64 and this bit in their number: asm/unistd.h."""


class Arch(msgspec.Struct, frozen=True):
    """`audit` is seccomp_data.arch (linux/audit.h), `column` where its numbers stand in the table."""

    audit: int
    column: str
    native: str
    """Docker's name of the architecture in `includes` and `excludes`."""


ARCHES = {
    "SCMP_ARCH_X86_64": Arch(0xC000003E, "x86_64", "amd64"),
    "SCMP_ARCH_X86": Arch(0x40000003, "x86", "x86"),
    "SCMP_ARCH_X32": Arch(0xC000003E, "x32", "x32"),
    "SCMP_ARCH_AARCH64": Arch(0xC00000B7, "aarch64", "arm64"),
    "SCMP_ARCH_ARM": Arch(0x40000028, "arm", "arm"),
}

NEVER_HERE = (
    "MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 "
    "LOONGARCH64 M68K SH SHEB"
)
"""Profiles may list them. No kernel of x86 or arm can be called that way, so they need no part in the filter."""

NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
"""uname(2) machine to the architecture that is always in the filter."""

MULTIPLEXED = {
    "socketcall": "socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom "
    "shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg",
    "ipc": "semop=1 semget=2 semctl=3 semtimedop=4 msgsnd=11 msgrcv=12 msgget=13 msgctl=14 shmat=21 shmdt=22 shmget=23 "
    "shmctl=24",
}
"""i386 has two calls that are many in one, chosen by the first argument: linux/net.h (from 1 on), linux/ipc.h."""


def native_arch(machine: str) -> str:
    """Raises UsageError for a machine whose calls aren't in the table."""
    if machine not in NATIVE:
        raise UsageError(f"no seccomp filters for {machine}", hint="run with --security-opt seccomp=unconfined")
    return NATIVE[machine]


def wanted(listed: list[str], machine: str) -> list[str]:
    """The native architecture, then those of the profile that can occur here. Raises UsageError for unknown names."""
    for name in listed:
        if name not in ARCHES and name.removeprefix("SCMP_ARCH_") not in NEVER_HERE.split():
            raise UsageError(f"invalid seccomp architecture {name!r}")
    return list(dict.fromkeys([native_arch(machine), *(name for name in listed if name in ARCHES)]))


def numbers() -> dict[str, dict[str, int]]:
    """`{"x86_64": {"read": 0, …}, "x86": …}`, from rootfs/seccomp/syscalls.tsv; x32 without its bit."""
    header, *rows = [line.split("\t") for line in _lines() if not line.startswith("#")]
    tables: dict[str, dict[str, int]] = {column: {} for column in header[1:]}
    for name, *cells in rows:
        for column, cell in zip(header[1:], cells, strict=True):
            if cell != "-":
                tables[column][name] = int(cell)
    return tables


def _lines() -> list[str]:
    return (data_directory() / "syscalls.tsv").read_text(encoding="ascii").splitlines()


def multiplexed(name: str) -> tuple[str, int] | None:
    """i386: `socket` can also be called as `socketcall(1, …)`; the other call and its first argument."""
    for call, members in MULTIPLEXED.items():
        for place, member in enumerate(members.split(), start=1):
            known, _, number = member.partition("=")
            if known == name:
                return call, int(number or place)
    return None


def demo() -> None:
    """One system call, three numbers: a filter that didn't look at the architecture could be walked around."""
    for name, numbered in numbers().items():
        print(f"{name:<20} mount(2) is number {numbered['mount']}")


if __name__ == "__main__":
    demo()
