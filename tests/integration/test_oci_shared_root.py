"""Containers whose mounts are somebody else's: the host's, or those of a namespace that exists already."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.oci import Run, bundle, configure, oci, run_with

__all__ = ["bundle", "oci"]

LOOK = "cat /told; ls -di / /proc/1/root/.; ls /dev/null"


def below(mountinfo: str, place: Path) -> list[str]:
    """What is mounted there, and below."""
    points = [line.split(" ")[4] for line in Path(mountinfo).read_text().splitlines()]
    return [point for point in points if f"{point}/".startswith(f"{place}/")]


def host_root() -> list[str]:
    """What mountinfo says of `/`."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split(" ")[4] == "/"]


def shared(config: dict[str, Any], *, path: str = "") -> None:
    linux = config["linux"]
    linux["namespaces"] = [entry for entry in linux["namespaces"] if entry["type"] != "mount"]
    if path:
        linux["namespaces"].append({"type": "mount", "path": path})
    linux["maskedPaths"] = linux["readonlyPaths"] = []
    config["process"]["args"] = ["sleep", "1000"]


@pytest.fixture
def other() -> Iterator[str]:
    """The mountinfo's directory of a process with a mount namespace of its own."""
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.read(1)
        yield f"/proc/{process.pid}"
        process.kill()


def test_without_a_mount_namespace_the_tree_hangs_in_the_host_s_as_long_as_it_is_there(oci: Run, bundle: Path) -> None:
    (bundle / "rootfs/told").write_text("inside\n")
    configure(oci, bundle, shared)
    before = host_root()
    oci("run", "-d", "-b", str(bundle), "box")
    assert len(below("/proc/self/mountinfo", bundle / "rootfs")) > 3
    assert host_root() == before  # its propagation, too
    root = os.stat(bundle / "rootfs").st_ino
    assert oci("exec", "box", "sh", "-c", LOOK).stdout.split() == [
        "inside", str(root), "/", str(root), "/proc/1/root/.", "/dev/null",
    ]  # fmt: skip
    oci("delete", "--force", "box")
    assert below("/proc/self/mountinfo", bundle / "rootfs") == []


def test_what_fails_there_leaves_nothing(oci: Run, bundle: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        shared(config)
        config["process"]["args"] = ["nosuch"]

    assert "nosuch" in run_with(oci, bundle, change).stderr
    assert below("/proc/self/mountinfo", bundle / "rootfs") == []


def test_a_mount_namespace_by_path(oci: Run, bundle: Path, other: str) -> None:
    (bundle / "rootfs/told").write_text("inside\n")
    configure(oci, bundle, lambda config: shared(config, path=f"{other}/ns/mnt"))
    oci("run", "-d", "-b", str(bundle), "box")
    assert below("/proc/self/mountinfo", bundle / "rootfs") == []
    assert len(below(f"{other}/mountinfo", bundle / "rootfs")) > 3
    assert oci("exec", "box", "cat", "/told").stdout == "inside\n"
    oci("delete", "--force", "box")
    assert below(f"{other}/mountinfo", bundle / "rootfs") == []


def test_an_engine_s_own_mount_at_the_root_stays_whatever_happens(oci: Run, bundle: Path) -> None:
    rootfs = bundle / "root fs"  # mountinfo has its own way of writing that
    (bundle / "rootfs").rename(rootfs)
    subprocess.run(["mount", "--bind", rootfs, rootfs], check=True)
    try:
        configure(oci, bundle, lambda config: (shared(config), config["root"].update(path="root fs"))[0])
        oci("create", "-b", str(bundle), "box")
        place = bundle.parent / "state/box"
        kept = {name: (place / name).read_bytes() for name in ("journal.json", "state.json", "config.json")}
        oci("delete", "--force", "box")
        # As after a delete that was killed in the middle: it begins anew.
        place.mkdir()
        for name, content in kept.items():
            (place / name).write_bytes(content)
        oci("delete", "box")
        escaped = Path(str(rootfs).replace(" ", "\\040"))
        assert below("/proc/self/mountinfo", escaped) == [str(escaped)]
    finally:
        subprocess.run(["umount", rootfs], check=True)


def test_a_mount_namespace_that_has_ended_takes_its_mounts_along(oci: Run, bundle: Path, other: str) -> None:
    configure(oci, bundle, lambda config: shared(config, path=f"{other}/ns/mnt"))
    oci("create", "-b", str(bundle), "box")
    os.kill(int(other.rpartition("/")[2]), 9)
    oci("delete", "--force", "box")
    assert oci("list", "-q").stdout == ""
