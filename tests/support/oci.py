"""A bundle with busybox, and minidock-oci on a state directory of the test's own."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_root, require_tool

COUNT = itertools.count()
Run = Callable[..., subprocess.CompletedProcess[str]]
Change = Callable[[dict[str, Any]], None]
APPLETS = ("sh", "cat", "id", "readlink", "sleep", "tty", "hostname", "ls", "stat", "touch", "mkdir", "uname", "stty",
           "mount", "grep", "true", "kill", "ps", "printenv", "env", "chmod", "echo", "head")  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """busybox with the example config, changed by each test."""
    require_root()
    place = tmp_path / "bundle"
    binaries = place / "rootfs" / "bin"
    binaries.mkdir(parents=True)
    shutil.copy(require_tool("busybox"), binaries / "busybox")
    for name in APPLETS:
        (binaries / name).symlink_to("busybox")
    return place


@pytest.fixture
def oci(tmp_path: Path) -> Iterator[Run]:
    """`oci("run", "-b", …)`; what it leaves is deleted."""
    root = tmp_path / "state"

    def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "minidock.oci.cli", "--root", str(root), *words]
        # Files, not pipes: what `create` leaves running keeps its streams open.
        with open(tmp_path / "out", "w+") as out, open(tmp_path / "err", "w+") as err:
            done = subprocess.run(command, stdout=out, stderr=err, timeout=60, stdin=subprocess.DEVNULL)
            out.seek(0)
            err.seek(0)
            result = subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())
        assert not check or result.returncode == 0, result.stderr
        return result

    yield run
    for left in root.iterdir() if root.exists() else []:
        if left.is_dir() and not left.name.startswith("."):
            run("delete", "--force", left.name)


@pytest.fixture
def box(oci: Run, bundle: Path) -> str:
    """A container that sleeps."""
    configure(oci, bundle, args("sleep", "1000"))
    oci("run", "-d", "-b", str(bundle), "box")
    return "box"


def configure(oci: Run, bundle: Path, change: Change) -> None:
    """A fresh example config without a terminal, changed."""
    (bundle / "config.json").unlink(missing_ok=True)
    oci("spec", "-b", str(bundle))
    config = json.loads((bundle / "config.json").read_text())
    config["process"]["terminal"] = False
    # Other processes run the same tests with the same ids at the same time.
    config["linux"]["cgroupsPath"] = f"/minidock-oci/test-{os.getpid()}-{next(COUNT)}"
    change(config)
    (bundle / "config.json").write_text(json.dumps(config))


def args(*words: str) -> Change:
    def change(config: dict[str, Any]) -> None:
        config["process"]["args"] = list(words)

    return change


def run_with(oci: Run, bundle: Path, change: Change, name: str = "box") -> subprocess.CompletedProcess[str]:
    """Configure and run in the foreground; the result, whatever it is."""
    configure(oci, bundle, change)
    return oci("run", "-b", str(bundle), name, check=False)


def terminal_line(master: int) -> bytes:
    """The next line of a terminal, which a slow machine hands out in pieces."""
    said = b""
    while not said.endswith(b"\n"):
        said += os.read(master, 100)
    return said


def status(oci: Run, name: str) -> str:
    """created, running, paused or stopped."""
    return str(json.loads(oci("state", name).stdout)["status"])


def wait_for(oci: Run, name: str, wanted: str) -> None:
    deadline = time.monotonic() + 20
    while (found := status(oci, name)) != wanted:
        assert time.monotonic() < deadline, f"{name} is {found}, not {wanted}"
        time.sleep(0.02)


def add_user_namespace(config: dict[str, Any], bundle: Path) -> None:
    """Root becomes 100000, who owns the rootfs and may pass through the directories above it."""
    for place, _, _ in os.walk(bundle / "rootfs"):
        os.chown(place, 100000, 100000)
    config["linux"]["namespaces"].append({"type": "user"})
    for kind in ("uidMappings", "gidMappings"):
        config["linux"][kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for parent in (bundle, *bundle.parents):
        if parent != Path("/") and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
