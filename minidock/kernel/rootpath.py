"""Paths inside a root file system that somebody else wrote.

An image may hold `/etc -> ../../..` and wait for us to follow it out. So no path in a rootfs is ever joined and handed
to the kernel as a string: openat2(2) with RESOLVE_IN_ROOT walks it as a chrooted process would, and what we get is a
descriptor that stays what it was, whatever the container renames meanwhile.
"""

from __future__ import annotations

import errno
import os

from minidock.errors import UsageError
from minidock.kernel import syscalls

_DIRECTORY = os.O_PATH | os.O_DIRECTORY


def open_root(rootfs: str) -> int:
    """A descriptor for the root itself."""
    return os.open(rootfs or "/", _DIRECTORY | os.O_CLOEXEC)


def open_in(root: int, path: str, flags: int = os.O_PATH) -> int:
    """Open a path of the container below the descriptor `root`; symlinks and `..` can't leave it. Raises OSError."""
    return syscalls.openat2(root, path.lstrip("/") or ".", flags, resolve=syscalls.RESOLVE_IN_ROOT)


def make_directories(root: int, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> int:
    """`mkdir -p` inside the root, symlinks on the way followed inside it, also to what is not there yet; the descriptor
    of the last directory.

    Raises OSError; ENOTDIR when something on the way is a file.
    """
    current = os.dup(root)
    walked = ""
    links = 0
    parts = _parts(path)
    while parts:
        part = parts.pop(0)
        try:
            following = open_in(root, f"{walked}/{part}", _DIRECTORY)
        except FileNotFoundError:
            target = _link_at(current, part)
            links += bool(target)
            if target and links <= MOST_LINKS:  # beyond that mkdirat says EEXIST
                # Where it leads to is made instead, from where it stands or from the root.
                parts = _parts(target) + parts
                if target.startswith("/"):
                    os.close(current)
                    current, walked = os.dup(root), ""
                continue
            try:
                following = _make_directory(current, part, mode, uid, gid)
            except OSError:
                os.close(current)
                raise
        except OSError:
            os.close(current)
            raise
        os.close(current)
        current, walked = following, f"{walked}/{part}"
    return current


MOST_LINKS = 40
"""As many as the kernel follows: path_resolution(7)."""


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _link_at(directory: int, name: str) -> str:
    """Where a symlink leads to; empty when there is none."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return ""


def _make_directory(parent: int, name: str, mode: int, uid: int, gid: int) -> int:
    os.mkdir(name, mode, dir_fd=parent)
    os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def make_file(root: int, path: str) -> int:
    """An O_PATH descriptor of a file to mount on, created empty when there is nothing: at a symlink, where it leads."""
    for _ in range(MOST_LINKS):
        try:
            return open_in(root, path)
        except FileNotFoundError:
            directory, _, name = path.rstrip("/").rpartition("/")
            parent = make_directories(root, directory)
        try:
            if target := _link_at(parent, name):
                path = target if target.startswith("/") else f"{directory}/{target}"
                continue
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent))
            return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def make_entry(root: int, path: str) -> int:
    """The same, but a symlink that stands there is what is mounted on. Raises EPERM for one of /proc: self and its like
    are what everybody looks at to learn of himself."""
    directory, _, name = path.rstrip("/").rpartition("/")
    parent = make_directories(root, directory)
    try:
        if _on_proc(root, parent):
            raise OSError(errno.EPERM, "nothing of /proc may be hidden so", path)
        if not _exists_at(parent, name):
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent))
        return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)


def _on_proc(root: int, directory: int) -> bool:
    try:
        proc = open_in(root, "/proc")
    except OSError:
        return False  # none, or a file: nothing is mounted there
    device = os.fstat(proc).st_dev
    os.close(proc)
    return os.fstat(directory).st_dev == device != os.fstat(root).st_dev


def _exists_at(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


EMULATED = {
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
    "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
}  # fmt: skip
"""Files of /proc that may be covered: lxcfs shows a container its own numbers there. The list is runc's."""


def spare_proc(root: int, target: int, destination: str, *, proc: bool) -> None:
    """Refuse to cover /proc, or what is in it: masks, and what engines read and write there, would be of whoever made
    the cover (CVE-2019-16884: an image with `VOLUME /proc`). `target` is what `destination` came to, `proc` whether a
    /proc is to be hung there. By descriptors: a symlink of the image can lead into /proc, too.

    Raises UsageError in runc's words.
    """
    found = os.fstat(target)
    try:
        top = _facts(root, "/proc")
    except FileNotFoundError:
        return
    if os.path.samestat(found, top):
        if not proc:
            raise UsageError(f'"{destination}" cannot be mounted because it is not of type proc')
        return
    inside = found.st_dev == top.st_dev != os.fstat(root).st_dev
    if (inside or destination.startswith("/proc/")) and destination not in EMULATED:
        raise UsageError(f'"{destination}" cannot be mounted because it is inside /proc')


def _facts(root: int, path: str) -> os.stat_result:
    found = open_in(root, path)
    try:
        return os.fstat(found)
    finally:
        os.close(found)


def demo() -> None:
    """An absolute symlink and `..` inside a root: neither leaves it."""
    import tempfile

    with tempfile.TemporaryDirectory() as rootfs:
        os.mkdir(f"{rootfs}/etc")
        os.symlink("/../../etc", f"{rootfs}/out")
        root = open_root(rootfs)
        os.close(make_directories(root, "/out/inner"))
        print(f"/out -> /../../etc, and /out/inner was made as {os.listdir(rootfs + '/etc')} in the root's own /etc")
        os.close(root)


if __name__ == "__main__":
    demo()
