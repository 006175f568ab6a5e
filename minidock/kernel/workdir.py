"""The working directory, and the standard streams: small matters that programs notice at once."""

from __future__ import annotations

import os
import shlex
import stat
from typing import ClassVar

from minidock.errors import CommandNotExecutable, MinidockError
from minidock.kernel import rootpath
from minidock.steps import Live, Step

NOBODY = 65534  # proc(5), overflowuid: who owns what has no name in our user namespace


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
    man: ClassVar[str] = "fchown(2)"

    def describe(self) -> str:
        return f"give the standard streams to user {self.uid}"

    def shell(self) -> str:
        return f"# a shell's streams are its caller's: nothing to give to {self.uid}"

    def apply(self, live: Live) -> None:
        null = os.stat("/dev/null").st_rdev if os.path.exists("/dev/null") else 0
        for fd in (0, 1, 2):
            facts = os.fstat(fd)
            # A stream of somebody whom this user namespace doesn't know shows as nobody's, and isn't ours to give.
            if facts.st_uid in (self.uid, NOBODY):
                continue
            # The host's /dev/null would change its owner for everybody.
            if stat.S_ISCHR(facts.st_mode) and facts.st_rdev in (null, os.makedev(1, 3)):
                continue
            os.fchown(fd, self.uid, -1)


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
