"""minidock-oci when something goes wrong halfway: what was done is undone, and one line says why."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minidock.errors import Conflict
from minidock.kernel import cgroups
from minidock.oci.container import Runtime
from minidock.oci.log import Log
from tests.support.needs import require_feature
from tests.support.oci import Run, args, box, bundle, configure, oci, status, wait_for

__all__ = ["box", "bundle", "oci"]


def command(tmp_path: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "minidock.oci.cli", "--root", str(tmp_path / "state"), *words]


def test_of_two_that_start_it_one_is_told_that_it_runs(oci: Run, bundle: Path, tmp_path: Path) -> None:
    configure(oci, bundle, args("sleep", "1000"))
    oci("create", "-b", str(bundle), "box")
    both = [subprocess.Popen(command(tmp_path, "start", "box"), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted((process.wait(60), process.communicate()[1]) for process in both)
    assert said[0] == (0, "")
    assert "cannot start an already running container" in said[1][1]
    assert said[1][0] == 1


def test_one_that_was_started_since_we_looked(
    oci: Run, box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(tmp_path / "state", Log())
    monkeypatch.setattr(runtime, "status", lambda _: "created")
    with pytest.raises(Conflict, match="cannot start an already running container"):
        runtime.start(box)


def test_a_number_that_has_become_another_process_s_gets_no_signal(
    box: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime(tmp_path / "state", Log())
    monkeypatch.setattr(runtime, "status", lambda _: "running")
    with subprocess.Popen(["sleep", "100"]) as other:
        state = json.loads((tmp_path / "state" / box / "state.json").read_text())
        first = state["pid"]
        (tmp_path / "state" / box / "state.json").write_text(json.dumps({**state, "pid": other.pid}))
        with pytest.raises(Conflict, match="container not running"):
            runtime.kill(box, signal.SIGKILL)
        assert other.poll() is None
        other.kill()
    (tmp_path / "state" / box / "state.json").write_text(json.dumps({**state, "pid": first}))


def test_kill_of_all_reaches_who_stands_frozen_and_who_forks_meanwhile(oci: Run, bundle: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["sh", "-c", "while :; do sh -c 'sleep 7 & sleep 7' & sleep 0.01; done"]
        config["linux"]["namespaces"] = [entry for entry in config["linux"]["namespaces"] if entry["type"] != "pid"]

    configure(oci, bundle, change)
    group = json.loads((bundle / "config.json").read_text())["linux"]["cgroupsPath"]
    oci("run", "-d", "-b", str(bundle), "box")
    oci("pause", "box")
    oci("kill", "--all", "box", "KILL")
    assert cgroups.processes(group) == []
    assert status(oci, "box") == "stopped"


def test_a_program_whose_pid_can_t_be_written_down_does_not_run(oci: Run, box: str, tmp_path: Path) -> None:
    done = oci("exec", "-d", "--pid-file", str(tmp_path / "no" / "pid"), box, "sleep", "999", check=False)
    assert done.returncode == 255
    assert "no such file or directory" in done.stderr
    first = json.loads(oci("state", box).stdout)["pid"]
    assert json.loads(oci("ps", "-f", "json", box).stdout) == [first]


def test_a_terminal_that_nobody_looks_at_ends_the_container(oci: Run, bundle: Path, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["terminal"] = True
        config["process"]["args"] = ["sh", "-c", "while :; do echo more; done"]

    configure(oci, bundle, change)
    reading, writing = os.pipe()
    with subprocess.Popen(
        command(tmp_path, "run", "-b", str(bundle), "box"),
        stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        os.close(writing)
        assert os.read(reading, 1) == b"m"
        os.close(reading)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "broken pipe" in said
    assert oci("list", "-q").stdout == ""


def test_an_update_that_is_refused_changes_nothing(oci: Run, box: str) -> None:
    require_feature("cgroup-v1")
    group = Path(
        "/sys/fs/cgroup/cpu" + json.loads((bundle_of(oci, box) / "config.json").read_text())["linux"]["cgroupsPath"]
    )
    before = (group / "cpu.shares").read_text()
    oci("update", "--cpu-share", "512", box)
    assert (group / "cpu.shares").read_text() == "512\n" != before
    refused = oci("update", "--cpu-share", "100", "--cpu-quota", "1", box, check=False)
    assert refused.returncode == 1
    assert "cpu.cfs_quota_us" in refused.stderr
    assert (group / "cpu.shares").read_text() == "512\n"


def bundle_of(oci: Run, name: str) -> Path:
    return Path(json.loads(oci("state", name).stdout)["bundle"])


def test_what_has_ended_is_not_updated(oci: Run, box: str) -> None:
    oci("kill", box, "KILL")
    wait_for(oci, box, "stopped")
    assert "container not running" in oci("update", "--pids-limit", "5", box, check=False).stderr


def test_ps_with_a_column_of_many_words_is_an_error(oci: Run, box: str) -> None:
    done = oci("ps", box, "-o", "lstart,pid", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "unable to parse pid" in done.stderr
    assert "Traceback" not in done.stderr
    assert oci("ps", box, "-eo", "pid,args").stdout.splitlines()[1].endswith("sleep 1000")


def test_the_oom_of_the_first_process_is_an_event(oci: Run, bundle: Path, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["sh", "-c", "read line; x=x; while :; do x=$x$x; done"]
        config["process"]["terminal"] = True
        config["linux"]["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}

    configure(oci, bundle, change)
    master, slave = pty.openpty()
    with subprocess.Popen(
        command(tmp_path, "run", "--keep", "-b", str(bundle), "box"), stdin=slave, stdout=slave, stderr=slave
    ) as run:
        while not (tmp_path / "state" / "box" / "state.json").exists() or status(oci, "box") != "running":
            assert run.poll() is None
        with subprocess.Popen(
            command(tmp_path, "events", "--interval", "60s", "box"), stdout=subprocess.PIPE, text=True
        ) as events:
            assert events.stdout is not None
            assert json.loads(events.stdout.readline())["type"] == "stats"
            os.write(master, b"go\n")
            told = [json.loads(line)["type"] for line in events.stdout]
    os.close(master)
    os.close(slave)
    assert told == ["oom"]
    assert run.returncode == 137


def test_a_log_that_is_full_hides_no_error(oci: Run) -> None:
    done = oci("--log", "/dev/full", "state", "nobody", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Failed to write to log, write /dev/full: no space left on device", "container does not exist",
    ]  # fmt: skip


def test_a_bundle_that_is_not_there(oci: Run, tmp_path: Path) -> None:
    done = oci("create", "-b", str(tmp_path / "no"), "box", check=False)
    assert f"runc create failed: chdir {tmp_path}/no: no such file or directory" in done.stderr


def test_sockets_of_another_process_are_not_passed_on(oci: Run, bundle: Path, tmp_path: Path) -> None:
    """sd_listen_fds(3): LISTEN_PID says whose they are."""
    configure(oci, bundle, args("sh", "-c", "echo sockets: $LISTEN_FDS"))
    words = command(tmp_path, "run", "-b", str(bundle), "box")
    script = f'LISTEN_FDS=1 LISTEN_PID=$1 && export LISTEN_FDS LISTEN_PID && shift && exec "$@" 3<{tmp_path}'
    ours = subprocess.run(
        ["sh", "-c", f'set -- $$ "$@"; {script}', "sh", *words], capture_output=True, text=True, timeout=60
    )
    assert ours.stdout == "sockets: 1\n", ours.stderr
    others = subprocess.run(["sh", "-c", script, "sh", "1", *words], capture_output=True, text=True, timeout=60)
    assert others.stdout == "sockets:\n", others.stderr


def test_a_descriptor_that_is_to_be_passed_on_must_be_open(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("true"))
    done = oci("run", "-b", str(bundle), "--preserve-fds", "1", "box", check=False)
    assert done.returncode == 1
    assert "unable to stat preserved-fd 0 (of 1): descriptor 3 is not open" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_the_null_device(oci: Run, bundle: Path, tmp_path: Path, closed: str) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["sh", "-c", "for fd in 0 1 2; do readlink /proc/self/fd/$fd; done > /said"]
        config["root"]["readonly"] = False

    configure(oci, bundle, change)
    words = command(tmp_path, "run", "-b", str(bundle), "box")
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *words], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert len((bundle / "rootfs" / "said").read_text().splitlines()) == 3
