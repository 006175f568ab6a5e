"""Volumes: who has what, what is mounted on the host and for how long, and that nothing is lost or left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.instance import Minidock, settled
from tests.support.needs import require_feature, require_root


@pytest.fixture
def loaded(minidock: Minidock, busybox_image: Path) -> Minidock:
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


def mounted(minidock: Minidock) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if f" {minidock.layout.volumes}/" in line]


def test_a_tmpfs_volume_is_one_for_all_who_use_it_and_goes_with_the_last(loaded: Minidock) -> None:
    loaded("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "shared", check=True)
    loaded("run", "-d", "--name", "one", "-v", "shared:/s", "busybox", "sleep", "1000", check=True)
    loaded("exec", "one", "sh", "-c", "echo hello > /s/file", check=True)
    loaded("run", "-d", "--name", "two", "-v", "shared:/t", "busybox", "sleep", "1000", check=True)
    assert loaded("exec", "two", "cat", "/t/file", check=True).stdout == "hello\n"
    assert len(mounted(loaded)) == 1
    loaded("rm", "-f", "one", check=True)
    assert loaded("exec", "two", "cat", "/t/file", check=True).stdout == "hello\n"
    loaded("rm", "-f", "two", check=True)
    assert settled(lambda: mounted(loaded)) == []


def test_what_a_killed_container_left_mounted_the_next_command_unmounts(loaded: Minidock) -> None:
    loaded("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "shared", check=True)
    loaded("run", "-d", "--name", "one", "-v", "shared:/s", "busybox", "sleep", "1000", check=True)
    pid = int(loaded("inspect", "-f", "{{.State.Pid}}", "one", check=True).stdout)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    settled(lambda: ["alive"] if Path(f"/proc/{pid}/root/bin").exists() else [])
    loaded("ps", "-a", check=True)
    assert settled(lambda: mounted(loaded)) == []


def test_a_bind_volume_shows_a_directory_of_the_host(loaded: Minidock, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "here").write_text("from the host\n")
    options = ["-o", "type=none", "-o", "o=bind", "-o", f"device={source}"]
    loaded("volume", "create", *options, "bound", check=True)
    assert loaded("run", "--rm", "-v", "bound:/b", "busybox", "cat", "/b/here", check=True).stdout == "from the host\n"
    loaded("run", "--rm", "-v", "bound:/b", "busybox", "touch", "/b/made", check=True)
    assert (source / "made").exists()
    loaded("volume", "rm", "bound", check=True)
    assert sorted(os.listdir(source)) == ["here", "made"]


@pytest.mark.parametrize(("kind", "said"), [("nosuchfs", "no file system nosuchfs"), ("none", "no such file")])
def test_what_cannot_be_mounted_is_said_and_leaves_nothing(loaded: Minidock, kind: str, said: str) -> None:
    bind = ["-o", "o=bind"] if kind == "none" else []
    loaded("volume", "create", "-o", f"type={kind}", "-o", "device=/nosuch", *bind, "broken", check=True)
    refused = loaded("run", "--rm", "-v", "broken:/b", "busybox", "true")
    assert refused.returncode == 125
    assert "error while mounting volume" in refused.stderr and said in refused.stderr
    assert mounted(loaded) == []
    assert loaded("ps", "-aq", check=True).stdout == ""


def test_volumes_made_by_hand_or_by_older_versions_are_volumes(loaded: Minidock) -> None:
    data = loaded.layout.volumes / "byhand" / "_data"
    data.mkdir(parents=True)
    (data / "file").write_text("kept\n")
    assert loaded("run", "--rm", "-v", "byhand:/v", "busybox", "cat", "/v/file", check=True).stdout == "kept\n"
    [found] = json.loads(loaded("volume", "inspect", "byhand", check=True).stdout)
    assert (found["Labels"], found["Options"], found["Mountpoint"]) == (None, None, str(data))
    assert "byhand" not in loaded("volume", "prune", "-f", check=True).stdout
    loaded("volume", "rm", "byhand", check=True)
    assert not data.exists()


def test_prune_takes_anonymous_ones_that_nobody_has_and_with_all_the_others(loaded: Minidock) -> None:
    loaded("volume", "create", "named", check=True)
    loaded("run", "--name", "one", "-v", "/anonymous", "-v", "used:/u", "busybox", "true", check=True)
    assert "Deleted" not in loaded("volume", "prune", "-f", check=True).stdout
    loaded("rm", "one", check=True)
    pruned = loaded("volume", "prune", "-f", check=True).stdout.split()
    assert [len(word) for word in pruned[2:3]] == [64]
    assert loaded("volume", "ls", "-q", check=True).stdout.split() == ["named", "used"]
    loaded("volume", "prune", "-af", check=True)
    assert os.listdir(loaded.layout.volumes) == []


def test_an_anonymous_volume_goes_with_rm_v_and_run_rm_only(loaded: Minidock) -> None:
    loaded("run", "--rm", "-v", "/a", "busybox", "true", check=True)
    assert os.listdir(loaded.layout.volumes) == []
    loaded("run", "--name", "one", "-v", "/a", "busybox", "true", check=True)
    loaded("rm", "-v", "one", check=True)
    assert os.listdir(loaded.layout.volumes) == []
    loaded("run", "--name", "one", "-v", "/a", "busybox", "true", check=True)
    loaded("rm", "one", check=True)
    assert len(os.listdir(loaded.layout.volumes)) == 1


# What hangs below a bind mount


@pytest.fixture
def nested(tmp_path: Path) -> Iterator[Path]:
    """A directory with a file system mounted below it."""
    outer = tmp_path / "outer"
    (outer / "inner").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "inner", outer / "inner"], check=True)
    (outer / "inner" / "there").write_text("")
    yield outer
    subprocess.run(["umount", outer / "inner"], check=True)


TOUCHED = {"neither": "", "below": "i", "both": "oi"}


@pytest.mark.parametrize(
    ("how", "seen", "written"),
    [
        (["-v", "{}:/x"], True, "both"),
        (["-v", "{}:/x:ro"], True, "neither"),
        (["-v", "{}:/x:rro"], True, "neither"),
        (["--mount", "type=bind,src={},dst=/x,ro"], True, "neither"),
        (["--mount", "type=bind,src={},dst=/x,ro,bind-recursive=enabled"], True, "neither"),
        (["--mount", "type=bind,src={},dst=/x,ro,bind-recursive=writable,bind-propagation=rprivate"], True, "below"),
        (["--mount", "type=bind,src={},dst=/x,ro,bind-recursive=readonly,bind-propagation=rprivate"], True, "neither"),
        (["--mount", "type=bind,src={},dst=/x,bind-recursive=disabled"], False, "both"),
        (["--mount", "type=bind,src={},dst=/x,bind-nonrecursive"], False, "both"),
    ],
)
def test_what_hangs_below_a_bind_mount_is_seen_and_written_as_asked(
    loaded: Minidock, nested: Path, how: list[str], seen: bool, written: str
) -> None:
    words = [word.format(nested) for word in how]
    script = "test -e /x/inner/there && printf s; touch /x/o && printf o; touch /x/inner/i && printf i; :"
    told = loaded("run", "--rm", *words, "busybox", "sh", "-c", script, check=True).stdout
    assert told == ("s" if seen else "") + TOUCHED[written]
    # Not only told: what the host has afterwards.
    assert ((nested / "o").exists(), (nested / "inner" / "i").exists()) == ("o" in told, "i" in told and seen)


def test_a_missing_source_is_made_for_v_and_bind_create_src_only(loaded: Minidock, tmp_path: Path) -> None:
    missing = [tmp_path / name / "deep" for name in ("one", "two", "three")]
    refused = loaded("run", "--rm", "--mount", f"type=bind,src={missing[0]},dst=/x", "busybox", "true")
    assert refused.returncode == 125 and f"bind source path does not exist: {missing[0]}" in refused.stderr
    assert not missing[0].parent.exists()
    made = f"type=bind,src={missing[1]},dst=/x,bind-create-src"
    loaded("run", "--rm", "--mount", made, "busybox", "touch", "/x/file", check=True)
    loaded("run", "--rm", "-v", f"{missing[2]}:/x", "busybox", "touch", "/x/file", check=True)
    assert all((place / "file").exists() and place.stat().st_uid == 0 for place in missing[1:])


@pytest.mark.parametrize("inside", ["..", "../other", "a/../../other", "/a"])
def test_a_subpath_that_leads_out_of_its_volume_is_refused(loaded: Minidock, inside: str) -> None:
    words = f"type=volume,src=data,dst=/x,volume-subpath={inside}"
    refused = loaded("run", "--rm", "--mount", words, "busybox", "true")
    assert refused.returncode == 125 and "subpath must be a relative path within the volume" in refused.stderr
    assert loaded("volume", "ls", "-q", check=True).stdout == ""


def test_cp_sees_the_part_of_a_volume_that_the_container_has(loaded: Minidock, tmp_path: Path) -> None:
    loaded("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "mkdir /d/part; echo x > /d/part/file", check=True)
    words = "type=volume,src=data,dst=/x,volume-subpath=part"
    loaded("create", "--name", "one", "--mount", words, "busybox", "true", check=True)
    loaded("cp", "one:/x/file", str(tmp_path / "file"), check=True)
    assert (tmp_path / "file").read_text() == "x\n"


def test_nfs_is_refused_where_the_kernel_has_none(loaded: Minidock) -> None:
    require_feature("no-nfs")
    options = ["-o", "type=nfs", "-o", "o=addr=127.0.0.1,ro", "-o", "device=:/exported"]
    loaded("volume", "create", *options, "far", check=True)
    refused = loaded("run", "--rm", "-v", "far:/x", "busybox", "true")
    assert refused.returncode == 125
    assert "error while mounting volume" in refused.stderr and "this kernel has no file system nfs" in refused.stderr
    assert mounted(loaded) == [] and loaded("ps", "-aq", check=True).stdout == ""
    loaded("volume", "rm", "far", check=True)
