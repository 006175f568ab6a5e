"""What one tree has that another hasn't → a layer's tar (image-spec layer.md, "Change Types").

    changes(upper)         of an overlay's upper directory, which is nothing but changes
    write_layer(changes, …)  the changes as a tar: what is new or different, and a whiteout for what is gone

Of any two trees, without an overlay between them, image.between tells the changes.

What is gone is told by names: `.wh.NAME` for a file, `.wh..wh..opq` in a directory of which nothing below shows
through. An overlay says the first with a character device 0:0 or the attribute overlay.whiteout, the second with
overlay.opaque, both in the name space `trusted` or, mounted by an ordinary user, `user`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator

import msgspec

from minidock.errors import MinidockError, Unsupported

from . import tarheader as tar
from .names import MAX_PATH, OPAQUE, WHITEOUT, shown
from .tarheader import Member
from .tarwriter import TarWriter
from .walk import Entry, attributes, open_file, walk_down

OVERLAY = ("trusted.overlay.", "user.overlay.")
LEFT_OUT = (*OVERLAY, "security.selinux", "security.ima", "security.evm", "security.SMACK64")
"""Attributes that mean something on this host, or to this overlay, only."""
ELSEWHERE = ("redirect", "metacopy")
"""overlayfs's notes that a directory was renamed or a file's bytes lie in a lower layer; off unless asked for."""

KINDS = {
    stat.S_IFREG: tar.REGULAR,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHARACTER,
    stat.S_IFBLK: tar.BLOCK_DEVICE,
    stat.S_IFIFO: tar.FIFO,
}
"""Sockets are missing: a tar can't hold one, nor does it mean anything without its process. Docker skips them too."""


class Change(msgspec.Struct, frozen=True):
    """One file that is new or different; or gone, when `entry` is None. A directory may be `opaque` as well."""

    path: bytes
    entry: Entry | None
    opaque: bool = False
    xattrs: dict[str, bytes] = {}


def changes(upper: int) -> Iterator[Change]:
    """From an overlay's upper directory, open as `upper`; parents first, names in order. Read each before the next.

    Raises Unsupported for an overlay that keeps files elsewhere, MinidockError for what no layer can say.
    """
    root = Entry(b"", b".", upper, os.fstat(upper))
    if is_opaque(attributes(root)):
        yield Change(b"", root, opaque=True)
    for entry in walk_down(upper):
        mode = entry.status.st_mode
        found = {} if stat.S_ISSOCK(mode) else attributes(entry)
        check(entry, found)
        if _is_whiteout(entry.status, found):
            yield Change(entry.path, None)
        elif not stat.S_ISSOCK(mode):
            yield Change(entry.path, entry, stat.S_ISDIR(mode) and is_opaque(found), kept(found))


def check(entry: Entry, found: dict[str, bytes]) -> None:
    if entry.name.startswith(WHITEOUT):
        raise MinidockError(f"{shown(entry.path)} can't be in a layer: names that begin with .wh. say what is deleted")
    if len(entry.path) > MAX_PATH:
        raise MinidockError(f"{shown(entry.path[:60])}… can't be in a layer: its path has more than {MAX_PATH} bytes")
    for name in found:
        if name.startswith(OVERLAY) and name.endswith(ELSEWHERE):
            raise Unsupported(
                f"{shown(entry.path)} is not all in its layer ({name})", hint="mount without redirect_dir"
            )


def _is_whiteout(status: os.stat_result, found: dict[str, bytes]) -> bool:
    if stat.S_ISCHR(status.st_mode):
        return status.st_rdev == 0
    empty = stat.S_ISREG(status.st_mode) and status.st_size == 0
    return empty and any(f"{space}whiteout" in found for space in OVERLAY)


def is_opaque(found: dict[str, bytes]) -> bool:
    """`x` instead of `y` says only that some whiteouts in it are attributes."""
    return any(found.get(f"{space}opaque") == b"y" for space in OVERLAY)


def kept(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in found.items() if not name.startswith(LEFT_OUT)}


# The tar


class Written(msgspec.Struct, frozen=True):
    """As `Unpacked` tells of a layer that came as a tar: what becomes its LayerRecord."""

    size: int
    entries: int
    opaque: bool


def write_layer(found: Iterable[Change], write: Callable[[bytes], object], *, clamp: int | None = None) -> Written:
    """Write the changes as a plain tar; the same changes give the same bytes. Memory grows with hard links only.

    `clamp` is the latest time that a member may have, in seconds since 1970 (SOURCE_DATE_EPOCH).
    """
    out = _LayerWriter(TarWriter(write), clamp)
    for change in found:
        out.add(change)
    out.tar.end()
    return Written(out.size, out.entries, out.opaque)


class _LayerWriter:
    """Counts what it writes, and remembers the first name of files with several."""

    def __init__(self, out: TarWriter, clamp: int | None) -> None:
        self.tar = out
        self.latest = None if clamp is None else clamp * 1_000_000_000
        self.size = self.entries = 0
        self.opaque = False
        self._linked: dict[tuple[int, int], bytes] = {}

    def add(self, change: Change) -> None:
        if change.entry is None:
            directory, slash, name = change.path.rpartition(b"/")
            return self._mark(directory + slash + WHITEOUT + name)
        if change.path:
            self._file(change, change.entry)
        if change.opaque:
            self._mark((change.path + b"/" if change.path else b"") + OPAQUE)
            self.opaque = self.opaque or not change.path
        return None

    def _mark(self, name: bytes) -> None:
        """A whiteout is an empty file; of no time, for nothing has one that is gone."""
        self.entries += 1
        self.tar.add(Member(name, tar.REGULAR, 0, 0, 0, 0, 0, b""))

    def _file(self, change: Change, entry: Entry) -> None:
        self.entries += 1
        first = self._first_name(change.path, entry.status)
        if first is not None:
            self.tar.add(member(change.path, entry, self.latest, kind=tar.HARD_LINK, link=first))
        elif not stat.S_ISREG(entry.status.st_mode):
            made = member(change.path, entry, self.latest, xattrs=change.xattrs)
            self.size += len(made.link)
            self.tar.add(made)
        else:
            self.size += write_regular(self.tar, change.path, entry, self.latest, change.xattrs)

    def _first_name(self, path: bytes, status: os.stat_result) -> bytes | None:
        if status.st_nlink < 2 or stat.S_ISDIR(status.st_mode):
            return None
        first = self._linked.setdefault((status.st_dev, status.st_ino), path)
        return first if first != path else None


def write_regular(out: TarWriter, path: bytes, entry: Entry, latest: int | None, xattrs: dict[str, bytes]) -> int:
    """A regular file with its bytes; returns how many."""
    fd = open_file(entry)
    try:
        # Of the open file: it may have grown since the walk came by, and header and body must agree.
        entry = entry._replace(status=os.fstat(fd))
        size = entry.status.st_size
        out.add(member(path, entry, latest, xattrs=xattrs))
        out.file(fd, size, path, holes=entry.status.st_blocks * 512 < size)
        return size
    finally:
        os.close(fd)


def member(
    path: bytes,
    entry: Entry,
    latest: int | None = None,
    *,
    kind: bytes = b"",
    link: bytes = b"",
    xattrs: dict[str, bytes] | None = None,
) -> Member:
    """The header of a file; `latest` in nanoseconds. Raises MinidockError for a kind that tar doesn't know."""
    status = entry.status
    kind = kind or KINDS[stat.S_IFMT(status.st_mode)]
    mtime = status.st_mtime_ns if latest is None else min(status.st_mtime_ns, latest)
    if kind == tar.SYMLINK:
        link = os.readlink(entry.name, dir_fd=entry.parent)
    return Member(
        path + b"/" if kind == tar.DIRECTORY else path,
        kind,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_size if kind == tar.REGULAR else 0,
        mtime,
        link,
        os.major(status.st_rdev),
        os.minor(status.st_rdev),
        xattrs,
    )
