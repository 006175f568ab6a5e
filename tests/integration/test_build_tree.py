"""Layers merged by hand are what the kernel's overlayfs shows; and files made above them are where it puts them."""

from __future__ import annotations

import os
import random
import stat
import subprocess
from pathlib import Path

import pytest

from minidock.build.copying import Piece, Target, copy, find
from minidock.build.ignore import Ignore, rules
from minidock.build.tree import Tree
from minidock.build.upper import Looks, Upper
from minidock.errors import MinidockError
from tests.support.needs import require_root

NAMES = ("a", "b", "c")


def fill(directory: Path, chance: random.Random, depth: int = 0) -> None:
    """Files, links, whiteouts, opaque directories: anything that a layer may have under a few names."""
    for name in NAMES:
        path = directory / name
        kind = chance.choice(("none", "file", "link", "dir", "dir", "whiteout", "opaque"))
        if kind == "file":
            path.write_text(f"{directory.name}-{chance.random()}")
        elif kind == "link":
            path.symlink_to(chance.choice(("a", "../b", "/c/a", "nowhere")))
        elif kind == "whiteout":
            os.mknod(path, stat.S_IFCHR, 0)
        elif kind in ("dir", "opaque") and depth < 3:
            path.mkdir(mode=chance.choice((0o700, 0o755)))
            if kind == "opaque":
                os.setxattr(path, "trusted.overlay.opaque", b"y")
            fill(path, chance, depth + 1)


def merged_by_hand(layers: list[Path]) -> list[str]:
    rows = []
    for parts, directory, status in Tree(layers).walk():
        kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l"}[stat.S_IFMT(status.st_mode)]
        told = ""
        if kind == "l":
            told = directory.readlink(parts[-1])
        elif kind == "f":
            with os.fdopen(directory.open(parts[-1])) as file:
                told = file.read()
        mode = "" if kind == "l" else f"{stat.S_IMODE(status.st_mode):o}"
        rows.append(f"{'/'.join(parts)} {kind} {mode} {told}".strip())
    return sorted(rows)


def merged_by_kernel(layers: list[Path], place: Path) -> list[str]:
    script = """
mount -t overlay overlay -o "lowerdir=$1" "$2" && cd "$2" && find . -mindepth 1 -printf '%P %y %m %l\\n' |
while read -r path kind mode target; do
    case $kind in
    l) echo "$path l  $target" ;;
    f) echo "$path f $mode $(cat "$path")" ;;
    *) echo "$path $kind $mode" ;;
    esac
done
"""
    words = ["unshare", "--mount", "sh", "-c", script, "sh", ":".join(map(str, layers)), str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return sorted(line.strip() for line in done.stdout.splitlines())


@pytest.mark.parametrize("seed", range(6))
def test_as_the_kernel_merges(tmp_path: Path, seed: int) -> None:
    require_root()
    chance = random.Random(seed)
    layers = [tmp_path / name for name in ("top", "middle", "bottom")]
    for layer in layers:
        layer.mkdir()
        fill(layer, chance)
    (tmp_path / "merged").mkdir()
    assert merged_by_hand(layers) == merged_by_kernel(layers, tmp_path / "merged")


def test_symlinks_stay_inside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    for name, target in (
        ("up", "../../.."),
        ("abs", "/d"),
        ("round", "round"),
        ("long", "d/../d"),
        ("d/deep", "../up/d"),
    ):
        (root / name).symlink_to(target)
    tree = Tree([root], plain=True)
    assert tree.resolve("up/x") == ("x",) and tree.resolve("../../d") == ("d",) and tree.resolve("abs/y") == ("d", "y")
    assert tree.resolve("d/deep/z") == ("d", "z") and tree.resolve("long") == ("d",)
    assert tree.resolve("abs", follow=False) == ("abs",)
    with pytest.raises(MinidockError, match="too many levels"):
        tree.resolve("round")


def layer(place: Path) -> Path:
    place.mkdir()
    return place


def test_directories_on_the_way_are_copied_up(tmp_path: Path) -> None:
    """With mode, owner and attributes of the layer below; what is new belongs to root."""
    require_root()
    low, up = layer(tmp_path / "low"), layer(tmp_path / "up")
    (low / "etc").mkdir(mode=0o711)
    os.chown(low / "etc", 3, 4)
    os.setxattr(low / "etc", "user.kept", b"yes")
    with Upper(up, [low]) as upper:
        os.close(upper.directory(("etc", "new", "deeper")))
    status = (up / "etc").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o711, 3, 4)
    assert os.getxattr(up / "etc", "user.kept") == b"yes"
    assert stat.S_IMODE((up / "etc/new/deeper").stat().st_mode) == 0o755 and (up / "etc/new").stat().st_uid == 0


def test_hard_links_attributes_and_times_are_copied(tmp_path: Path) -> None:
    require_root()
    source, up = layer(tmp_path / "source"), layer(tmp_path / "up")
    (source / "one").write_text("x")
    os.link(source / "one", source / "two")
    os.setxattr(source / "one", "user.a", b"b")
    os.utime(source / "one", (5, 5))
    (source / "dir").mkdir()
    os.utime(source / "dir", (6, 6))
    with Upper(up, []) as upper:
        copy(upper, [Piece(Tree([source], plain=True), (), True)], Target("/to", True), Looks((1, 2)), Looks())
    one = (up / "to/one").stat()
    assert one.st_nlink == 2 and one.st_mtime == 5 and (one.st_uid, one.st_gid) == (1, 2)
    assert os.getxattr(up / "to/two", "user.a") == b"b" and (up / "to/dir").stat().st_mtime == 6


def test_find(tmp_path: Path) -> None:
    for name in ("x/1.txt", "x/2.md", "y/1.txt", "z"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    tree = Tree([tmp_path], plain=True)

    def names(pattern: str, *ignored: str) -> list[str]:
        try:
            return ["/".join(piece.parts) for piece in find(tree, pattern, Ignore(rules(ignored)), Ignore())]
        except MinidockError:
            return []

    assert names("*/1.txt") == ["x/1.txt", "y/1.txt"] and names("./x/*") == ["x/1.txt", "x/2.md"]
    assert names("[xy]") == ["x", "y"] and names("?", "y") == ["x", "z"] and names("../z") == ["z"]
    assert names("n*") == [] and names("z/nothing") == [] and names("x/1.txt", "x") == []
