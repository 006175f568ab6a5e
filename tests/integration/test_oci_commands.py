"""minidock-oci's commands beyond the lifecycle, as engines and people use them."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import require_feature
from tests.support.oci import Run, args, box, bundle, configure, oci, run_with, status, wait_for

__all__ = ["box", "bundle", "oci"]


def test_exec_by_flags(oci: Run, box: str) -> None:
    assert "level=warning msg=\"can't grant CAP_NONE" in oci("exec", "--cap", "CAP_NONE", box, "true").stderr
    script = "echo $A $PWD $(id -u):$(id -g); exit 7"
    result = oci("exec", "-e", "A=1", "-e", "A=2", "--cwd", "/bin", "-u", "5:6", box, "sh", "-c", script, check=False)
    assert (result.stdout, result.returncode) == ("2 /bin 5:6\n", 7)
    bounding = oci("exec", "--cap", "CAP_SYS_TIME", box, "grep", "CapBnd", "/proc/self/status").stdout
    assert int(bounding.split()[1], 16) >> 25 & 1
    assert "exec failed: container does not exist" in oci("exec", "nobody", "true", check=False).stderr
    missing = oci("exec", box, "nosuch", check=False)
    assert missing.returncode == 255
    assert 'exec failed: unable to start container process: exec: \\"nosuch\\": executable' in missing.stderr


def test_exec_by_process_file_and_detached(oci: Run, box: str, tmp_path: Path) -> None:
    process = {"args": ["sleep", "999"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}
    (tmp_path / "process.json").write_text(json.dumps(process))
    oci("exec", "-d", "-p", str(tmp_path / "process.json"), "--pid-file", str(tmp_path / "pid"), box)
    pid = int((tmp_path / "pid").read_text())
    assert pid in json.loads(oci("ps", "-f", "json", box).stdout)
    assert "sleep 999" in oci("ps", box).stdout


@pytest.mark.vm
def test_a_paused_container_takes_no_exec_and_can_be_deleted(oci: Run, box: str) -> None:
    oci("pause", box)
    assert status(oci, box) == "paused"
    refused = oci("exec", box, "true", check=False)
    assert refused.returncode == 255
    assert "cannot exec in a paused container" in refused.stderr
    assert "container not running" in oci("pause", box, check=False).stderr
    oci("resume", box)
    assert status(oci, box) == "running"
    assert "container not paused" in oci("resume", box, check=False).stderr
    oci("pause", box)
    oci("delete", "--force", box)


def test_a_process_that_was_moved_to_another_frozen_cgroup_dies_all_the_same(oci: Run, box: str) -> None:
    require_feature("cgroup-v1")
    others = Path(f"/sys/fs/cgroup/freezer/mdt-{os.getpid()}-others")
    others.mkdir()
    try:
        (others / "cgroup.procs").write_text(str(json.loads(oci("state", box).stdout)["pid"]))
        (others / "freezer.state").write_text("FROZEN")
        oci("delete", "--force", box)
        assert (others / "freezer.state").read_text() == "FROZEN\n"  # not ours to thaw
        assert (others / "cgroup.procs").read_text() == ""
    finally:
        (others / "freezer.state").write_text("THAWED")
        others.rmdir()


def test_delete_by_a_pattern(oci: Run, bundle: Path) -> None:
    for name in ("web-1", "web-2", "db"):
        configure(oci, bundle, args("sleep", "1000"))
        oci("create", "-b", str(bundle), name)
    oci("delete", "--regex", "^web-[0-9]$")
    assert oci("list", "-q").stdout == "db\n"
    assert "invalid regular expression" in oci("delete", "--regex", "(", check=False).stderr


@pytest.mark.parametrize("kept, groups", [("1", {"6", "41", "42"}), ("0", {"6", "8"})])
def test_the_caller_s_groups_are_kept_when_an_annotation_asks(
    oci: Run, bundle: Path, tmp_path: Path, kept: str, groups: set[str]
) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["id", "-G"]
        config["process"]["user"] = {"uid": 5, "gid": 6, "additionalGids": [8]}
        config["annotations"] = {"run.oci.keep_original_groups": kept}

    configure(oci, bundle, change)
    command = [sys.executable, "-m", "minidock.oci.cli", "--root", str(tmp_path / "state"), "run", "box"]
    done = subprocess.run(command, cwd=bundle, extra_groups=[41, 42], capture_output=True, text=True, timeout=60)
    assert set(done.stdout.split()) == groups, done.stderr


def test_list_and_state(oci: Run, box: str, bundle: Path) -> None:
    assert oci("list", "-q").stdout == "box\n"
    (row,) = json.loads(oci("list", "-f", "json").stdout)
    assert (row["id"], row["status"], row["bundle"], row["owner"]) == ("box", "running", str(bundle), "root")
    assert oci("list").stdout.split()[:6] == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert json.loads(oci("state", box).stdout)["pid"] == row["pid"]


@pytest.mark.vm
def test_update_changes_the_limits(oci: Run, box: str, tmp_path: Path) -> None:
    oci("update", "--pids-limit", "42", "--memory", "64M", box)
    stats = json.loads(oci("events", "--stats", box).stdout)
    assert stats["data"]["pids"]["limit"] == 42
    assert stats["data"]["memory"]["usage"]["limit"] == 64 << 20
    # On version 2 a cgroup has the files only when somebody limits processors.
    if Path("/sys/fs/cgroup/cpuset").is_dir():
        assert set(stats["data"]["cpuset"]["cpus"]) >= os.sched_getaffinity(0)
        assert 0 in stats["data"]["cpuset"]["mems"]
    # One page is less than what any process uses: version 2 would kill for it, and version 1 has its own reason.
    resources = tmp_path / "resources.json"
    resources.write_text(json.dumps({"memory": {"limit": 4096, "checkBeforeUpdate": True}}))
    refused = oci("update", "-r", str(resources), box, check=False)
    assert "unable to set memory limit to 4096 (current usage: " in refused.stderr
    assert json.loads(oci("state", box).stdout)["status"] == "running"
    oci("update", "--memory", "128M", "--memory-swap", "256M", box)
    assert json.loads(oci("events", "--stats", box).stdout)["data"]["memory"]["usage"]["limit"] == 128 << 20
    assert oci("update", "--memory", "lots", box, check=False).returncode == 1
    assert "Kernel memory settings are ignored" in oci("update", "--kernel-memory", "9M", box).stderr
    counted = json.loads(oci("events", "--stats", box).stdout)["data"]
    assert counted["memory"]["swap"]["limit"] == 256 << 20
    assert counted["memory"]["swap"]["usage"] >= counted["memory"]["usage"]["usage"] > 0
    if Path("/sys/fs/cgroup/cpuacct").is_dir():
        kinds = [counted["cpu"]["usage"][name] for name in ("percpu", "percpu_kernel", "percpu_user")]
        assert {len(kind) for kind in kinds} == {os.cpu_count()}
        assert sum(kinds[0]) > 0
        assert counted["memory"]["kernel"]["usage"] > 0


def test_without_a_pid_namespace_kill_ends_everybody(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", "sleep 998 & sleep 999"]
        config["linux"]["namespaces"] = [entry for entry in config["linux"]["namespaces"] if entry["type"] != "pid"]

    configure(oci, bundle, change)
    oci("run", "-d", "-b", str(bundle), "box")
    oci("kill", "box", "KILL")
    wait_for(oci, "box", "stopped")
    assert oci("ps", "-f", "json", "box").stdout == "null\n"
    oci("delete", "box")


def test_errors_go_to_the_log_as_engines_read_them(oci: Run, tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    result = oci("--log", str(log), "--log-format", "json", "state", "nobody", check=False)
    assert (result.returncode, result.stderr) == (1, "container does not exist\n")
    assert '"level":"error"' in log.read_text()  # scripts look for it so, and Go writes no blank
    told = json.loads(log.read_text())
    assert (told["level"], told["msg"]) == ("error", "container does not exist")
    assert told["time"].endswith("Z")
    assert oci("delete", "--force", "nobody").returncode == 0


@pytest.mark.parametrize(
    "words, said",
    [
        (["checkpoint", "box"], "CRIU"),
        (["--criu", "/usr/sbin/criu", "list"], "CRIU"),
        (["restore", "box"], "CRIU"),
        (["run", "-b", "/", "../up"], "JSON specification file config.json not found"),
        (["state", "../up"], "invalid container ID format"),
        (["state"], "requires exactly 1 argument"),
        (["kill", "box", "SIGNONSENSE"], "unknown signal"),
        (["kill", "box", "99"], 'unknown signal \\"99\\"'),
        (["kill", "box", "-9"], "flag provided but not defined: -9"),
        (["create", "--no-pivot=x", "box"], 'invalid boolean value \\"x\\" for -no-pivot: parse error'),
        (["create", "--preserve-fds", "x", "box"], 'invalid value \\"x\\" for flag -preserve-fds: parse error'),
        (["start", "--nonsense", "box"], "flag provided but not defined: -nonsense"),
        (["--log-format", "xml", "list"], "invalid log-format"),
        (["events", "--interval", "soon", "box"], "invalid duration"),
        (["--log", "/nowhere/log", "list"], "open /nowhere/log: no such file or directory"),
        (["state", "a/b"], "invalid character '/' in the container ID"),
        (["state", ".hidden"], "invalid container ID format"),
    ],
)
def test_bad_words_are_told(oci: Run, words: list[str], said: str) -> None:
    result = oci(*words, check=False)
    assert result.returncode == 1
    assert said in result.stderr


def test_a_specification_for_who_isn_t_root(oci: Run, bundle: Path) -> None:
    oci("spec", "--rootless", "-b", str(bundle))
    config = json.loads((bundle / "config.json").read_text())
    kinds = {entry["type"] for entry in config["linux"]["namespaces"]}
    assert "user" in kinds and "network" not in kinds
    assert config["linux"]["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    assert "resources" not in config["linux"]
    assert not [word for mount in config["mounts"] for word in mount.get("options", []) if word.startswith("gid=")]
    config["process"] |= {"terminal": False, "args": ["ls", "/sys/class/net"]}
    (bundle / "config.json").write_text(json.dumps(config))
    assert oci("run", "-b", str(bundle), "box").stdout.split() == sorted(os.listdir("/sys/class/net"))


def test_systemd_is_not_asked_where_it_is_not_the_first_process(oci: Run, bundle: Path) -> None:
    """Where it is: test_oci_systemd.py."""
    require_feature("no-systemd")
    configure(oci, bundle, args("true"))
    result = oci("--systemd-cgroup", "run", "-b", str(bundle), "box", check=False)
    assert "can't let systemd make the cgroup" in result.stderr


def test_features_and_help(oci: Run) -> None:
    told = json.loads(oci("features").stdout)
    assert {"tmpcopyup", "ridmap", "rro", "dirsync", "lazytime", "nosymfollow"} <= set(told["mountOptions"])
    assert told["linux"]["cgroup"] == {"v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True}
    # What is honoured, and may let a container do more: features.md.
    assert set(told["potentiallyUnsafeConfigAnnotations"]) == {"org.systemd.property.", "run.oci."}
    assert "minidock-oci exec" in oci("exec", "-h").stdout
    lines = oci("--version").stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines[:2]] == ["minidock-oci", "commit:"]  # dockerd reads these two
    assert lines[2] == "spec: 1.3.0"
    assert "+SYSTEMD_NOTIFY" in lines[3].split()  # and crun's tests this one


def test_descriptors_are_passed_on_when_asked_for(oci: Run, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "told").write_text("from outside\n")
    configure(oci, bundle, args("sh", "-c", "cat <&3; ls /proc/self/fd"))
    command = [sys.executable, "-m", "minidock.oci.cli", "--root", str(tmp_path / "state"), "run", "-b", str(bundle)]
    script = f'exec "$@" 3<{tmp_path}/told 4</etc/passwd'
    passed = ["sh", "-c", script, "sh", *command, "--preserve-fds", "1", "box"]
    words = subprocess.run(passed, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert words[:2] == ["from", "outside"]
    assert words[2:] == ["0", "1", "2", "3", "4"]  # 4 is the listing's own


def test_a_terminal_in_the_foreground_is_ours(oci: Run, bundle: Path, tmp_path: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["terminal"] = True
        config["process"]["args"] = ["sh", "-c", "tty; stty size; read line; echo got $line"]

    configure(oci, bundle, change)
    master, slave = pty.openpty()
    os.set_blocking(master, True)
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    command = [sys.executable, "-m", "minidock.oci.cli", "--root", str(tmp_path / "state")]
    process = subprocess.Popen(
        [*command, "run", "-b", str(bundle), "term"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    shown = b""
    while b"33 77" not in shown:
        shown += os.read(master, 1000)
    os.write(master, b"words\r")
    while b"got words" not in shown:
        shown += os.read(master, 1000)
    assert b"/dev/pts/0" in shown
    assert process.wait(timeout=20) == 0
    os.close(master)


def test_signals_reach_a_foreground_container(oci: Run, bundle: Path, tmp_path: Path) -> None:
    configure(oci, bundle, args("sh", "-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done"))
    command = [sys.executable, "-m", "minidock.oci.cli", "--root", str(tmp_path / "state")]
    process = subprocess.Popen([*command, "run", "-b", str(bundle), "sig"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(10)
    assert process.wait(timeout=20) == 9


def test_what_fails_leaves_nothing(oci: Run, bundle: Path, tmp_path: Path) -> None:
    result = run_with(oci, bundle, args("nosuch"))
    assert result.returncode == 1
    assert 'runc run failed: unable to start container process: exec: \\"nosuch\\"' in result.stderr
    assert not (tmp_path / "state" / "box").exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/minidock-oci/test-{os.getpid()}-*"))


def test_a_descriptor_of_the_process_goes_to_the_pidfd_socket(oci: Run, bundle: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "pidfd.sock")
    configure(oci, bundle, args("sleep", "100"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()
        oci("run", "--detach", "--pidfd-socket", path, "-b", str(bundle), "box")
        oci("exec", "--detach", "--pidfd-socket", path, "box", "sleep", "100")
        first, second = _descriptor_of(server), _descriptor_of(server)
    told = dict(line.split(":\t") for line in Path(f"/proc/self/fdinfo/{first}").read_text().splitlines())
    assert told["Pid"] == str(json.loads(oci("state", "box").stdout)["pid"])
    signal.pidfd_send_signal(second, signal.SIGKILL)
    signal.pidfd_send_signal(first, signal.SIGKILL)
    wait_for(oci, "box", "stopped")
    os.close(first)
    os.close(second)


def _descriptor_of(server: socket.socket) -> int:
    connection, _ = server.accept()
    with connection:
        return socket.recv_fds(connection, 16, 1)[1][0]


def test_a_pidfd_socket_at_which_nobody_listens_makes_no_container(oci: Run, bundle: Path, tmp_path: Path) -> None:
    configure(oci, bundle, args("sleep", "100"))
    done = oci("create", "--pidfd-socket", str(tmp_path / "no.sock"), "-b", str(bundle), "box", check=False)
    assert done.returncode == 1
    assert "no.sock" in done.stderr
    assert oci("list", "-q").stdout == ""


def test_debug_tells_of_each_step_and_who_takes_it(oci: Run, bundle: Path, tmp_path: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["sleep", "1000"]
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}

    configure(oci, bundle, change)
    log = ["--debug", "--log", str(tmp_path / "log"), "--log-format", "json"]
    oci(*log, "run", "-d", "-b", str(bundle), "box")
    told = [json.loads(line)["msg"] for line in (tmp_path / "log").read_text().splitlines()]
    assert told[0] == "minidock-oci run box"
    assert "container: swap the root for the container's, and let the host's go" in told
    assert told.index("seccomp filter flags: 2") == len(told) - 3
    assert told[-2:] == ["container: become sleep 1000", "init: closing the pipe to signal completion"]
    assert told.index("=> nsexec container setup") < told.index("child process in init()")
    (tmp_path / "log").unlink()
    process = {"args": ["true"], "cwd": "/", "execCPUAffinity": {"initial": "0"}}
    (tmp_path / "process.json").write_text(json.dumps(process))
    oci(*log, "exec", "--process", str(tmp_path / "process.json"), "box")
    told = [json.loads(line)["msg"] for line in (tmp_path / "log").read_text().splitlines()]
    assert told.index("child process in init()") < told.index("nsexec: affinity: 0x1")
    assert "container: enter the working directory /" in told
    assert told[-1] == "setns_init: about to exec"
