"""Layers unpacked: everything that a tar can say about a file is true of the file afterwards."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from pathlib import Path

import pytest

from minidock.errors import InvalidImage
from minidock.image.trees import tree_size, walk
from minidock.image.unpack import Unpacked, unpack
from tests.conftest import require_root, require_tool
from tests.support.tarforge import directory, hard_link, long_name, member, pax, symlink, tar

CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)
"""cap_net_raw=ep, as capabilities(7) has it in security.capability."""


@pytest.fixture(autouse=True)
def root() -> None:
    require_root()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "layer"
    path.mkdir()
    return path


def extract(out: Path, *parts: bytes) -> Unpacked:
    return unpack(io.BytesIO(tar(*parts)).read, out)


Fact = tuple[int, tuple[int, int], int, int, int, int, object, dict[str, bytes]]


def facts(top: Path) -> dict[bytes, Fact]:
    """All that is known of each file: mode, owner, links, size, device, time, content, attributes."""
    root = os.open(top, os.O_RDONLY)
    found = {}
    for name, status in walk(root):
        path = os.fsencode(top) + b"/" + name
        content: object = None
        if stat.S_ISREG(status.st_mode):
            content = Path(os.fsdecode(path)).read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False) for key in os.listxattr(path, follow_symlinks=False)
        }
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        links = 0 if stat.S_ISDIR(status.st_mode) else status.st_nlink
        owner = (status.st_uid, status.st_gid)
        found[name] = (status.st_mode, owner, links, size, status.st_rdev, status.st_mtime_ns, content, attributes)
    os.close(root)
    return found


def odd_tree(top: Path) -> None:
    """A tree with one of everything."""
    top.mkdir()
    for number, mode in enumerate([0o000, 0o400, 0o644, 0o666, 0o755, 0o777, 0o1755, 0o2755, 0o4755, 0o6711, 0o7777]):
        path = top / f"mode{number}"
        path.write_bytes(b"x" * number * 1000)
        os.chown(path, 1000 + number, 2000)
        path.chmod(mode)
    (top / "large").write_bytes(os.urandom(3_000_000))
    (top / "setgid").mkdir()
    (top / "setgid" / "file").write_text("in a setgid directory")
    os.chown(top / "setgid", 5, 6)
    (top / "setgid").chmod(0o2770)
    (top / "sticky").mkdir(mode=0o1777)
    (top / "sticky").chmod(0o1777)
    (top / "read-only").mkdir()
    (top / "read-only" / "file").write_text("in a directory that can't be written")
    (top / "read-only").chmod(0o555)
    (top / os.fsdecode(b"not-utf8-\xff\xfe")).write_text("x")
    (top / "ünïcode").mkdir()
    (top / ("long" * 60)).write_text("240 bytes of name")
    deep = top / "/".join(["deep" * 20] * 12)
    deep.mkdir(parents=True)
    (deep / "file").write_text("a path of a thousand bytes")
    (top / "link").symlink_to("/etc/passwd")
    (top / "long-link").symlink_to("x" * 3000)
    os.chown(top / "link", 7, 8, follow_symlinks=False)
    os.link(top / "large", top / "setgid" / "hard")
    os.link(top / "link", top / "hard-link-to-symlink", follow_symlinks=False)
    os.mkfifo(top / "fifo", 0o640)
    os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(top / "disk", stat.S_IFBLK | 0o660, os.makedev(259, 300))
    os.chown(top / "disk", 0, 6)
    os.setxattr(top / "large", "user.name", b"value\0\n=")
    os.setxattr(top / "sticky", "user.dir", b"of a directory")
    os.setxattr(top / "mode4", "security.capability", CAPABILITY)
    os.setxattr(top / "null", "trusted.test", b"on a device")
    with open(top / "sparse", "wb") as file:
        file.seek(50_000_000)
        file.write(b"end")
        file.truncate(60_000_000)
    root = os.open(top, os.O_RDONLY)
    for number, name in enumerate(sorted((name for name, _ in walk(root)), reverse=True)):
        os.utime(name, ns=(0, 1_600_000_000_123_456_789 + number * 10**9), dir_fd=root, follow_symlinks=False)
    os.close(root)
    os.utime(top / "fifo", ns=(0, -5_500_000_000))


FORMATS = [
    ["--format=pax", "--xattrs", "--xattrs-include=*"],
    ["--format=pax", "--xattrs", "--xattrs-include=*", "--sparse", "--sort=name"],
    ["--format=gnu", "--sparse"],
    ["--format=gnu"],
]


@pytest.mark.parametrize("options", FORMATS, ids=" ".join)
def test_a_tree_is_the_same_after_a_trip_through_gnu_tar(options: list[str], tmp_path: Path, out: Path) -> None:
    """Packed by GNU tar, unpacked by GNU tar and by us: the two trees don't differ in anything."""
    program = require_tool("tar")
    odd_tree(tmp_path / "tree")
    raw = subprocess.run([program, "-C", str(tmp_path / "tree"), "-c", *options, "."], capture_output=True, check=True)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    unpacking = [program, "-C", str(theirs), "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    subprocess.run(unpacking, input=raw.stdout, check=True)
    result = unpack(io.BytesIO(raw.stdout).read, out)
    ours = facts(out)
    assert ours == facts(theirs)
    if options[0] == "--format=pax":
        assert ours == facts(tmp_path / "tree")
        assert ours[b"mode4"][-1] == {"security.capability": CAPABILITY}
    assert result.entries == len(ours)
    fd = os.open(out, os.O_RDONLY)
    assert result.size == tree_size(fd)
    os.close(fd)
    if "--sparse" in options:
        assert (out / "sparse").stat().st_blocks < 1000


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_our_umask(umask: int, out: Path) -> None:
    before = os.umask(umask)
    try:
        extract(
            out, member("a/b/file", mode=0o666), directory("dir", mode=0o777), member("fifo", kind=b"6", mode=0o622)
        )
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE(fact[0]) for name, fact in facts(out).items()}
    assert modes == {b"a": 0o755, b"a/b": 0o755, b"a/b/file": 0o666, b"dir": 0o777, b"fifo": 0o622}


def test_the_roots_own_attributes_are_left_alone(out: Path) -> None:
    """As in Docker: the layer's "./" does not decide what "/" of the container is like."""
    out.chmod(0o755)
    extract(out, directory("./", mode=0o700, uid=5), member("./file"))
    assert stat.S_IMODE(out.stat().st_mode) == 0o755 and out.stat().st_uid == 0 and (out / "file").exists()


# Whiteouts


def is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return "trusted.overlay.opaque" in os.listxattr(path) and os.getxattr(path, "trusted.overlay.opaque") == b"y"


def test_whiteouts_become_what_overlayfs_wants(out: Path) -> None:
    result = extract(
        out, member(".wh.gone"), directory("d"), member("d/.wh..wh..opq"), member("d/new"), member("x/y/.wh.z")
    )
    assert is_whiteout(out / "gone") and is_opaque(out / "d") and is_whiteout(out / "x/y/z")
    assert not is_opaque(out) and not result.opaque
    assert not [name for name in facts(out) if b".wh." in name]


@pytest.mark.parametrize("whiteout_first", [True, False])
def test_a_whiteout_beside_its_own_name_hides_only_what_is_below(whiteout_first: bool, out: Path) -> None:
    """image-spec layer.md: whiteouts apply to lower layers only, whatever the order of members."""
    both = [(member(".wh.d"), directory("d") + member("d/new")), (member(".wh.f"), member("f", b"x"))]
    extract(out, *(part for pair in both for part in (pair if whiteout_first else pair[::-1])))
    assert is_opaque(out / "d") and (out / "d/new").exists()
    assert (out / "f").read_text() == "x"


def test_an_opaque_root_is_told(out: Path) -> None:
    assert extract(out, member(".wh..wh..opq"), member("f")).opaque


def test_overlayfs_shows_the_merged_tree(tmp_path: Path) -> None:
    layers = [
        tar(directory("a"), member("a/1", b"1"), member("a/2", b"2"), directory("b"), member("b/1", b"1"), member("c")),
        tar(
            directory("a"), member("a/.wh.1"), directory("b"), member("b/.wh..wh..opq"), member("b/2"), member(".wh.c")
        ),
        tar(member("a/1", b"new")),
    ]
    for number, raw in enumerate(layers):
        (tmp_path / str(number)).mkdir()
        unpack(io.BytesIO(raw).read, tmp_path / str(number))
    merged = tmp_path / "merged"
    merged.mkdir()
    lower = ":".join(str(tmp_path / str(number)) for number in (2, 1, 0))
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower}", merged], check=True)
    try:
        assert sorted(facts(merged)) == [b"a", b"a/1", b"a/2", b"b", b"b/2"]
        assert (merged / "a/1").read_text() == "new"
    finally:
        subprocess.run(["umount", merged], check=True)


# Oddities


def test_of_two_members_with_one_name_the_last_stays(out: Path) -> None:
    result = extract(
        out,
        member("file", b"first, longer", mode=0o777, uid=5),
        member("file", b"second"),
        directory("to-file"),
        member("to-file/inside", b"gone"),
        member("to-file", b"now a file"),
        member("to-dir", b"a file"),
        directory("to-dir", mode=0o700),
        member("to-dir/inside", b"here"),
        symlink("to-link", "a"),
        symlink("to-link", "bb"),
        directory("kept", mode=0o700),
        member("kept/inside", b"kept"),
        directory("kept", mode=0o711, uid=9),
        member("device", kind=b"3", major=1, minor=3),
        member("device", kind=b"6"),
        member("one", b"1"),
        member("other", b"2"),
        hard_link("other", "one"),
    )
    found = facts(out)
    assert (out / "file").read_text() == "second" and (out / "file").stat().st_uid == 0
    assert (out / "to-file").read_text() == "now a file" and (out / "to-dir/inside").read_text() == "here"
    assert os.readlink(out / "to-link") == "bb" and stat.S_ISFIFO(found[b"device"][0])
    assert (out / "kept/inside").read_text() == "kept"
    assert (stat.S_IMODE(found[b"kept"][0]), found[b"kept"][1]) == (0o711, (9, 0))
    assert (out / "one").stat().st_nlink == 2 and (out / "other").read_text() == "1"
    assert result.size == sum(map(len, ["second", "now a file", "here", "bb", "kept", "1"]))


def test_names_may_be_written_in_many_ways(out: Path) -> None:
    extract(
        out,
        member("./a//b/./c", b"1"),
        member("/d/e", b"2"),
        directory("./f/"),
        long_name(b"g/" * 100 + b"h"),
        member("x"),
    )
    assert (out / "a/b/c").read_text() == "1" and (out / "d/e").read_text() == "2" and (out / "f").is_dir()
    assert (out / ("g/" * 100 + "h")).exists()


def test_members_through_a_symlink_of_the_same_layer(out: Path) -> None:
    """As when it is unpacked in a chroot: absolute links count from the layer's root."""
    extract(
        out, directory("usr/lib"), symlink("lib", "usr/lib"), symlink("abs", "/usr"), member("lib/a", b"1"),
        member("abs/lib/b", b"2"), directory("lib/dir", mode=0o700), hard_link("hard", "abs/lib/b"),
    )  # fmt: skip
    assert (out / "usr/lib/a").read_text() == "1" and (out / "usr/lib/b").read_text() == "2"
    assert stat.S_IMODE((out / "usr/lib/dir").stat().st_mode) == 0o700 and (out / "hard").stat().st_nlink == 2


def test_a_name_of_the_greatest_length(out: Path) -> None:
    extract(
        out, pax({"path": "n" * 255}), member("x", b"1"), pax({"path": ("d" * 250 + "/") * 16 + "f"}), member("x", b"2")
    )
    assert (out / ("n" * 255)).read_text() == "1" and (out / (("d" * 250 + "/") * 8)).is_dir()


def test_an_attribute_that_the_file_system_does_not_keep_is_dropped(out: Path) -> None:
    extract(out, pax({"SCHILY.xattr.nonsense.x": "y"}), member("f", b"x"))
    assert (out / "f").read_text() == "x"


def test_a_hard_link_to_a_lower_layer_is_refused_by_name(out: Path) -> None:
    with pytest.raises(InvalidImage, match="hard link to 'etc/passwd', which is not in this layer"):
        extract(out, hard_link("h", "etc/passwd"))


def test_no_descriptor_is_left_open(out: Path) -> None:
    before = os.listdir("/proc/self/fd")
    extract(out, *(member(f"d{number}/e/f", b"x") for number in range(200)))
    (out / "again").mkdir()
    with pytest.raises(InvalidImage):
        unpack(io.BytesIO(tar(*(member(f"d{number}/f") for number in range(70)), member(".."))).read, out / "again")
    assert os.listdir("/proc/self/fd") == before
