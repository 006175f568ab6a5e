"""One config.json with a member of nearly every kind, looked at from inside: what is written there is so."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.oci import Run, bundle, configure, oci, terminal_line

__all__ = ["bundle", "oci"]

RIGHTS = {
    "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_BIND_SERVICE"],
    "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"],
    "inheritable": ["CAP_CHOWN", "CAP_KILL"],
    "effective": ["CAP_CHOWN"],
    "ambient": ["CAP_CHOWN"],
}


TMPFS = ["size=64k", "mode=700", "uid=1000", "nosymfollow", "dirsync", "silent", "noiversion", "loud", "defaults"]


def whole(source: Path, config: dict[str, Any]) -> None:
    process, linux = config["process"], config["linux"]
    process |= {
        "user": {"uid": 1000, "gid": 1001, "additionalGids": [1002, 1003], "umask": 0o27},
        "args": ["sleep", "1000"],
        "cwd": "/made/for/it",
        "env": ["PATH=/bin", "WORD=said"],
        "capabilities": RIGHTS,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 300}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
        "noNewPrivileges": True,
        "oomScoreAdj": 321,
        "scheduler": {"policy": "SCHED_BATCH", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
        "execCPUAffinity": {"initial": "0", "final": "0"},
    }
    config |= {"hostname": "whole", "domainname": "of.it", "annotations": {"org.example": "kept"}}
    config["root"]["readonly"] = True
    recursive = ["rbind", "rro", "rnosuid", "rnodev", "rnoexec", "rnoatime", "rslave"]
    config["mounts"] += [
        {"destination": "/rec", "type": "none", "source": str(source), "options": recursive},
        {"destination": "/one", "type": "bind", "source": str(source), "options": ["rbind", "ro", "unbindable"]},
        {"destination": "/sized", "type": "tmpfs", "options": TMPFS},
    ]
    linux["namespaces"].append({"type": "time"})
    linux["timeOffsets"] = {"boottime": {"secs": 500000, "nanosecs": 5}, "monotonic": {"secs": 400000}}
    linux["sysctl"] = {"kernel.msgmax": "9000", "net.ipv4.ip_forward": "1", "fs.mqueue.msg_max": "12"}
    linux["devices"] = [
        {"path": "/dev/odd", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/line", "type": "p", "fileMode": 0o600},
    ]
    linux["maskedPaths"] = ["/proc/version", "/proc/tty"]
    linux["readonlyPaths"] = ["/proc/sys", "/not/there"]
    linux["rootfsPropagation"] = "rslave"
    linux["personality"] = {"domain": "LINUX32"}
    linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
        "syscalls": [
            {"names": ["chmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 18},
            {"names": ["sync"], "action": "SCMP_ACT_KILL_PROCESS"},
        ],
    }


@pytest.fixture
def box(oci: Run, bundle: Path, tmp_path: Path) -> dict[str, Any]:
    """The state of a container that is all of this, as `box`."""
    (tmp_path / "source").mkdir()
    configure(oci, bundle, lambda config: whole(tmp_path / "source", config))
    oci("run", "-d", "-b", str(bundle), "box")
    state: dict[str, Any] = json.loads(oci("state", "box").stdout)
    return state


def test_every_member_of_config_json_is_honoured(oci: Run, box: dict[str, Any]) -> None:
    check_process(box["pid"])
    assert box["annotations"] == {"org.example": "kept"}
    mounts = [line.split() for line in Path(f"/proc/{box['pid']}/mountinfo").read_text().splitlines()]
    places = {fields[4]: set(fields[5].split(",")) for fields in mounts}
    assert {"ro", "nosuid", "nodev", "noexec", "noatime"} <= places["/rec"]
    assert {"ro"} <= places["/one"] & places["/"]
    assert "nosymfollow" in places["/sized"]
    assert [fields[4] for fields in mounts if "unbindable" in fields] == ["/one"]
    for script, seen in LOOKS.items():
        assert oci("exec", "box", "sh", "-c", script, check=False).stdout.split() == seen.split(), script
    refused = oci("exec", "box", "sh", "-c", "chmod 600 /sized", check=False)
    assert "ross-device link" in refused.stderr  # EXDEV: no file system says so here


LOOKS = {
    "cd /proc/sys; cat kernel/hostname kernel/domainname kernel/msgmax fs/mqueue/msg_max": "whole of.it 9000 12",
    "echo $WORD; umask; pwd; cat /proc/self/oom_score_adj": "said 0027 /made/for/it 321",
    "stat -c %a:%u:%g:%t:%T /dev/odd; stat -c %F:%a /dev/line": "640:7:8:1:5 fifo:600",
    "stat -c %a:%u /sized; cat /proc/version; ls /proc/tty": "700:1000",
    "grep -o dirsync,.*size=64k /proc/mounts": "dirsync,relatime,nosymfollow,size=64k",
    "grep ^Cpus_allowed_list /proc/self/status": "Cpus_allowed_list: 0",
    "cat /proc/self/timens_offsets": "monotonic 400000 0 boottime 500000 5",
}


def check_process(pid: int) -> None:
    """What the host's /proc and system calls say of the first process."""
    first = Path(f"/proc/{pid}")
    facts = dict(line.split(":\t", 1) for line in (first / "status").read_text().splitlines())
    # A user's execve(2) leaves him, of permitted and effective ones, the ambient ones: capabilities(7).
    for name, numbers in {"Bnd": (0, 5, 7, 10), "Inh": (0, 5), "Amb": (0,), "Prm": (0,), "Eff": (0,)}.items():
        assert int(facts[f"Cap{name}"], 16) == sum(1 << number for number in numbers), name
    assert [facts[name].split() for name in ("Uid", "Gid", "Groups")] == [["1000"] * 4, ["1001"] * 4, ["1002", "1003"]]
    assert [facts[name] for name in ("NoNewPrivs", "Seccomp", "Umask")] == ["1", "2", "0027"]
    limits = {line[:26].strip(): line[26:].split()[:2] for line in (first / "limits").read_text().splitlines()}
    assert (limits["Max open files"], limits["Max core file size"]) == (["200", "300"], ["0", "0"])
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH | os.SCHED_RESET_ON_FORK
    assert os.getpriority(os.PRIO_PROCESS, pid) == 3
    assert (first / "personality").read_text().strip().endswith("8")
    assert subprocess.check_output(["ionice", "-p", str(pid)], text=True) == "best-effort: prio 6\n"


def test_a_terminal_has_the_size_that_is_asked_for(oci: Run, bundle: Path, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"] |= {"args": ["stty", "size"], "terminal": True, "consoleSize": {"height": 31, "width": 99}}

    configure(oci, bundle, change)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "console"))
        listener.listen()
        oci("run", "-d", "-b", str(bundle), "--console-socket", str(tmp_path / "console"), "box")
        wire, _ = listener.accept()
        _, (master,), _, _ = socket.recv_fds(wire, 100, 1)
    assert terminal_line(master) == b"31 99\r\n"
    os.close(master)
    wire.close()
