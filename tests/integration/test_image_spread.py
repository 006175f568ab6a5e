"""On ext4, each layer is unpacked into a part of the disk of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.image.layers import workplace
from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.support.needs import require_root, require_tool

INODES, GROUPS = 4096, 8


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight block groups, small ones without a journal in one of them."""
    require_root()
    make, image, place = require_tool("mkfs.ext4"), tmp_path / "image", tmp_path / "ext4"
    image.touch()
    os.truncate(image, GROUPS * 8192 * 1024)
    options = ["-b", "1024", "-g", "8192", "-N", str(INODES), "-O", "^flex_bg,^has_journal"]
    subprocess.run([make, "-q", *options, image], check=True)
    place.mkdir()
    subprocess.run(["modprobe", "-a", "-q", "loop", "ext4"], check=False, capture_output=True)
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def spread(ext4: Path) -> Iterator[ImageStore]:
    """A store on that disk."""
    layout = Layout(ext4 / "root")
    yield ImageStore(layout)
    shutil.rmtree(layout.run, ignore_errors=True)


def test_workplaces_lie_in_different_block_groups(spread: ImageStore) -> None:
    groups = set()
    with workplace(spread) as one, workplace(spread) as other:
        for place in (one, other):
            (place / "layer" / "diff").mkdir(parents=True)
            inodes = [path.stat().st_ino for path in (place, place / "layer" / "diff")]
            assert len({(inode - 1) // (INODES // GROUPS) for inode in inodes}) == 1, "a tree stays together"
            groups.add((inodes[0] - 1) // (INODES // GROUPS))
    assert len(groups) == 2
