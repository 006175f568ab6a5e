"""Paths inside a root file system that somebody else wrote.

An image may hold `/etc -> ../../..` and wait for us to follow it out. So no path in a rootfs is ever joined and handed
to the kernel as a string: openat2(2) with RESOLVE_IN_ROOT walks it as a chrooted process would, and what we get is a
descriptor that stays what it was, whatever the container renames meanwhile.
"""

from __future__ import annotations

import os

from minidock.kernel import syscalls

_DIRECTORY = os.O_PATH | os.O_DIRECTORY


def open_root(rootfs: str) -> int:
    """A descriptor for the root itself."""
    return os.open(rootfs or "/", _DIRECTORY | os.O_CLOEXEC)


def open_in(root: int, path: str, flags: int = os.O_PATH) -> int:
    """Open a path of the container below the descriptor `root`; symlinks and `..` can't leave it. Raises OSError."""
    return syscalls.openat2(root, path.lstrip("/") or ".", flags, resolve=syscalls.RESOLVE_IN_ROOT)


def make_directories(root: int, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> int:
    """`mkdir -p` inside the root, symlinks on the way followed inside it; the descriptor of the last directory.

    Raises OSError; ENOTDIR when something on the way is a file.
    """
    current = os.dup(root)
    walked = ""
    for part in [part for part in path.split("/") if part not in ("", ".")]:
        walked = f"{walked}/{part}"
        try:
            following = open_in(root, walked, _DIRECTORY)
        except FileNotFoundError:
            # A dangling symlink would make mkdirat say EEXIST for ever; it is the image's fault, and told so.
            os.mkdir(part, mode, dir_fd=current)
            os.chown(part, uid, gid, dir_fd=current, follow_symlinks=False)
            following = os.open(part, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current)
        except OSError:
            os.close(current)
            raise
        os.close(current)
        current = following
    return current


def make_file(root: int, path: str) -> int:
    """An O_PATH descriptor of a file to mount on, created empty when there is nothing."""
    directory, _, name = path.rstrip("/").rpartition("/")
    try:
        return open_in(root, path)
    except FileNotFoundError:
        parent = make_directories(root, directory)
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent))
            return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)


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
