"""A tar into a tree that is there already and may belong to a container that runs: what `cp` does at its end.

The same calls as for layers (unpack.py): a name of the archive, or a symlink that somebody puts in its way meanwhile,
leads nowhere but below the root. Unlike there `.wh.` means nothing, and a directory isn't replaced by a file.
"""

from __future__ import annotations

import os
import stat

from minidock.errors import Conflict, MinidockError

from . import tarheader as tar
from .attributes import current_umask
from .compression import Read, unpacked
from .names import clean
from .parents import Parents
from .tarheader import Member
from .tarstream import TarStream
from .unpack import Unpacker
from .walk import Entry, walk_down


def extract(read: Read, root: int, base: bytes, *, owner: tuple[int, int] | None = None, strict: bool = True) -> None:
    """Unpack a tar, plain or packed, below the directory `base` of the tree that `root` is open on.

    `owner` is given to all files instead of the archive's. `strict`: a directory and what is none don't replace each
    other. Raises Conflict for that, InvalidImage for a bad archive.
    """
    _, plain = unpacked(read)
    extractor = _Extractor(root, base, owner, strict)
    stream = TarStream(plain)
    try:
        for member in stream:
            extractor.add(member, stream)
        extractor.finish()
    finally:
        extractor.parents.forget()
    stream.drain()


class _Extractor(Unpacker):
    what = "file"

    def __init__(self, root: int, base: bytes, owner: tuple[int, int] | None, strict: bool) -> None:
        super().__init__(root)
        self.parents = Parents(root, current_umask(), whiteouts=False)
        self.base = base.strip(b"/") + b"/" if base.strip(b"/") else b""
        self._owner = owner
        self._strict = strict
        self._is_directory = False

    def add(self, member: Member, stream: TarStream) -> None:
        path = clean(member.name)
        if not path:  # the directory that it is copied into keeps its own attributes
            return
        if self._owner is not None:
            member.uid, member.gid = self._owner
        self._is_directory = member.kind == tar.DIRECTORY
        self.put(self.base + path, member, stream)

    def make_room(self, parent: int, path: bytes, name: bytes) -> None:
        _refuse_mounts(parent, path, name)
        found = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        if self._strict and found != self._is_directory:
            kinds = ("directory", "non-directory") if found else ("non-directory", "directory")
            shown, top = (os.fsdecode(b"/" + part.rstrip(b"/")) for part in (path, self.base))
            raise Conflict(f'cannot overwrite {kinds[0]} "{shown}" with {kinds[1]} "{top}"')
        super().make_room(parent, path, name)

    def refusal(self, path: bytes, error: OSError) -> MinidockError:
        return MinidockError(f"can't write /{os.fsdecode(path)}: {(error.strerror or str(error)).lower()}")


def _refuse_mounts(parent: int, path: bytes, name: bytes) -> None:
    """Raises Conflict for what something is mounted on, or in. The kernel would refuse that only in the namespace of
    the mount; from ours it lets the name go, and what was mounted there with it (detach_mounts in fs/namespace.c)."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        busy = _mount_id(fd) != _mount_id(parent)
        if not busy and stat.S_ISDIR(os.fstat(fd).st_mode):
            busy = any(_is_mount(entry) for entry in walk_down(fd))
    finally:
        os.close(fd)
    if busy:
        raise Conflict(f"unlinkat /{os.fsdecode(path)}: device or resource busy")


def _is_mount(entry: Entry) -> bool:
    fd = os.open(entry.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=entry.parent)
    try:
        return _mount_id(fd) != _mount_id(entry.parent)
    finally:
        os.close(fd)


def _mount_id(fd: int) -> int:
    """The mount that an open file lies in (proc_pid_fdinfo(5))."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(b"mnt_id:"))
