"""pivot_root: the container's tree becomes `/`, and the host's is let go.

chroot(2) only moves where a process starts to look; whoever is root gets out again. pivot_root(2) swaps the root of
the whole mount namespace, and once the old root is detached there is no path left that leads to the host.
"""

from __future__ import annotations

import os
import shlex
from typing import ClassVar

from minidock.kernel import mounts, syscalls
from minidock.steps import Live, Step

MNT_DETACH = 2  # sys/mount.h
MS_BIND, MS_MOVE, MS_REC, MS_SLAVE = 1 << 12, 1 << 13, 1 << 14, 1 << 19


class BindRoot(Step, frozen=True):
    """Only a mount point can become the root, else EINVAL: a plain directory is bound onto itself first."""

    rootfs: str
    man: ClassVar[str] = "pivot_root(2)"

    def describe(self) -> str:
        return f"make {self.rootfs} a mount point"

    def shell(self) -> str:
        return f"mount --rbind {shlex.quote(self.rootfs)} {shlex.quote(self.rootfs)}"

    def apply(self, live: Live) -> None:
        syscalls.mount(self.rootfs, self.rootfs, None, MS_BIND | MS_REC)


class PivotRoot(Step, frozen=True):
    """pivot_root(".", "."): the old root is put on top of the new one at the same place, needs no directory of the
    image to wait in, and `.` now names it: so `.` is what is detached. pivot_root(2), NOTES."""

    rootfs: str
    man: ClassVar[str] = "pivot_root(2)"

    def describe(self) -> str:
        return "swap the root for the container's, and let the host's go"

    def shell(self) -> str:
        return f"cd {shlex.quote(self.rootfs)}\npivot_root . .\numount -l .\ncd /"

    def apply(self, live: Live) -> None:
        old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chdir(self.rootfs)
        syscalls.pivot_root(".", ".")
        os.fchdir(old)
        # Detaching would travel back to the host's mounts if they were still our peers.
        syscalls.mount(None, ".", None, MS_SLAVE | MS_REC)
        syscalls.umount2(".", MNT_DETACH)
        os.chdir("/")
        os.close(old)


class MoveRoot(Step, frozen=True):
    """--no-pivot: the initial ramdisk can't be pivoted away from, so the new root is moved over it, and chroot(2) makes
    it ours. What lies below stays reachable for whoever may mount: pivot_root is better wherever it works."""

    rootfs: str
    man: ClassVar[str] = "chroot(2)"

    def describe(self) -> str:
        return "move the container's root over the host's"

    def shell(self) -> str:
        return f"cd {shlex.quote(self.rootfs)}\nmount --move . /\nexec chroot ."

    def apply(self, live: Live) -> None:
        # The host's proc and sysfs would stay in this namespace below the new root, unmasked: with a second mount of
        # proc allowed by their sight (mount_namespaces(7)), a user namespace could have what the masks hide.
        for row in mounts.read("self"):
            inside = f"{row['destination']}/".startswith(f"{self.rootfs}/")
            if row["type"] in ("proc", "sysfs") and not inside:
                syscalls.umount2(row["destination"], MNT_DETACH)
        os.chdir(self.rootfs)
        syscalls.mount(".", "/", None, MS_MOVE)
        os.chroot(".")
        os.chdir("/")


def read(pid: int) -> dict[str, str]:
    """Where the process's root is: `/` seen from the outside, device and inode."""
    facts = os.stat(f"/proc/{pid}/root/")
    return {"device": f"{os.major(facts.st_dev)}:{os.minor(facts.st_dev)}", "inode": str(facts.st_ino)}


def demo() -> None:
    """Pivot into an empty tmpfs and look around."""
    from minidock.kernel import namespaces

    if syscalls.clone3(namespaces.flags(["mount"])) == 0:
        mounts.IsolateMounts().apply(Live())
        mounts.MountFilesystem("", "/mnt", "tmpfs", "demo", []).apply(Live())
        PivotRoot("/mnt").apply(Live())
        here = os.stat("..").st_ino == os.stat("/").st_ino
        print("the new root holds", os.listdir("/"), "and `..` leads", "here again" if here else "out", flush=True)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    demo()
