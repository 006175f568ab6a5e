"""The container's end of `cp`, as the API's /containers/ID/archive has it: look at a path, read it, write below it.

Paths are the container's: symlinks lead where they would lead in it, and never out (openat2(2) with RESOLVE_IN_ROOT),
whatever the container does to them meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
from collections.abc import Callable

from minidock.engine import events, tree
from minidock.engine.durations import timestamp
from minidock.engine.insider import Task
from minidock.engine.record import Record
from minidock.errors import Conflict, MinidockError, NotFound, UsageError
from minidock.kernel import rootpath
from minidock.model.requests import PathStat
from minidock.model.state import MountPoint
from minidock.paths import Layout

MAX_SYMLINKS = 255
"""As Docker's own resolver has it."""

GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
"""Kinds of files as bits of Go's os.FileMode, in which the API says them."""
GO_BITS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


def stat_path(layout: Layout, ref: str, path: str) -> PathStat:
    """What a path of the container is; a symlink at its end is not followed. Raises NotFound."""
    record = tree.find(layout, ref)
    with tree.opened(layout, record, with_volumes=True) as found:
        return stat_in(found.root, ref, path)


def stat_in(root: int, ref: str, path: str) -> PathStat:
    """The same of a tree that is open already; errors name the container as `ref`."""
    fd = _open(root, ref, path)
    try:
        status = os.fstat(fd)
    finally:
        os.close(fd)
    link = resolve(root, path) if stat.S_ISLNK(status.st_mode) else ""
    mode = stat.S_IMODE(status.st_mode) & 0o777 | GO_KINDS.get(stat.S_IFMT(status.st_mode), 0)
    mode |= sum(go for bit, go in GO_BITS if status.st_mode & bit)
    when = timestamp(status.st_mtime_ns // 1_000_000_000)
    return PathStat(_base(path), status.st_size, mode, when, link)


def read(layout: Layout, ref: str, path: str, write: Callable[[bytes], object], *, name: str = "") -> None:
    """A tar of the file or directory at a path, under its own name, or `name` instead. Raises NotFound."""
    record = tree.find(layout, ref)
    with tree.opened(layout, record, with_volumes=True) as found:
        read_in(found, ref, path, write, name=name)
    events.container(layout, record, "archive-path")


def read_in(found: tree.View, ref: str, path: str, write: Callable[[bytes], object], *, name: str = "") -> None:
    from minidock.image.pack import pack

    root = found.root

    with contextlib.ExitStack() as stack:
        fd = _open(root, ref, path)
        stack.callback(os.close, fd)
        parent = _open(root, ref, posixpath.dirname(_clean(path)) + "/")
        stack.callback(os.close, parent)
        inside, shown = os.fsencode(posixpath.basename(_clean(path))), os.fsencode(name or _base(path))
        pack(write, fd, parent, inside, shown, found.owners)


def write(
    layout: Layout,
    ref: str,
    path: str,
    source: Callable[[int], bytes],
    *,
    own: bool = False,
    strict: bool = True,
) -> None:
    """Unpack a tar below a directory of the container. `own`: files become those of the container's user.

    `strict`: directories and others don't replace each other. Raises NotFound, Conflict, MinidockError.
    """
    record = tree.find(layout, ref)
    owner = owner_in(layout, record) if own else None
    with tree.opened(layout, record, with_volumes=True, writes=True) as found:
        write_in(found, record, ref, path, source, owner=owner, strict=strict)
    events.container(layout, record, "extract-to-dir")


def write_in(
    found: tree.View,
    record: Record,
    ref: str,
    path: str,
    source: Callable[[int], bytes],
    *,
    owner: tuple[int, int] | None,
    strict: bool = True,
) -> None:
    root = found.root
    fd = _open(root, ref, path, follow=True)
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise UsageError("extraction point is not a directory")
    finally:
        os.close(fd)
    place = resolve(root, path)
    _refuse_readonly(record, place)
    if found.insider:
        found.insider.extract(source, Task(place, owner, strict))
        return
    from minidock.image.extract import extract

    extract(source, root, os.fsencode(place), owner=owner, strict=strict)


def owner_in(layout: Layout, record: Record) -> tuple[int, int] | None:
    """The container's user; None when that is root by default, and files keep their owners."""
    if not record.config.user:
        return None
    from minidock.engine.bundle import find_user

    user = find_user(layout, record)
    return user.uid, user.gid


def _refuse_readonly(record: Record, place: str) -> None:
    """Docker's words; the kernel would say no, too, to most of it."""
    point = _mounted(record, place)
    if point is not None and not point.rw:
        raise Conflict("mounted volume is marked read-only")
    if point is None and record.host_config.readonly_rootfs:
        raise Conflict("container rootfs is marked read-only")


def _mounted(record: Record, place: str) -> MountPoint | None:
    """The deepest mount that a path lies in."""
    above = [point for point in record.mounts if f"{place}/".startswith(f"{point.destination.rstrip('/')}/")]
    return max(above, key=lambda point: len(point.destination), default=None)


# Paths


def _open(root: int, ref: str, path: str, *, follow: bool = False) -> int:
    """An O_PATH descriptor. A path that ends in a slash or a dot means a directory, through symlinks too."""
    if not path:
        raise UsageError("bad parameter: path cannot be empty")
    flags = os.O_PATH | (os.O_DIRECTORY if asserts_directory(path) else 0 if follow else os.O_NOFOLLOW)
    try:
        return rootpath.open_in(root, _clean(path), flags)
    except FileNotFoundError as error:
        raise NotFound(f"Could not find the file {path} in container {ref}") from error
    except NotADirectoryError as error:
        if follow:
            raise UsageError("extraction point is not a directory") from error
        raise MinidockError(f"lstat {path}: not a directory") from error
    except OSError as error:
        raise MinidockError(f"lstat {path}: {(error.strerror or str(error)).lower()}") from error


def asserts_directory(path: str) -> bool:
    return not path or path.endswith("/") or posixpath.basename(path) == "."


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def _base(path: str) -> str:
    """The name of what a path means: `.` for the contents of a directory, `/` for the root."""
    return "." if posixpath.basename(path) == "." else posixpath.basename(_clean(path)) or "/"


def resolve(root: int, path: str) -> str:
    """The path without symlinks, as the container sees it; what isn't there stays as it is written."""
    waiting = [part for part in _clean(path).split("/") if part]
    found: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop(0)
        if part == "..":
            found = found[:-1]
            continue
        target = _link(root, "/" + "/".join([*found, part]))
        if target is None:
            found.append(part)
            continue
        links += 1
        if links > MAX_SYMLINKS:
            raise MinidockError(f"too many symlinks in {path}")
        if target.startswith("/"):
            found = []
        waiting = [part for part in target.split("/") if part not in ("", ".")] + waiting
    return "/" + "/".join(found)


def _link(root: int, path: str) -> str | None:
    """Where a symlink points; None for everything else."""
    with contextlib.suppress(OSError):
        fd = rootpath.open_in(root, path, os.O_PATH | os.O_NOFOLLOW)
        try:
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                return os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)
    return None
