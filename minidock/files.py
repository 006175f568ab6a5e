"""Plain files that survive kill -9: written aside and renamed, claimed with O_EXCL, locked with flock(2).

State is JSON that a student can `cat`. A reader sees the old file or the new one, never half of one (rename(2)).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from .errors import MinidockError

T = TypeVar("T")


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace the file by `data`. `durable` syncs file and directory; leave it out below /run, which dies anyway.

    What a killed writer leaves, `.NAME.tmp`, the next writer of the same file takes over. Raises OSError with
    the file's name: a full disk is told by write(2), which knows none.
    """
    try:
        _write_atomic(path, data, mode, durable=durable)
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _write_atomic(path: Path, data: bytes, mode: int, *, durable: bool) -> None:
    temporary = aside(path)
    with os.fdopen(_claim_aside(temporary, mode), "wb") as file:
        try:
            file.truncate()
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            if _is_at(file.fileno(), temporary):
                os.unlink(temporary)
            raise
    if durable:
        sync_directory(path.parent)


def aside(path: Path) -> Path:
    """Where a file's next contents are written before they take its place."""
    return path.with_name(f".{path.name}.tmp")


def _claim_aside(temporary: Path, mode: int) -> int:
    """Open the file for us alone: a lock keeps other writers off until ours is renamed, and dies with a killed one."""
    while True:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_at(fd, temporary):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever had the lock has renamed or removed what we have open


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def write_all(fd: int, data: bytes) -> None:
    """write(2) may take less than it was given: of a pipe, of a terminal. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_directory(path: Path) -> None:
    """Make the directory's entries durable: without it a rename may be lost on power failure (fsync(2), NOTES)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_busy_tree(path: Path, seconds: float) -> None:
    """As remove_tree, where the shim of what failed may be writing its exit.json at this moment: what comes late goes
    too. Raises OSError ENOTEMPTY when something still comes after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return remove_tree(path)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def remove_tree(path: Path) -> None:
    """Delete the directory with all that is in it; nothing happens when it is gone.

    What containers have made may be nested deeper than the interpreter can recurse, or than a path can be long: so
    this walks down and up again with one descriptor. No symlink is followed. Raises OSError. (shutil.rmtree recurses,
    and takes 2 ms to load.)
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        here = os.open(path, flags)
    except FileNotFoundError:
        return
    above: list[tuple[str, os.stat_result]] = []
    try:
        while True:
            if name := _empty_but_for(here):
                above.append((name, os.fstat(here)))
                here = _replaced(here, os.open(name, flags, dir_fd=here))
            elif above:
                here = _replaced(here, os.open("..", flags, dir_fd=here))
                name, expected = above.pop()
                if not os.path.samestat(os.fstat(here), expected):
                    raise OSError(errno.ESTALE, "moved while it was being deleted", os.fspath(path))
                os.rmdir(name, dir_fd=here)
            else:
                break
    finally:
        os.close(here)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path)


def _empty_but_for(directory: int) -> str:
    """Delete what can be deleted at once; the name of the first directory that isn't empty, or an empty name."""
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.name, dir_fd=directory)
                else:
                    os.rmdir(entry.name, dir_fd=directory)
            except FileNotFoundError:
                continue  # somebody else deletes it too
            except OSError as error:
                if error.errno != errno.ENOTEMPTY:
                    raise
                return entry.name
    return ""


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new


def write_json(path: Path, value: object, *, mode: int = 0o644, durable: bool = True) -> None:
    """A struct, list or dict as indented JSON, atomically."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n", mode=mode, durable=durable)


def read_json(path: Path, kind: type[T]) -> T:
    """Decode and check against `kind`. Raises FileNotFoundError, or MinidockError naming file and place."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except msgspec.MsgspecError as error:
        raise MinidockError(f"damaged state file {path}: {error}") from error


def claim(path: Path, data: bytes = b"") -> bool:
    """Create the file if nobody has (open(2), O_EXCL): exactly one of any number of claimants gets True."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    return True


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold flock(2) on the file; the kernel lets go when we die. Never hold one while waiting for a container."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
