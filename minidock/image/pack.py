"""A tree of files → a tar of it, as `export` and `cp` write them: Docker's names and order, times in whole seconds."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from . import tarheader as tar
from .diff import KINDS, member
from .tarheader import Member
from .tarwriter import TarWriter
from .walk import Entry, attributes, open_file, walk_down

SECOND = 1_000_000_000
CAPABILITY = "security.capability"
"""The attribute that Docker carries along; of the others a file system elsewhere may not know what they mean."""


Owners = Callable[[int, int], tuple[int, int]]
"""Whose a file is in the tar, from its user and group as we see them."""


class Packer:
    """Writes files of one tree into one tar; knows again what has several names."""

    def __init__(self, write: Callable[[bytes], object], owners: Owners | None = None) -> None:
        self.tar = TarWriter(write)
        self._owners = owners
        self._linked: dict[tuple[int, int], bytes] = {}

    def below(self, directory: int, prefix: bytes = b"") -> None:
        """Everything in an open directory, under names that begin with `prefix`."""
        for entry in walk_down(directory):
            self.add(entry, prefix + entry.path)

    def add(self, entry: Entry, name: bytes) -> None:
        """One file; sockets are passed over, for a tar has nothing for them."""
        status = entry.status
        kind = stat.S_IFMT(status.st_mode)
        if kind not in KINDS:
            return None
        if status.st_nlink > 1 and kind != stat.S_IFDIR:
            first = self._linked.setdefault((status.st_dev, status.st_ino), name)
            if first != name:
                return self.tar.add(self._whole(member(name, entry, kind=tar.HARD_LINK, link=first)))
        if kind != stat.S_IFREG:
            return self.tar.add(self._whole(member(name, entry)))
        return self._regular(entry, name)

    def _regular(self, entry: Entry, name: bytes) -> None:
        found = attributes(entry).get(CAPABILITY)
        fd = open_file(entry)
        try:
            entry = entry._replace(status=os.fstat(fd))
            size = entry.status.st_size
            self.tar.add(self._whole(member(name, entry, xattrs={CAPABILITY: found} if found else None)))
            self.tar.file(fd, size, name, holes=entry.status.st_blocks * 512 < size)
        finally:
            os.close(fd)

    def _whole(self, header: Member) -> Member:
        header.mtime -= header.mtime % SECOND
        if self._owners is not None:
            header.uid, header.gid = self._owners(header.uid, header.gid)
        return header


def pack(
    write: Callable[[bytes], object], fd: int, parent: int, name: bytes, shown: bytes, owners: Owners | None = None
) -> None:
    """A whole archive of one file or directory, called `shown` in it. `fd` is open on it with O_PATH; a file is
    `name` in the directory `parent`, which a directory has no need of."""
    packer = Packer(write, owners)
    status = os.fstat(fd)
    if stat.S_ISDIR(status.st_mode):
        top = shown.rstrip(b"/")
        packer.add(Entry(top, b".", fd, status), top)
        packer.below(fd, top + b"/")
    else:
        packer.add(Entry(shown, name, parent, status), shown)
    packer.tar.end()
