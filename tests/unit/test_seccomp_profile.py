"""Profiles in Docker's format: what their conditions come to for one container."""

from __future__ import annotations

import msgspec
import pytest

from minidock.errors import UsageError
from minidock.kernel import capabilities, seccomp_arch, seccomp_bpf
from minidock.kernel.seccomp_profile import Profile, decode, default, resolve, version


def rules(text: str, caps: list[str] | None = None, machine: str = "x86_64", release: str = "6.1.0-18") -> list[str]:
    """The names that are left of a profile with these rules."""
    profile = resolve(
        decode(f'{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{text}]}}'.encode()), caps or [], machine, release
    )
    assert profile is not None
    return [name for rule in profile.syscalls for name in rule.names]


@pytest.mark.parametrize(
    ("condition", "caps", "machine", "release", "stays"),
    [
        ("", [], "x86_64", "6.1.0", True),
        ('"includes": {"caps": ["CAP_A", "CAP_B"]}', ["CAP_A"], "x86_64", "6.1.0", False),
        ('"includes": {"caps": ["CAP_A", "CAP_B"]}', ["CAP_A", "CAP_B"], "x86_64", "6.1.0", True),
        ('"excludes": {"caps": ["CAP_A", "CAP_B"]}', ["CAP_A"], "x86_64", "6.1.0", False),
        ('"includes": {"arches": ["amd64", "x32"]}', [], "x86_64", "6.1.0", True),
        ('"includes": {"arches": ["amd64", "x32"]}', [], "aarch64", "6.1.0", False),
        ('"excludes": {"arches": ["arm64"]}', [], "aarch64", "6.1.0", False),
        ('"includes": {"minKernel": "4.8"}', [], "x86_64", "4.7.9-generic", False),
        ('"includes": {"minKernel": "4.8"}', [], "x86_64", "4.10", True),
        ('"excludes": {"minKernel": "4.8"}', [], "x86_64", "4.8.0", False),
    ],
)
def test_conditions(condition: str, caps: list[str], machine: str, release: str, stays: bool) -> None:
    comma = ", " if condition else ""
    text = f'{{"names": ["mount"], "action": "SCMP_ACT_ALLOW"{comma}{condition}}}'
    assert rules(text, caps, machine, release) == (["mount"] if stays else [])


def test_old_files_have_one_name_and_nulls() -> None:
    assert rules('{"name": "read", "names": null, "action": "SCMP_ACT_ALLOW", "args": null, "includes": null}') == [
        "read"
    ]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("{", "Decoding seccomp profile failed"),
        ('{"syscalls": 5}', r"Decoding seccomp profile failed: .*\$\.syscalls"),
        ('{"architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]}', "'archMap'"),
        ('{"syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}', "'names'"),
    ],
)
def test_damaged_profiles_are_told(raw: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        decode(raw.encode())


def test_an_empty_profile_is_no_filter() -> None:
    assert resolve(Profile(), [], "x86_64", "6.1") is None


def test_versions() -> None:
    assert version("6.18.44-fc") == (6, 18)
    with pytest.raises(UsageError, match="invalid kernel version"):
        version("six")


def test_every_name_of_the_default_profile_is_a_call_of_some_architecture() -> None:
    """A misspelt name would deny a call silently. Left: what only architectures beside x86 and arm have."""
    known = {name for table in seccomp_arch.numbers().values() for name in table}
    named = {name for rule in default().syscalls or [] for name in rule.names or []}
    elsewhere = {"riscv_hwprobe", "riscv_flush_icache", "swapcontext", "sync_file_range2"}
    assert {name for name in named - known if not name.startswith("s390_")} == elsewhere


def test_the_default_profile_compiles_for_every_machine_and_any_capability() -> None:
    for machine in seccomp_arch.NATIVE:
        for caps in ([], capabilities.DEFAULT, capabilities.NAMES):
            profile = resolve(default(), caps, machine, "6.1.0")
            assert profile is not None
            assert len(seccomp_bpf.compile_profile(profile, machine)) // 8 < 1000


def test_the_resolved_profile_is_oci() -> None:
    """runc's and crun's config.json: no member of Docker's own is left."""
    profile = resolve(default(), capabilities.DEFAULT, "x86_64", "6.1.0")
    members = {member for rule in msgspec.to_builtins(profile)["syscalls"] for member in rule}
    assert members == {"names", "action", "errnoRet", "args"}
