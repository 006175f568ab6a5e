"""Seccomp profiles in Docker's format, and the default one: what a container may ask of the kernel.

Docker's format is the OCI one with conditions: a rule may apply only with a capability (`mount` for who has
CAP_SYS_ADMIN), on an architecture or from a kernel version on. Here a profile and a container come together to one
OCI profile without conditions. The default is rootfs/seccomp/default.json, which allows what Docker's allows.
Docker documentation: "Seccomp security profiles for Docker".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

import msgspec

from minidock import spec
from minidock.errors import UsageError
from minidock.kernel import seccomp_arch
from minidock.kernel.seccomp import data_directory


class Condition(msgspec.Struct, frozen=True, rename="camel"):
    """All of `caps` must be in the bounding set; `arches` are Go's names; `min_kernel` is "4.8"."""

    caps: list[str] = []
    arches: list[str] = []
    min_kernel: str = ""


class ProfileRule(msgspec.Struct, frozen=True, rename="camel"):
    """`name` is the old form of `names`; the values may be null in files that Go wrote."""

    action: str
    names: list[str] | None = None
    name: str = ""
    errno_ret: int | None = None
    args: list[spec.SeccompArg] | None = None
    comment: str = ""
    includes: Condition | None = None
    excludes: Condition | None = None


class ArchMap(msgspec.Struct, frozen=True, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """The file of `--security-opt seccomp=FILE`."""

    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[ArchMap] | None = None
    flags: list[str] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[ProfileRule] | None = None


def choose(choice: str, capabilities: Iterable[str]) -> spec.Seccomp | None:
    """The profile for a container on this machine: the default for "" and "builtin", else `choice` is JSON."""
    profile = default() if choice in ("", "builtin") else decode(choice.encode())
    system = os.uname()
    return resolve(profile, capabilities, system.machine, system.release)


def default() -> Profile:
    """rootfs/seccomp/default.json."""
    return decode((data_directory() / "default.json").read_bytes())


def decode(raw: bytes) -> Profile:
    """Raises UsageError with the place of what is wrong."""
    try:
        profile = msgspec.json.decode(raw, type=Profile)
    except msgspec.MsgspecError as error:
        raise UsageError(f"Decoding seccomp profile failed: {error}") from error
    if profile.architectures and profile.arch_map:
        raise UsageError("'architectures' and 'archMap' were specified in the seccomp profile, use either one of them")
    if any(rule.name and rule.names for rule in profile.syscalls or []):
        raise UsageError("'name' and 'names' were specified in the seccomp profile, use either one of them")
    return profile


def resolve(profile: Profile, capabilities: Iterable[str], machine: str, release: str) -> spec.Seccomp | None:
    """The profile for one container: its bounding set, the machine as uname(2) says, the kernel's release ("6.1.0").

    None for a profile that says nothing at all, which Docker takes as no filter.
    """
    if not profile.default_action and not profile.syscalls:
        return None
    native = seccomp_arch.native_arch(machine)
    held = (frozenset(capabilities), seccomp_arch.ARCHES[native].native, version(release))
    mapped = [
        name
        for entry in profile.arch_map or []
        if entry.architecture == native
        for name in [entry.architecture, *(entry.sub_architectures or [])]
    ]
    return spec.Seccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=mapped or profile.architectures or [],
        flags=profile.flags or None,
        listener_path=profile.listener_path,
        listener_metadata=profile.listener_metadata,
        syscalls=[
            spec.SeccompRule(rule.names or [rule.name], rule.action, rule.errno_ret, rule.args or [])
            for rule in profile.syscalls or []
            if applies(rule, *held)
        ],
    )


def applies(rule: ProfileRule, capabilities: frozenset[str], arch: str, kernel: tuple[int, int]) -> bool:
    """Included by all that `includes` names, and excluded by none of `excludes`."""
    wanted, unwanted = rule.includes or Condition(), rule.excludes or Condition()
    if unwanted.arches and arch in unwanted.arches:
        return False
    if any(name in capabilities for name in unwanted.caps):
        return False
    if unwanted.min_kernel and kernel >= version(unwanted.min_kernel):
        return False
    if wanted.arches and arch not in wanted.arches:
        return False
    if wanted.min_kernel and kernel < version(wanted.min_kernel):
        return False
    return all(name in capabilities for name in wanted.caps)


def version(text: str) -> tuple[int, int]:
    """`6.1.0-18-amd64` to (6, 1): the parts that Docker compares."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if not found:
        raise UsageError(f'invalid kernel version: {text}, expected "<kernel>.<major>"')
    return int(found[1]), int(found[2])


def demo() -> None:
    """How many system calls the default profile allows, and which one capability adds."""
    import os

    def allowed(*capabilities: str) -> set[str]:
        found = resolve(default(), capabilities, os.uname().machine, os.uname().release)
        return {name for rule in found.syscalls for name in rule.names if not rule.args} if found else set()

    more = sorted(allowed("CAP_SYS_TIME") - allowed())
    print(f"{len(allowed())} system calls; with CAP_SYS_TIME also {', '.join(more)}")


if __name__ == "__main__":
    demo()
