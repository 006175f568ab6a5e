"""`minidock run` from the outside: what a user types, what the kernel then shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from tests.support.instance import Minidock, leftovers, settled


@pytest.fixture
def box(minidock: Minidock, busybox_image: Path) -> Minidock:
    """An instance that has the image busybox."""
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def namespaces(pid: int | str) -> dict[str, str]:
    return {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in ("pid", "net", "ipc", "mnt", "uts", "cgroup")}


def inspect(box: Minidock, name: str) -> dict:
    return json.loads(box("inspect", name, check=True).stdout)[0]


@pytest.mark.vm
def test_output_and_exit_code_are_the_commands(box: Minidock) -> None:
    result = box("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 42)


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/nosuch"], 127, 'exec: "/nosuch": stat /nosuch: no such file or directory'),
        (["/etc"], 126, 'exec: "/etc": is a directory'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
        (["sh", "-c", "sleep 9 & kill -9 $!; wait $!"], 137, ""),
        (["sh", "-c", "trap 'exit 3' TERM; kill $$"], 3, ""),
    ],
)
def test_exit_codes_are_dockers(box: Minidock, command: list[str], code: int, text: str) -> None:
    box("run", "--rm", "busybox", "true", check=True)
    result = box("run", "--rm", "--network", "none", "busybox", *command)
    assert result.returncode == code, result.stderr
    assert text in result.stderr


@pytest.mark.vm
def test_the_container_has_namespaces_of_its_own(box: Minidock) -> None:
    box("run", "-d", "--name", "one", "busybox", "sleep", "60", check=True)
    pid = inspect(box, "one")["State"]["Pid"]
    ours, theirs = namespaces("self"), namespaces(pid)
    assert not [name for name in ours if ours[name] == theirs[name]]
    status = Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.M)


def test_nothing_of_ours_leaks_in(box: Minidock) -> None:
    # ls itself opens the directory: 0, 1, 2 and that one.
    script = "ls /proc/self/fd | wc -l; env | sort"
    result = box("run", "--rm", "-e", "ONLY=this", "busybox", "sh", "-c", script, check=True)
    lines = result.stdout.splitlines()
    assert lines[0] == "4"
    names = {line.split("=")[0] for line in lines[1:]}
    assert names == {"HOME", "HOSTNAME", "ONLY", "PATH", "PWD", "SHLVL"}


@pytest.mark.vm
def test_a_detached_container_outlives_its_command_and_is_cleaned_up_by_its_shim(box: Minidock) -> None:
    box("run", "-d", "--name", "short", "busybox", "sh", "-c", "echo done; sleep 0.3; exit 9", check=True)
    record = box.layout.containers / inspect(box, "short")["Id"] / "container.json"
    deadline = time.monotonic() + 10
    while json.loads(record.read_text())["state"]["Status"] != "exited":  # nobody asks minidock meanwhile
        assert time.monotonic() < deadline, "the shim did not clean up"
        time.sleep(0.05)
    state = inspect(box, "short")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 9)
    assert box("logs", "short", check=True).stdout == "done\n"


def test_start_again_keeps_what_was_written(box: Minidock) -> None:
    box("run", "--name", "keep", "busybox", "sh", "-c", "date +%s%N >> /kept; wc -l < /kept", check=True)
    again = box("start", "-a", "keep", check=True)
    assert again.stdout.strip() == "2"


@pytest.mark.vm
def test_exec_is_in_all_namespaces_and_the_cgroup(box: Minidock) -> None:
    box("run", "-d", "--name", "host", "--memory", "64m", "busybox", "sleep", "60", check=True)
    listing = "for name in pid net mnt uts; do readlink /proc/self/ns/$name; done; cat /proc/self/cgroup"
    inside = box("exec", "host", "sh", "-c", listing, check=True).stdout
    first = box("exec", "host", "sh", "-c", listing.replace("self", "1"), check=True).stdout
    assert inside == first
    assert len(re.findall(r"\w+:\[\d+\]", inside)) == 4
    status = box("exec", "host", "grep", "-E", "^(Cap|Seccomp)", "/proc/self/status", check=True).stdout
    assert status == box("exec", "host", "grep", "-E", "^(Cap|Seccomp)", "/proc/1/status", check=True).stdout


def test_exec_passes_stdin_and_codes(box: Minidock) -> None:
    box("run", "-d", "--name", "host", "busybox", "sleep", "60", check=True)
    assert box("exec", "-i", "host", "cat", input="through\n").stdout == "through\n"
    assert box("exec", "host", "sh", "-c", "exit 7").returncode == 7
    assert box("exec", "host", "nosuch").returncode == 127
    box("stop", "-t", "0", "host", check=True)
    refused = box("exec", "host", "true")
    assert refused.returncode == 1
    assert "is not running" in refused.stderr


@pytest.mark.vm
def test_an_oom_kill_is_told(box: Minidock) -> None:
    result = box("run", "--name", "hog", "--memory", "16m", "--memory-swap", "16m", "busybox", "tail", "/dev/zero")
    assert result.returncode == 137
    assert re.search(r"memory limit 16 MiB, peak \S+ MiB, process tail", result.stderr)
    state = inspect(box, "hog")["State"]
    assert state["OOMKilled"] is True


@pytest.mark.vm
def test_limits_reach_the_kernel(box: Minidock) -> None:
    options = ["--memory", "64m", "--pids-limit", "33", "--cpus", "0.5", "--cpu-shares", "512"]
    box("run", "-d", "--name", "small", *options, "busybox", "sleep", "60", check=True)
    facts = inspect(box, "small")
    limits = {}
    for line in Path(f"/proc/{facts['State']['Pid']}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        base = Path("/sys/fs/cgroup") / (controllers if controllers else "")
        for name in ("memory.limit_in_bytes", "memory.max", "pids.max", "cpu.max", "cpu.cfs_quota_us", "cpu.shares"):
            file = base / path.strip("/") / name
            if file.exists():
                limits[name] = file.read_text().strip()
    assert limits.get("memory.max", limits.get("memory.limit_in_bytes")) == str(64 << 20)
    assert limits["pids.max"] == "33"
    assert limits.get("cpu.max", limits.get("cpu.cfs_quota_us")) in ("50000 100000", "50000")


def test_stop_is_term_then_kill(box: Minidock) -> None:
    box("run", "-d", "--name", "deaf", "busybox", "sleep", "60", check=True)
    box("stop", "-t", "1", "deaf", check=True)
    assert inspect(box, "deaf")["State"]["ExitCode"] == 137
    script = "trap 'exit 4' TERM; while :; do sleep 0.1; done"
    box("run", "-d", "--name", "polite", "busybox", "sh", "-c", script, check=True)
    box("stop", "polite", check=True)
    assert inspect(box, "polite")["State"]["ExitCode"] == 4


def test_a_running_container_is_not_removed(box: Minidock) -> None:
    box("run", "-d", "--name", "busy", "busybox", "sleep", "60", check=True)
    refused = box("rm", "busy")
    assert refused.returncode == 1
    assert "You cannot remove a running container" in refused.stderr


def test_bind_mounts_and_volumes(box: Minidock, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("from the host\n")
    mounts = ["-v", f"{tmp_path}/in:/data", "-v", f"{tmp_path}/in/file:/etc/one:ro", "-v", "named:/vol"]
    script = "cat /data/file /etc/one; echo x > /data/new; echo y > /vol/kept; echo z > /etc/one"
    result = box("run", "--rm", *mounts, "busybox", "sh", "-c", script)
    assert result.stdout == "from the host\nfrom the host\n"
    assert "Read-only file system" in result.stderr
    assert (tmp_path / "in" / "new").read_text() == "x\n"
    assert box("run", "--rm", "-v", "named:/vol", "busybox", "cat", "/vol/kept", check=True).stdout == "y\n"


def test_a_hostile_image_can_t_make_us_mount_outside(minidock: Minidock, tmp_path: Path) -> None:
    """CVE-2019-16884's kind: the image's /etc, /dev and /proc are links that lead out of it."""
    victim = tmp_path / "victim"
    victim.mkdir()
    archive = tmp_path / "hostile.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add("/bin/busybox", "bin/sh")
        for name in ("etc", "dev", "proc"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"../../../../../../../..{victim}"
            tar.addfile(link)
    minidock("import", str(archive), "hostile", check=True)
    minidock("run", "--rm", "hostile", "sh", "-c", "true")
    assert list(victim.iterdir()) == []


def test_read_only_root(box: Minidock) -> None:
    script = "touch /scratch/a && touch /b"
    result = box("run", "--rm", "--read-only", "--tmpfs", "/scratch", "busybox", "sh", "-c", script)
    assert "Read-only file system" in result.stderr
    assert result.returncode == 1


def test_an_unknown_image_leaves_nothing(box: Minidock) -> None:
    result = box("run", "nosuchimage")
    assert result.returncode == 125
    assert "nosuchimage" in result.stderr
    told = [line for line in result.stderr.splitlines() if line.startswith("minidock: ")]
    assert len(told) == 1
    assert box("ps", "-aq", check=True).stdout == ""


def test_container_id_network_is_shared(box: Minidock) -> None:
    box("run", "-d", "--name", "first", "busybox", "sleep", "60", check=True)
    pid = inspect(box, "first")["State"]["Pid"]
    shown = box("run", "--rm", "--network", "container:first", "busybox", "readlink", "/proc/self/ns/net", check=True)
    assert shown.stdout.strip() == os.readlink(f"/proc/{pid}/ns/net")


WITH_A_MARK = """
import sys
from pathlib import Path
from minidock.engine import execs
from minidock.model.requests import ExecRequest
from minidock.paths import Layout
execs.cleanup_command = lambda layout, container: ["/bin/sh", "-c", f"echo >> {sys.argv[2]}"]
layout = Layout(Path(sys.argv[1]))
for detach in sys.argv[3:]:
    assert execs.execute(layout, "one", ExecRequest(["true"], detach=detach == "-d")) == 0
"""


@pytest.mark.parametrize(("how", "cleaned"), [(["", ""], 0), (["", "-d"], 1)])
def test_an_exec_with_somebody_attached_costs_no_second_process_to_clean_up(
    box: Minidock, tmp_path: Path, how: list[str], cleaned: int
) -> None:
    """Its shim becomes `container cleanup`, an interpreter's start, only where nobody else has cleaned up."""
    box("run", "-d", "--name", "one", "--network", "none", "busybox", "sleep", "60", check=True)
    mark = tmp_path / "mark"
    subprocess.run([sys.executable, "-c", WITH_A_MARK, str(box.layout.root), str(mark), *how], check=True)
    assert not settled(lambda: [line for line in leftovers(box.layout) if "shim" in line][1:])
    assert not settled(lambda: [] if (mark.read_text().count("\n") if mark.exists() else 0) == cleaned else ["mark"])


STARTED_WITH_A_MARK = """
import sys
from pathlib import Path
from minidock.engine import start
from minidock.paths import Layout
start.cleanup_command = lambda layout, container: ["/bin/sh", "-c", f"echo >> {sys.argv[2]}"]
start.start(Layout(Path(sys.argv[1])), sys.argv[3])
"""


@pytest.mark.parametrize("ending", [["rm", "-f"], ["stop", "-t", "0"], ["kill"]])
def test_who_ends_a_container_cleans_up_after_it_alone(box: Minidock, tmp_path: Path, ending: list[str]) -> None:
    """Else two interpreters do the same work at once: on a busy machine the removal takes twice as long."""
    mark, said = tmp_path / "mark", ["sh", "-c", "while :; do echo nobody reads this; done"]
    box("create", "--name", "one", "--network", "none", "busybox", *said, check=True)
    subprocess.run([sys.executable, "-c", STARTED_WITH_A_MARK, str(box.layout.root), str(mark), "one"], check=True)
    assert box(*ending, "one", check=True).stdout == "one\n"
    assert not settled(lambda: leftovers(box.layout))  # its shim has gone, too
    assert not mark.exists()
    assert box("ps", "-aq", "--filter", "status=running", check=True).stdout == ""
