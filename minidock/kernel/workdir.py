"""The working directory, and the standard streams: small matters that programs notice at once."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from typing import ClassVar

from minidock.errors import CommandNotExecutable, MinidockError
from minidock.kernel import rootpath
from minidock.steps import Live, Step


class EnterDirectory(Step, frozen=True):
    """Made when missing, as Docker does. While we are still root: the user may not be allowed to enter by path."""

    path: str
    make: bool = True
    """False for `exec`, which must not change what the container has."""
    man: ClassVar[str] = "chdir(2)"

    def describe(self) -> str:
        return f"enter the working directory {self.path}"

    def shell(self) -> str:
        path = shlex.quote(self.path)
        return f"mkdir -p {path} && cd {path}" if self.make else f"cd {path}"

    def apply(self, live: Live) -> None:
        if self.make:
            self._make()
        # By name, not by the descriptor: a working directory outside the root could be smuggled in through one
        # (CVE-2024-21626), and the kernel would say "(unreachable)" here.
        try:
            os.chdir(self.path)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise CommandNotExecutable(f'chdir to cwd ("{self.path}") set in config.json failed: {reason}') from error
        if not os.getcwd().startswith("/"):
            raise MinidockError(f"the working directory {self.path} is outside the container's root")

    def _make(self) -> None:
        root = rootpath.open_root("/")
        try:
            os.close(rootpath.make_directories(root, self.path))
        except NotADirectoryError as error:
            raise MinidockError(f"Cannot mkdir: {self.path} is not a directory") from error
        finally:
            os.close(root)


class OwnStandardStreams(Step, frozen=True):
    """Whoever opens /dev/stdout again (a link to /proc/self/fd/1) needs to own the pipe behind it, else EACCES."""

    uid: int
    gid: int = -1
    """For those who want the group changed, too; -1 leaves it."""
    man: ClassVar[str] = "fchown(2)"

    def describe(self) -> str:
        group = f", group {self.gid}" if self.gid >= 0 else ""
        return f"give the standard streams to user {self.uid}{group}"

    def shell(self) -> str:
        return f"# a shell's streams are its caller's: nothing to give to {self.uid}"

    def apply(self, live: Live) -> None:
        null = os.stat("/dev/null").st_rdev if os.path.exists("/dev/null") else 0
        for fd in (0, 1, 2):
            facts = os.fstat(fd)
            device = stat.S_ISCHR(facts.st_mode)
            # The host's /dev/null would change its owner for everybody.
            if device and facts.st_rdev in (null, os.makedev(1, 3)):
                continue
            gid = -1 if device else self.gid  # a terminal's group is tty: write(1) needs it so
            if facts.st_uid == self.uid and gid in (-1, facts.st_gid):
                continue
            try:
                os.fchown(fd, self.uid, gid)
            except OSError as error:
                # Not ours to give: its owner or group has no name in this user namespace, or it can't be written to at
                # all (`< /read-only/file`). A program that only reads and writes it doesn't mind.
                if error.errno not in (errno.EPERM, errno.EINVAL, errno.EROFS):
                    raise


def read(pid: int) -> dict[str, str]:
    """Where a process is, and what its streams are."""
    names = ("stdin", "stdout", "stderr")
    streams = {name: os.readlink(f"/proc/{pid}/fd/{number}") for number, name in enumerate(names)}
    return {"cwd": os.readlink(f"/proc/{pid}/cwd"), **streams}


def demo() -> None:
    """Print the facts of this process."""
    for name, value in read(os.getpid()).items():
        print(f"{name:7} {value}")


if __name__ == "__main__":
    demo()
