"""The rarer flags of `run`: each with what the kernel then shows."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.kernel import cgroups
from minidock.kernel.cgroup_files import Cgroup
from tests.support.instance import Minidock
from tests.support.needs import require_root, require_tool


@pytest.fixture
def box(minidock: Minidock, busybox_image: Path) -> Minidock:
    """An instance that has the image busybox."""
    require_root()
    minidock("load", "-i", str(busybox_image), check=True)
    return minidock


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A block device of the test's own: a file behind a loop device."""
    losetup = require_tool("losetup")
    subprocess.run(["modprobe", "-q", "loop"], check=False, capture_output=True)  # built in, or a module
    image = tmp_path / "disk"
    image.touch()
    os.truncate(image, 1 << 20)
    path = subprocess.run([losetup, "-f", "--show", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield path
    finally:
        subprocess.run([losetup, "-d", path], check=True)


def inspect(box: Minidock, name: str) -> dict:
    return json.loads(box("inspect", name, check=True).stdout)[0]


def file_of(box: Minidock, name: str, controller: str, v1: str, v2: str) -> str:
    """What the container's cgroup says, in whatever version the controller has here."""
    facts = inspect(box, name)
    parent = facts["HostConfig"]["CgroupParent"] or box.layout.cgroup_parent
    cgroup = Cgroup(path=f"{parent}/{facts['Id']}", hierarchies=cgroups.discover())
    old = cgroup.version(controller) == 1
    directory = cgroup.directory(controller) if old else cgroup.v2
    return Path(f"{directory}/{v1 if old else v2}").read_text()


def start(box: Minidock, name: str, *flags: str) -> None:
    box("run", "-d", "--name", name, "--network", "none", *flags, "busybox", "sleep", "600", check=True)


def inside(box: Minidock, *words: str) -> str:
    """Run it without a network; what it wrote."""
    return box("run", "--rm", "--network", "none", *words, check=True).stdout


@pytest.mark.vm
def test_ceilings_on_a_block_device_reach_the_kernel(box: Minidock, disk: str) -> None:
    flags = ["--device-read-bps", f"{disk}:1mb", "--device-write-iops", f"{disk}:55"]
    start(box, "slow", *flags)
    device = os.stat(disk).st_rdev
    number = f"{os.major(device)}:{os.minor(device)}"
    read = file_of(box, "slow", "blkio", "blkio.throttle.read_bps_device", "io.max")
    write = file_of(box, "slow", "blkio", "blkio.throttle.write_iops_device", "io.max")
    assert f"{number} 1048576" in read or f"{number} rbps=1048576" in read, read
    assert f"{number} 55" in write or "wiops=55" in write, write


def test_a_cgroup_parent_of_ones_own(box: Minidock) -> None:
    parent = f"/mdt-parent-{os.getpid()}"
    try:
        start(box, "below", "--cgroup-parent", parent)
        facts = inspect(box, "below")
        places = {line.split(":")[2] for line in Path(f"/proc/{facts['State']['Pid']}/cgroup").read_text().split()}
        assert places == {f"{parent}/{facts['Id']}"}
        box("rm", "-f", "below", check=True)
    finally:
        for directory in Cgroup(path=parent, hierarchies=cgroups.discover()).directories:
            if os.path.isdir(directory):
                os.rmdir(directory)


@pytest.mark.vm
def test_two_wishes_that_only_version_1_can_keep(box: Minidock) -> None:
    words = ["--memory", "64m", "--oom-kill-disable", "--memory-swappiness", "30"]
    result = box("run", "-d", "--name", "stubborn", "--network", "none", *words, "busybox", "sleep", "600", check=True)
    if Cgroup(path="/", hierarchies=cgroups.discover()).version("memory") == 1:
        assert result.stderr == ""
        assert "oom_kill_disable 1" in file_of(box, "stubborn", "memory", "memory.oom_control", "")
        assert file_of(box, "stubborn", "memory", "memory.swappiness", "").strip() == "30"
    else:
        assert "OomKillDisable discarded." in result.stderr
        assert "Memory swappiness discarded." in result.stderr
        assert inspect(box, "stubborn")["HostConfig"]["OomKillDisable"] is False


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--kernel-memory", "64m"], "--kernel-memory can't be honoured: Linux has removed that limit"),
        (["--use-api-socket"], "--use-api-socket can't be honoured"),
        (["--cpu-count", "2"], "--cpu-count is only for containers on Windows"),
        (["--disable-content-trust=false"], "--disable-content-trust=false can't be honoured"),
        (
            ["--storage-opt", "size=1g"],
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        (["--volume-driver", "nfs", "-v", "data:/data"], 'plugin "nfs" not found'),
        (["--tmpfs", "/t:colour=blue"], 'invalid tmpfs option ["colour=blue"]'),
    ],
)
def test_what_cant_be_kept_is_refused_by_name(box: Minidock, words: list[str], text: str) -> None:
    result = box("run", "--rm", *words, "busybox", "true")
    assert (result.returncode, result.stdout) == (125, "")
    assert text in result.stderr
    assert box("ps", "-aq").stdout == ""


def test_a_device_rule_opens_what_is_denied_otherwise(box: Minidock, disk: str) -> None:
    """10:237 is /dev/loop-control: the driver is there, since `disk` uses it."""
    assert disk
    opens = "mknod /node c 10 237 && (exec 3<>/node) 2>/dev/null && echo opened || echo denied"
    assert inside(box, "busybox", "sh", "-c", opens) == "denied\n"
    assert inside(box, "--device-cgroup-rule", "c 10:237 rwm", "busybox", "sh", "-c", opens) == "opened\n"


# Mounts


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    """A shared mount of the test's own, with directories to mount on."""
    place = tmp_path / "shared"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "mdt", place], check=True)
    subprocess.run(["mount", "--make-rshared", place], check=True)
    (place / "below").mkdir()
    try:
        yield place
    finally:
        subprocess.run(["umount", "-R", place], check=True)


def test_a_shared_bind_lets_mounts_out(box: Minidock, shared: Path) -> None:
    script = "mount -t tmpfs inner /v/below && touch /v/below/made-inside"
    inside(box, "--cap-add", "SYS_ADMIN", "-v", f"{shared}:/v:rshared", "busybox", "sh", "-c", script)
    assert os.listdir(shared / "below") == ["made-inside"]


def test_a_slave_bind_lets_mounts_in_but_not_out(box: Minidock, shared: Path) -> None:
    start(box, "slave", "--cap-add", "SYS_ADMIN", "-v", f"{shared}:/v:rslave")
    subprocess.run(["mount", "-t", "tmpfs", "outer", shared / "below"], check=True)
    (shared / "below" / "made-outside").touch()
    (shared / "back").mkdir()
    assert box("exec", "slave", "ls", "/v/below", check=True).stdout == "made-outside\n"
    box("exec", "slave", "sh", "-c", "mount -t tmpfs inner /v/back && touch /v/back/x", check=True)
    assert os.listdir(shared / "back") == []


def test_an_ordinary_bind_lets_nothing_through(box: Minidock, shared: Path) -> None:
    start(box, "private", "-v", f"{shared}:/v")
    subprocess.run(["mount", "-t", "tmpfs", "outer", shared / "below"], check=True)
    (shared / "below" / "made-outside").touch()
    assert box("exec", "private", "ls", "/v/below", check=True).stdout == ""


def test_read_only_covers_what_hangs_below(box: Minidock, shared: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "outer", shared / "below"], check=True)
    tries = "touch /v/x /v/below/x 2>&1 | grep -c Read-only; true"
    assert inside(box, "-v", f"{shared}:/v:ro", "busybox", "sh", "-c", tries) == "2\n"
    writable = f"type=bind,src={shared},dst=/v,ro,bind-recursive=writable"
    assert inside(box, "--mount", writable, "busybox", "sh", "-c", tries) == "1\n"


def test_files_of_an_idmapped_bind_belong_to_the_containers_user(box: Minidock, tmp_path: Path) -> None:
    place = tmp_path / "mine"
    place.mkdir()
    for name, owner in (("mine", 4711), ("roots", 0), ("others", 4712)):
        (place / name).write_text(name)
        os.chown(place / name, owner, owner)
    os.chown(place, 4711, 4711)
    script = "cd /v; stat -c '%n %u:%g' *; touch new; echo no 2>/dev/null >roots || echo denied"
    assert inside(box, "-v", f"{place}:/v:idmap", "busybox", "sh", "-c", script).splitlines() == [
        "mine 0:0",
        "others 4712:4712",
        "roots 65534:65534",
        "denied",
    ]
    assert (place / "new").stat().st_uid == 4711, "what the container's root makes is the caller's on disk"
    assert (place / "roots").read_text() == "roots"
    inside(box, "-u", "12:13", "-v", f"{place}:/v:idmap", "busybox", "touch", "/v/as-user")
    made = (place / "as-user").stat()
    assert (made.st_uid, made.st_gid) == (4711, 4711)
    denied = box("run", "--rm", "-v", "volume:/v:idmap", "busybox", "true")
    assert "field BindOptions must not be specified" in denied.stderr


def test_a_part_of_a_volume(box: Minidock) -> None:
    script = "mkdir -p /d/a/b && echo deep >/d/a/b/file && ln -s /etc /d/out"
    inside(box, "-v", "data:/d", "busybox", "sh", "-c", script)
    assert inside(box, "--mount", "src=data,dst=/v,volume-subpath=a/b", "busybox", "cat", "/v/file") == "deep\n"
    for path in ("out", "nosuch"):  # `..` is refused before: test_volumes.py
        result = box("run", "--rm", "--mount", f"src=data,dst=/v,volume-subpath={path}", "busybox", "ls", "/v")
        assert f"cannot access path {box.layout.volumes}/data/_data/{path}" in result.stderr


def test_an_inherited_volume_goes_with_its_last_user(box: Minidock) -> None:
    box("create", "--name", "first", "-v", "/data", "busybox", check=True)
    box("create", "--name", "second", "--volumes-from", "first", "busybox", check=True)
    box("rm", "-v", "first", check=True)
    assert len(os.listdir(box.layout.volumes)) == 1
    box("rm", "-v", "second", check=True)
    assert os.listdir(box.layout.volumes) == []


def test_shared_memory_of_another_container(box: Minidock) -> None:
    start(box, "donor", "--ipc", "shareable")
    box("exec", "donor", "sh", "-c", "echo shared >/dev/shm/file", check=True)
    facts = "cat /dev/shm/file; grep -c ' /dev/shm ' /proc/mounts"
    assert inside(box, "--ipc", "container:donor", "busybox", "sh", "-c", facts) == "shared\n1\n"


def test_a_hostile_dev_shm_is_not_followed(box: Minidock) -> None:
    start(box, "donor", "--ipc", "shareable", "--cap-add", "SYS_ADMIN")
    box("exec", "donor", "sh", "-c", "umount /dev/shm && rmdir /dev/shm && ln -s /etc /dev/shm", check=True)
    result = box("run", "--rm", "--network", "none", "--ipc", "container:donor", "busybox", "ls", "/dev/shm")
    assert result.returncode == 125
    assert "passwd" not in result.stdout
