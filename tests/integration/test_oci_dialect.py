"""Where runc and crun differ: ours is runc's way, and crun's behind a link of that name."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.oci import Run, args, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]

STATUS = ["grep", "NoNewPrivs", "/proc/self/status"]


@pytest.fixture
def crun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Called by a link named crun, as scripts/minidock-oci tells it."""
    monkeypatch.setenv("MINIDOCK_OCI_NAME", "crun")


def told(oci: Run, *flags: str) -> str:
    return oci("exec", *flags, "box", *STATUS).stdout.split()[1]


def test_exec_keeps_no_new_privs_unless_it_is_taken_back(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("sleep", "1000"))
    oci("run", "-d", "-b", str(bundle), "box")
    assert [told(oci), told(oci, "--no-new-privs=false"), told(oci, "--no-new-privs")] == ["1", "0", "1"]


@pytest.mark.usefixtures("crun")
def test_exec_as_crun_has_it_by_the_flag_alone(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("sleep", "1000"))
    oci("run", "-d", "-b", str(bundle), "box")
    assert [told(oci), told(oci, "--no-new-privs")] == ["0", "1"]


def test_where_create_container_hooks_stand(
    oci: Run, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["true"]
        command = ["sh", "-c", f"pwd >> {tmp_path}/places"]
        config["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": command}]}

    for name in ("runc", "crun"):
        monkeypatch.setenv("MINIDOCK_OCI_NAME", name)
        assert run_with(oci, bundle, change).stderr == ""
    assert (tmp_path / "places").read_text().split() == [str(bundle / "rootfs"), str(bundle)]


@pytest.mark.usefixtures("crun")
def test_help_as_crun_s(oci: Run) -> None:
    assert oci("delete", "--help").stdout.startswith("Usage: crun [OPTION...] delete CONTAINER\n")
    assert oci("exec", "--help").stdout.startswith("Usage: crun [OPTION...] exec CONTAINER cmd\n")
    assert oci("mounts", "--help").stdout.startswith("Usage: crun [OPTION...] mounts [add|remove] CONTAINER FILE\n")


def test_a_number_among_the_words(oci: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Expected `str`, got `int`" in run_with(oci, bundle, args("echo", 7, 0.5)).stderr  # type: ignore[arg-type]
    monkeypatch.setenv("MINIDOCK_OCI_NAME", "crun")
    assert run_with(oci, bundle, args("echo", 7, 0.5)).stdout == "7 0.5\n"  # type: ignore[arg-type]


@pytest.mark.usefixtures("crun")
def test_a_listener_is_called_though_no_rule_asks(oci: Run, bundle: Path, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["true"]
        about = {"listenerPath": str(tmp_path / "agent"), "listenerMetadata": "kept"}
        config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **about}

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "agent"))
        server.listen()
        server.settimeout(60)
        ran = run_with(oci, bundle, change)
        assert (ran.returncode, ran.stderr) == (0, "")
        raw, fds, _, _ = socket.recv_fds(server.accept()[0], 65536, 4)
    for fd in fds:
        os.close(fd)
    told = json.loads(raw)
    assert (told["ociVersion"], told["metadata"], told["state"]["status"], len(fds)) == ("0.2.0", "kept", "creating", 1)


def test_crun_s_state_file(oci: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(oci, bundle, args("true"))
    oci("create", "-b", str(bundle), "plain")
    monkeypatch.setenv("MINIDOCK_OCI_NAME", "crun")
    configure(oci, bundle, args("true"))
    oci("create", "-b", str(bundle), "box")
    state = json.loads(oci("state", "box").stdout)
    root = bundle.parent / "state"
    assert not (root / "plain" / "status").exists()
    told = json.loads((root / "box" / "status").read_text())
    streams = json.loads(told.pop("external_descriptors"))
    assert streams == ["/dev/null", str(bundle.parent / "out"), str(bundle.parent / "err")]
    assert streams == [os.readlink(f"/proc/{state['pid']}/fd/{fd}") for fd in (0, 1, 2)]
    ticks = Path(f"/proc/{state['pid']}/stat").read_text().rpartition(") ")[2].split()[19]
    group = json.loads((bundle / "config.json").read_text())["linux"]["cgroupsPath"]
    assert told == {
        "pid": state["pid"],
        "process-start-time": int(ticks),
        "cgroup-path": group,
        "scope": "",
        "rootfs": "rootfs",
        "systemd-cgroup": False,
        "bundle": str(bundle),
        "created": state["created"],
        "owner": "root",
        "detached": True,
    }


@pytest.mark.usefixtures("crun")
def test_the_state_file_of_one_who_stays(oci: Run, bundle: Path) -> None:
    configure(oci, bundle, args("true"))
    oci("run", "--keep", "-b", str(bundle), "box")
    assert json.loads((bundle.parent / "state" / "box" / "status").read_text())["detached"] is False


def test_whose_the_standard_streams_are(oci: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["user"] = {"uid": 7, "gid": 8}
        config["process"]["args"] = ["stat", "-Lc", "%u:%g", "/proc/self/fd/1", "/proc/self/fd/0"]

    null = os.stat("/dev/null")  # stays the host's
    mine = f"{null.st_uid}:{null.st_gid}"
    for name, owner in (("runc", "7:0"), ("crun", "7:8")):
        monkeypatch.setenv("MINIDOCK_OCI_NAME", name)
        assert run_with(oci, bundle, change).stdout.split() == [owner, mine]
    configure(oci, bundle, args("sleep", "1000"))
    oci("run", "-d", "-b", str(bundle), "box")
    told = oci("exec", "-u", "9:9", "box", "stat", "-Lc", "%u:%g", "/proc/self/fd/1")
    assert told.stdout == "9:9\n"


def test_a_cgroup_that_nobody_named(oci: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = ["cat", "/proc/self/cgroup"]
        del config["linux"]["cgroupsPath"]
        config["linux"]["namespaces"] = [kind for kind in config["linux"]["namespaces"] if kind["type"] != "cgroup"]

    mine = f"nobody-named-{os.getpid()}"
    for name, place in (("runc", f"/minidock-oci/{mine}"), ("crun", f"/{mine}")):
        monkeypatch.setenv("MINIDOCK_OCI_NAME", name)
        lines = run_with(oci, bundle, change, mine).stdout.splitlines()
        assert lines
        assert {line.split(":", 2)[2] for line in lines} == {place}


def test_what_is_said_of_unified(oci: Run, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crun = {
        "NO-KEY": "the specified key has not the form CONTROLLER.VALUE `NO-KEY`",
        "foo.bar": "the requested cgroup controller `foo` is not available",
        "cgroup.nosuch": "no such file or directory",
    }
    runc = {
        "NO-KEY": "unified resource 'NO-KEY' must be in the form CONTROLLER.PARAMETER",
        "foo.bar": "unified resource 'foo.bar' can't be set: controller 'foo' not available",
        "cgroup.nosuch": "no such file or directory",
    }
    for name, words in (("crun", crun), ("runc", runc)):
        monkeypatch.setenv("MINIDOCK_OCI_NAME", name)
        for key, text in words.items():
            configure(oci, bundle, lambda config, key=key: config["linux"].update(resources={"unified": {key: "1"}}))
            assert text in oci("run", "-b", str(bundle), "box", check=False).stderr
