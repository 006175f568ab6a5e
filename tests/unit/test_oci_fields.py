"""docs/oci-fields.md: each member that the specification has is honoured in the file named there, or refused."""

from __future__ import annotations

import re
import types
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from minidock import spec
from minidock.errors import MinidockError
from minidock.kernel import mount_options
from minidock.kernel.cgroups import plan
from minidock.runtime import support
from tests.support import cgroups as fake

REPOSITORY = Path(__file__).parents[2]
HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
THROTTLES = ("throttleReadBpsDevice", "throttleWriteBpsDevice", "throttleReadIOPSDevice", "throttleWriteIOPSDevice")
SPECIFICATION = {
    # specs-go/config.go of runtime-spec 1.3, without what is another system's
    "": "ociVersion process root hostname domainname mounts hooks annotations linux",
    "process": "terminal consoleSize user args env cwd capabilities rlimits noNewPrivileges apparmorProfile oomScoreAdj"
    " scheduler selinuxLabel ioPriority execCPUAffinity",
    "process.consoleSize": "height width",
    "process.user": "uid gid umask additionalGids",
    "process.capabilities": "bounding effective inheritable permitted ambient",
    "process.rlimits": "type hard soft",
    "process.scheduler": "policy nice priority flags runtime deadline period",
    "process.ioPriority": "class priority",
    "process.execCPUAffinity": "initial final",
    "root": "path readonly",
    "mounts": "destination type source options uidMappings gidMappings",
    "mounts.uidMappings": "containerID hostID size",
    "mounts.gidMappings": "containerID hostID size",
    "hooks": " ".join(HOOKS),
    **{f"hooks.{stage}": "path args env timeout" for stage in HOOKS},
    "linux": "uidMappings gidMappings sysctl resources cgroupsPath namespaces devices netDevices seccomp"
    " rootfsPropagation maskedPaths readonlyPaths mountLabel intelRdt memoryPolicy personality timeOffsets",
    "linux.uidMappings": "containerID hostID size",
    "linux.gidMappings": "containerID hostID size",
    "linux.namespaces": "type path",
    "linux.devices": "path type major minor fileMode uid gid",
    "linux.netDevices": "name",
    "linux.seccomp": "defaultAction defaultErrnoRet architectures flags listenerPath listenerMetadata syscalls",
    "linux.seccomp.syscalls": "names action errnoRet args",
    "linux.seccomp.syscalls.args": "index value valueTwo op",
    "linux.intelRdt": "closID schemata l3CacheSchema memBwSchema enableMonitoring",
    "linux.memoryPolicy": "mode nodes flags",
    "linux.personality": "domain flags",
    "linux.timeOffsets": "secs nanosecs",
    "linux.resources": "devices memory cpu pids blockIO hugepageLimits network rdma unified",
    "linux.resources.devices": "allow type major minor access",
    "linux.resources.memory": "limit reservation swap kernel kernelTCP swappiness disableOOMKiller useHierarchy"
    " checkBeforeUpdate",
    "linux.resources.cpu": "shares quota burst period realtimeRuntime realtimePeriod cpus mems idle",
    "linux.resources.pids": "limit",
    "linux.resources.blockIO": f"weight leafWeight weightDevice {' '.join(THROTTLES)}",
    "linux.resources.blockIO.weightDevice": "major minor weight leafWeight",
    **{f"linux.resources.blockIO.{name}": "major minor rate" for name in THROTTLES},
    "linux.resources.hugepageLimits": "pageSize limit",
    "linux.resources.network": "classID priorities",
    "linux.resources.network.priorities": "name priority",
    "linux.resources.rdma": "hcaHandles hcaObjects",
}
MOUNT_OPTIONS = """
    async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime
    noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev
    rdiratime relatime remount rexec rnoatime rnodiratime rnoexec rnorelatime rnostrictatime rnosuid
    rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw
    shared silent slave strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap
"""
MEMBERS = [f"{name}.{member}".lstrip(".") for name, members in SPECIFICATION.items() for member in members.split()]


def rows() -> dict[str, str]:
    """The page: by member, where."""
    found: dict[str, str] = {}
    for line in (REPOSITORY / "docs" / "oci-fields.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")][1:-1]
        if len(cells) != 3 or not cells[1].startswith("`"):
            continue
        for name in re.findall(r"`(\S+)`", cells[0]) or [""]:
            for member in re.findall(r"`(\S+)`", cells[1]):
                path = f"{name}.{member}".lstrip(".")
                assert path not in found, f"{path} is there twice"
                found[path] = cells[2]
    return found


def attributes(kind: type, before: str = "") -> dict[str, str]:
    """By the specification's path, what our structs call it."""
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        path = f"{before}{field.encode_name}"
        found[path] = field.name
        inner = field.type
        while not isinstance(inner, type) or typing.get_origin(inner):
            if inner is Any:
                break
            args = [each for each in typing.get_args(inner) if each is not types.NoneType]
            inner = args[-1] if typing.get_origin(inner) is dict else args[0]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            found |= attributes(inner, f"{path}.")
    return found


def test_the_page_has_every_member_of_the_specification_and_no_other() -> None:
    assert set(rows()) == set(MEMBERS)


def test_what_is_honoured_is_decoded_and_used_where_the_page_says() -> None:
    names = attributes(spec.Spec)
    for path, where in rows().items():
        if where.startswith("refused"):
            continue
        files = [REPOSITORY / name for name in re.findall(r"`(minidock/\S+\.py)`", where)]
        assert files, path
        text = "".join(file.read_text() for file in files)
        if path == "linux.netDevices.name":  # the one object that is read as it comes
            assert '.get("name"' in text
            continue
        assert re.search(rf"\.{names[path]}\b", text), f"{path}: nothing in {where} looks at it"


REFUSED: dict[str, dict[str, Any]] = {
    "process.apparmorProfile": {"process": {"cwd": "/", "apparmorProfile": "x"}},
    "process.selinuxLabel": {"process": {"cwd": "/", "selinuxLabel": "x"}},
    "linux.mountLabel": {"linux": {"mountLabel": "x"}},
    "linux.intelRdt": {"linux": {"intelRdt": {}}},
    "linux.intelRdt.closID": {"linux": {"intelRdt": {"closID": "x"}}},
    "linux.intelRdt.schemata": {"linux": {"intelRdt": {"schemata": ["x"]}}},
    "linux.intelRdt.l3CacheSchema": {"linux": {"intelRdt": {"l3CacheSchema": "x"}}},
    "linux.intelRdt.memBwSchema": {"linux": {"intelRdt": {"memBwSchema": "x"}}},
    "linux.intelRdt.enableMonitoring": {"linux": {"intelRdt": {"enableMonitoring": True}}},
    "linux.resources.memory.kernel": {"linux": {"resources": {"memory": {"kernel": 1 << 20}}}},
    "linux.resources.blockIO.leafWeight": {"linux": {"resources": {"blockIO": {"leafWeight": 10}}}},
    "linux.resources.blockIO.weightDevice.leafWeight": {
        "linux": {"resources": {"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "leafWeight": 10}]}}}
    },
}


def test_each_refusal_of_the_page_is_tried_here() -> None:
    assert {path for path, where in rows().items() if where.startswith("refused")} == set(REFUSED)


@pytest.mark.parametrize("path", REFUSED)
def test_what_the_page_calls_refused_is(path: str, tmp_path: Path) -> None:
    config = spec.from_json(msgspec.json.encode({"ociVersion": "1.3.0", **REFUSED[path]}))
    with pytest.raises(MinidockError):
        support.check(config)
        plan(fake.v1(tmp_path), "/minidock/x", config.linux.resources)


def test_every_option_of_mounts_is_known() -> None:
    assert set(MOUNT_OPTIONS.split()) <= set(mount_options.known())
