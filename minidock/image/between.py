"""What one tree has that another hasn't, by looking at both: where no overlay has noted the changes.

As rsync(1) does, files whose facts, attributes, size and time are the same are taken for the same. A directory above a
change is told with it, for a layer has to say what it is like; of files with several names all are told or none.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from .diff import Change, check, kept
from .trees import DIRECTORY_FLAGS
from .walk import Entry, attributes, walk_down


class _Above(NamedTuple):
    """A directory on the way down; `known`: the old tree has it as a directory as well."""

    change: Change
    known: bool


def changes_between(old: int, new: int) -> Iterator[Change]:
    """From two open directories, neither of which changes meanwhile. The root's own facts are no part of a layer."""
    linked = _changed_links(old, new)
    above: list[_Above] = []
    told: set[bytes] = set()
    yield from (Change(name, None) for name in sorted(_names(old, b".") - _names(new, b".")))
    for entry in walk_down(new):
        while above and not entry.path.startswith(above[-1].change.path + b"/"):
            told.discard(above.pop().change.path)
        if stat.S_ISSOCK(entry.status.st_mode):
            continue
        found = attributes(entry)
        check(entry, found)
        change = Change(entry.path, entry, xattrs=kept(found))
        before = _before(old, entry) if not above or above[-1].known else None
        known = before is not None and stat.S_ISDIR(before.st_mode) and stat.S_ISDIR(entry.status.st_mode)
        gone = _names(old, entry.path) - _names_of(entry) if known else set()
        if gone or (entry.status.st_dev, entry.status.st_ino) in linked or not _same(old, before, entry, change):
            yield from (row.change for row in above if row.change.path not in told)
            told.update(row.change.path for row in above)
            told.add(entry.path)
            yield change
            yield from (Change(entry.path + b"/" + name, None) for name in sorted(gone))
        if stat.S_ISDIR(entry.status.st_mode):
            above.append(_Above(change, known))


def _names(tree: int, path: bytes) -> set[bytes]:
    fd = os.open(path, DIRECTORY_FLAGS, dir_fd=tree)
    try:
        return set(map(os.fsencode, os.listdir(fd)))
    finally:
        os.close(fd)


def _names_of(entry: Entry) -> set[bytes]:
    return _names(entry.parent, entry.name)


def _before(old: int, entry: Entry) -> os.stat_result | None:
    """All directories above are directories in the old tree, too: no symlink is followed."""
    try:
        return os.stat(entry.path, dir_fd=old, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


FACTS = ("st_mode", "st_uid", "st_gid", "st_rdev", "st_mtime_ns")


def _same(old: int, before: os.stat_result | None, entry: Entry, change: Change) -> bool:
    after = entry.status
    if before is None or any(getattr(before, fact) != getattr(after, fact) for fact in FACTS):
        return False
    if not stat.S_ISDIR(after.st_mode) and before.st_size != after.st_size:
        return False
    if stat.S_ISLNK(after.st_mode) and os.readlink(entry.path, dir_fd=old) != os.readlink(
        entry.name, dir_fd=entry.parent
    ):
        return False
    place = os.fsencode(f"/proc/self/fd/{old}/") + entry.path
    names = os.listxattr(place, follow_symlinks=False)
    return kept({name: os.getxattr(place, name, follow_symlinks=False) for name in names}) == change.xattrs


def _changed_links(old: int, new: int) -> set[tuple[int, int]]:
    """Files with several names of which not all are names of one and the same file in the old tree."""
    groups: dict[tuple[int, int], set[tuple[int, int] | None]] = {}
    changed: set[tuple[int, int]] = set()
    for entry in walk_down(new):
        if entry.status.st_nlink > 1 and not stat.S_ISDIR(entry.status.st_mode):
            key = (entry.status.st_dev, entry.status.st_ino)
            before = _really(old, entry.path)
            groups.setdefault(key, set()).add((before.st_dev, before.st_ino) if before else None)
            if (
                len(groups[key]) > 1
                or before is None
                or not _same(old, before, entry, Change(entry.path, entry, xattrs=kept(attributes(entry))))
            ):
                changed.add(key)
    return changed


def _really(old: int, path: bytes) -> os.stat_result | None:
    """lstat(2) of a path of the old tree, None when a part of it isn't there or is a symlink."""
    from minidock.kernel.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

    try:
        fd = openat2(old, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
    except OSError:
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)
