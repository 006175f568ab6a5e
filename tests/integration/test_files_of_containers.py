"""cp, diff, export and commit: what they promise beyond Docker's words (tests/parity has those)."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from minidock.engine import Engine
from minidock.errors import MinidockError
from minidock.kernel import view
from minidock.kernel.overlay import MountOverlay
from minidock.model.requests import Commit
from minidock.steps import Live, Step
from tests.conftest import Minidock, require_root
from tests.support.instance import settled

FILES = ["--network", "none"]


@pytest.fixture
def engine(minidock: Minidock, busybox_image: Path) -> Engine:
    require_root()
    minidock("load", "-q", "-i", str(busybox_image), check=True)
    return Engine(minidock.layout)


def mounted_below(minidock: Minidock) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(minidock.layout.root) in line or str(minidock.layout.run) in line]


def archive(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_nothing_is_mounted_on_the_host(minidock: Minidock, engine: Engine) -> None:
    """While the tree of a stopped container is being read."""
    minidock("create", "--name", "one", *FILES, "busybox", "true", check=True)
    seen: list[list[str]] = []
    engine.read_archive("one", "/etc", lambda _: seen.append(mounted_below(minidock)))
    engine.export("one", _Out(lambda: seen.append(mounted_below(minidock))))
    assert len(seen) > 1
    assert seen == [[]] * len(seen)


class _Out(io.RawIOBase):
    def __init__(self, look) -> None:
        self.look = look

    def write(self, data) -> int:
        self.look()
        return len(data)


def test_a_container_starts_after_its_tree_was_open(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    """A start waits: two overlays on one upper directory would be undefined."""
    minidock("create", "--name", "one", *FILES, "busybox", "cat", "/new", check=True)
    starting: list[subprocess.Popen[bytes]] = []

    def feed(n: int) -> bytes:
        if not starting:
            starting.append(minidock.popen("start", "-a", "one", stdout=subprocess.PIPE))
            with pytest.raises(subprocess.TimeoutExpired):
                starting[0].wait(timeout=0.5)
            return archive(("new", b"from the copy\n"))
        return b""

    engine.write_archive("one", "/", feed)
    out, _ = starting[0].communicate(timeout=60)
    assert out == b"from the copy\n"


# Hostile containers


def test_links_lead_nowhere_outside(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    """CVE-2018-15664 and its like: absolute, relative, and links in the middle of a path."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    up = "../" * 30
    script = f"ln -s {outside} /abs; ln -s {up}{outside} /rel; mkdir /d; ln -s /abs /d/way; ln -s {up}etc/shadow /s"
    minidock("run", "--name", "one", *FILES, "busybox", "sh", "-c", script, check=True)
    for path in ("/abs/secret", "/rel/secret", "/d/way/secret", "/abs/.", "/rel/"):
        with pytest.raises(MinidockError, match="Could not find the file"):
            engine.read_archive("one", path, lambda _: None)
    source = tmp_path / "evil"
    source.write_text("evil")
    for path in ("/abs/x", "/rel/x", "/d/way/x"):
        with pytest.raises(MinidockError):
            engine.copy_in(str(source), "one", path)
    assert os.listdir(outside) == ["secret"]
    assert engine.stat_path("one", "/s").link_target == "/etc/shadow"


def test_a_directory_swapped_for_a_link_meanwhile(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    """CVE-2018-15664: the container swaps a directory and a symlink to the host's while files are copied into it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    swap = f"mkdir /a; ln -s {outside} /b; while :; do mv -T /a /c; mv -T /b /a; mv -T /a /b; mv -T /c /a; done"
    minidock("run", "-d", "--name", "one", *FILES, "busybox", "sh", "-c", swap, check=True)
    source = tmp_path / "evil"
    source.write_text("evil")
    reached = 0
    for number in range(60):
        try:
            engine.copy_in(str(source), "one", f"/a/f{number}")
            reached += 1
        except MinidockError:
            continue
    assert os.listdir(outside) == []
    assert reached, "none of the copies met the directory"


def test_a_volume_s_place_swapped_for_a_link_meanwhile(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    """CVE-2026-41568, CVE-2026-42306: dockerd made the volume's mount point, and mounted there, by its path."""
    outside, volume = tmp_path / "outside", tmp_path / "volume"
    for path in (outside, volume):
        path.mkdir()
    swap = "mv -T /way /kept && mv -T /link /way && usleep 9999 && mv -T /way /link && mv -T /kept /way && usleep 9999"
    script = f"ln -s {outside} /link; {swap} && touch /ready; while :; do {swap}; done"
    options = [*FILES, "-v", f"{volume}:/way/in/there"]
    minidock("run", "-d", "--name", "one", *options, "busybox", "sh", "-c", script, check=True)
    settled(lambda: [] if _has(engine, "/ready") else ["not yet"])
    reached = 0
    for number in range(40):
        with contextlib.suppress(MinidockError):
            engine.write_archive("one", "/tmp", io.BytesIO(archive((f"f{number}", b"x"))).read)
            reached += 1
    assert os.listdir(outside) == []
    assert reached, "none of the copies met the directory"


def test_the_container_s_programs_unpack_nothing(minidock: Minidock, engine: Engine) -> None:
    """CVE-2026-41567: dockerd looked for xz and unpigz in the container's tree, and ran what it found as root."""
    script = (
        "for p in xz unpigz gzip zstd bzip2; do printf '#!/bin/sh\\ntouch /ran\\n' > /bin/$p; chmod +x /bin/$p; done"
    )
    minidock("run", "--name", "one", *FILES, "busybox", "sh", "-c", script, check=True)
    plain = archive(("made", b"x"))
    for packed in (gzip.compress(plain), lzma.compress(plain), bz2.compress(plain)):
        engine.write_archive("one", "/tmp", io.BytesIO(packed).read)
    assert _has(engine, "/tmp/made")
    assert not _has(engine, "/ran")


def test_nothing_is_imported_from_a_container(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    """CVE-2019-14271: what looks into a container is a process of ours, whose libraries were looked for in there."""

    class Imports(Step, frozen=True):
        def apply(self, live: Live) -> None:
            import wave  # noqa: F401 - any module that nobody has needed so far

    overlay = MountOverlay([str(tmp_path)], *(str(tmp_path / name) for name in ("upper", "work", "upper")))
    for name in ("upper", "work"):
        (tmp_path / name).mkdir()
    with pytest.raises(MinidockError, match="No module named 'wave'"), view.stopped(overlay, [Imports()]):
        pass


def test_a_tar_can_not_write_outside(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    minidock("create", "--name", "one", *FILES, "busybox", "true", check=True)
    for name in ("../../escaped", "/../escaped", "a/../../../escaped"):
        with pytest.raises(MinidockError, match=r"\.\."):
            engine.copy_in(io.BytesIO(archive((name, b"x"))), "one", "/tmp")


def test_what_a_container_gives_stays_in_the_target(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    """A container's symlink comes out first, and a file through it next: neither leaves the directory."""
    target = tmp_path / "target"
    target.mkdir()
    script = "mkdir /x; ln -s /tmp /x/a; mkdir -p /y/a; echo evil > /y/a/f; mkfifo /x/pipe"
    minidock("run", "--name", "one", *FILES, "busybox", "sh", "-c", script, check=True)
    engine.copy_out("one", "/x/.", str(target))
    assert (target / "a").is_symlink()
    with pytest.raises(MinidockError, match="cannot overwrite"):
        engine.copy_out("one", "/y/.", str(target))


def test_mounts_of_a_running_container_stay(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    """From another mount namespace unlink(2) would take the mounts along, in the container too."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "kept").write_text("kept")
    options = [*FILES, "-v", f"{volume}:/data/here"]
    minidock("run", "-d", "--name", "one", *options, "busybox", "sleep", "100", check=True)
    for name in ("etc/hosts", "data", "data/here"):
        with pytest.raises(MinidockError, match="device or resource busy"):
            engine.write_archive("one", "/", io.BytesIO(archive((name, b"x"))).read)
    shown = minidock("exec", "one", "sh", "-c", "cat /data/here/kept; grep -c localhost /etc/hosts", check=True)
    assert shown.stdout.startswith("kept")
    assert (volume / "kept").exists()


def test_devices_and_pipes_are_not_opened(minidock: Minidock, engine: Engine) -> None:
    """Reading a pipe that nobody writes would wait for ever."""
    minidock("run", "--name", "one", *FILES, "busybox", "sh", "-c", "mkfifo /tmp/p; mknod /tmp/z c 1 5", check=True)
    parts: list[bytes] = []
    engine.read_archive("one", "/tmp", parts.append)
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
        assert {member.name: member.type for member in tar} == {
            "tmp": tarfile.DIRTYPE,
            "tmp/p": tarfile.FIFOTYPE,
            "tmp/z": tarfile.CHRTYPE,
        }


# Commit


def test_a_commit_stops_the_container_meanwhile_only(minidock: Minidock, engine: Engine) -> None:
    loop = "i=0; while :; do i=$((i+1)); for f in a b; do echo $i > /t; mv /t /$f; done; done"
    minidock("run", "-d", "--name", "one", *FILES, "busybox", "sh", "-c", loop, check=True)
    settled(lambda: [] if _has(engine, "/b") else ["not yet"])
    engine.commit("one", Commit(reference="half"))
    state = engine.inspect("one")["State"]
    assert (state["Status"], state["Paused"]) == ("running", False)
    a, b = minidock("run", "--rm", *FILES, "half", "cat", "/a", "/b", check=True).stdout.split()
    assert int(a) - int(b) in (0, 1)
    with open(f"/proc/{state['Pid']}/stat") as stat:
        assert stat.read().rpartition(")")[2].split()[0] in "RSD"


def test_a_failed_commit_lets_it_run_on(minidock: Minidock, engine: Engine) -> None:
    minidock("run", "-d", "--name", "one", *FILES, "busybox", "sh", "-c", "touch /.wh.x; exec sleep 100", check=True)
    settled(lambda: [] if _has(engine, "/.wh.x") else ["not yet"])
    with pytest.raises(MinidockError, match="can't be in a layer"):
        engine.commit("one", Commit(reference="bad"))
    minidock("exec", "one", "true", check=True)
    assert "bad" not in minidock("images", check=True).stdout


def _has(engine: Engine, path: str) -> bool:
    try:
        return engine.stat_path("one", path).name != ""
    except MinidockError:
        return False


def test_attributes_and_times_survive_a_commit(minidock: Minidock, engine: Engine, tmp_path: Path) -> None:
    minidock("create", "--name", "one", *FILES, "busybox", "true", check=True)
    upper = minidock.layout.container(engine.inspect("one")["Id"]) / "upper"
    (upper / "file").write_text("x")
    os.setxattr(upper / "file", "user.colour", b"blue")
    os.chown(upper / "file", 70000, 5)
    os.utime(upper / "file", ns=(0, 1_234_567_890_123_456_789))
    image_id = engine.commit("one", Commit())
    minidock("rm", "one", check=True)
    top = Path(engine.inspect_image(image_id)["GraphDriver"]["Data"]["UpperDir"])
    status = (top / "file").stat()
    assert (status.st_mtime_ns, status.st_uid) == (1_234_567_890_123_456_789, 70000)
    assert os.getxattr(top / "file", "user.colour") == b"blue"


def test_a_container_lives_on_when_its_image_is_removed(minidock: Minidock, engine: Engine) -> None:
    minidock("run", "--name", "one", *FILES, "busybox", "touch", "/x", check=True)
    engine.commit("one", Commit(reference="made"))
    minidock("create", "--name", "two", *FILES, "made", "ls", "/x", check=True)
    assert engine.remove_image("made", force=True)[0] == ("Untagged", "made:latest")
    minidock("image", "prune", "-f", check=True)
    assert minidock("start", "-a", "two", check=True).stdout == "/x\n"


def test_engine_for_the_api(minidock: Minidock, engine: Engine) -> None:
    """HEAD, GET and PUT of /containers/ID/archive: names, Go's mode bits, times."""
    minidock("run", "--name", "one", *FILES, "busybox", "sh", "-c", "ln -s etc /link; chmod 4755 /bin", check=True)
    assert engine.stat_path("one", "/link").mode & 1 << 27
    assert engine.stat_path("one", "/link").link_target == "/etc"
    directory = engine.stat_path("one", "/bin/")
    assert (directory.name, directory.mode) == ("bin", 1 << 31 | 1 << 23 | 0o755)
    parts: list[bytes] = []
    engine.read_archive("one", "/link/.", parts.append)
    with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as tar:
        assert {"./passwd", "."} <= set(tar.getnames())
    engine.write_archive("one", "/tmp", io.BytesIO(archive(("a/b", b"x"))).read)
    assert engine.stat_path("one", "/tmp/a/b").size == 1
