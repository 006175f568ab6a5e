"""--dry-run and --as-shell of exec, rm, network create and pull: told and not done, and the script does the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.instance import COMMAND, Minidock
from tests.support.needs import require_root, require_tool
from tests.support.registry import Registry

ASK = "id; pwd; umask; env | sort; grep -E '^(Cap|NoNewPrivs)' /proc/self/status; cat /proc/self/cgroup"
NAMESPACES = "for kind in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$kind; done"
REPORT = f"cat; {ASK}; {NAMESPACES}; exit 3"


@pytest.fixture
def container(minidock: Minidock) -> str:
    require_root()
    flags = ["--user", "1000:44", "--memory", "64m", "-e", "COLOUR=deep blue", "-w", "/tmp", "-p", "127.0.0.1::80"]
    minidock("run", "-d", "--name", "web", *flags, "busybox", "sleep", "1000", check=True)
    return "web"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    served = Registry(tmp_path / "registry")
    served.start()
    yield served
    served.stop()


def by_hand(minidock: Minidock, tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script, in which `minidock` means this checkout's on the test's instance."""
    program = tmp_path / "bin" / "minidock"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} --root {minidock.layout.root} "$@"\n')
    program.chmod(0o755)
    path = tmp_path / "by-hand.sh"
    path.write_text(f"PATH={program.parent}:$PATH\nexport TMPDIR={tmp_path}\n{script}")  # for its `mktemp -d`
    return subprocess.run(["sh", str(path)], input="typed\n", capture_output=True, text=True, timeout=60)


def test_the_script_of_exec_makes_the_same_process(minidock: Minidock, container: str, tmp_path: Path) -> None:
    words = [container, "sh", "-c", REPORT]
    real = minidock("exec", "-i", *words, input="typed\n")
    script = minidock("exec", "-i", "--as-shell", *words, check=True).stdout
    made = by_hand(minidock, tmp_path, script)
    assert (made.stdout, made.returncode) == (real.stdout, 3), made.stderr
    assert "uid=1000 gid=44" in real.stdout and "COLOUR=deep blue" in real.stdout
    assert ".lent" not in minidock("exec", container, "ls", "-a", "/dev", check=True).stdout


def test_a_dry_run_of_exec_starts_nothing(minidock: Minidock, container: str) -> None:
    told = minidock("exec", "--dry-run", container, "touch", "/tmp/made", check=True).stdout
    assert "become touch" in told and "join the mount namespace" in told
    assert minidock("exec", container, "ls", "/tmp", check=True).stdout == ""


def test_the_script_of_rm_leaves_nothing(minidock: Minidock, container: str, tmp_path: Path) -> None:
    """What it would leave, the fixture finds."""
    refused = minidock("rm", "--dry-run", container)
    assert refused.returncode == 1 and "cannot remove a running container" in refused.stderr
    told = minidock("rm", "-f", "--dry-run", container, check=True).stdout
    assert "undo: publish 127.0.0.1:" in told and minidock("ps", "-q", check=True).stdout != ""
    gone = by_hand(minidock, tmp_path, minidock("rm", "-f", "--as-shell", container, check=True).stdout)
    assert gone.returncode == 0, gone.stderr
    assert minidock("ps", "-aq", check=True).stdout == ""
    assert list((minidock.layout.root / "networks" / "bridge" / "addresses").iterdir()) == []
    rules = subprocess.run(["nft", "list", "table", "inet", minidock.layout.nft_table], capture_output=True, text=True)
    assert ". 80 }" not in rules.stdout


def test_the_script_of_network_create_makes_the_bridge(minidock: Minidock, tmp_path: Path) -> None:
    require_root()
    words = ["network", "create", "--subnet", "10.77.91.0/24", "-o", "com.docker.network.bridge.name=mdt-told"]
    told = minidock(*words, "--dry-run", "told", check=True).stdout
    assert "make the bridge mdt-told" in told
    assert "told" not in minidock("network", "ls", check=True).stdout
    script = minidock(*words, "--as-shell", "told", check=True).stdout
    try:
        made = by_hand(minidock, tmp_path, script)
        assert made.returncode == 0, made.stderr
        shown = subprocess.run(["ip", "-j", "addr", "show", "mdt-told"], capture_output=True, text=True, check=True)
        [link] = json.loads(shown.stdout)
        assert ("10.77.91.1", 24) in [(one["local"], one["prefixlen"]) for one in link["addr_info"]]
        assert "UP" in link["flags"]
    finally:
        subprocess.run(["ip", "link", "delete", "mdt-told"], capture_output=True, check=False)
        minidock("network", "prune", "-f", check=True)


def test_a_pull_is_told_foretold_and_done_by_hand(
    minidock: Minidock, busybox_image: Path, registry: Registry, tmp_path: Path
) -> None:
    require_root()
    require_tool("curl")
    name = f"{registry.address}/team/box:1"
    minidock("load", "-i", str(busybox_image), check=True)
    minidock("tag", "busybox", name, check=True)
    minidock("push", name, check=True)
    image = minidock("image", "inspect", "-f", "{{.Id}}", name, check=True).stdout
    minidock("rmi", name, "busybox", check=True)
    foretold = minidock("pull", "--dry-run", name, check=True).stdout
    script = minidock("pull", "--as-shell", name, check=True).stdout
    assert minidock("images", "-q", check=True).stdout == ""
    for said in ("ask for the manifest", "fetch the configuration", "fetch the layer", "unpack 1 layer", "mean it"):
        assert said in foretold
    by_itself = by_hand(minidock, tmp_path, script)
    assert by_itself.returncode == 0, by_itself.stderr
    assert minidock("image", "inspect", "-f", "{{.Id}}", name, check=True).stdout == image
    minidock("rmi", name, check=True)
    told = minidock("pull", f"--explain=json:{tmp_path / 'steps'}", name, check=True)
    rows = [json.loads(line) for line in (tmp_path / "steps").read_text().splitlines()]
    kinds = ["AskForManifest", "FetchBlob", "FetchBlob", "UnpackLayers", "FileImage", "GiveName"]
    assert [(row["event"], row["step"]) for row in rows] == [("done", kind) for kind in kinds], told.stderr
    assert rows[2]["seconds"] > 0 and "layer" in rows[2]["what"]


def test_a_pull_that_fails_says_at_which_step(minidock: Minidock, registry: Registry) -> None:
    require_root()
    failed = minidock("pull", "--explain", f"{registry.address}/team/nothing:1")
    assert failed.returncode == 1 and "failed" in failed.stderr and "ask for the manifest" in failed.stderr
