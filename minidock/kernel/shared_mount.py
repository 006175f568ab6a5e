"""A mount that several containers share: made for the first of them, gone with the last.

A volume with options (`type=tmpfs`, `o=bind`) is a file system that must be the same one for everybody who uses it at
the same time, so it can't be made in a container's own mount namespace like all the others. It hangs on the host, at
the volume's directory, and the containers bind that. Who uses it is counted with files, one a container: a killed
command leaves a file behind that is taken away with its container's journal.

man: mount(2), fsopen(2), mount_namespaces(7)
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
from pathlib import Path
from typing import ClassVar

from minidock import files
from minidock.errors import MinidockError, SystemCallFailed, Unsupported
from minidock.kernel import mounts, syscalls
from minidock.kernel.mount_options import parse
from minidock.steps import Live, Step

MNT_DETACH = 2  # sys/mount.h


class ShareMount(Step, frozen=True):
    """Mount `source` at `target` unless somebody has; `users` is the directory that counts, `user` our file in it."""

    target: str
    kind: str
    source: str
    options: list[str]
    users: str
    user: str
    man: ClassVar[str] = "mount(2)"

    def describe(self) -> str:
        what = self.source if self._is_bind() else f"the {self.kind} {self.source}"
        return f"mount {what} at {self.target}, unless another container has it mounted"

    def shell(self) -> str:
        target = shlex.quote(self.target)
        kind = "" if self._is_bind() else f" -t {shlex.quote(self.kind)}"
        words = f" -o {shlex.quote(','.join(self.options))}" if self.options else ""
        return f"mountpoint -q {target} || mount{kind}{words} {shlex.quote(self.source)} {target}"

    def undo_shell(self) -> str:
        return f"umount {shlex.quote(self.target)} || :"

    def apply(self, live: Live) -> None:
        with files.locked(self._lock()):
            Path(self.users).mkdir(parents=True, exist_ok=True)
            (Path(self.users) / self.user).touch()
            if not is_mounted(self.target):
                self._mount()

    def _mount(self) -> None:
        try:
            mounted = self._made()
        except SystemCallFailed as error:
            raise self._refusal(error) from error
        target = os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mounts.hang(mounted, target)
        finally:
            os.close(mounted)
            os.close(target)

    def _made(self) -> int:
        """A descriptor of the mount, which hangs nowhere yet."""
        if not self._is_bind():
            return mounts.new_filesystem(self.kind, self.source, self.options)
        options = parse(self.options)
        recursive = syscalls.AT_RECURSIVE if options.recursive else 0
        copy = syscalls.open_tree(
            syscalls.AT_FDCWD, self.source, mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC | recursive
        )
        if options.attr_set or options.attr_clr:
            syscalls.mount_setattr(
                copy, "", syscalls.AT_EMPTY_PATH, attr_set=options.attr_set, attr_clr=options.attr_clr
            )
        return copy

    def _is_bind(self) -> bool:
        return bool({"bind", "rbind"} & set(self.options))

    def _refusal(self, error: SystemCallFailed) -> MinidockError:
        """In Docker's words, which scripts know."""
        text = (
            f"error while mounting volume '{self.target}': failed to mount local volume: "
            f"mount {self.source}:{self.target}: {os.strerror(error.number).lower()}"
        )
        if error.number == errno.ENODEV:
            return Unsupported(text, hint=f"this kernel has no file system {self.kind}")
        return MinidockError(text, hint=error.hint or error.message)

    def undo(self, live: Live) -> None:
        """Whoever is the last puts out the light."""
        with files.locked(self._lock()):
            (Path(self.users) / self.user).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty: somebody else has it
                os.rmdir(self.users)
            if not os.path.isdir(self.users) and is_mounted(self.target):
                syscalls.umount2(self.target, MNT_DETACH)

    def _lock(self) -> Path:
        return Path(f"{self.users}.lock")


def is_mounted(target: str) -> bool:
    """Whether something hangs exactly there, by the mount table: a bind of the same file system has no other mark."""
    return any(row["destination"] == target for row in mounts.read(os.getpid()))


def read(pid: int) -> list[dict[str, str]]:
    """Mounts of the process at volumes' directories."""
    return [row for row in mounts.read(pid) if row["destination"].endswith("/_data")]


def demo() -> None:
    """A tmpfs with two users: it goes with the second."""
    import tempfile

    with tempfile.TemporaryDirectory() as base:
        os.mkdir(f"{base}/data")
        one, two = (
            ShareMount(f"{base}/data", "tmpfs", "tmpfs", ["size=64k"], f"{base}/users", name) for name in ("one", "two")
        )
        one.apply(Live())
        two.apply(Live())
        one.undo(Live())
        print("with one user left:", is_mounted(f"{base}/data"))
        two.undo(Live())
        print("with none:         ", is_mounted(f"{base}/data"))


if __name__ == "__main__":
    demo()
