"""Layers that are harmless alone and wicked together, and those that are larger than they look.

Each layer is unpacked by itself, and overlayfs lays them over each other: so a symlink of one layer is nothing that a
member of the next could be written through. What a container would see is looked at through a real overlay.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidock.errors import MinidockError
from minidock.image.archive import load
from minidock.image.compression import zstd_module
from minidock.image.importer import import_tar
from minidock.image.store import ImageStore
from minidock.paths import Layout
from tests.conftest import require_root
from tests.support import hostile_page
from tests.support import tarforge as forge
from tests.support.tarforge import block, directory, hard_link, member, pax, symlink, tar


@pytest.fixture(autouse=True)
def root() -> None:
    require_root()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.mkdir()
    (path / "file").write_text("untouched")
    return path


NOT_UTF8 = b"\xff\xfe-\xe4"
Layers = Callable[[str], list[bytes]]
"""Of the victim's path."""

TOGETHER: dict[str, tuple[Layers, dict[bytes, str]]] = {
    "a file through a symlink of the layer below": (
        lambda victim: [tar(symlink("s", victim)), tar(member("s/new", b"x"))],
        {b"s": "d", b"s/new": "f"},
    ),
    "a directory through a symlink of the layer below": (
        lambda victim: [tar(symlink("s", victim)), tar(directory("s/new"))],
        {b"s": "d", b"s/new": "d"},
    ),
    "a whiteout through a symlink of the layer below": (
        lambda victim: [tar(symlink("s", victim)), tar(member("s/.wh.file"))],
        {b"s": "d"},
    ),
    "an opaque directory in the place of a symlink": (
        lambda victim: [tar(symlink("s", victim)), tar(member("s/.wh..wh..opq"))],
        {b"s": "d"},
    ),
    "a directory, a symlink in its place, a file through it": (
        lambda victim: [
            tar(directory("d"), member("d/old", b"x")),
            tar(symlink("d", victim)),
            tar(member("d/new", b"x")),
        ],
        {b"d": "d", b"d/new": "f"},
    ),
    "a hard link in the place of a symlink": (
        lambda victim: [tar(symlink("s", victim + "/file")), tar(member("a", b"x"), hard_link("s", "a"))],
        {b"a": "f", b"s": "f"},
    ),
    "a device, a directory in its place": (
        lambda victim: [tar(member("d", kind=b"4", major=8, minor=0)), tar(directory("d"), member("d/f", b"x"))],
        {b"d": "d", b"d/f": "f"},
    ),
    "a whiteout of a symlink": (lambda victim: [tar(symlink("s", victim)), tar(member(".wh.s"))], {}),
    "a hard link to a whiteout": (
        lambda victim: [tar(member("f", b"x"), member("h", b"x")), tar(member(".wh.f"), hard_link("h", "f"))],
        {},
    ),
    "names that are not UTF-8": (
        lambda victim: [
            tar(member(NOT_UTF8, b"x"), member(b"kept" + NOT_UTF8, b"x"), symlink("l", NOT_UTF8)),
            tar(member(b".wh." + NOT_UTF8)),
        ],
        {b"kept" + NOT_UTF8: "f", b"l": "l"},
    ),
    "the same layer twice, the second time above its whiteout": (
        lambda victim: [tar(member("f", b"x")), tar(member(".wh.f")), tar(member("f", b"x"))],
        {b"f": "f"},
    ),
    "whiteouts all the way up": (
        lambda victim: [tar(member("f", b"x")), *(tar(member(".wh.f"), member(f"n{n}")) for n in range(5))],
        {b"n%d" % n: "f" for n in range(5)},
    ),
}


@pytest.mark.parametrize("kind", TOGETHER)
def test_layers_together(kind: str, store: ImageStore, victim: Path, tmp_path: Path) -> None:
    make, expected = TOGETHER[kind]
    archive = forge.archive(forge.docker_archive(make(str(victim))))
    load(store, io.BytesIO(archive), say=lambda line: None)
    assert os.listdir(victim) == ["file"] and (victim / "file").read_text() == "untouched"
    assert (victim / "file").stat().st_nlink == 1
    assert merged(store, tmp_path / "merged") == expected
    assert os.listdir(victim) == ["file"]


def merged(store: ImageStore, place: Path) -> dict[bytes, str]:
    """What a container of the only image would see."""
    place.mkdir()
    lower = store.lower_dirs(store.images()[0])
    empty = place.with_name("empty")
    empty.mkdir()
    option = "lowerdir=" + ":".join(map(str, [*lower, empty]))
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", option, place], check=True)
    try:
        kinds = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l", stat.S_IFBLK: "b"}
        found = {}
        for top, directories, files in os.walk(os.fsencode(place)):
            for name in (*directories, *files):
                path = os.path.join(top, name)
                if not os.path.lexists(path):  # a whiteout in a directory with nothing below is listed, and isn't there
                    continue
                found[os.path.relpath(path, os.fsencode(place))] = kinds[stat.S_IFMT(os.lstat(path).st_mode)]
        return found
    finally:
        subprocess.run(["umount", place], check=True)


REFUSED: dict[str, Layers] = {
    "a hard link to a file of the layer below": lambda victim: [tar(member("f", b"x")), tar(hard_link("h", "f"))],
    "a hard link through a symlink of the layer below": lambda victim: [
        tar(symlink("s", victim)),
        tar(hard_link("h", "s/file")),
    ],
    "a bad layer above good ones": lambda victim: [
        tar(member("f", b"x")),
        tar(member("g", b"x")),
        tar(member("../" * 20 + victim[1:] + "/new", b"x")),
    ],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_layers_refused(kind: str, store: ImageStore, victim: Path) -> None:
    """And the good layers below a bad one don't stay."""
    archive = forge.archive(forge.docker_archive(REFUSED[kind](str(victim))))
    with pytest.raises(MinidockError) as caught:
        load(store, io.BytesIO(archive), say=lambda line: None)
    hostile_page.said(caught.value.message)
    assert os.listdir(victim) == ["file"] and (victim / "file").stat().st_nlink == 1
    store.gc()
    assert store.ids() == [] and not list(store.layers.iterdir()) and not list(store.blobs.iterdir())


# Larger than they look


@pytest.fixture
def small(tmp_path: Path) -> Iterator[ImageStore]:
    """A store on a disk of 8 MiB and 300 files."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=300", "tmpfs", place], check=True)
    layout = Layout(place / "root")
    try:
        yield ImageStore(layout)
    finally:
        shutil.rmtree(layout.run, ignore_errors=True)
        subprocess.run(["umount", place], check=True)


def zeros(size: int) -> bytes:
    return tar(block(b"zeros", size=size), bytes(size))


def zstd_window(log: int) -> bytes:
    """A frame that wants 2**log bytes of memory to be unpacked in (RFC 8878, 3.1.1.1.2)."""
    return b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(log - 10) << 3]) + b"\x03\x00\x00x" * 3


def xz_dictionary(bits: int) -> bytes:
    """A stream whose block says that its dictionary has (2 | bits & 1) << bits // 2 + 11 bytes (xz-file-format)."""
    raw = bytearray(lzma.compress(tar(member("f", b"x"))))
    end = 12 + (raw[12] + 1) * 4 - 4  # the stream's header has 12 bytes; a block's begins with its own length
    assert raw[14] == 0x21  # LZMA2
    raw[16] = bits
    raw[end : end + 4] = zlib.crc32(raw[12:end]).to_bytes(4, "little")
    return bytes(raw)


BOMBS: dict[str, Callable[[], bytes]] = {
    "zeros in gzip": lambda: gzip.compress(zeros(64 << 20), 1),
    "zeros in gzip twice": lambda: gzip.compress(gzip.compress(zeros(64 << 20), 1)),
    "zeros in zstd": lambda: zstd_module().compress(zeros(64 << 20)),
    "zeros in many members of gzip": lambda: (
        gzip.compress(block(b"zeros", size=64 << 20), 1) + gzip.compress(bytes(1 << 20), 1) * 64
    ),
    "more files than the disk has room for": lambda: gzip.compress(
        tar(*(member(f"d{n % 7}/f{n}", b"") for n in range(1000)))
    ),
    "a window of 2 GiB in zstd": lambda: zstd_window(31),
    "a dictionary of 1.5 GiB in xz": lambda: xz_dictionary(37),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bomb(kind: str, small: ImageStore) -> None:
    """The disk is full, or the memory would be: one error, and the disk is as empty as before."""
    place = small.root.parents[1]
    with pytest.raises(MinidockError) as caught:
        import_tar(small, io.BytesIO(BOMBS[kind]()), reference="bomb")
    hostile_page.said(caught.value.message)
    left = os.statvfs(place)
    assert small.ids() == [] and not list(small.tmp.iterdir())
    assert (left.f_blocks - left.f_bfree) * left.f_frsize < 1 << 20 and left.f_files - left.f_ffree < 40


def test_sparse_file_of_a_tebibyte(small: ImageStore) -> None:
    """It takes no room: holes stay holes."""
    raw = tar(pax({"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40)}), member("f", b"x"))
    import_tar(small, io.BytesIO(raw), reference="sparse")
    (layer,) = small.lower_dirs(small.images()[0])
    assert (layer / "f").stat().st_size == 1 << 40 and (layer / "f").stat().st_blocks < 100
