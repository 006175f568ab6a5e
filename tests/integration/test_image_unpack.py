"""Layers unpacked: everything that a tar can say about a file is true of the file afterwards."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from pathlib import Path

import pytest

from minidock.errors import InvalidImage
from minidock.image.trees import tree_size
from minidock.image.unpack import Unpacked, unpack
from tests.conftest import require_root, require_tool
from tests.support.oddtree import CAPABILITY, facts, odd_tree
from tests.support.tarforge import directory, hard_link, long_name, member, pax, symlink, tar


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
