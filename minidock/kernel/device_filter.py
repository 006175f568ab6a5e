"""The device filter: which device nodes a container may make, read and write.

A container's root could mknod(2) the host's disk; the filter makes that harmless. Rules come in order, and for each
kind of access (m: mknod, r: read, w: write) the last rule that matches counts; what none matches is denied.

On cgroup2 there are no files for this: a BPF program hangs on the cgroup, is asked at every open(2) and mknod(2) of a
device, and answers yes (1) or no (0). It works wherever cgroup2 is mounted, without any controller: so a hybrid host
gets it too, and its v1 devices hierarchy stays as it is. Only a host without cgroup2 gets lines in devices.deny and
devices.allow. Man page: cgroups(7); the kernel's Documentation/admin-guide/cgroup-v2.rst, "Device controller".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import ClassVar

from minidock.errors import SystemCallFailed, Unsupported, UsageError
from minidock.kernel import bpf
from minidock.kernel.cgroup_files import Cgroup, WriteCgroupFile
from minidock.spec import DeviceRule
from minidock.steps import Live, Step

# linux/bpf.h: BPF_DEVCG_DEV_* and BPF_DEVCG_ACC_*
TYPES = {"b": 1, "c": 2}
ACCESS = {"m": 1, "r": 2, "w": 4}
ALL_ACCESS = 7
PROGRAM_NAME = "minidock_device"
"""At most 15 bytes: BPF_OBJ_NAME_LEN."""


def _allow(kind: str, major: int | None, minor: int | None, access: str = "rwm") -> DeviceRule:
    return DeviceRule(allow=True, type=kind, major=major, minor=minor, access=access)


DENY_ALL = DeviceRule(allow=False)
ALLOW_ALL = DeviceRule(allow=True)
HARMLESS: tuple[DeviceRule, ...] = (
    _allow("c", None, None, "m"),  # making a node gives nothing: opening it is what counts
    _allow("b", None, None, "m"),
    _allow("c", 1, 3),  # /dev/null
    _allow("c", 1, 5),  # /dev/zero
    _allow("c", 1, 7),  # /dev/full
    _allow("c", 1, 8),  # /dev/random
    _allow("c", 1, 9),  # /dev/urandom
    _allow("c", 5, 0),  # /dev/tty
    _allow("c", 5, 1),  # /dev/console
    _allow("c", 5, 2),  # /dev/ptmx
    _allow("c", 136, None),  # /dev/pts/N
    _allow("c", 10, 200),  # /dev/net/tun
)
"""What every container may use; devices.list of a container of Docker 20.10 with runc 1.1 shows exactly these."""
DEFAULT_DEVICE_RULES: tuple[DeviceRule, ...] = (DENY_ALL, *HARMLESS)
"""The rules of an ordinary container; devices given with --device are appended."""


def limits(cgroup: Cgroup, rules: Sequence[DeviceRule]) -> list[Step]:
    """The filter for a spec's rules, then HARMLESS, as in runc: a spec that only says "deny all" has /dev/null.

    Everything allowed (--privileged) needs no filter.
    """
    complete = effective([*rules, *HARMLESS])
    if complete == [ALLOW_ALL]:
        return []
    if cgroup.v2 is not None:
        v1 = cgroup.directory("devices") if cgroup.version("devices") == 1 else None
        return [AttachDeviceFilter(cgroup.v2, complete, v1 or "")]
    directory = cgroup.need("devices", "filter devices")
    return [
        WriteCgroupFile(f"{'allow' if name == 'devices.allow' else 'deny'} devices {line}", f"{directory}/{name}", line)
        for name, line in v1_lines(complete)
    ]


def effective(rules: Sequence[DeviceRule]) -> list[DeviceRule]:
    """The same rules without those that can't matter: a first one that covers all, then what comes after it.

    Raises UsageError for a rule that names no kind of device or access.
    """
    kept = [DENY_ALL]
    for rule in rules:
        rule = _checked(rule)
        if rule.type == "a" and rule.major is None and rule.minor is None and _bits(rule) == ALL_ACCESS:
            kept = [rule]  # it overrules everything before
        elif len(kept) > 1 or rule.allow != kept[0].allow:  # an exception that isn't one goes, too
            kept.append(rule)
    # Of two that are the same the later decides anyway.
    return [rule for place, rule in enumerate(kept) if place == 0 or rule not in kept[place + 1 :]]


def _checked(rule: DeviceRule) -> DeviceRule:
    """With -1 as None, which some callers write for a wildcard, and `u` as `c`, which mknod(1) takes for the same."""
    kind = "c" if rule.type == "u" else rule.type or "a"
    # runc takes an `a` among the letters for nothing.
    if kind not in ("a", "b", "c") or not rule.access or set(rule.access) - {*ACCESS, "a"}:
        raise UsageError(f"invalid device rule: type {rule.type!r}, access {rule.access!r}")
    numbers = [None if number in (None, -1) else number for number in (rule.major, rule.minor)]
    if any(number is not None and not 0 <= number < 1 << 31 for number in numbers):
        raise UsageError(f"invalid device rule: number {rule.major}:{rule.minor}")
    access = "".join(letter for letter in "rwm" if letter in rule.access)
    return DeviceRule(allow=rule.allow, type=kind, major=numbers[0], minor=numbers[1], access=access)


def _bits(rule: DeviceRule) -> int:
    return sum(ACCESS[letter] for letter in set(rule.access))


def program(rules: Sequence[DeviceRule]) -> list[bpf.Instruction]:
    """The filter: reads the rules from the last to the first, and strikes off what has been decided.

    struct bpf_cgroup_dev_ctx { u32 access_type, major, minor; }   linux/bpf.h

    type = access_type & 0xffff;  wanted = access_type >> 16
    for rule in reversed(rules):
        if rule matches type, major and minor:
            if rule allows:  wanted &= ~rule.access;  if wanted == 0: return 1
            else:            if wanted & rule.access: return 0
    return 0
    """
    first, *exceptions = effective(rules)
    code = [
        bpf.load_word(bpf.R2, bpf.R1, 0),
        bpf.copy(bpf.R3, bpf.R2),
        bpf.keep_bits(bpf.R2, 0xFFFF),
        bpf.shift_right(bpf.R3, 16),
        bpf.load_word(bpf.R4, bpf.R1, 4),
        bpf.load_word(bpf.R5, bpf.R1, 8),
    ]
    for rule in reversed(exceptions):
        code += _one(rule)
    return [*code, bpf.move(bpf.R0, int(first.allow)), bpf.leave()]


def _one(rule: DeviceRule) -> list[bpf.Instruction]:
    """A rule: tests that skip to the next rule, then the verdict."""
    bits = _bits(rule)
    if bits == ALL_ACCESS:  # nothing is left to ask: the first to match in this direction decides
        verdict = [bpf.move(bpf.R0, int(rule.allow)), bpf.leave()]
    elif rule.allow:
        verdict = [
            bpf.keep_bits(bpf.R3, ALL_ACCESS & ~bits),
            bpf.jump_if_not(bpf.R3, 0, 2),
            bpf.move(bpf.R0, 1),
            bpf.leave(),
        ]
    else:
        verdict = [
            bpf.copy(bpf.R1, bpf.R3),
            bpf.keep_bits(bpf.R1, bits),
            bpf.jump_if(bpf.R1, 0, 2),
            bpf.move(bpf.R0, 0),
            bpf.leave(),
        ]
    asked = [(bpf.R2, TYPES.get(rule.type)), (bpf.R4, rule.major), (bpf.R5, rule.minor)]
    tests = [(register, value) for register, value in asked if value is not None]
    # A test that fails skips the tests after it and the verdict.
    skips = range(len(tests) - 1 + len(verdict), -1, -1)
    return [
        bpf.jump_if_not(register, value, skip) for (register, value), skip in zip(tests, skips, strict=False)
    ] + verdict


class AttachDeviceFilter(Step, frozen=True):
    """Load the program and hang it on the cgroup; it lives as long as the cgroup, so there is nothing to undo."""

    directory: str
    rules: list[DeviceRule]
    v1_directory: str = ""
    """The cgroup in a v1 devices hierarchy, where there is one: a shell can write that, but not a program."""
    man: ClassVar[str] = "bpf(2)"

    def describe(self) -> str:
        count = sum(rule.allow for rule in self.rules)
        return f"filter devices with a BPF program of {len(program(self.rules))} instructions: {count} rules allow some"

    def shell(self) -> str:
        if not self.v1_directory:
            return "# no shell command can make the BPF program that filters devices: this container's isn't filtered"
        import shlex

        lines = [
            f"echo {shlex.quote(line)} > {shlex.quote(f'{self.v1_directory}/{name}')}"
            for name, line in v1_lines(self.rules)
        ]
        return "\n".join(
            ["# no shell command can make the BPF program; version 1 of cgroups does the same with:", *lines]
        )

    def apply(self, live: Live) -> None:
        cgroup_fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            install(cgroup_fd, self.rules)
        finally:
            os.close(cgroup_fd)


def install(cgroup_fd: int, rules: Sequence[DeviceRule]) -> None:
    """Attach the filter, in the place of ours that is there (`update`): never a moment without one, never two.

    A program of somebody else's on the same cgroup, systemd's for one, stays: it is known by not having our name.
    """
    program_fd, old_fd = bpf.load(program(rules), PROGRAM_NAME), _ours(cgroup_fd)
    try:
        bpf.attach(cgroup_fd, program_fd, replace_fd=old_fd)
    finally:
        os.close(program_fd)
        if old_fd >= 0:
            os.close(old_fd)


def _ours(cgroup_fd: int) -> int:
    """A descriptor of our program there, or -1. Others' may go while we look."""
    for number in reversed(bpf.attached(cgroup_fd)):
        with contextlib.suppress(SystemCallFailed):
            fd = bpf.open_id(number)
            if bpf.name(fd) == PROGRAM_NAME:
                return fd
            os.close(fd)
    return -1


def v1_lines(rules: Sequence[DeviceRule]) -> list[tuple[str, str]]:
    """(file, line) for version 1, whose kernel keeps one default and a list of exceptions to it.

    Raises Unsupported for an exception from an exception (allow c 1:*, but not c 1:11), which it can't remember.
    """
    first, *exceptions = effective(rules)
    lines = [("devices.allow" if first.allow else "devices.deny", "a")]
    against = [rule for rule in exceptions if rule.allow != first.allow]
    for rule in exceptions:
        if rule.allow == first.allow and any(_partly(rule, other) for other in against):
            raise Unsupported(
                f"can't {'allow' if rule.allow else 'deny'} devices {_line(rule)}: cgroup version 1 keeps no "
                "exception from a wider rule",
                hint="mount cgroup2 (mount -t cgroup2 none /sys/fs/cgroup/unified), or name each device by itself",
            )
        file = "devices.allow" if rule.allow else "devices.deny"
        kinds = [rule.type] if rule.type != "a" else ["c", "b"]
        lines += [(file, f"{kind} {_line(rule).partition(' ')[2]}") for kind in kinds]
    return lines


def _line(rule: DeviceRule) -> str:
    major, minor = ("*" if number is None else str(number) for number in (rule.major, rule.minor))
    return f"{rule.type} {major}:{minor} {rule.access}"


def _partly(rule: DeviceRule, other: DeviceRule) -> bool:
    """They meet, but don't name the same devices."""
    mine, theirs = (rule.type, rule.major, rule.minor), (other.type, other.major, other.minor)
    meets = all(a == b or a in (None, "a") or b in (None, "a") for a, b in zip(mine, theirs, strict=True))
    return meets and mine != theirs and bool(_bits(rule) & _bits(other))


def read(cgroup: Cgroup) -> dict[str, object]:
    """Ids of the programs on the cgroup; `bpftool prog dump xlated id N` shows one."""
    facts: dict[str, object] = {}
    with contextlib.suppress(FileNotFoundError, SystemCallFailed):
        if cgroup.v2 is not None:
            fd = os.open(cgroup.v2, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                facts["programs"] = bpf.attached(fd)
            finally:
                os.close(fd)
    return facts


def demo() -> None:
    """Show the program for Docker's rules, then try two devices under it."""
    from minidock.kernel.cgroup_demo import inside
    from minidock.spec import Resources

    def attempt() -> None:
        for path in ("/dev/null", "/dev/kmsg"):
            try:
                os.close(os.open(path, os.O_RDONLY))
                print(f"{path}: opened", flush=True)
            except OSError as error:
                print(f"{path}: {error.strerror}", flush=True)

    print(bpf.listing(program(DEFAULT_DEVICE_RULES)))
    inside(Resources(devices=[*DEFAULT_DEVICE_RULES]), attempt, show=lambda cgroup: print(read(cgroup)))


if __name__ == "__main__":
    demo()
