"""Reads single files of an image without mounting it: /etc/passwd and /etc/group, to know who `--user bob` is."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from minidock.errors import InvalidImage
from minidock.kernel.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

from .names import opaque_attribute

MAX_FILE = 16 << 20
"""Bytes; a larger /etc/passwd is an attack on our memory."""
MAX_SYMLINKS = 40
"""As in the kernel (path_resolution(7))."""


def lookup_file(dirs: list[Path], path: str) -> bytes | None:
    """The bytes of a regular file of the merged image, or None when there is none; `dirs` top first.

    overlayfs's rules by hand: in each directory of the way, a layer above hides what is of the same name below, a
    whiteout hides it without putting anything there, and an opaque directory hides all below. Symlinks lead from
    layer to layer, so each part of the path is looked up in all layers. The container's own upper directory may be
    among `dirs`: nothing read here may change under our feet into something outside, hence descriptors all the way.
    """
    waiting = [part for part in path.split("/") if part]
    done: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop(0)
        if part in (".", ""):
            continue
        if part == "..":
            del done[-1:]
            continue
        kind, value = _look(dirs, [*done, part])
        if kind == "link":
            links += 1
            if links > MAX_SYMLINKS:
                return None
            target = value.decode(errors="surrogateescape")
            done = [] if target.startswith("/") else done
            waiting = target.split("/") + waiting
        elif kind == "directory":
            done.append(part)
        elif kind == "file" and not waiting:
            return value
        else:
            return None
    return None


def _look(dirs: list[Path], parts: list[str]) -> tuple[str, bytes]:
    """What is at the path, whose directories are no symlinks: link, directory, file (with its bytes), or other."""
    for layer in dirs:
        kind, value, covers = _look_in(layer, parts)
        if kind or covers:
            return kind or "nothing", value
    return "nothing", b""


def _look_in(layer: Path, parts: list[str]) -> tuple[str, bytes, bool]:
    """What one layer has there, and whether it hides what the layers below have."""
    root = os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        covers = False
        for depth in range(1, len(parts)):
            try:
                fd = _open(root, parts[:depth])
            except (FileNotFoundError, NotADirectoryError):
                return "", b"", covers
            try:
                if not stat.S_ISDIR(os.fstat(fd).st_mode):
                    return "", b"", True
                covers = covers or _is_opaque(fd)
            finally:
                os.close(fd)
        try:
            fd = _open(root, parts)
        except (FileNotFoundError, NotADirectoryError):
            return "", b"", covers
        try:
            kind, value = _read(fd)
            return kind, value, True
        finally:
            os.close(fd)
    finally:
        os.close(root)


def _open(root: int, parts: list[str]) -> int:
    """A descriptor that can't read yet; of the last part itself, also when it is a symlink (openat2(2), NO_SYMLINKS).

    Symlinks on the way were followed by lookup_file, across layers: to meet one here means that it was swapped in.
    """
    rules = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS
    try:
        return openat2(root, "/".join(parts), os.O_PATH | os.O_NOFOLLOW, resolve=rules)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise FileNotFoundError(*error.args) from error
        raise


def _is_opaque(fd: int) -> bool:
    try:
        return os.getxattr(f"/proc/self/fd/{fd}", opaque_attribute()) == b"y"
    except OSError:  # ENODATA: it has no such attribute; ENOTSUP: nothing there has one
        return False


def _read(fd: int) -> tuple[str, bytes]:
    status = os.fstat(fd)
    if stat.S_ISLNK(status.st_mode):
        return "link", os.fsencode(os.readlink("", dir_fd=fd))
    if stat.S_ISDIR(status.st_mode):
        return "directory", b""
    if not stat.S_ISREG(status.st_mode):  # also a whiteout: covered, and nothing there
        return "other", b""
    if status.st_size > MAX_FILE:
        raise InvalidImage(f"a file of {status.st_size} bytes where at most {MAX_FILE} make sense")
    readable = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(readable, "rb") as file:
        return "file", file.read(MAX_FILE)
