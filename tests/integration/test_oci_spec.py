"""Members of config.json that an engine like ours doesn't use itself, but others do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.oci import Run, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]


@pytest.mark.parametrize("no_new_privs", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
def test_a_profile_needs_to_allow_nothing_of_ours(oci: Run, bundle: Path, no_new_privs: bool, uid: int) -> None:
    """Everything that setting up takes is denied, and so is execveat, by which runtimes often start the command."""
    denied = ["execveat", "setresuid", "setresgid", "setgroups", "close_range", "sendto", "openat2", "seccomp"]

    def change(config: dict) -> None:
        config["process"]["noNewPrivileges"] = no_new_privs
        config["process"]["user"] = {"uid": uid, "gid": uid}
        config["process"]["args"] = ["sh", "-c", "id -u; grep -E '^(NoNewPrivs|Seccomp|CapAmb):' /proc/self/status"]
        rule = {"names": denied, "action": "SCMP_ACT_KILL_PROCESS"}
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}

    result = run_with(oci, bundle, change)
    assert result.returncode == 0, result.stderr
    found = result.stdout.split()
    assert found[0] == str(uid)
    facts = dict(zip(found[1::2], found[2::2], strict=True))
    assert (facts["NoNewPrivs:"], facts["Seccomp:"]) == (str(int(no_new_privs)), "2")
    assert int(facts["CapAmb:"], 16) == 0


def test_scheduler_priority_and_personality(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", "uname -m; cat /proc/self/stat"]
        config["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 7}
        config["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
        config["linux"]["personality"] = {"domain": "LINUX32"}

    machine, _, rest = run_with(oci, bundle, change).stdout.partition("\n")
    assert machine == {"x86_64": "i686"}.get(os.uname().machine, machine)
    fields = rest.rpartition(")")[2].split()
    assert (fields[16], fields[38]) == ("7", "3")  # proc_pid_stat(5): nice, policy


@pytest.mark.parametrize(
    "key, value, said",
    [
        ("scheduler", {"policy": "SCHED_NONE"}, "invalid scheduler policy"),
        ("scheduler", {"policy": "SCHED_DEADLINE", "deadline": 9000}, "`SCHED_DEADLINE` requires `runtime`"),
        ("ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 9}, "invalid ioPriority.Priority"),
        ("rlimits", [{"type": "RLIMIT_NONE", "soft": 1, "hard": 1}], "RLIMIT_NONE"),
    ],
)
def test_what_no_kernel_knows_is_refused(oci: Run, bundle: Path, key: str, value: object, said: str) -> None:
    def change(config: dict) -> None:
        config["process"][key] = value

    result = run_with(oci, bundle, change)
    assert result.returncode == 1
    assert said in result.stderr


@pytest.mark.parametrize(
    "name, own, allowed",
    [
        ("net.ipv4.ip_default_ttl", "network", True),
        ("net.ipv4.ip_default_ttl", "", False),
        ("kernel.msgmax", "", False),
        ("kernel.panic", "network", False),
        ("kernel.hostname", "uts", False),
    ],
)
def test_only_settings_of_the_container_s_own_can_be_set(
    oci: Run, bundle: Path, name: str, own: str, allowed: bool
) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["true"]
        config["linux"]["sysctl"] = {name: "66"}
        keep = ("mount", "pid", own)
        config["linux"]["namespaces"] = [entry for entry in config["linux"]["namespaces"] if entry["type"] in keep]
        config.pop("hostname")
        config["mounts"] = [mount for mount in config["mounts"] if mount["type"] not in ("sysfs", "mqueue")]

    result = run_with(oci, bundle, change)
    assert (result.returncode == 0) == allowed, result.stderr
    assert allowed or f'sysctl \\"{name}\\"' in result.stderr


def test_memory_policy_also_of_an_exec(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["sleep", "100"]
        config["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}

    configure(oci, bundle, change)
    oci("run", "-d", "-b", str(bundle), "box")
    first = json.loads(oci("state", "box").stdout)["pid"]
    assert Path(f"/proc/{first}/numa_maps").read_text().split()[1] == "bind=static:0"
    assert oci("exec", "box", "head", "-n", "1", "/proc/self/numa_maps").stdout.split()[1] == "bind=static:0"


@pytest.mark.parametrize(
    "policy, said",
    [
        ({}, "invalid memory policy mode"),
        ({"mode": "INTERLEAVE", "nodes": "0"}, "invalid memory policy mode"),
        ({"mode": "MPOL_BIND", "nodes": "0", "flags": ["bad"]}, "invalid memory policy flag"),
        ({"mode": "MPOL_DEFAULT", "nodes": "0-7"}, "mode requires 0 nodes but got 8"),
        ({"mode": "MPOL_BIND", "nodes": "one"}, "invalid memory policy nodes"),
        ({"mode": "MPOL_BIND", "nodes": "0-999999999999"}, "no machine has that many"),
    ],
)
def test_a_memory_policy_that_no_kernel_knows(oci: Run, bundle: Path, policy: dict, said: str) -> None:
    configure(oci, bundle, lambda config: config["linux"].update(memoryPolicy=policy))
    result = oci("run", "-b", str(bundle), "box", check=False)
    assert result.returncode == 1
    assert said in result.stderr


def test_a_new_user_namespace_without_mappings_has_the_caller_s_users(oci: Run, bundle: Path) -> None:
    """And an exec, which reads config.json again, has the same. The container finds `lo` up; device nodes, which are
    bound here, are nothing to execute."""

    def change(config: dict) -> None:
        config["linux"]["namespaces"].append({"type": "user"})
        config["process"]["args"] = ["sleep", "60"]

    configure(oci, bundle, change)
    oci("run", "-d", "-b", str(bundle), "box")
    script = "id -u; cat /proc/self/uid_map /proc/self/gid_map /sys/class/net/lo/operstate; grep /dev/null /proc/mounts"
    lines = [line.split() for line in oci("exec", "box", "sh", "-c", script).stdout.splitlines()]
    ours = [Path(f"/proc/self/{name}").read_text().split() for name in ("uid_map", "gid_map")]
    assert lines[:4] == [["0"], [ours[0][0]] * 2 + [ours[0][2]], [ours[1][0]] * 2 + [ours[1][2]], ["unknown"]]
    assert {"nosuid", "noexec"} <= set(lines[4][3].split(","))


def test_a_sysfs_with_the_host_s_network_is_the_host_s_in_a_user_namespace(oci: Run, bundle: Path) -> None:
    """The kernel makes none there; what hangs below the host's, its cgroups above all, doesn't come along."""

    def change(config: dict) -> None:
        kept = [entry for entry in config["linux"]["namespaces"] if entry["type"] != "network"]
        config["linux"]["namespaces"] = [*kept, {"type": "user"}]
        config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] != "/sys/fs/cgroup"]
        config["process"]["args"] = ["sh", "-c", "ls /sys/class/net /sys/fs/cgroup; grep ' /sys ' /proc/mounts"]

    listed, _, mounted = run_with(oci, bundle, change).stdout.partition("sysfs /sys ")
    assert listed.split() == ["/sys/class/net:", *sorted(os.listdir("/sys/class/net")), "/sys/fs/cgroup:"]
    assert mounted.startswith("sysfs ro,nosuid,nodev,noexec") and mounted.count("\n") == 1


def test_only_half_of_the_mappings_is_a_mistake(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["linux"]["namespaces"].append({"type": "user"})
        config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]

    result = run_with(oci, bundle, change)
    assert result.returncode == 1
    assert "user namespaces enabled, but linux.uidMappings or linux.gidMappings not found" in result.stderr
