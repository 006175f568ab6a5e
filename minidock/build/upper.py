"""The files of a new layer, made by hand above those of its parent: what COPY, ADD and WORKDIR do.

The layer's directory is an overlay's upper one. A directory that lies below only is copied up before anything is made
in it, as overlayfs would; what is replaced needs no whiteout, for the new name hides the old one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from minidock.errors import MinidockError
from minidock.image.attributes import set_xattrs
from minidock.image.copytree import copy_bytes
from minidock.image.trees import remove_tree

from .modes import Mode
from .tree import FLAGS, Directory, Parts, Tree


class Looks(NamedTuple):
    """What a copied file is to look like; None: as its source."""

    owner: tuple[int, int] | None = None
    mode: Mode | None = None

    def owner_of(self, status: os.stat_result) -> tuple[int, int]:
        return self.owner or (status.st_uid, status.st_gid)

    def mode_of(self, status: os.stat_result) -> int:
        mode = stat.S_IMODE(status.st_mode)
        return self.mode.applied(mode, directory=stat.S_ISDIR(status.st_mode)) if self.mode else mode


class Upper:
    """One layer that is being made in `directory`."""

    def __init__(self, directory: Path, lower: list[Path]) -> None:
        self.tree = Tree([directory, *lower])
        self.root = os.open(directory, FLAGS)
        self._links: dict[tuple[int, int], str] = {}
        self._times: dict[Parts, int] = {}

    def close(self) -> None:
        """Give directories that were copied their times, deepest first: nothing is made in them any more."""
        try:
            for parts, when in sorted(self._times.items(), reverse=True):
                os.utime("/".join(parts), ns=(when, when), dir_fd=self.root, follow_symlinks=False)
        finally:
            os.close(self.root)

    def __enter__(self) -> Upper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def directory(self, parts: Parts, *, owner: tuple[int, int] = (0, 0), mode: int = 0o755) -> int:
        """mkdir -p, below resolved parts; a descriptor of the caller's own. Raises MinidockError where a file is."""
        here = os.dup(self.root)
        for count, name in enumerate(parts, 1):
            try:
                below = self._one_directory(here, parts[:count], name, owner, mode)
            finally:
                os.close(here)
            here = below
        return here

    def _one_directory(self, here: int, parts: Parts, name: str, owner: tuple[int, int], mode: int) -> int:
        try:
            return os.open(name, FLAGS, dir_fd=here)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise MinidockError(f"cannot copy to non-directory: /{'/'.join(parts)}") from error
        below = self.tree.status(parts)
        if below is not None and not stat.S_ISDIR(below.st_mode):
            raise MinidockError(f"cannot copy to non-directory: /{'/'.join(parts)}")
        xattrs: Mapping[str, bytes] = {}
        if below is not None:
            owner, mode = (below.st_uid, below.st_gid), stat.S_IMODE(below.st_mode)
            with self.tree.enter(parts[:-1]) as above:
                xattrs = above.xattrs(name)
        os.mkdir(name, 0o700, dir_fd=here)
        made = os.open(name, FLAGS, dir_fd=here)
        os.fchown(made, *owner)
        os.fchmod(made, mode)
        set_xattrs(made, dict(xattrs))
        return made

    def make_place(self, parts: Parts, *, is_directory: bool, mode: int) -> None:
        """Something to mount over, unless there is anything."""
        if not parts or self.tree.status(parts) is not None:
            return
        here = self.directory(parts[:-1])
        try:
            if is_directory:
                os.close(self._one_directory(here, parts, parts[-1], (0, 0), mode))
            else:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(parts[-1], flags, mode, dir_fd=here))
        finally:
            os.close(here)

    def put(
        self,
        parts: Parts,
        source: Directory,
        name: str,
        status: os.stat_result,
        looks: Looks,
        *,
        replace: bool = False,
        overwrite: bool = False,
    ) -> None:
        """One entry of the source at the resolved place `parts`, whose directory is made when it is missing.

        With `replace` a file and a directory may take each other's place: what an archive's members do. With
        `overwrite` a directory that is there gets the looks of the source's.
        """
        if stat.S_ISDIR(status.st_mode):
            there = self.tree.status(parts)
            if there is not None and not stat.S_ISDIR(there.st_mode):
                self._remove_file(parts, replace)
                there = None
            self._put_directory(parts, source, name, status, looks, new=there is None or overwrite)
            return
        here = self.directory(parts[:-1], owner=looks.owner or (0, 0))
        try:
            self._make_room(here, parts, replace)
            first = self._links.get((status.st_dev, status.st_ino))
            if first is not None:
                os.link(first, parts[-1], src_dir_fd=self.root, dst_dir_fd=here, follow_symlinks=False)
                return
            if status.st_nlink > 1:
                self._links[(status.st_dev, status.st_ino)] = "/".join(parts)
            self._put_other(here, parts[-1], source, name, status, looks)
        finally:
            os.close(here)

    def _remove_file(self, parts: Parts, replace: bool) -> None:
        """Make way for a directory. One made over a file that lies below needs no whiteout to hide it."""
        if not replace:
            raise MinidockError(f"cannot copy to non-directory: /{'/'.join(parts)}")
        here = self.directory(parts[:-1])
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(parts[-1], dir_fd=here)
            os.mkdir(parts[-1], 0o700, dir_fd=here)
        finally:
            os.close(here)

    def _put_directory(
        self, parts: Parts, source: Directory, name: str, status: os.stat_result, looks: Looks, *, new: bool
    ) -> None:
        """A directory that is there already keeps what it looks like, unless it counts as `new`."""
        made = self.directory(parts, owner=looks.owner_of(status), mode=looks.mode_of(status))
        try:
            if new:
                os.fchown(made, *looks.owner_of(status))
                os.fchmod(made, looks.mode_of(status))
                set_xattrs(made, source.xattrs(name))
                self._times[parts] = status.st_mtime_ns
        finally:
            os.close(made)

    def _make_room(self, here: int, parts: Parts, replace: bool) -> None:
        there = self.tree.status(parts)
        if there is not None and stat.S_ISDIR(there.st_mode) and not replace:
            raise MinidockError(f"cannot overwrite directory with non-directory: /{'/'.join(parts)}")
        with contextlib.suppress(FileNotFoundError):
            remove_tree(parts[-1], dir_fd=here)
            self._times = {each: when for each, when in self._times.items() if each[: len(parts)] != parts}

    def _put_other(
        self, here: int, target: str, source: Directory, name: str, status: os.stat_result, looks: Looks
    ) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            self._copy(here, target, source, name)
        elif kind == stat.S_IFLNK:
            os.symlink(source.readlink(name), target, dir_fd=here)
        elif kind == stat.S_IFSOCK:  # means nothing without its process; no layer can hold one
            return
        else:
            os.mknod(target, kind | 0o600, status.st_rdev, dir_fd=here)
        # chown first, for it clears setuid bits and capabilities; utime last, for the others change it.
        os.chown(target, *looks.owner_of(status), dir_fd=here, follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(target, looks.mode_of(status), dir_fd=here)
        if xattrs := source.xattrs(name):
            set_xattrs(os.fsencode(f"/proc/self/fd/{here}/{target}"), xattrs)
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns), dir_fd=here, follow_symlinks=False)

    def _copy(self, here: int, target: str, source: Directory, name: str) -> None:
        reading = source.open(name)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            writing = os.open(target, flags, 0o600, dir_fd=here)
            try:
                copy_bytes(reading, writing, os.fstat(reading).st_size)
            finally:
                os.close(writing)
        finally:
            os.close(reading)
