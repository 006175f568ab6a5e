"""What a config.json must not say is refused before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from minidock import spec
from minidock.errors import MinidockError
from minidock.kernel.credentials import SetUser
from minidock.oci.bundle import explicit
from minidock.runtime import support
from minidock.steps import Live

KINDS = [{"type": kind} for kind in ("mount", "pid", "uts", "ipc", "network")]
GOOD: dict[str, Any] = {"ociVersion": "1.1.0+dev", "process": {"cwd": "/"}, "linux": {"namespaces": KINDS}}


def linux(**members: Any) -> dict[str, Any]:
    return {"linux": {"namespaces": KINDS, **members}}


def process(**members: Any) -> dict[str, Any]:
    return {"process": {"cwd": "/", **members}}


def seccomp(**members: Any) -> dict[str, Any]:
    return linux(seccomp={"defaultAction": "SCMP_ACT_ALLOW", **members})


def compared(value: int, **members: Any) -> dict[str, Any]:
    argument = {"index": 0, "value": value, "op": "SCMP_CMP_EQ", **members}
    return {"names": ["kill"], "action": "SCMP_ACT_TRAP", "args": [argument]}


CORE = {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}
SHARED = {"type": "uts", "path": "/proc/self/ns/uts"}
ONE = [{"containerID": 0, "hostID": 0, "size": 1}]
REFUSED = {
    "invalid ociVersion 'one'": {"ociVersion": "one"},
    "of version 2.0.0": {"ociVersion": "2.0.0"},
    "pid twice": linux(namespaces=[*KINDS, {"type": "pid"}]),
    "namespaces: odd": linux(namespaces=[*KINDS, {"type": "odd"}]),
    # Else it would be the host's name that changes.
    "set hostname without": {"hostname": "box", "linux": {"namespaces": [{"type": "mount"}]}},
    "set domainname without": {"domainname": "box", "linux": {"namespaces": [{"type": "mount"}, SHARED]}},
    "without a private MNT namespace": {"linux": {"namespaces": [], "maskedPaths": ["/proc/keys"]}},
    "may mount nothing": {"linux": {"namespaces": [{"type": "user"}]}},
    "no new time namespace": linux(timeOffsets={"boottime": {"secs": 1}}),
    "user namespace isn't enabled": linux(uidMappings=ONE, gidMappings=ONE),
    "linux.maskedPaths: 'proc/keys'": linux(maskedPaths=["proc/keys"]),
    "linux.readonlyPaths: 'proc'": linux(readonlyPaths=["proc"]),
    "rootfsPropagation=odd": linux(rootfsPropagation="odd"),
    "mount at /x must have both": {"mounts": [{"destination": "/x", "uidMappings": ONE}]},
    "'sh' is not absolute": {"hooks": {"poststop": [{"path": "sh"}]}},
    "greater than zero": {"hooks": {"startContainer": [{"path": "/sh", "timeout": 0}]}},
    "Cwd must be an absolute path": process(cwd="tmp"),
    "RLIMIT_CORE twice": process(rlimits=[CORE, CORE]),
    "scheduler.nice: 30": process(scheduler={"policy": "SCHED_OTHER", "nice": 30}),
    "scheduler.priority can only": process(scheduler={"policy": "SCHED_OTHER", "priority": 4}),
    "runtime/deadline/period": process(scheduler={"policy": "SCHED_OTHER", "runtime": 4}),
    "invalid CPU affinity: 'x'": process(execCPUAffinity={"initial": "0", "final": "x"}),
    "environment variable: 'WORD'": process(env=["PATH=/bin", "WORD"]),
    "environment variable: '=x'": process(env=["=x"]),
    r"'A=x\\x00y' can't contain": process(env=["A=x\0y"]),
    r"'a\\x00b' can't contain": process(args=["a\0b"]),
    "boottime: nanosecs must": linux(
        namespaces=[*KINDS, {"type": "time"}], timeOffsets={"boottime": {"nanosecs": 10**9}}
    ),
    "wrong rlimit value: RLIMIT_CORE": process(rlimits=[{"type": "RLIMIT_CORE", "soft": 0, "hard": 1 << 64}]),
    "'realtime' is no clock": linux(namespaces=[*KINDS, {"type": "time"}], timeOffsets={"realtime": {"secs": 1}}),
    "only supported for bind": {"mounts": [{"destination": "/x", "type": "tmpfs", "options": ["idmap"]}]},
    "/y: id-mapped": {"mounts": [{"destination": "/y", "type": "tmpfs", "uidMappings": ONE, "gidMappings": ONE}]},
    "has no mappings": {"mounts": [{"destination": "/x", "type": "bind", "source": "/", "options": ["ridmap"]}]},
    "invalid device type 'x'": linux(devices=[{"type": "x", "path": "/dev/x"}]),
    "no device 1:1048576": linux(devices=[{"type": "c", "path": "/dev/x", "major": 1, "minor": 1 << 20}]),
    "no device -1:3": linux(devices=[{"type": "b", "path": "/dev/x", "major": -1, "minor": 3}]),
    "listenerMetadata without": seccomp(listenerMetadata="some"),
    "defaultErrnoRet with SCMP_ACT_ALLOW": seccomp(defaultErrnoRet=1),
    "errnoRet with SCMP_ACT_TRAP": seccomp(syscalls=[{"names": ["sync"], "action": "SCMP_ACT_TRAP", "errnoRet": 1}]),
    "unknown syscall nosuch": {
        **seccomp(syscalls=[{"names": ["sync", "nosuch"], "action": "SCMP_ACT_ERRNO"}]),
        "annotations": {"run.oci.seccomp_fail_unknown_syscall": "1"},
    },
    "errnoRet 5000 is above": seccomp(syscalls=[{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5000}]),
    "-1 is no value": seccomp(syscalls=[compared(-1)]),
    "18446744073709551616 is no value": seccomp(syscalls=[compared(1, valueTwo=1 << 64)]),
    "a rule without names": seccomp(syscalls=[{"names": [], "action": "SCMP_ACT_TRAP"}]),
}


@pytest.mark.parametrize("said", REFUSED)
def test_a_contradiction_is_refused(said: str) -> None:
    with pytest.raises(MinidockError, match=said):
        support.check(spec.from_json(spec.msgspec.json.encode({**GOOD, **REFUSED[said]})))


OUT_OF_RANGE = {
    "process.user.uid": process(user={"uid": 4294967295}),
    "process.user.gid": process(user={"gid": 4294967295}),
    "process.user.additionalGids": process(user={"additionalGids": [-1]}),
    "uidMappings.*hostID": linux(uidMappings=[{"containerID": 0, "hostID": -5, "size": 1}]),
    "gidMappings.*size": linux(gidMappings=[{"containerID": 0, "hostID": 0, "size": 0}]),
    "process.consoleSize.width": process(consoleSize={"height": 24, "width": 1 << 16}),
    "linux.devices.*uid": linux(devices=[{"type": "c", "path": "/dev/x", "uid": 4294967295}]),
}


@pytest.mark.parametrize("place", OUT_OF_RANGE)
def test_a_number_that_would_come_to_mean_another_one_is_refused_where_it_stands(place: str) -> None:
    """User 4294967295 was root: for setresuid(2) it is -1, "leave it as it is"."""
    with pytest.raises(spec.msgspec.ValidationError, match=place):
        spec.from_json(spec.msgspec.json.encode({**GOOD, **OUT_OF_RANGE[place]}))


def test_no_step_takes_stay_as_you_are_for_a_user() -> None:
    for uid, gid in ((4294967295, 0), (0, 4294967295)):
        with pytest.raises(MinidockError, match="no user or group"):
            SetUser(uid, gid, keep_groups=True).apply(Live())


def test_what_contradicts_nothing_is_not() -> None:
    more = {"hostname": "box", "domainname": "of", "hooks": {"poststop": [{"path": "/sh", "timeout": 1}]}}
    times = linux(namespaces=[*KINDS, {"type": "time"}], timeOffsets={"boottime": {"secs": 1}})
    for change in ({}, more, times, seccomp(syscalls=[{"names": ["sync"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}])):
        support.check(spec.from_json(spec.msgspec.json.encode({**GOOD, **change})))


@pytest.mark.parametrize(
    ("version", "limit", "meant"), [("1.3.0", 0, 1), ("1.10.0-rc.1", 0, 1), ("1.3.0", -1, -1), ("1.0.2-dev", 0, 0)]
)
def test_no_processes_at_all_is_meant_since_1_3(version: str, limit: int, meant: int) -> None:
    assert explicit(spec.Pids(limit=limit), version) == spec.Pids(limit=meant)
