"""minidock-oci: bundles in, processes out; and the namespaces that the engine itself doesn't use yet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.oci import Run, add_user_namespace, args, bundle, configure, oci, terminal_line, wait_for

__all__ = ["bundle", "oci"]


def test_run_gives_output_and_code(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("sh", "-c", "hostname; exit 5"))
    result = oci("run", "-b", str(bundle), "one", check=False)
    assert (result.stdout, result.returncode) == ("minidock\n", 5)


@pytest.mark.vm
def test_the_lifecycle(oci: Run, bundle: Path, tmp_path: Path) -> None:
    configure(oci, bundle, args("sleep", "60"))
    pid_file = tmp_path / "pid"
    oci("create", "-b", str(bundle), "--pid-file", str(pid_file), "life")
    assert json.loads(oci("state", "life").stdout)["status"] == "created"
    pid = int(pid_file.read_text())
    assert Path(f"/proc/{pid}/comm").read_text().startswith("minidock:[init]")
    again = oci("create", "-b", str(bundle), "life", check=False)
    assert again.returncode == 1
    assert "container with given ID already exists" in again.stderr
    oci("start", "life")
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert oci("delete", "life", check=False).returncode == 1
    oci("kill", "life", "KILL")
    deadline = time.monotonic() + 5
    while json.loads(oci("state", "life").stdout)["status"] != "stopped":
        assert time.monotonic() < deadline
    oci("delete", "life")
    assert oci("state", "life", check=False).returncode == 1
    assert not list(Path("/sys/fs/cgroup").glob(f"*/minidock-oci/test-{os.getpid()}-*"))


def test_a_user_namespace_maps_root_to_somebody(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["sh", "-c", "id -u; cat /proc/self/uid_map; echo x > /made"]
        config["root"]["readonly"] = False
        config["linux"]["namespaces"].append({"type": "user"})
        config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        config["mounts"] = [mount for mount in config["mounts"] if mount["type"] != "cgroup"]

    configure(oci, bundle, change)
    for path in (bundle / "rootfs", bundle / "rootfs" / "bin"):
        os.chown(path, 100000, 100000)
    for parent in (bundle, *bundle.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    result = oci("run", "-b", str(bundle), "mapped", check=False)
    assert result.stdout.split() == ["0", "0", "100000", "65536"], result.stderr
    assert (bundle / "rootfs" / "made").stat().st_uid == 100000


def test_a_time_namespace_shifts_the_boot_clock(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["args"] = ["cat", "/proc/uptime"]
        config["linux"]["namespaces"].append({"type": "time"})
        config["linux"]["timeOffsets"] = {"boottime": {"secs": 1000000, "nanosecs": 0}}

    configure(oci, bundle, change)
    inside = float(oci("run", "-b", str(bundle), "later").stdout.split()[0])
    outside = float(Path("/proc/uptime").read_text().split()[0])
    assert 0 <= inside - outside - 1000000 + 60 < 120


def test_what_is_not_honoured_is_refused_by_name(oci: Run, bundle: Path) -> None:
    def change(config: dict) -> None:
        config["linux"]["intelRdt"] = {"closID": "some"}
        config["process"]["apparmorProfile"] = "some"

    configure(oci, bundle, change)
    result = oci("run", "-b", str(bundle), "hooked", check=False)
    assert result.returncode == 1
    assert "linux.intelRdt, process.apparmorProfile" in result.stderr


def test_the_terminal_goes_to_the_console_socket(oci: Run, bundle: Path, tmp_path: Path) -> None:
    def change(config: dict) -> None:
        config["process"]["terminal"] = True
        config["process"]["args"] = ["tty"]

    configure(oci, bundle, change)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "console"))
    listener.listen()
    oci("create", "-b", str(bundle), "--console-socket", str(tmp_path / "console"), "term")
    wire, _ = listener.accept()
    _, (master,), _, _ = socket.recv_fds(wire, 100, 1)
    oci("start", "term")
    assert terminal_line(master) == b"/dev/pts/0\r\n"


def test_one_that_was_never_started_can_be_ended_by_a_signal(oci: Run, bundle: Path) -> None:
    """Process 1 of a pid namespace gets no signal that it has no handler for."""
    configure(oci, bundle, args("true"))
    oci("create", "-b", str(bundle), "box")
    oci("kill", "box", "TERM")
    wait_for(oci, "box", "stopped")


def test_what_execve_says_after_create_is_told_where_the_command_s_output_goes(oci: Run, bundle: Path) -> None:
    (bundle / "rootfs" / "run.sh").write_text("#!/nosuch interpreter\n")
    (bundle / "rootfs" / "run.sh").chmod(0o755)
    configure(oci, bundle, args("/run.sh"))
    with open(bundle / "said", "w+") as said:
        command = [sys.executable, "-m", "minidock.oci.cli", "--root", str(bundle.parent / "state")]
        subprocess.run([*command, "create", "-b", str(bundle), "box"], stdout=said, stderr=said, check=True)
        oci("start", "box")
        wait_for(oci, "box", "stopped")
    assert (bundle / "said").read_text() == "exec /run.sh: no such file or directory\n"


@pytest.mark.parametrize("kind", ["read-only", "of a group without a name"])
def test_a_stream_that_can_t_be_given_away_is_passed_on_as_it_is(oci: Run, bundle: Path, kind: str) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["user"] = {"uid": 7, "gid": 7}
        config["process"]["args"] = ["cat"]
        if kind != "read-only":
            add_user_namespace(config, bundle)

    configure(oci, bundle, change)
    place = bundle.parent / "place"
    place.mkdir()
    lock = "mount -o remount,ro $PLACE" if kind == "read-only" else "chown 100005:0 $PLACE/words"
    script = f'mount -t tmpfs tmpfs $PLACE; echo hello > $PLACE/words; {lock}; exec "$@" < $PLACE/words'
    runtime = [sys.executable, "-m", "minidock.oci.cli", "--root", str(bundle.parent / "state")]
    command = ["unshare", "-m", "sh", "-ec", script, "sh", *runtime, "run", "-b", str(bundle), "box"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PLACE": str(place)})
    assert (done.stdout, done.stderr) == ("hello\n", "")
