"""A root without a mount namespace: the container's tree in somebody else's, by chroot(2).

runtime-spec config-linux.md: a namespace that config.json doesn't name is the caller's. Without one for mounts all that
the container's tree is made of hangs in the host's, in everybody's sight, and stays there when the container ends. So
it hangs below one mount that the parent makes, and detaches again: what hangs below goes with it. The same with a mount
namespace that exists already (`path`). pivot_root(2) would take the root away from everybody else in there; chroot(2)
is what is left, and it holds nobody who has CAP_SYS_CHROOT.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from contextlib import AbstractContextManager
from typing import ClassVar

from minidock.kernel import namespaces, syscalls
from minidock.kernel.mount_options import MS_PRIVATE
from minidock.kernel.pivot import MNT_DETACH, MS_BIND, MS_REC
from minidock.steps import Live, Step


class HangRoot(Step, frozen=True):
    """The parent's: one mount for everything, in the namespace at `path`, or in our own."""

    rootfs: str
    path: str = ""
    inode: int = 0
    """Of the namespace: the path's process may be gone by the time of the undo, and its number another's."""
    beneath: int = 0
    """How many mounts hang there already: an engine's own, which has to stay when ours goes."""
    man: ClassVar[str] = "mount(2)"

    def describe(self) -> str:
        whose = f"the mount namespace {self.path}" if self.path else "the host's mounts"
        return f"hang {self.rootfs} into {whose}"

    def shell(self) -> str:
        rootfs = shlex.quote(self.rootfs)
        inside = f"nsenter --mount={shlex.quote(self.path)} " if self.path else ""
        return f"{inside}mount --rbind {rootfs} {rootfs} && {inside}mount --make-rprivate {rootfs}"

    def apply(self, live: Live) -> None:
        with _inside(self.path):
            syscalls.mount(self.rootfs, self.rootfs, None, MS_BIND | MS_REC)
            # What is mounted below it must not travel on to copies of the original.
            syscalls.mount_setattr(syscalls.AT_FDCWD, self.rootfs, syscalls.AT_RECURSIVE, propagation=MS_PRIVATE)

    def undo(self, live: Live) -> None:
        if self.path and not (os.path.exists(self.path) and os.stat(self.path).st_ino == self.inode):
            return  # the namespace has ended, and its mounts with it
        if hanging(self.rootfs, self.path) <= self.beneath:
            return  # the apply didn't come so far, or the undo has been here
        with _inside(self.path):
            syscalls.umount2(self.rootfs, MNT_DETACH)


class ChangeRoot(Step, frozen=True):
    """The child's."""

    rootfs: str
    man: ClassVar[str] = "chroot(2)"

    def describe(self) -> str:
        return "make the container's tree the root of this process alone"

    def shell(self) -> str:
        return f"exec chroot {shlex.quote(self.rootfs)}"

    def apply(self, live: Live) -> None:
        os.chroot(self.rootfs)
        os.chdir("/")


class EnterRoot(Step, frozen=True):
    """`exec`: the root of the container's first process, which is not its mount namespace's."""

    pid: int
    man: ClassVar[str] = "chroot(2)"

    def describe(self) -> str:
        return f"take the root of process {self.pid}"

    def shell(self) -> str:
        return f"nsenter --target {self.pid} --mount --root --wd"

    def apply(self, live: Live) -> None:
        root = os.open(f"/proc/{self.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        namespaces.JoinNamespace("mount", f"/proc/{self.pid}/ns/mnt").apply(live)
        os.fchdir(root)
        os.chroot(".")
        os.chdir("/")
        os.close(root)


def _inside(path: str) -> AbstractContextManager[None]:
    """In the mount namespace, if it is another than ours, and back."""
    return namespaces.in_mounts(path) if path else contextlib.nullcontext()


def hanging(rootfs: str, path: str) -> int:
    """How many mounts hang at exactly that directory, one over the other, in the mount namespace `path` or in ours."""
    place = rootfs.translate({ord(sign): f"\\{ord(sign):03o}" for sign in "\\ \t\n"})  # proc_pid_mountinfo(5)
    proc = os.open("/proc/self", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # in there may be no /proc
    try:
        with _inside(path):
            mountinfo = os.open("mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
            return sum(line.split(" ")[4] == place for line in file)
    finally:
        os.close(proc)


def read(pid: int) -> bool:
    """Whether the process has our mounts, and another root than we."""
    moved = not os.path.samefile(f"/proc/{pid}/root", "/")
    return moved and os.path.samefile(f"/proc/{pid}/ns/mnt", "/proc/self/ns/mnt")


def demo() -> None:
    """Hang /usr, look, and let it go again."""
    step = HangRoot("/usr")
    for line in (step.describe(), *step.shell().split(" && ")):
        print(line)


if __name__ == "__main__":
    demo()
