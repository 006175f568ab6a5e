"""A whole tree from the top down, in the order of the names, by descriptors only.

The tree may belong to a container that runs: whatever it renames or swaps for a symlink meanwhile, nobody is led out,
and a directory that was moved away ends the walk with an error. However deep the tree, two descriptors are enough, and
no path is ever given to the kernel, so it may be longer than the 4095 bytes that one may have.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from minidock.errors import MinidockError

from .names import shown
from .trees import DIRECTORY_FLAGS


class Entry(NamedTuple):
    """One file: `path` below the root, `name` in the directory that `parent` is open on until the next entry."""

    path: bytes
    name: bytes
    parent: int
    status: os.stat_result


def walk_down(root: int) -> Iterator[Entry]:
    """All below a directory, parents before their children. What vanishes meanwhile is passed over."""
    here = os.open(".", DIRECTORY_FLAGS, dir_fd=root)
    above: list[tuple[os.stat_result, list[bytes], int]] = []
    prefix = b""
    try:
        left = _names(here)
        while left or above:
            if not left:
                expected, left, length = above.pop()
                here = _replaced(here, os.open("..", DIRECTORY_FLAGS, dir_fd=here))
                if not os.path.samestat(os.fstat(here), expected):
                    raise changed(prefix)
                prefix = prefix[:length]
                continue
            name = left.pop()
            try:
                status = os.stat(name, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                continue
            entry = Entry(prefix + name, name, here, status)
            yield entry
            if stat.S_ISDIR(status.st_mode):
                below = _enter(entry)
                if below >= 0:
                    above.append((os.fstat(here), left, len(prefix)))
                    here = _replaced(here, below)
                    prefix += name + b"/"
                    left = _names(here)
    finally:
        os.close(here)


def _names(directory: int) -> list[bytes]:
    """Last first: they are taken from the end."""
    return sorted(map(os.fsencode, os.listdir(directory)), reverse=True)


def _enter(entry: Entry) -> int:
    """The directory's descriptor, -1 when it has been removed or replaced since it was looked at."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return os.open(entry.name, DIRECTORY_FLAGS, dir_fd=entry.parent)
    return -1


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new


def open_file(entry: Entry) -> int:
    """A regular file of the walk, for reading: that one, not what has taken its name since."""
    # O_NONBLOCK: a pipe in its place would wait for a writer
    fd = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=entry.parent)
    if not os.path.samestat(os.fstat(fd), entry.status):
        os.close(fd)
        raise changed(entry.path)
    return fd


def attributes(entry: Entry) -> dict[str, bytes]:
    """Extended attributes of the entry itself, by name."""
    # listxattr(2) takes no directory descriptor; /proc/self/fd/N leads to it, and llistxattr(2) stops there
    place = os.fsencode(f"/proc/self/fd/{entry.parent}/") + entry.name
    return {
        name: os.getxattr(place, name, follow_symlinks=False) for name in os.listxattr(place, follow_symlinks=False)
    }


def changed(path: bytes) -> MinidockError:
    return MinidockError(f"{shown(path)} was changed while it was read", hint="pause the container")
