"""An upper directory → a layer: what overlayfs wrote, told in a tar that everybody understands alike."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidock.errors import MinidockError
from minidock.image import compression, diff, tarwriter
from minidock.image.between import changes_between
from minidock.image.manifest import OCI_LAYER
from minidock.image.store import ImageStore
from minidock.image.tarheader import Member
from minidock.image.tarstream import TarStream
from minidock.image.unpack import unpack
from minidock.kernel import mounts, namespaces, syscalls
from minidock.kernel.overlay import MountOverlay
from minidock.paths import Layout
from minidock.steps import Live
from tests.conftest import require_root, require_tool
from tests.support.oddtree import Fact, facts, odd_tree


@pytest.fixture(autouse=True)
def _root() -> None:
    require_root()


def layer_tar(upper: Path, **options: int) -> bytes:
    root = os.open(upper, os.O_RDONLY)
    out = io.BytesIO()
    try:
        diff.write_layer(diff.changes(root), out.write, **options)
    finally:
        os.close(root)
    return out.getvalue()


def unpacked(tar: bytes, where: Path) -> Path:
    where.mkdir()
    where.chmod(0o755)
    unpack(io.BytesIO(tar).read, where)
    return where


def names(tar: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return archive.getnames()


def overlaid(lower: list[Path], upper: Path, script: str) -> None:
    """Run a script in the merged tree, in a mount namespace of its own."""
    work = upper.with_name(upper.name + "-work")
    merged = upper.with_name(upper.name + "-merged")
    for path in (upper, work, merged):
        path.mkdir(exist_ok=True)
    pid = syscalls.clone3(namespaces.flags(["mount"]))
    if pid == 0:
        try:
            mounts.IsolateMounts().apply(Live())
            MountOverlay([str(path) for path in lower], str(upper), str(work), str(merged)).apply(Live())
            os._exit(subprocess.run(["sh", "-euc", script], cwd=merged).returncode)
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def copy_merged(lower: list[Path], upper: Path, target: Path) -> dict[bytes, Fact]:
    """All that is known of the merged tree, seen through a copy of it."""
    overlaid(lower, upper, f"cp -a . {target}")
    return facts(target)


# What one tree says comes back as it was


def test_a_tree_with_one_of_everything_comes_back(tmp_path: Path) -> None:
    odd_tree(tmp_path / "tree")
    tar = layer_tar(tmp_path / "tree")
    assert facts(unpacked(tar, tmp_path / "back")) == facts(tmp_path / "tree")


def test_the_same_tree_gives_the_same_bytes(tmp_path: Path) -> None:
    odd_tree(tmp_path / "tree")
    subprocess.run(["cp", "-a", tmp_path / "tree", tmp_path / "copy"], check=True)
    assert layer_tar(tmp_path / "tree") == layer_tar(tmp_path / "copy")


def test_nothing_changed_is_the_empty_tar(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    tar = layer_tar(tmp_path / "upper")
    assert hashlib.sha256(tar).hexdigest() == "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def test_gnu_tar_reads_it_alike(tmp_path: Path) -> None:
    odd_tree(tmp_path / "tree")
    (tmp_path / "layer.tar").write_bytes(layer_tar(tmp_path / "tree"))
    (tmp_path / "back").mkdir()
    command = ["tar", "-C", tmp_path / "back", "--xattrs", "--xattrs-include=*", "-xpf", tmp_path / "layer.tar"]
    subprocess.run([*map(str, command), "--numeric-owner"], check=True)
    ours, theirs = facts(tmp_path / "tree"), facts(tmp_path / "back")
    assert theirs.keys() == ours.keys()
    assert {name for name in ours if ours[name] != theirs[name]} <= {b"fifo"}  # GNU tar refuses a time before 1970


def test_umoci_reads_it_alike(tmp_path: Path) -> None:
    umoci = require_tool("umoci")
    odd_tree(tmp_path / "tree")
    (tmp_path / "layer.tar").write_bytes(layer_tar(tmp_path / "tree"))

    def call(*words: object) -> None:
        subprocess.run([umoci, *map(str, words)], check=True, capture_output=True)

    call("init", "--layout", tmp_path / "oci")
    call("new", "--image", f"{tmp_path}/oci:x")
    call("raw", "add-layer", "--image", f"{tmp_path}/oci:x", tmp_path / "layer.tar")
    call("raw", "unpack", "--image", f"{tmp_path}/oci:x", tmp_path / "back")
    ours, theirs = facts(tmp_path / "tree"), facts(tmp_path / "back")
    assert theirs.keys() == ours.keys()
    # all but times: umoci keeps whole seconds of symlinks, and none before 1970
    same = {name for name in ours if ours[name][:5] == theirs[name][:5] and ours[name][6:] == theirs[name][6:]}
    assert same == set(ours)


def test_times_are_clamped(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "directory").mkdir(parents=True)
    (tree / "old").write_text("x")
    os.utime(tree / "old", ns=(0, 5_000_000_001))
    (tree / "link").symlink_to("old")
    with tarfile.open(fileobj=io.BytesIO(layer_tar(tree, clamp=1000))) as archive:
        assert {member.name: member.mtime for member in archive} == {
            "directory": 1000,
            "link": 1000,
            "old": 5.000000001,
        }


def test_large_numbers_and_long_names(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    deep = tree / "/".join(["d" * 200] * 19)
    deep.mkdir(parents=True)
    odd = os.fsdecode(b"\xff" * 120)
    (deep / odd).symlink_to(os.fsdecode(b"\xfe" * 300))
    (tree / "owned").write_text("x")
    os.chown(tree / "owned", 4_000_000_000, 3_000_000)
    assert facts(unpacked(layer_tar(tree), tmp_path / "back")) == facts(tree)


def test_a_file_larger_than_octal_can_say() -> None:
    head = tarwriter.encode(Member(b"huge", b"0", 0o644, 0, 0, 9 << 30, 0, b""))
    taken = io.BytesIO(head)
    found = next(iter(TarStream(taken.read)))
    assert (found.name, found.size) == (b"huge", 9 << 30)


def test_a_path_that_no_layer_can_hold_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _ in range(21):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(MinidockError, match="more than 4095 bytes"):
        layer_tar(tree)


def test_sockets_are_left_out_and_whiteout_names_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{os.open(tree, os.O_RDONLY)}/socket")
    assert names(layer_tar(tree)) == []
    (tree / ".wh.passwd").write_text("")
    with pytest.raises(MinidockError, match=r"can't be in a layer"):
        layer_tar(tree)


# What overlayfs wrote


def test_deleted_and_replaced(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for name in ("gone", "dir/inside", "kept/one", "kept/two", "file-to-dir", "dir-to-file/x"):
        (lower / name).parent.mkdir(parents=True, exist_ok=True)
        (lower / name).write_text(name)
    script = "rm gone kept/one; rm -r dir; mkdir dir; echo new >dir/new; rm file-to-dir; mkdir file-to-dir;"
    overlaid([lower], upper, script + "rm -r dir-to-file; echo x >dir-to-file")
    tar = layer_tar(upper)
    wanted = ["dir", "dir/.wh..wh..opq", "dir/new", "dir-to-file", "file-to-dir", ".wh.gone", "kept", "kept/.wh.one"]
    assert set(names(tar)) - {"file-to-dir/.wh..wh..opq"} == set(wanted)
    back = unpacked(tar, tmp_path / "back")
    first = copy_merged([back, lower], tmp_path / "u1", tmp_path / "first")
    assert first == copy_merged([upper, lower], tmp_path / "u2", tmp_path / "second")


def test_both_forms_of_whiteouts(tmp_path: Path) -> None:
    """Kernel 6.7 knows whiteouts that are files with an attribute; user namespaces have names of their own."""
    upper = tmp_path / "upper"
    (upper / "dir").mkdir(parents=True)
    (upper / "dir" / "gone").write_text("")
    os.setxattr(upper / "dir" / "gone", "trusted.overlay.whiteout", b"y")
    os.setxattr(upper / "dir", "trusted.overlay.opaque", b"x")
    os.mknod(upper / "device", stat.S_IFCHR, 0)
    (upper / "mine").mkdir()
    os.setxattr(upper / "mine", "user.overlay.opaque", b"y")
    assert names(layer_tar(upper)) == [".wh.device", "dir", "dir/.wh.gone", "mine", "mine/.wh..wh..opq"]


def test_an_opaque_root(tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    os.setxattr(upper, "trusted.overlay.opaque", b"y")
    assert names(layer_tar(upper)) == [".wh..wh..opq"]


def test_what_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    os.setxattr(tmp_path / "moved", "trusted.overlay.redirect", b"/from")
    with pytest.raises(MinidockError, match="not all in its layer"):
        layer_tar(tmp_path)


def test_a_directory_swapped_for_a_symlink_leads_nowhere(tmp_path: Path) -> None:
    """A container that runs changes what is being read."""
    upper, outside = tmp_path / "upper", tmp_path / "outside"
    (upper / "a").mkdir(parents=True)
    (outside / "secret").mkdir(parents=True)
    root = os.open(upper, os.O_RDONLY)
    found = []
    for change in diff.changes(root):
        found.append(change.path)
        if change.path == b"a":
            (upper / "a").rmdir()
            (upper / "a").symlink_to(outside)
    os.close(root)
    assert found == [b"a"]


# Into the store


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
@pytest.mark.parametrize("move", [False, True])
def test_committed_tree_is_that_of_its_tar(tmp_path: Path, layout: Layout, packing: str, move: bool) -> None:
    upper = layout.root / "upper"
    layout.root.mkdir(parents=True)
    odd_tree(upper)
    (upper / "gone").write_text("")
    os.setxattr(upper / "gone", "trusted.overlay.whiteout", b"y")
    os.setxattr(upper / "sticky", "trusted.overlay.origin", b"something")
    os.setxattr(upper / "setgid", "trusted.overlay.opaque", b"y")
    upper.chmod(0o700)
    before = layer_tar(upper, clamp=1_600_000_010)
    store = ImageStore(layout)
    with store.bringing_in():
        layer = store.commit_layer(upper, packing=packing, move=move, clamp=1_600_000_010)
    assert upper.exists() != move
    assert layer.diff_id == "sha256:" + hashlib.sha256(before).hexdigest()
    assert layer.blob.media_type == OCI_LAYER + (f"+{packing}" if packing else "")
    raw = store.blob_path(layer.blob.digest).read_bytes()
    assert (len(raw), "sha256:" + hashlib.sha256(raw).hexdigest()) == (layer.blob.size, layer.blob.digest)
    _, read = compression.unpacked(io.BytesIO(raw).read)
    assert b"".join(iter(lambda: read(1 << 20), b"")) == before
    diff_dir = store.layer_path(layer.diff_id) / "diff"
    back = unpacked(before, tmp_path / "back")
    ours, theirs = facts(diff_dir), facts(back)
    assert ours.pop(b"gone")[:5] == theirs.pop(b"gone")[:5]  # a whiteout has no time
    assert ours == theirs
    assert stat.S_IMODE(diff_dir.stat().st_mode) == 0o755
    known = store.layer(layer.diff_id)
    assert known is not None
    result = unpack(io.BytesIO(before).read, _empty(tmp_path / "again"))
    assert (known.size, known.entries, known.opaque) == (result.size, result.entries, result.opaque)
    assert list(store.tmp.iterdir()) == []


def _empty(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_failed_commit_leaves_the_directory(layout: Layout) -> None:
    upper = layout.root / "upper"
    upper.mkdir(parents=True)
    (upper / ".wh.x").write_text("")
    store = ImageStore(layout)
    with pytest.raises(MinidockError), store.bringing_in():
        store.commit_layer(upper, move=True)
    assert (upper / ".wh.x").exists()
    assert list(store.tmp.iterdir()) == []
    assert not store.layers.exists() or list(store.layers.iterdir()) == []


# Random trees: base + changes made through overlayfs → layer → applied on the base

NAMES = st.sampled_from(["a", "b", "c", os.fsdecode(b"\xff\xfe"), "ü", "long" * 40])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["file", "dir", "link", "remove", "rename", "chmod", "hard", "fifo", "xattr"]), PATHS, PATHS
    ),
    max_size=14,
)


def act(top: str, actions: list[tuple[str, str, str]]) -> None:
    """Whatever can be done is done; what can't is passed over, the same way each time."""
    for number, (kind, one, two) in enumerate(actions):
        path, other = f"{top}/{one}", f"{top}/{two}"
        try:
            if kind == "file":
                os.makedirs(os.path.dirname(path), exist_ok=True)
                fd = os.open(
                    path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644
                )  # a pipe isn't waited for
                os.write(fd, b"x" * number * 100)
                os.close(fd)
            elif kind == "dir":
                os.makedirs(path, exist_ok=True)
            elif kind == "link":
                os.symlink(two, path)
            elif kind == "remove":
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
            elif kind == "rename":
                subprocess.run(["mv", "-T", path, other], check=False, capture_output=True)
            elif kind == "chmod":
                os.chmod(path, 0o700 + number)
            elif kind == "hard":
                os.link(path, other, follow_symlinks=False)
            elif kind == "fifo":
                os.mkfifo(path)
            else:
                os.setxattr(path, "user.number", str(number).encode())
        except OSError:
            continue


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=ACTIONS, changed=ACTIONS)
def test_round_trip(base: list[tuple[str, str, str]], changed: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        lower, upper, work, merged = (place / part for part in ("lower", "upper", "work", "merged"))
        for path in (lower, upper, work, merged):
            path.mkdir()
        act(str(lower), base)
        pid = syscalls.clone3(namespaces.flags(["mount"]))
        if pid == 0:
            try:
                mounts.IsolateMounts().apply(Live())
                MountOverlay([str(lower)], str(upper), str(work), str(merged)).apply(Live())
                act(str(merged), changed)
                os._exit(subprocess.run(["cp", "-a", f"{merged}/.", f"{place}/wanted"]).returncode)
            finally:
                os._exit(99)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        back = unpacked(layer_tar(upper), place / "back")
        assert copy_merged([back, lower], place / "u", place / "found") == facts(place / "wanted")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(base=ACTIONS, changed=ACTIONS)
def test_round_trip_of_two_trees(base: list[tuple[str, str, str]], changed: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        old, new = place / "old", place / "new"
        old.mkdir()
        act(str(old), base)
        subprocess.run(["cp", "-a", old, new], check=True)
        act(str(new), changed)
        tar = layer_between(old, new)
        found = copy_merged([unpacked(tar, place / "back"), old], place / "u", place / "found")
        assert without_links(found) == without_links(facts(new))


def test_two_trees_that_are_the_same(tmp_path: Path) -> None:
    odd_tree(tmp_path / "tree")
    subprocess.run(["cp", "-a", tmp_path / "tree", tmp_path / "copy"], check=True)
    assert names(layer_between(tmp_path / "tree", tmp_path / "copy")) == []
    (tmp_path / "copy" / "setgid" / "file").unlink()
    (tmp_path / "copy" / "ünïcode" / "new").write_text("x")
    wanted = ["setgid", "setgid/.wh.file", "ünïcode", "ünïcode/new"]
    assert sorted(names(layer_between(tmp_path / "tree", tmp_path / "copy"))) == sorted(wanted)


def layer_between(old: Path, new: Path) -> bytes:
    out = io.BytesIO()
    first, second = os.open(old, os.O_RDONLY), os.open(new, os.O_RDONLY)
    try:
        diff.write_layer(changes_between(first, second), out.write)
    finally:
        os.close(first)
        os.close(second)
    return out.getvalue()


def without_links(found: dict[bytes, Fact]) -> dict[bytes, tuple[object, ...]]:
    """A name that is gone leaves the others: of what lies below, an overlay still counts it."""
    return {name: (*fact[:2], *fact[3:]) for name, fact in found.items()}
