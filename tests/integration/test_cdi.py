"""CDI devices of a made-up vendor, in real containers: nodes and their rules, mounts, variables, hooks, groups."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root

MAJOR = 239
"""No driver has it here (local/experimental use): opening an allowed node says ENXIO, a refused one EPERM."""
OPEN = (
    "for n in 0 1; do mknod /tmp/n$n c 239 $n; (: </tmp/n$n) 2>&1 | grep -o 'No such device.*\\|.*not permitted'; done"
)


def node(minor: int) -> dict[str, Any]:
    return {"path": f"/dev/acc{minor}", "type": "c", "major": MAJOR, "minor": minor, "permissions": "rw"}


@pytest.fixture
def vendor(minidock: Minidock, busybox_image: Path, tmp_path: Path) -> Iterator[Path]:
    """The instance's only directory of CDI files, with one file in it."""
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    (tmp_path / "library").write_text("of version 1\n")
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat >{tmp_path}/told-$1\n")
    hook.chmod(0o755)
    devices = [{"name": str(n), "containerEdits": {"deviceNodes": [node(n)], "env": [f"ACC_{n}=yes"]}} for n in (0, 1)]
    both = {"name": "all", "containerEdits": {"deviceNodes": [node(0), node(1)]}}
    common = {
        "env": ["ACC=on"],
        "mounts": [{"hostPath": f"{tmp_path}/library", "containerPath": "/usr/lib/acc", "options": ["ro", "bind"]}],
        "hooks": [
            {"hookName": name, "path": str(hook), "args": ["hook", name]}
            for name in ("createRuntime", "createContainer", "poststart", "poststop")
        ],
        "additionalGids": [4711, 0],
    }
    write(
        tmp_path / "cdi", "acc.json", {"kind": "nvidia.com/gpu", "devices": [*devices, both], "containerEdits": common}
    )
    minidock.layout.root.mkdir(parents=True, exist_ok=True)
    minidock.layout.settings.write_text(json.dumps({"cdi-spec-dirs": [str(tmp_path / "cdi")]}))
    yield tmp_path
    for name in minidock("ps", "-aq", check=True).stdout.split():
        minidock("rm", "-f", name, check=True)


def write(directory: Path, name: str, content: dict[str, Any]) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(json.dumps({"cdiVersion": "0.7.0", **content}))


def test_everything_of_a_file_comes_in(minidock: Minidock, vendor: Path) -> None:
    script = "ls -l /dev/acc0; ls /dev/acc1; cat /usr/lib/acc; echo $ACC $ACC_0 $ACC_1; id -G; : >/usr/lib/acc"
    ran = minidock("run", "--rm", "--device", "nvidia.com/gpu=0", "busybox", "sh", "-c", script)
    lines = ran.stdout.splitlines()
    assert lines[0].split()[4:6] == [f"{MAJOR},", "0"]
    assert lines[1:3] == ["of version 1", "on yes"]
    assert "4711" in lines[3].split()
    assert "/dev/acc1: No such file" in ran.stderr
    assert "Read-only" in ran.stderr
    for stage in ("createRuntime", "createContainer"):
        told = json.loads((vendor / f"told-{stage}").read_text())
        assert told["bundle"].startswith(str(minidock.layout.run)), told
        assert told["pid"] > 0
    statuses = {stage: json.loads((vendor / f"told-{stage}").read_text()) for stage in ("poststart", "poststop")}
    assert {stage: told["status"] for stage, told in statuses.items()} == {
        "poststart": "running",
        "poststop": "stopped",
    }
    assert statuses["poststart"]["pid"] > 0 and statuses["poststop"]["pid"] == 0


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ([], ["not permitted", "not permitted"]),
        (["--device", "nvidia.com/gpu=0"], ["No such device", "not permitted"]),
        pytest.param(["--gpus", "device=1"], ["not permitted", "No such device"], marks=pytest.mark.vm),
        (["--gpus", "1"], ["No such device", "not permitted"]),
        (["--gpus", "all"], ["No such device", "No such device"]),
    ],
)
def test_only_the_nodes_that_were_asked_for_open(
    minidock: Minidock, vendor: Path, options: list[str], seen: list[str]
) -> None:
    """By number, whatever the node's name: root in the container can make any node. `update` and `exec` keep it."""
    minidock("run", "-d", "--name", "one", *options, "busybox", "sleep", "1000", check=True)
    for _ in range(2):
        lines = minidock("exec", "one", "sh", "-c", OPEN, check=True).stdout.splitlines()
        assert [word for line, word in zip(lines, seen, strict=True) if word in line] == seen, lines
        minidock("update", "--memory", "64m", "--memory-swap", "64m", "one", check=True)
        minidock("exec", "one", "sh", "-c", "rm /tmp/n0 /tmp/n1", check=True)


def test_what_is_not_offered_says_what_is(minidock: Minidock, vendor: Path) -> None:
    write(vendor / "cdi", "broken.json", {"kind": "nvidia.com/gpu", "devices": []})
    ran = minidock("run", "--rm", "--device", "nvidia.com/gpu=7", "busybox", "true")
    assert ran.returncode == 125
    assert "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=7" in ran.stderr
    for words in ("acc.json", "nvidia.com/gpu=0, nvidia.com/gpu=1", "broken.json: it has no devices"):
        assert words in ran.stderr
    assert "cannot set both" not in ran.stderr
    ran = minidock("run", "--rm", "--gpus", "3", "busybox", "true")
    assert "3 GPUs were asked for, and nvidia.com/gpu has 2" in ran.stderr
    ran = minidock("run", "--rm", "--gpus", "driver=amd", "busybox", "true")
    assert 'could not select device driver "amd" with capabilities: [[gpu]]' in ran.stderr
    assert minidock("ps", "-aq", check=True).stdout == ""


def test_another_directory_for_one_container(minidock: Minidock, vendor: Path) -> None:
    """It is kept with the container: a later start looks there too. What can't be resolved says where it looked."""
    edits = {"env": ["FROM=elsewhere"]}
    write(vendor / "other", "x.json", {"kind": "acme.com/x", "devices": [{"name": "0", "containerEdits": edits}]})
    asked = ("--cdi-spec-dir", str(vendor / "other"), "--device", "acme.com/x=0")
    minidock("create", "--name", "xx", *asked, "busybox", "sh", "-c", "echo $FROM", check=True)
    assert minidock("start", "-a", "xx", check=True).stdout == "elsewhere\n"
    ran = minidock("run", "--rm", *asked[:3], "acme.com/x=1", "busybox", "true")
    assert f"read: {vendor}/other/x.json in {vendor}/other; they offer acme.com/x=0" in ran.stderr
    nothing = minidock(
        "run", "--rm", "--cdi-spec-dir", str(vendor / "none"), asked[2], "acme.com/x=0", "busybox", "true"
    )
    assert f"read: no file in {vendor}/none; no device is offered; minidock cdi generate" in nothing.stderr


def test_a_stale_file_ends_the_start(minidock: Minidock, vendor: Path) -> None:
    os.remove(vendor / "library")
    ran = minidock("run", "--rm", "--gpus", "all", "busybox", "true")
    assert ran.returncode == 125
    assert f"there is no {vendor}/library to be mounted" in ran.stderr


def test_a_failing_hook_ends_the_start(minidock: Minidock, vendor: Path) -> None:
    (vendor / "hook").write_text("#!/bin/sh\necho no such driver >&2; exit 3\n")
    ran = minidock("run", "--rm", "--gpus", "all", "busybox", "true")
    assert ran.returncode != 0
    assert "createRuntime hook #0: exit status 3" in ran.stderr and "no such driver" in ran.stderr


def test_hooks_beside_a_containers_life(minidock: Minidock, vendor: Path) -> None:
    """After the start one that fails ends it, as with runc; at the end it is too late, and the container tells."""
    fails = '#!/bin/sh\necho "$1" >>{file}; [ "$1" != {stage} ] || {{ echo no luck >&2; exit 3; }}\n'
    file = vendor / "ran"
    (vendor / "hook").write_text(fails.format(file=file, stage="poststart"))
    ran = minidock("run", "--name", "one", "--gpus", "all", "busybox", "sleep", "1000")
    assert ran.returncode == 125
    assert "error running poststart hook #0: exit status 3" in ran.stderr and "no luck" in ran.stderr
    assert file.read_text().split() == ["createRuntime", "createContainer", "poststart", "poststop"]
    assert minidock("inspect", "-f", "{{.State.Running}}", "one", check=True).stdout == "false\n"
    (vendor / "hook").write_text(fails.format(file=file, stage="poststop"))
    for options in (["--name", "two"], ["--rm"]):
        ran = minidock("run", *options, "--gpus", "all", "busybox", "sh", "-c", "exit 7")
        assert ran.returncode == 7 and "error running poststop hook #0: exit status 3" in ran.stderr
    shown = minidock("inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "two", check=True).stdout
    assert shown.startswith("7 error running poststop hook #0: exit status 3")


def test_cdi_ls(minidock: Minidock, vendor: Path) -> None:
    assert minidock("cdi", "ls", "-q", check=True).stdout.split() == [f"nvidia.com/gpu={n}" for n in ("0", "1", "all")]
    shown = minidock("cdi", "ls", "--format", "{{.Name}} {{.Nodes}} {{.Mounts}} {{.Hooks}}", check=True).stdout
    assert "nvidia.com/gpu=all 2 1 4\n" in shown
    nowhere = minidock("cdi", "ls", "--cdi-spec-dir", "/nonexistent", check=True).stdout
    assert nowhere.split() == ["DEVICE", "NODES", "MOUNTS", "HOOKS", "FILE"]


def test_inspect_tells_the_requests(minidock: Minidock, vendor: Path) -> None:
    minidock(
        "create", "--name", "two", "--gpus", '"device=0,1"', "--device", "nvidia.com/gpu=all", "busybox", check=True
    )
    shown = json.loads(minidock("inspect", "-f", "{{json .HostConfig.DeviceRequests}}", "two", check=True).stdout)
    assert [request["DeviceIDs"] for request in shown] == [["0", "1"], ["nvidia.com/gpu=all"]]
    assert [request["Driver"] for request in shown] == ["", "cdi"]


def test_shared_memory_has_room_beside_a_gpu(minidock: Minidock, vendor: Path) -> None:
    script = "grep ' /dev/shm ' /proc/mounts"
    ran = minidock("run", "--rm", "--gpus", "1", "-m", "512m", "busybox", "sh", "-c", script, check=True)
    assert "size=262144k" in ran.stdout


def test_a_network_interface_moves_in(minidock: Minidock, vendor: Path) -> None:
    """Under its new name. With --network host there is nowhere to move it to."""
    link = f"acc{os.getpid() % 100_000}"
    edits = {"netDevices": [{"hostInterfaceName": link, "name": "fast0"}]}
    spec = {"cdiVersion": "1.1.0", "kind": "acme.com/nic", "devices": [{"name": "0", "containerEdits": edits}]}
    write(vendor / "cdi", "nic.json", spec)
    subprocess.run(["ip", "link", "add", link, "type", "veth", "peer", "name", f"{link}p"], check=True)
    try:
        options = ("--rm", "--device", "acme.com/nic=0")
        ran = minidock("run", *options, "busybox", "ls", "/sys/class/net", check=True)
        assert "fast0" in ran.stdout.split()
        refused = minidock("run", *options, "--network", "host", "busybox", "true")
        assert "shares the host's network" in refused.stderr
    finally:
        # The kernel deletes a veth with the namespace that it is in; it would give a card back to the host.
        subprocess.run(["ip", "link", "del", f"{link}p"], capture_output=True, check=False)
