"""An overlay's upper directory → a layer's own tree, without the way through a tar.

The tree is filed under the digest of its tar, so it must be what unpacking that tar would give: what overlayfs noted
for this one mount goes, whiteouts get the one form that `unpack` gives them, times are no later than asked for. The
tar is made from the tree *after* that, when nobody can change it any more: a container that runs on can't make a
layer whose tree isn't its digest's.

    copy_upper(upper, target)   of a container that lives on
    settle(upper)               of one that is no more: the directory itself becomes the layer
"""

from __future__ import annotations

import errno
import os
import stat

from . import diff
from .attributes import set_xattrs
from .compression import CHUNK
from .diff import Change
from .names import opaque_attribute
from .trees import DIRECTORY_FLAGS
from .walk import Entry, attributes, open_file, walk_down

SECOND = 1_000_000_000


def copy_upper(upper: int, target: int, *, clamp: int | None = None) -> None:
    """Into the empty directory `target`; both are open directories. `clamp` in seconds since 1970."""
    copier = _Copier(target, clamp)
    try:
        for change in diff.changes(upper):
            copier.add(change)
        copier.finish()
    finally:
        os.close(copier.parent)


class _Copier:
    """`parent` is open on the directory, `directory`, in which things are being made."""

    def __init__(self, target: int, clamp: int | None) -> None:
        self.target = target
        self.latest = clamp
        self.directory = b""
        self.parent = os.dup(target)
        self._linked: dict[tuple[int, int], bytes] = {}
        self._directories: list[tuple[bytes, os.stat_result]] = []

    def add(self, change: Change) -> None:
        directory, _, name = change.path.rpartition(b"/")
        self._go(directory)
        if change.entry is None:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=self.parent)
        elif change.path:
            self._make(change, change.entry, name)
        if change.opaque:
            self._go(change.path)
            os.setxattr(self.parent, opaque_attribute(), b"y")

    def _go(self, directory: bytes) -> None:
        if directory != self.directory:
            os.close(self.parent)
            self.parent = os.open(directory or b".", DIRECTORY_FLAGS, dir_fd=self.target)
            self.directory = directory

    def _make(self, change: Change, entry: Entry, name: bytes) -> None:
        status = entry.status
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=self.parent)
            self._directories.append((change.path, status))  # its facts come last: what is made in it changes them
            os.chown(name, status.st_uid, status.st_gid, dir_fd=self.parent, follow_symlinks=False)
            self._attributes(name, change)
            return
        first = self._linked.setdefault((status.st_dev, status.st_ino), change.path)
        if status.st_nlink > 1 and first != change.path:
            os.link(first, name, src_dir_fd=self.target, dst_dir_fd=self.parent, follow_symlinks=False)
            return
        if status.st_nlink == 1:
            del self._linked[(status.st_dev, status.st_ino)]
        if kind == stat.S_IFREG:
            status = _copy_file(entry, name, self.parent)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(entry.name, dir_fd=entry.parent), name, dir_fd=self.parent)
        else:
            os.mknod(name, kind, status.st_rdev, dir_fd=self.parent)
        # chown first, for it clears setuid bits and capabilities; utime last, for the others change it.
        os.chown(name, status.st_uid, status.st_gid, dir_fd=self.parent, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=self.parent)
        self._attributes(name, change)
        set_time(name, self.parent, status, self.latest)

    def _attributes(self, name: bytes, change: Change) -> None:
        if change.xattrs:
            set_xattrs(os.fsencode(f"/proc/self/fd/{self.parent}/") + name, change.xattrs)

    def finish(self) -> None:
        """Mode and time of directories, deepest first."""
        for path, status in reversed(self._directories):
            os.chmod(path, stat.S_IMODE(status.st_mode), dir_fd=self.target)
            set_time(path, self.target, status, self.latest)


def _copy_file(entry: Entry, name: bytes, parent: int) -> os.stat_result:
    """Its bytes, holes left holes; returns what the file was like when it was opened."""
    source = open_file(entry)
    try:
        status = os.fstat(source)
        target = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent
        )
        try:
            copy_bytes(source, target, status.st_size)
        finally:
            os.close(target)
        return status
    finally:
        os.close(source)


def copy_bytes(source: int, target: int, size: int) -> None:
    """By the kernel, which shares blocks where the file system can (copy_file_range(2)); holes are passed over."""
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
            end = min(os.lseek(source, at, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole up to the end
                raise
            break
        os.lseek(source, at, os.SEEK_SET)
        os.lseek(target, at, os.SEEK_SET)
        while at < end:
            moved = os.sendfile(target, source, None, min(end - at, 64 * CHUNK))
            if not moved:
                return
            at += moved
    os.ftruncate(target, size)


def set_time(name: bytes, parent: int, status: os.stat_result, latest: int | None) -> None:
    when = status.st_mtime_ns if latest is None else min(status.st_mtime_ns, latest * SECOND)
    os.utime(name, ns=(when, when), dir_fd=parent, follow_symlinks=False)


def settle(tree: int, *, clamp: int | None = None) -> None:
    """Make a tree that nobody uses any more what unpacking its layer would give, in place."""
    touched: list[Entry] = []
    for entry in walk_down(tree):
        mode = entry.status.st_mode
        found = attributes(entry)
        place = os.fsencode(f"/proc/self/fd/{entry.parent}/") + entry.name
        whiteout = stat.S_ISREG(mode) and any(f"{space}whiteout" in found for space in diff.OVERLAY)
        if whiteout or stat.S_ISSOCK(mode):
            os.unlink(entry.name, dir_fd=entry.parent)
            if whiteout:
                os.mknod(entry.name, stat.S_IFCHR, 0, dir_fd=entry.parent)
            continue
        _strip(place, found)
        if stat.S_ISDIR(mode):
            touched.append(entry)
        elif clamp is not None and entry.status.st_mtime_ns > clamp * SECOND:
            set_time(entry.name, entry.parent, entry.status, clamp)
    for entry in reversed(touched):  # what was removed from them has changed their times
        set_time(entry.path, tree, entry.status, clamp)
    root = Entry(b"", b".", tree, os.fstat(tree))
    _strip(os.fsencode(f"/proc/self/fd/{tree}/."), attributes(root))
    # The root's own attributes are no part of a layer: `unpack` leaves it 0755 root:root.
    os.fchown(tree, 0, 0)
    os.fchmod(tree, 0o755)


def _strip(place: bytes, found: dict[str, bytes]) -> None:
    """Only that a directory is opaque is said, in the form that overlayfs takes without options."""
    opaque = diff.is_opaque(found)
    for name, value in found.items():
        if name.startswith(diff.LEFT_OUT) and not (name == opaque_attribute() and value == b"y"):
            os.removexattr(place, name, follow_symlinks=False)
    if opaque and found.get(opaque_attribute()) != b"y":
        os.setxattr(place, opaque_attribute(), b"y", follow_symlinks=False)
