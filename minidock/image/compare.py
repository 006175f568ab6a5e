"""What a container changed, file by file: its upper directory against the layers below it, as `docker diff` tells it.

A: it is new. C: it was there, and bytes, owner, mode or time differ, or something below it does. D: it is gone.
Docker doesn't look at a directory's time, for that says only that something in it changed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import msgspec

from .diff import Change, changes, is_opaque
from .trees import DIRECTORY_FLAGS


class Difference(msgspec.Struct, frozen=True):
    """`path` from the container's root, `kind` A, C or D."""

    kind: str
    path: bytes


def compare(upper: Path, layers: list[Path]) -> list[Difference]:
    """In the order of the paths; `layers` top first."""
    with contextlib.ExitStack() as stack:
        root = os.open(upper, DIRECTORY_FLAGS)
        stack.callback(os.close, root)
        below = _Below(layers)
        stack.callback(below.close)
        found: dict[bytes, str] = {}
        ways: list[tuple[bytes, list[int]]] = [(b"", below.top())]
        for change in changes(root):
            while ways and not _is_in(change.path, ways[-1][0]):
                ways.pop()
            if change.path:
                _one(change, below, ways, found)
        return [Difference(found[path], b"/" + path) for path in sorted(found, key=lambda path: path.split(b"/"))]


def _is_in(path: bytes, directory: bytes) -> bool:
    return not directory or path.startswith(directory + b"/")


def _one(change: Change, below: _Below, ways: list[tuple[bytes, list[int]]], found: dict[bytes, str]) -> None:
    """Note the change, and that the directories above it have one inside."""
    before, way = below.child(ways[-1][1], change.path)
    if change.entry is None:
        kind = "D" if before else ""
    elif before is None:
        kind = "A"
    else:
        kind = "C" if _different(before, change.entry.status) else ""
    if kind:
        found[change.path] = kind
        _parents(change.path, found)
    if change.entry is None or not stat.S_ISDIR(change.entry.status.st_mode):
        return
    if change.opaque:
        for name in below.names(way, change.path) - _listed(change.entry.name, change.entry.parent):
            found[change.path + b"/" + name] = "D"
            _parents(change.path + b"/" + name, found)
    ways.append((change.path, way))


def _listed(name: bytes, directory: int) -> set[bytes]:
    fd = os.open(name, DIRECTORY_FLAGS, dir_fd=directory)
    try:
        return set(map(os.fsencode, os.listdir(fd)))
    finally:
        os.close(fd)


def _parents(path: bytes, found: dict[bytes, str]) -> None:
    while path := path.rpartition(b"/")[0]:
        found.setdefault(path, "C")


def _different(before: os.stat_result, after: os.stat_result) -> bool:
    same = ("st_mode", "st_uid", "st_gid", "st_rdev")
    if any(getattr(before, name) != getattr(after, name) for name in same):
        return True
    if stat.S_ISDIR(after.st_mode):
        return False
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


class _Below:
    """The merged layers, looked at by overlayfs's rules without mounting them.

    A way is the numbers of the layers, top first, in which a directory's contents are to be looked for.
    """

    def __init__(self, layers: list[Path]) -> None:
        self._roots = [os.open(layer, DIRECTORY_FLAGS) for layer in layers]

    def close(self) -> None:
        for root in self._roots:
            os.close(root)

    def top(self) -> list[int]:
        return list(range(len(self._roots)))

    def child(self, way: list[int], path: bytes) -> tuple[os.stat_result | None, list[int]]:
        """What a path is like, whose directory lies on the way; and the way into it when it is a directory."""
        found: os.stat_result | None = None
        inside: list[int] = []
        for number in way:
            try:
                # All directories above it are directories in this layer, which is on the way: no symlink leads out
                status = os.stat(path, dir_fd=self._roots[number], follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                break
            if not stat.S_ISDIR(status.st_mode):
                found = found or status
                break
            found = found or status
            inside.append(number)
            if self._is_opaque(number, path):
                break
        return found, inside

    def _is_opaque(self, number: int, path: bytes) -> bool:
        place = os.fsencode(f"/proc/self/fd/{self._roots[number]}/") + path
        names = os.listxattr(place, follow_symlinks=False)
        return is_opaque({name: os.getxattr(place, name) for name in names if name.endswith("overlay.opaque")})

    def names(self, way: list[int], path: bytes) -> set[bytes]:
        """What a directory of the merged layers holds."""
        listed: set[bytes] = set()
        for number in way:
            listed |= _listed(path, self._roots[number])
        return {name for name in listed if self.child(way, path + b"/" + name)[0]}
