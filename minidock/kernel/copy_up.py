"""Copy-up: an empty volume gets what the image has at the place where it will hang.

Applied in the child once the layers are mounted and before the volume hides them. Man page: volumes have none; the
behaviour is Docker's.
"""

from __future__ import annotations

import os
import shlex
import stat
from typing import ClassVar

from minidock.kernel import mounts, rootpath
from minidock.steps import Live, Step


class CopyUp(Step, frozen=True):
    """`source` is a directory of the container, `target` the volume's on the host. A missing source is no error."""

    rootfs: str
    source: str
    target: str
    lent: bool = False
    """In a user namespace we may not walk the host's path to the volume."""
    man: ClassVar[str] = "cp(1)"

    def describe(self) -> str:
        return f"fill the new volume with what the image has at {self.source}"

    def shell(self) -> str:
        source, target = shlex.quote(f"{self.rootfs}{self.source}/."), shlex.quote(self.target)
        return f'if [ -d {source} ] && [ -z "$(ls -A {target})" ]; then cp -a {source} {target}; fi'

    def apply(self, live: Live) -> None:
        root = rootpath.open_root(self.rootfs)
        if self.lent:
            live.actions["lend"]()
        target = live.fds.pop("lent") if self.lent else self.lend(live)
        if os.listdir(target):  # what is mounted there may hold something by now, unlike the bare directory
            os.close(target)
        else:
            fill(root, self.source, target)
        os.close(root)

    def lend(self, live: Live) -> int:
        return os.open(self.target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


class CopyLink(Step, frozen=True):
    """`copy-symlink`: what is to be shown is a symbolic link, so the container gets one with the same words."""

    rootfs: str
    destination: str
    words: str
    man: ClassVar[str] = "symlink(2)"

    def describe(self) -> str:
        return f"make the link {self.destination} to {self.words}"

    def shell(self) -> str:
        return f"ln -s {shlex.quote(self.words)} {shlex.quote(self.rootfs + self.destination)}"

    def apply(self, live: Live) -> None:
        root = rootpath.open_root(self.rootfs)
        directory, _, name = self.destination.rpartition("/")
        parent = rootpath.make_directories(root, directory)
        try:
            os.symlink(self.words, name, dir_fd=parent)
        except FileExistsError:  # the same one, from the last time
            if _words(parent, name) != self.words:
                raise
        finally:
            os.close(parent)
            os.close(root)


def _words(directory: int, name: str) -> str:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:  # EINVAL: no link at all
        return ""


class MountFilled(mounts.MountFilesystem, frozen=True):
    """`tmpcopyup`: the new tmpfs gets what the directory holds, before it hides it."""

    def describe(self) -> str:
        return f"mount a new {self.kind} at {self.destination}, with a copy of what is there"

    def shell(self) -> str:
        target = shlex.quote(self.rootfs + self.destination)
        return f"cp -a {target} $RUN/filled && {super().shell()} && cp -a $RUN/filled/. {target} && rm -r $RUN/filled"

    def make(self, root: int) -> int:
        words = [word for word in self.words(root) if word != "ro"]
        mounted = mounts.new_filesystem(self.kind, self.source or self.kind, words)
        fill(root, self.destination, os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=mounted))
        if "ro" in self.options:
            mounts.make_readonly(mounted)
        return mounted


def fill(root: int, path: str, target: int) -> None:
    """Copy the directory `path` of the container into the directory `target`, which is closed."""
    try:
        source = rootpath.open_in(root, path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        os.close(target)
        return
    _copy_directory(source, target)
    os.close(source)
    os.close(target)


def _copy_directory(source: int, target: int) -> None:
    """Everything in one directory into another, by descriptors: no name is resolved twice."""
    for name in os.listdir(source):
        facts = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = stat.S_IFMT(facts.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=target)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below, above = os.open(name, flags, dir_fd=source), os.open(name, flags, dir_fd=target)
            _copy_directory(below, above)
            os.close(below)
            os.close(above)
            continue
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, facts.st_uid, facts.st_gid, dir_fd=target, follow_symlinks=False)
            continue
        if kind == stat.S_IFREG:
            _copy_file(source, target, name, facts)
        else:
            os.mknod(name, facts.st_mode, facts.st_rdev, dir_fd=target)
            os.chown(name, facts.st_uid, facts.st_gid, dir_fd=target, follow_symlinks=False)
            os.chmod(name, stat.S_IMODE(facts.st_mode), dir_fd=target)
    _same_facts(target, os.fstat(source), source)


def _copy_file(source: int, target: int, name: str, facts: os.stat_result) -> None:
    incoming = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    outgoing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    while os.sendfile(outgoing, incoming, None, 1 << 24):
        pass
    _same_facts(outgoing, facts, incoming)
    os.close(incoming)
    os.close(outgoing)


def _same_facts(fd: int, facts: os.stat_result, source: int) -> None:
    """Owner before mode: chown(2) clears setuid bits."""
    os.fchown(fd, facts.st_uid, facts.st_gid)
    os.fchmod(fd, stat.S_IMODE(facts.st_mode))
    for name in os.listxattr(source):
        if not name.startswith("trusted.overlay."):
            os.setxattr(fd, name, os.getxattr(source, name))
    os.utime(fd, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def read(pid: int) -> list[str]:
    """Volumes of a process: what it has mounted from below a `_data` directory."""
    return [row["destination"] for row in mounts.read(pid) if row["root"].endswith("/_data")]


def demo() -> None:
    """Copy a small tree with a link in it."""
    import tempfile

    with tempfile.TemporaryDirectory() as base:
        os.makedirs(f"{base}/image/data")
        os.mkdir(f"{base}/volume")
        os.symlink("elsewhere", f"{base}/image/data/link")
        step = CopyUp(f"{base}/image", "/data", f"{base}/volume")
        print(f"$ {step.shell()}")
        step.apply(Live())
        print("the volume holds:", os.listdir(f"{base}/volume"))


if __name__ == "__main__":
    demo()
