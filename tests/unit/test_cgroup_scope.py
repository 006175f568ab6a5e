"""A scope of systemd's: its name, its place, and the limits in its words (kernel/scope.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.errors import UsageError
from minidock.kernel import scope
from minidock.kernel.cgroup_files import Cgroup, Hierarchies
from minidock.kernel.device_filter import ALLOW_ALL, DENY_ALL
from minidock.spec import Cpu, DeviceRule, Memory, Pids, Resources
from tests.support import cgroups as fake

V1 = Hierarchies(v1={name: f"/sys/fs/cgroup/{name}" for name in ("memory", "cpu", "pids", "blkio", "name=systemd")})


@pytest.mark.parametrize(
    ("path", "unit", "place"),
    [
        ("", "minidock-one.scope", "/system.slice/minidock-one.scope"),
        ("machine.slice:libpod:abc", "libpod-abc.scope", "/machine.slice/libpod-abc.scope"),
        (":docker:abc", "docker-abc.scope", "/system.slice/docker-abc.scope"),
        ("a-b-c.slice::x", "x.scope", "/a.slice/a-b.slice/a-b-c.slice/x.scope"),
        ("-.slice:p:x", "p-x.scope", "/p-x.scope"),
    ],
)
def test_the_path_names_a_slice_and_a_unit(path: str, unit: str, place: str) -> None:
    found = scope.scope_of(path, "one")
    assert (found.unit, found.path) == (unit, place)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/minidock/x", 'format "slice:prefix:name"'),
        ("a:b:c:d", 'format "slice:prefix:name"'),
        ("system.slice:p:", 'format "slice:prefix:name"'),
        ("system:p:x", "invalid slice name: system"),
        ("a--b.slice:p:x", "invalid slice name"),
        ("../up.slice:p:x", "invalid slice name"),
        ("system.slice:p:../x", "can't be the name of a unit"),
        (f"system.slice:p:{'x' * 250}", "can't be the name of a unit"),
    ],
)
def test_another_form_is_refused(path: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        scope.scope_of(path, "one")


def told(hierarchies: Hierarchies, wanted: Resources) -> dict[str, object]:
    return {name: value for name, _, value in scope.limits(Cgroup("/system.slice/x.scope", hierarchies), wanted)}


WANTED = Resources(
    memory=Memory(limit=64 << 20, reservation=32 << 20, swap=96 << 20),
    cpu=Cpu(shares=1024, quota=50_000, period=100_000),
    pids=Pids(limit=-1),
)


def test_limits_in_the_words_of_version_2(tmp_path: Path) -> None:
    assert told(fake.v2(tmp_path), WANTED) == {
        "MemoryMax": 64 << 20, "MemoryLow": 32 << 20, "MemorySwapMax": 32 << 20, "TasksMax": scope.UNLIMITED,
        "CPUWeight": 39, "CPUQuotaPerSecUSec": 500_000,
    }  # fmt: skip
    unified = {"memory.high": "1000", "pids.max": "max", "cpu.max": "max 1000", "io.weight": "default 5"}
    assert told(fake.v2(tmp_path), Resources(unified=unified)) == {
        "MemoryHigh": 1000, "TasksMax": scope.UNLIMITED, "CPUQuotaPerSecUSec": scope.UNLIMITED,
    }  # fmt: skip


def test_limits_in_the_words_of_version_1() -> None:
    assert told(V1, WANTED) == {
        "MemoryLimit": 64 << 20, "TasksMax": scope.UNLIMITED, "CPUShares": 1024, "CPUQuotaPerSecUSec": 500_000,
    }  # fmt: skip


def test_a_quota_is_rounded_up_to_what_systemd_can_write_back(tmp_path: Path) -> None:
    assert told(fake.v2(tmp_path), Resources(cpu=Cpu(quota=3_333, period=100_000))) == {"CPUQuotaPerSecUSec": 40_000}


def properties(wanted: Resources, annotations: dict[str, str]) -> dict[str, tuple[str, object]]:
    return {name: (kind, value) for name, kind, value in scope.properties(Cgroup("/x", V1), wanted, annotations)}


def test_its_own_device_filter_lets_through_all_that_ours_does() -> None:
    """systemd writes it at every reload: with another policy a reload would open every device, or take some away."""
    rules = [DENY_ALL, DeviceRule(allow=True, type="c", major=195, minor=None, access="rw"),
             DeviceRule(allow=True, type="b", major=8, minor=1, access="r")]  # fmt: skip
    found = properties(Resources(devices=rules), {})
    assert found["DevicePolicy"] == ("s", "strict")
    allowed = found["DeviceAllow"][1]
    assert isinstance(allowed, list)
    assert {("char-195", "rw"), ("/dev/block/8:1", "r"), ("/dev/char/1:3", "rwm"), ("char-*", "m")} <= set(allowed)
    privileged = properties(Resources(devices=[ALLOW_ALL]), {})
    assert privileged["DevicePolicy"] == ("s", "auto")
    assert "DeviceAllow" not in privileged


def test_annotations_are_properties() -> None:
    found = properties(Resources(), {
        "org.systemd.property.TimeoutStopUSec": "uint64 5000000", "org.systemd.property.CollectMode": "'inactive'",
        "org.systemd.property.SendSIGHUP": "true", "org.systemd.property.KillSignal": "15",
        "org.systemd.property.RuntimeMaxSec": "1.5", "other": "5",
    })  # fmt: skip
    assert found["TimeoutStopUSec"] == ("t", 5_000_000)
    assert found["CollectMode"] == ("s", "inactive")
    assert found["SendSIGHUP"] == ("b", True)
    assert found["KillSignal"] == ("i", 15)
    assert found["RuntimeMaxUSec"] == ("t", 1_500_000)
    with pytest.raises(UsageError, match="can't read 'now'"):
        properties(Resources(), {"org.systemd.property.X": "now"})
    with pytest.raises(UsageError, match="no number of seconds"):
        properties(Resources(), {"org.systemd.property.TimeoutStopSec": "'long'"})
