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
        found = stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        if self._strict and found != self._is_directory:
            kinds = ("directory", "non-directory") if found else ("non-directory", "directory")
            shown, top = (os.fsdecode(b"/" + part.rstrip(b"/")) for part in (path, self.base))
            raise Conflict(f'cannot overwrite {kinds[0]} "{shown}" with {kinds[1]} "{top}"')
        super().make_room(parent, path, name)

    def refusal(self, path: bytes, error: OSError) -> MinidockError:
        return MinidockError(f"can't write /{os.fsdecode(path)}: {(error.strerror or str(error)).lower()}")
