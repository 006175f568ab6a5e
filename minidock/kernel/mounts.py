"""Mounts: file systems, hung into the container's tree (directories that are elsewhere already: kernel/bind.py).

All of it happens in the child, in its own mount namespace: the host never sees these mounts, and they end with the
last process that does. The new mount calls do it in three moves: make a file system or a copy of a mount that hangs
nowhere yet, give it its attributes, then hang it on a descriptor. So there is no moment at which a read-only mount is
writable, and no path that the container could swap. Man pages: mount_namespaces(7), fsopen(2),
open_tree(2), move_mount(2).
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from typing import ClassVar

import msgspec

from minidock.errors import MinidockError, SystemCallFailed
from minidock.kernel import rootpath, syscalls
from minidock.kernel.mount_options import MS_PRIVATE, MS_REC, PROPAGATION, RDONLY, Options, parse
from minidock.steps import Live, Step

# linux/mount.h
FSOPEN_CLOEXEC = FSMOUNT_CLOEXEC = OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40


class IsolateMounts(Step, frozen=True):
    """First of all: a new mount namespace is a copy whose mounts still *propagate* to the originals when they are
    shared, as systemd makes them. Without this, our pivot_root fails with EINVAL and our mounts appear on the host.

    A slave sees what is mounted on the host later. `shared` leaves even the way back open, for a volume whose mounts
    the host is meant to see: then only the root's own mount, and the one it hangs on, are taken out (`PrivateRoot`).
    """

    propagation: str = "private"
    man: ClassVar[str] = "mount_namespaces(7)"

    def describe(self) -> str:
        meaning = {"slave": "a slave of the host's", "shared": "shared with the host's"}
        return f"make every mount here {meaning.get(self.propagation, 'independent of the host')}"

    def shell(self) -> str:
        return f"mount --make-r{self.propagation} /"

    def apply(self, live: Live) -> None:
        syscalls.mount(None, "/", None, MS_REC | PROPAGATION[self.propagation])


class PrivateRoot(Step, frozen=True):
    """pivot_root(2) says EINVAL when the new root or the mount that it hangs on is shared."""

    rootfs: str
    man: ClassVar[str] = "pivot_root(2)"

    def describe(self) -> str:
        return f"take {self.rootfs} and what it hangs on out of the sharing"

    def shell(self) -> str:
        path = shlex.quote(self.rootfs)
        return f"mount --make-private {path}\nmount --make-private $(findmnt -no TARGET -T $(dirname {path}))"

    def apply(self, live: Live) -> None:
        syscalls.mount(None, self.rootfs, None, MS_PRIVATE)
        above = os.path.dirname(self.rootfs)
        points = [row["destination"].rstrip("/") for row in read("self")]
        found = [point for point in points if f"{above}/".startswith(f"{point}/")]
        syscalls.mount(None, max(found, key=len) or "/", None, MS_PRIVATE)


class SetRootPropagation(Step, frozen=True):
    """rootfsPropagation: how the container's root propagates in the end; after the pivot, which needs it private."""

    propagation: str
    man: ClassVar[str] = "mount_namespaces(7)"

    def describe(self) -> str:
        return f"make the root's mount {self.propagation}"

    def shell(self) -> str:
        return f"mount --make-{self.propagation} /"

    def apply(self, live: Live) -> None:
        word = self.propagation
        recursive = MS_REC if word[:1] == "r" else 0
        syscalls.mount(None, "/", None, recursive | PROPAGATION[word[1:] if recursive else word])


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
        mounted = self.make(root)
        target = rootpath.make_directories(root, self.destination)
        rootpath.spare_proc(root, target, self.destination, proc=self.kind == "proc")
        if self.kind in ("proc", "sysfs"):
            self._check_place(root, target)
        options = parse(self.options)
        change(mounted, msgspec.structs.replace(options, attr_set=0, attr_clr=0))
        hang(mounted, target)
        if "iversion" in self.options:
            from minidock.kernel import remount

            remount.change(mounted, self.kind, self.source, self.options)
        propagate(mounted, options)
        for fd in (root, target, mounted):
            os.close(fd)

    def _check_place(self, root: int, target: int) -> None:
        """By a symlink an image could move /proc, and with it every mask, to where nobody looks (CVE-2019-19921)."""
        here = syscalls.openat2(
            root,
            self.destination.lstrip("/"),
            os.O_PATH | os.O_NOFOLLOW,
            resolve=syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS,
        )
        found, expected = os.fstat(here), os.fstat(target)
        os.close(here)
        if not os.path.samestat(found, expected):
            raise MinidockError(f'filesystem "{self.kind}" must be mounted on ordinary directory: {self.destination}')

    def make(self, root: int) -> int:
        """The detached mount; `root` is the container's."""
        return new_filesystem(self.kind, self.source or self.kind, self.words(root))

    def words(self, root: int) -> list[str]:
        """A tmpfs that isn't told a mode has the one of the directory that it hides."""
        if self.kind != "tmpfs" or any(word.startswith("mode=") for word in self.options):
            return self.options
        try:
            here = rootpath.open_in(root, self.destination)
        except FileNotFoundError:
            return self.options
        mode = stat.S_IMODE(os.fstat(here).st_mode)
        os.close(here)
        return [*self.options, f"mode={mode:o}"]


class MountSysfs(MountFilesystem, frozen=True):
    """A new sysfs takes rights over the network namespace that it will show: the root of a user namespace has none
    over the host's. Then it is the host's own, without what hangs below: its cgroups are nobody else's."""

    def apply(self, live: Live) -> None:
        from minidock.kernel.bind import BindMount

        try:
            super().apply(live)
        except SystemCallFailed as error:
            if error.number != errno.EPERM:
                raise
            BindMount(self.rootfs, self.destination, "/sys", ["bind", *self.options], lent=True).apply(live)

    def lend(self, live: Live) -> int:
        from minidock.kernel.bind import take

        return take("/sys", ["bind"])


def change(mounted: int, options: Options) -> None:
    """Give a mount that hangs nowhere yet its attributes: its own, then those for all below it too."""
    empty = syscalls.AT_EMPTY_PATH
    if options.attr_set or options.attr_clr:
        syscalls.mount_setattr(mounted, "", empty, attr_set=options.attr_set, attr_clr=options.attr_clr)
    if options.rec_set or options.rec_clr:
        flags = empty | syscalls.AT_RECURSIVE
        syscalls.mount_setattr(mounted, "", flags, attr_set=options.rec_set, attr_clr=options.rec_clr)


def propagate(mounted: int, options: Options) -> None:
    """Propagation can only be set once the mount is part of a namespace."""
    if options.propagation:
        flags = syscalls.AT_EMPTY_PATH | (syscalls.AT_RECURSIVE if options.propagation_recursive else 0)
        syscalls.mount_setattr(mounted, "", flags, propagation=options.propagation)


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


class ReadonlyMount(Step, frozen=True):
    """A tmpfs that others hang in, once they do: a mount point can't be made in what is read-only."""

    path: str
    man: ClassVar[str] = "mount_setattr(2)"

    def describe(self) -> str:
        return f"make the mount at {self.path} read-only"

    def shell(self) -> str:
        return f"mount -o remount,bind,ro {shlex.quote(self.path)}"

    def apply(self, live: Live) -> None:
        root = rootpath.open_root("/")
        mounted = rootpath.open_in(root, self.path)
        make_readonly(mounted)
        os.close(mounted)
        os.close(root)


class ReadonlyRoot(Step, frozen=True):
    """Last of the mounts: only the root's own mount becomes read-only; /dev, /proc and volumes keep their own say."""

    man: ClassVar[str] = "mount_setattr(2)"

    def describe(self) -> str:
        return "make the root file system read-only"

    def shell(self) -> str:
        return "mount -o remount,bind,ro /"

    def apply(self, live: Live) -> None:
        syscalls.mount_setattr(syscalls.AT_FDCWD, "/", 0, attr_set=RDONLY)


def read(pid: int | str) -> list[dict[str, str]]:
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
