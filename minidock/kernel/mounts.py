"""Mounts: file systems, hung into the container's tree (directories that are elsewhere already: kernel/bind.py).

All of it happens in the child, in its own mount namespace: the host never sees these mounts, and they end with the
last process that does. The new mount calls do it in three moves: make a file system or a copy of a mount that hangs
nowhere yet, give it its attributes, then hang it on a descriptor. So there is no moment at which a read-only mount is
writable, and no path that the container could swap. Man pages: mount_namespaces(7), fsopen(2),
open_tree(2), move_mount(2).
"""

from __future__ import annotations

import os
import shlex
from typing import ClassVar

from minidock.kernel import rootpath, syscalls
from minidock.kernel.mount_options import MS_PRIVATE, MS_REC, MS_SLAVE, RDONLY, parse
from minidock.steps import Live, Step

# linux/mount.h
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40

SUPERBLOCK_WORDS = ("sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand")


class IsolateMounts(Step, frozen=True):
    """First of all: a new mount namespace is a copy whose mounts still *propagate* to the originals when they are
    shared, as systemd makes them. Without this, our pivot_root fails with EINVAL and our mounts appear on the host."""

    slave: bool = False
    man: ClassVar[str] = "mount_namespaces(7)"

    def describe(self) -> str:
        return f"make every mount here {'a slave of' if self.slave else 'independent of'} the host's"

    def shell(self) -> str:
        return f"mount --make-{'rslave' if self.slave else 'rprivate'} /"

    def apply(self, live: Live) -> None:
        syscalls.mount(None, "/", None, MS_REC | (MS_SLAVE if self.slave else MS_PRIVATE))


class MountFilesystem(Step, frozen=True):
    """A new file system (proc, sysfs, tmpfs, devpts, mqueue …) on a directory of the container."""

    rootfs: str
    destination: str
    kind: str
    source: str
    options: list[str]
    man: ClassVar[str] = "fsopen(2)"

    def describe(self) -> str:
        return f"mount a new {self.kind} at {self.destination}"

    def shell(self) -> str:
        target = shlex.quote(self.rootfs + self.destination)
        options = f" -o {shlex.quote(','.join(self.options))}" if self.options else ""
        return f"mkdir -p {target} && mount -t {self.kind}{options} {shlex.quote(self.source or self.kind)} {target}"

    def apply(self, live: Live) -> None:
        root = rootpath.open_root(self.rootfs)
        target = rootpath.make_directories(root, self.destination)
        mounted = new_filesystem(self.kind, self.source or self.kind, self.options)
        hang(mounted, target)
        for fd in (root, target, mounted):
            os.close(fd)


def new_filesystem(kind: str, source: str, words: list[str]) -> int:
    """A descriptor of a new file system's detached mount, attributes set. Errors carry the kernel's log."""
    options = parse(words)
    context = syscalls.fsopen(kind, FSOPEN_CLOEXEC)
    try:
        syscalls.fsconfig(context, FSCONFIG_SET_STRING, "source", source)
        if options.attr_set & RDONLY:
            syscalls.fsconfig(context, FSCONFIG_SET_FLAG, "ro")
        for word in options.data:
            key, equals, value = word.partition("=")
            if equals:
                syscalls.fsconfig(context, FSCONFIG_SET_STRING, key, value)
            else:
                syscalls.fsconfig(context, FSCONFIG_SET_FLAG, key)
        syscalls.fsconfig(context, FSCONFIG_CMD_CREATE)
        return syscalls.fsmount(context, FSMOUNT_CLOEXEC, options.attr_set)
    finally:
        os.close(context)


def hang(mounted: int, target: int) -> None:
    """Attach a detached mount to the file or directory that `target` is open on."""
    syscalls.move_mount(mounted, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)


def make_readonly(mounted: int) -> None:
    """The mount (not its file system, which others may share) becomes read-only."""
    syscalls.mount_setattr(mounted, "", syscalls.AT_EMPTY_PATH, attr_set=RDONLY)


class ReadonlyRoot(Step, frozen=True):
    """Last of the mounts: only the root's own mount becomes read-only; /dev, /proc and volumes keep their own say."""

    man: ClassVar[str] = "mount_setattr(2)"

    def describe(self) -> str:
        return "make the root file system read-only"

    def shell(self) -> str:
        return "mount -o remount,bind,ro /"

    def apply(self, live: Live) -> None:
        syscalls.mount_setattr(syscalls.AT_FDCWD, "/", 0, attr_set=RDONLY)


def read(pid: int) -> list[dict[str, str]]:
    """What the process has mounted, from /proc/PID/mountinfo (proc_pid_mountinfo(5)), in order."""
    rows = []
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.rstrip("\n").partition(" - ")
            fields, (kind, source, superblock) = left.split(" "), right.split(" ", 2)
            rows.append(
                {
                    "destination": fields[4],
                    "type": kind,
                    "source": source,
                    "root": fields[3],
                    "options": fields[5],
                    "superblock": superblock,
                }
            )
    return rows


def demo() -> None:
    """Mount a tmpfs that only this process's child can see."""
    from minidock.kernel import namespaces

    pid = syscalls.clone3(namespaces.flags(["mount"]))
    if pid == 0:
        IsolateMounts().apply(Live())
        MountFilesystem("", "/mnt", "tmpfs", "demo", ["size=64k", "ro"]).apply(Live())
        print("inside: ", [row for row in read(os.getpid()) if row["destination"] == "/mnt"], flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    print("outside:", [row for row in read(os.getpid()) if row["destination"] == "/mnt"])


if __name__ == "__main__":
    demo()
