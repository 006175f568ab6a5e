"""Whole trees below a directory descriptor: removed and measured without following anything out of them.

Trees of strangers can be deeper than Python recurses and than a process has descriptors, so nothing here recurses.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(name: str | bytes, *, dir_fd: int) -> None:
    """Remove a file or a directory with all in it; a name that isn't there raises FileNotFoundError.

    A subdirectory is moved up beside `name` before it is emptied: however deep the tree, two descriptors are enough.
    """
    try:
        os.unlink(name, dir_fd=dir_fd)
        return
    except IsADirectoryError:
        pass
    waiting: list[str | bytes] = [name]
    count = 0
    while waiting:
        directory = waiting.pop()
        fd = os.open(directory, DIRECTORY_FLAGS, dir_fd=dir_fd)
        try:
            for entry in os.listdir(fd):
                try:
                    os.unlink(entry, dir_fd=fd)
                except IsADirectoryError:
                    count += 1
                    moved = f".minidock-removed-{os.getpid()}-{count}"
                    os.rename(entry, moved, src_dir_fd=fd, dst_dir_fd=dir_fd)
                    waiting.append(moved)
        finally:
            os.close(fd)
        os.rmdir(directory, dir_fd=dir_fd)


def walk(root: int) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every path below the directory, with lstat(2); parents come before their children."""
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        fd = os.open(directory or b".", DIRECTORY_FLAGS, dir_fd=root)
        try:
            for entry in sorted(map(os.fsencode, os.listdir(fd))):
                path = directory + b"/" + entry if directory else entry
                status = os.stat(entry, dir_fd=fd, follow_symlinks=False)
                yield path, status
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
        finally:
            os.close(fd)


def tree_size(root: int) -> int:
    """Bytes of all files and symlinks, hard links once: what Docker shows as a layer's size."""
    seen = set()
    total = 0
    for _, status in walk(root):
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            if status.st_nlink > 1:
                if status.st_ino in seen:
                    continue
                seen.add(status.st_ino)
            total += status.st_size
    return total
