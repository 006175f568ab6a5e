"""Trees and archives that nobody thought of: unpacked by GNU tar, by umoci and by us, nothing differs.

Trees are generated file by file, with everything that tar can say of one; archives member by member, with names twice,
files in the place of directories, links to what comes before.
"""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidock.image import diff
from minidock.image.unpack import unpack
from tests.conftest import require_root, require_tool
from tests.support import tarforge as forge
from tests.support.oddtree import Fact, facts

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def root() -> None:
    require_root()


# Trees

NAMES = st.one_of(
    st.sampled_from(
        ["a", "b", "c", "ü", os.fsdecode(b"\xff\xfe"), "long" * 50, "with space", "-dash", "new\nline", "..x"]
    ),
    st.binary(min_size=1, max_size=12).filter(lambda raw: not {0, 47} & set(raw)).map(os.fsdecode),
).filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))
OWNERS = st.sampled_from([0, 1, 1000, 65534, 2_097_152, 4_000_000_000])
MODES = st.integers(0, 0o7777)
TIMES = st.integers(0, (1 << 33) * 10**9)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["user.a", "user.some.name", "user.ü", "trusted.x"]), st.binary(max_size=40), max_size=2
)
BODIES = st.one_of(st.binary(max_size=1500), st.integers(0, 700_000).map(lambda size: b"x" * size))
FILE = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["file", "file", "link", "fifo", "device", "hard", "hole"]),
        "body": BODIES, "target": st.one_of(NAMES, st.just("/etc/passwd"), st.just("../" * 9 + "x")),
        "mode": MODES, "owner": st.tuples(OWNERS, OWNERS), "time": TIMES, "attributes": ATTRIBUTES,
        "number": st.tuples(st.integers(0, 4095), st.integers(0, 1 << 20 - 1)),
    }
)  # fmt: skip
TREES = st.recursive(
    st.dictionaries(NAMES, FILE, max_size=4),
    lambda below: st.dictionaries(NAMES, st.one_of(FILE, below), max_size=4),
    max_leaves=14,
)


def make(tree: dict[str, object], top: Path, made: list[Path]) -> None:
    """Make it; owners and times of directories stay as they come, but for the modes of files in them."""
    for name, described in tree.items():
        path = top / name
        if not isinstance(described, dict) or "kind" not in described:
            path.mkdir()
            make(described, path, made)  # type: ignore[arg-type]
            os.utime(path, ns=(0, 1_700_000_000_000_000_000 + len(made)))
            continue
        one(path, described, made)


def one(path: Path, described: dict[str, object], made: list[Path]) -> None:
    kind, body = described["kind"], described["body"]
    assert isinstance(body, bytes)
    if kind == "hard" and (files := [each for each in made if each.is_file() and not each.is_symlink()]):
        os.link(files[-1], path)  # GNU tar writes two of every other kind
        return
    if kind == "link":
        path.symlink_to(str(described["target"]))
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        major, minor = described["number"]  # type: ignore[misc]
        os.mknod(path, stat.S_IFCHR, os.makedev(major, minor) or os.makedev(1, 3))  # 0:0 would be a whiteout
    else:
        path.write_bytes(body)
        if kind == "hole":
            os.truncate(path, len(body) + 300_000)
    made.append(path)
    os.chown(path, *described["owner"], follow_symlinks=False)  # type: ignore[misc]
    if kind != "link":
        path.chmod(described["mode"])  # type: ignore[arg-type]
    for key, value in described["attributes"].items():  # type: ignore[attr-defined]
        if kind in ("file", "hole", "hard") or key.startswith("trusted."):  # user.* is for files and directories only
            os.setxattr(path, key, value, follow_symlinks=False)
    os.utime(path, ns=(0, described["time"]), follow_symlinks=False)  # type: ignore[arg-type]


@contextmanager
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        for part in ("tree", "theirs", "ours"):
            (Path(name) / part).mkdir()
        yield Path(name)


def tarred(tree: Path, *options: str) -> bytes:
    words = ["tar", "-C", str(tree), "-c", "--xattrs", "--xattrs-include=*", *options, "."]
    return subprocess.run(words, capture_output=True, check=True).stdout


def untarred(raw: bytes, where: Path) -> dict[bytes, Fact]:
    words = ["tar", "-C", str(where), "-xp", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    subprocess.run(words, input=raw, check=True, capture_output=True)
    return facts(where)


@QUICK
@given(
    tree=TREES,
    options=st.sampled_from([["--format=pax"], ["--format=pax", "--sparse"], ["--format=pax", "-S", "--sort=name"]]),
)
def test_a_tree_by_gnu_tar(tree: dict[str, object], options: list[str]) -> None:
    """tree → GNU tar → tar and us: three trees that are one."""
    require_tool("tar")
    with place() as top:
        make(tree, top / "tree", [])
        raw = tarred(top / "tree", *options)
        unpack(io.BytesIO(raw).read, top / "ours")
        assert facts(top / "ours") == untarred(raw, top / "theirs") == facts(top / "tree")


@QUICK
@given(tree=TREES)
def test_a_tree_by_us(tree: dict[str, object]) -> None:
    """tree → our layer → tar and us; and the layer of what we unpacked is the same, byte for byte."""
    with place() as top:
        make(tree, top / "tree", [])
        raw = layer_of(top / "tree")
        unpack(io.BytesIO(raw).read, top / "ours")
        assert facts(top / "ours") == untarred(raw, top / "theirs") == facts(top / "tree")
        assert layer_of(top / "ours") == raw


@settings(QUICK, max_examples=6)
@given(tree=TREES)
def test_a_tree_by_umoci(tree: dict[str, object]) -> None:
    """umoci keeps whole seconds of some times only, and no attribute without a value; everything else is alike."""
    umoci = require_tool("umoci")
    with place() as top:
        make(tree, top / "tree", [])
        raw = layer_of(top / "tree")
        (top / "layer.tar").write_bytes(raw)
        for words in (
            ["init", "--layout", f"{top}/oci"],
            ["new", "--image", f"{top}/oci:x"],
            ["raw", "add-layer", "--image", f"{top}/oci:x", f"{top}/layer.tar"],
            ["raw", "unpack", "--image", f"{top}/oci:x", f"{top}/umoci"],
        ):
            subprocess.run([umoci, *words], check=True, capture_output=True)
        unpack(io.BytesIO(raw).read, top / "ours")
        assert timeless(facts(top / "ours")) == timeless(facts(top / "umoci"))


def timeless(found: dict[bytes, Fact]) -> dict[bytes, tuple[object, ...]]:
    return {
        name: (*fact[:5], fact[6], {key: value for key, value in fact[7].items() if value})
        for name, fact in found.items()
    }


def layer_of(tree: Path) -> bytes:
    fd, out = os.open(tree, os.O_RDONLY), io.BytesIO()
    try:
        diff.write_layer(diff.changes(fd), out.write)
    finally:
        os.close(fd)
    return out.getvalue()


# Archives that no tree gives

PATHS = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=3).map("/".join)
MEMBERS = st.lists(
    st.one_of(
        st.tuples(st.just("file"), PATHS, st.binary(max_size=600)),
        st.tuples(st.just("directory"), PATHS, st.sampled_from([0o700, 0o755, 0o1777])),
        st.tuples(st.just("symlink"), PATHS, PATHS),
        st.tuples(st.just("hard"), PATHS, PATHS),
    ),
    max_size=9,
)


@settings(QUICK, max_examples=80)
@given(members=MEMBERS)
def test_members_in_any_order(members: list[tuple[str, str, object]]) -> None:
    """Names twice, one kind in the place of another, links to what is there: as GNU tar has it, or refused.

    Archives that either refuses aren't compared: GNU tar doesn't replace a directory that has files, and we refuse
    more of what lies behind symlinks.
    """
    parts = []
    for kind, name, what in members:
        if kind == "file":
            parts.append(forge.member(name, what))  # type: ignore[arg-type]
        elif kind == "directory":
            parts.append(forge.directory(name, mode=what))
        elif kind == "symlink":
            parts.append(forge.symlink(name, what))  # type: ignore[arg-type]
        else:
            parts.append(forge.hard_link(name, what))  # type: ignore[arg-type]
    raw = forge.tar(*parts)
    with place() as top:
        told = subprocess.run(
            ["tar", "-C", str(top / "theirs"), "-xp", "--numeric-owner"],
            input=raw, capture_output=True, check=False,
        )  # fmt: skip
        ours = taken(raw, top / "ours")
        if told.returncode == 0 and ours is not None and not replaced(members):
            assert stripped(ours) == stripped(facts(top / "theirs"))


def taken(raw: bytes, where: Path) -> dict[bytes, Fact] | None:
    from minidock.errors import InvalidImage

    try:
        unpack(io.BytesIO(raw).read, where)
    except InvalidImage:
        return None
    return facts(where)


def replaced(members: list[tuple[str, str, object]]) -> bool:
    """Is a directory met again through a symlink? GNU tar follows the link, a layer replaces it (as Docker does)."""
    links = {name for kind, name, _ in members if kind == "symlink"}
    return any(
        name in links or any(name.startswith(f"{link}/") for link in links)
        for kind, name, _ in members
        if kind != "symlink"
    )


def stripped(found: dict[bytes, Fact]) -> dict[bytes, tuple[object, ...]]:
    """Without the times of directories that no member describes: they are now."""
    return {name: (fact[0], fact[1], fact[2], fact[3], fact[6]) for name, fact in found.items()}
