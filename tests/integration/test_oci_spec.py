"""Members of config.json that an engine like ours doesn't use itself, but others do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.oci import COUNT, Run, add_user_namespace, args, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]


def hook(script: str, **more: object) -> dict:
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], **more}


def test_hooks_run_in_order_in_their_places_with_the_state(oci: Run, bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    def tell(stage: str, where: str = str(log)) -> dict:
        return hook(f"echo {stage} $(cat) $(readlink /proc/self/ns/uts) $(pwd) >> {where}")

    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", f"echo command - $(readlink /proc/self/ns/uts) $(pwd) >> {log}"]
        config["root"]["readonly"] = False
        config["mounts"].append({"destination": str(log), "type": "bind", "source": str(log), "options": ["bind"]})
        stages = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
        config["hooks"] = {stage: [tell(stage)] for stage in stages}

    result = run_with(oci, bundle, change)
    assert result.returncode == 0, result.stderr
    rows = [line.split(" ") for line in log.read_text().splitlines()]
    ours = os.readlink("/proc/self/ns/uts")
    places = {row[0]: (row[-2] == ours, row[-1]) for row in rows}
    assert places == {
        "prestart": (True, str(bundle)),
        "createRuntime": (True, str(bundle)),
        "createContainer": (False, str(bundle / "rootfs")),
        "startContainer": (False, "/"),
        "command": (False, "/"),
        "poststart": (True, str(bundle)),
        "poststop": (True, str(bundle)),
    }
    assert [row[0] for row in rows][:4] == ["prestart", "createRuntime", "createContainer", "startContainer"]
    told = {row[0]: json.loads(" ".join(row[1:-2])) for row in rows if row[0] != "command"}
    assert {stage: state["status"] for stage, state in told.items()} == {
        "prestart": "creating",
        "createRuntime": "creating",
        "createContainer": "creating",
        "startContainer": "created",
        "poststart": "running",
        "poststop": "stopped",
    }
    assert told["createRuntime"]["id"] == "box"
    assert told["createRuntime"]["bundle"] == str(bundle)
    assert told["createContainer"]["pid"] == 1


@pytest.mark.parametrize("stage", ["prestart", "createRuntime", "createContainer"])
def test_a_hook_that_fails_or_takes_too_long_ends_the_container(oci: Run, bundle: Path, stage: str) -> None:
    for script, more, said in (("echo no >&2; exit 3", {}, "exit status 3"), ("sleep 60", {"timeout": 1}, "timeout")):

        def change(config: dict, script: str = script, more: dict = more) -> None:
            config["hooks"] = {stage: [hook(script, **more)]}

        result = run_with(oci, bundle, change)
        assert result.returncode == 1
        assert f"error running {stage} hook #0: " in result.stderr
        assert said in result.stderr
        assert oci("list", "-q").stdout == ""


def test_a_start_hook_has_the_command_s_filter_and_no_held_right(oci: Run, bundle: Path, tmp_path: Path) -> None:
    """It is a program of the container's: CAP_SYS_ADMIN, which loads the filter, must not be lent to it."""

    def change(config: dict) -> None:
        config["process"]["noNewPrivileges"] = False
        config["process"]["args"] = ["grep", "^CapEff", "/proc/self/status"]
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW"}
        config["hooks"] = {"startContainer": [hook("grep -E '^(CapPrm|CapAmb|Seccomp):' /proc/self/status > /out")]}
        config["root"]["readonly"] = False

    result = run_with(oci, bundle, change)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[1], 16) >> 21 & 1 == 0
    facts = dict(line.split(":\t") for line in (bundle / "rootfs" / "out").read_text().splitlines())
    assert int(facts["CapPrm"], 16) >> 21 & 1 == 0
    assert int(facts["CapAmb"], 16) >> 21 & 1 == 0
    assert facts["Seccomp"] == "2"


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


def test_tmpcopyup_keeps_what_was_there(oci: Run, bundle: Path) -> None:
    place = bundle / "rootfs" / "data" / "below"
    place.mkdir(parents=True)
    (place / "file").write_text("kept\n")

    def change(config: dict) -> None:
        config["process"]["args"] = [
            "sh",
            "-c",
            "cat /data/below/file; echo new > /data/more; grep ' /data' /proc/mounts",
        ]
        config["mounts"].append({"destination": "/data", "type": "tmpfs", "options": ["tmpcopyup", "size=64k"]})

    result = run_with(oci, bundle, change)
    assert result.stdout.split()[:3] == ["kept", "tmpfs", "/data"], result.stderr
    assert not (bundle / "rootfs" / "data" / "more").exists()


def test_an_idmapped_mount_shows_other_owners(oci: Run, bundle: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 1000, 1001)

    def change(config: dict) -> None:
        config["process"]["args"] = ["stat", "-c", "%u:%g", "/data/file"]
        mapping = [{"containerID": 1000, "hostID": 5000, "size": 10}]
        config["mounts"].append(
            {"destination": "/data", "type": "bind", "source": str(source), "options": ["rbind", "ridmap"],
             "uidMappings": mapping, "gidMappings": mapping}
        )  # fmt: skip

    result = run_with(oci, bundle, change)
    assert result.stdout == "5000:5001\n", result.stderr
    assert (source / "file").stat().st_uid == 1000


def test_a_user_namespace_gets_devices_and_sources_that_it_can_t_reach(oci: Run, bundle: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("lent\n")

    def change(config: dict) -> None:
        add_user_namespace(config, bundle)
        config["mounts"].append(
            {"destination": "/lent", "type": "bind", "source": str(closed / "file"), "options": ["bind"]}
        )
        config["linux"]["devices"] = [{"path": "/dev/odd", "type": "c", "major": 1, "minor": 5, "uid": 3, "gid": 4}]
        script = "cat /lent; stat -c %t:%T:%u:%g /dev/odd; echo x > /dev/null && echo null; head -c 2 /dev/zero | ls -"
        config["process"]["args"] = ["sh", "-c", script.partition("; head")[0]]

    result = run_with(oci, bundle, change)
    assert result.stdout.split() == ["lent", "1:5:3:4", "null"], result.stderr


def test_namespaces_by_path_with_a_user_namespace(oci: Run, bundle: Path) -> None:
    """Another container's network and user namespaces, entered before there is a process: it would lack the right."""
    configure(oci, bundle, lambda config: (add_user_namespace(config, bundle), args("sleep", "1000")(config))[0])
    oci("run", "-d", "-b", str(bundle), "first")
    pid = json.loads(oci("state", "first").stdout)["pid"]

    def change(config: dict) -> None:
        config["process"]["args"] = [
            "sh",
            "-c",
            "for kind in net user uts; do readlink /proc/self/ns/$kind; done; id -u",
        ]
        add_user_namespace(config, bundle)
        for entry in config["linux"]["namespaces"]:
            if entry["type"] in ("network", "user"):
                entry["path"] = f"/proc/{pid}/ns/{'net' if entry['type'] == 'network' else 'user'}"

    result = run_with(oci, bundle, change, "second")
    theirs = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("net", "user", "uts")]
    found = result.stdout.split()
    assert found[:2] == theirs[:2], result.stderr
    assert found[2] != theirs[2]
    assert found[3] == "0"


def test_propagation_of_the_root(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", "head -n 1 /proc/self/mountinfo"]
        config["linux"]["rootfsPropagation"] = "shared"

    result = run_with(oci, bundle, change)
    assert "shared:" in result.stdout, result.stderr
    fresh = subprocess.run(["grep", str(bundle), "/proc/self/mountinfo"], capture_output=True, text=True)
    assert fresh.stdout == ""


def test_a_tmpfs_that_others_hang_in_is_read_only_in_the_end(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        for mount in config["mounts"]:
            if mount["destination"] == "/dev":
                mount["options"].append("ro")
        config["process"]["args"] = ["sh", "-c", "echo x > /dev/null && touch /dev/new"]

    result = run_with(oci, bundle, change)
    assert "Read-only file system" in result.stderr


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


@pytest.fixture
def cable() -> Iterator[str]:
    """One end of a cable on the host, with addresses."""
    name = f"mdt{os.getpid() % 100000}n{next(COUNT)}"
    for line in (
        f"link add {name} mtu 1400 address 02:aa:00:00:00:01 type veth peer name {name}p",
        f"addr add 192.0.2.7/24 dev {name}",
        f"addr add 2001:db8::7/64 dev {name}",
        f"addr add 169.254.9.9/16 scope link dev {name}",
    ):
        subprocess.run(["ip", *line.split()], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", f"{name}p"], check=False, capture_output=True)


@pytest.mark.parametrize("joined", [False, True])
def test_a_network_device_moves_in_with_what_it_has(oci: Run, bundle: Path, cable: str, joined: bool) -> None:
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 100"], stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"\n"

    def change(config: dict) -> None:
        config["process"]["args"] = ["sleep", "100"]
        config["linux"]["netDevices"] = {cable: {"name": "card0"}}
        if joined:
            entries = [entry for entry in config["linux"]["namespaces"] if entry["type"] != "network"]
            config["linux"]["namespaces"] = [*entries, {"type": "network", "path": f"/proc/{holder.pid}/ns/net"}]

    configure(oci, bundle, change)
    try:
        oci("run", "-d", "-b", str(bundle), "box")
        pid = json.loads(oci("state", "box").stdout)["pid"]
        shown = subprocess.run(
            ["nsenter", "-t", str(pid), "-n", "ip", "addr", "show", "card0"], capture_output=True, text=True, check=True
        ).stdout
    finally:
        holder.kill()
        holder.wait()
    for part in ("mtu 1400", "02:aa:00:00:00:01", "192.0.2.7/24", "2001:db8::7/64", ",UP"):
        assert part in shown
    assert "169.254.9.9" not in shown
    assert not Path(f"/sys/class/net/{cable}").exists()


@pytest.mark.parametrize(
    "devices, said",
    [
        ({"mdtnone0": {}}, "there is no network device mdtnone0"),
        ({"lo": {"name": "a/b"}}, "invalid network device name"),
        ({"mdta": {"name": "same"}, "mdtb": {"name": "same"}}, "the same name"),
    ],
)
def test_a_network_device_that_can_t_be_moved(oci: Run, bundle: Path, devices: dict, said: str) -> None:
    configure(oci, bundle, lambda config: config["linux"].update(netDevices=devices))
    result = oci("run", "-b", str(bundle), "box", check=False)
    assert result.returncode == 1
    assert said in result.stderr
    assert oci("list", "-q").stdout == ""
