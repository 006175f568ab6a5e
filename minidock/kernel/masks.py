"""Masks: parts of /proc and /sys that are not namespaced, hidden from the container or made read-only.

proc and sysfs tell about the whole machine: its memory (/proc/kcore), its interrupts, its firmware. No namespace covers
that, so a file is hidden by /dev/null bound over it, a directory by an empty read-only tmpfs, and what must be readable
but not writable (/proc/sys) is bound over itself, read-only.

This runs after pivot_root: every path is the image's, and hostile. /proc being a symlink would put all masks elsewhere
and leave the real files bare, so below /proc and /sys no symlink is followed, all mounts are hung on descriptors, and
the /dev/null that hides must be the device 1:3 (CVE-2025-31133 was a runtime that bound whatever lay there).
Man page: proc(5), mount_namespaces(7).
"""

from __future__ import annotations

import os
import shlex
import stat
from typing import ClassVar

from minidock.errors import MinidockError
from minidock.kernel import mounts, syscalls
from minidock.steps import Live, Step

MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
"""Docker's list; since Docker 28.0 it also has /proc/interrupts and the thermal_throttle directory of each cpu."""

READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

NULL_DEVICE = os.makedev(1, 3)
KERNELS_OWN = ("/proc/", "/sys/")


class MaskPath(Step, frozen=True):
    """Hide a file or directory; one that this kernel doesn't have needs no hiding."""

    path: str
    man: ClassVar[str] = "move_mount(2)"

    def describe(self) -> str:
        return f"hide {self.path}"

    def shell(self) -> str:
        path = shlex.quote(self.path)
        return (
            f"if [ -d {path} ]; then mount -t tmpfs -o ro tmpfs {path}; "
            f"elif [ -e {path} ]; then mount --bind /dev/null {path}; fi"
        )

    def apply(self, live: Live) -> None:
        target = open_target(self.path)
        if target is None:
            return
        if stat.S_ISDIR(os.fstat(target).st_mode):
            _hang_nothing(target, live)
        else:
            cover = null_mount()
            mounts.hang(cover, target)
            os.close(cover)
        os.close(target)


def _hang_nothing(target: int, live: Live) -> None:
    """One empty file system for all of a container's directories. It is copied where it hangs: before Linux 6.15
    open_tree(2) says EINVAL for a mount that hangs nowhere."""
    hung = live.fds.get("nothing", -1)
    cover = mounts.new_filesystem("tmpfs", "tmpfs", ["ro"]) if hung < 0 else clone(hung)
    mounts.hang(cover, target)
    if hung < 0:
        live.fds["nothing"] = cover
    else:
        os.close(cover)


class ReadonlyPath(Step, frozen=True):
    """Bind a path over itself and make that mount read-only; its other flags (nosuid, nodev, noexec) stay."""

    path: str
    man: ClassVar[str] = "mount_setattr(2)"

    def describe(self) -> str:
        return f"make {self.path} read-only"

    def shell(self) -> str:
        path = shlex.quote(self.path)
        # A remount sets all flags anew, so the script has to repeat those of the proc mount.
        flags = "ro,nosuid,nodev,noexec" if self.path.startswith("/proc/") else "ro"
        return f"if [ -e {path} ]; then mount --rbind {path} {path} && mount -o remount,bind,{flags} {path}; fi"

    def apply(self, live: Live) -> None:
        target = open_target(self.path)
        if target is None:
            return
        copy = clone(target, recursive=True)
        mounts.make_readonly(copy)
        mounts.hang(copy, target)
        os.close(copy)
        os.close(target)


def open_target(path: str) -> int | None:
    """A descriptor of what is to be covered, None when there is nothing. Raises MinidockError for a planted symlink."""
    follow = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    if path.startswith(KERNELS_OWN):
        follow |= syscalls.RESOLVE_NO_SYMLINKS
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return syscalls.openat2(root, path, os.O_PATH, resolve=follow)
    except FileNotFoundError:
        return None
    except OSError as error:
        hint = "the image has a symlink where the kernel's files belong"
        raise MinidockError(f"won't cover {path}: {error.strerror}", hint=hint) from error
    finally:
        os.close(root)


def null_mount() -> int:
    """A detached mount of the container's /dev/null, which must be what its name says."""
    null = syscalls.openat2(syscalls.AT_FDCWD, "/dev/null", os.O_PATH, resolve=syscalls.RESOLVE_NO_SYMLINKS)
    try:
        found = os.fstat(null)
        if not (stat.S_ISCHR(found.st_mode) and found.st_rdev == NULL_DEVICE):
            raise MinidockError("/dev/null in the container is not the null device", hint="it must be device 1:3")
        return clone(null)
    finally:
        os.close(null)


def clone(fd: int, *, recursive: bool = False) -> int:
    """A detached copy of the mount at a descriptor: what `mount --bind` makes, before it hangs anywhere."""
    flags = mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC | syscalls.AT_EMPTY_PATH
    return syscalls.open_tree(fd, "", flags | (syscalls.AT_RECURSIVE if recursive else 0))


def read(pid: int | str) -> dict[str, list[str]]:
    """Which of Docker's paths are masked and read-only for a process, from its mountinfo (proc(5))."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        rows = [line.split() for line in file]
    covered = {row[4]: row[5].split(",") for row in rows}
    return {
        "masked": [path for path in MASKED if path in covered],
        "readonly": [path for path in READONLY if "ro" in covered.get(path, [])],
    }


def demo() -> None:
    """In a mount namespace of its own, hide the timer list and make /proc/sys read-only."""
    from minidock.kernel import namespaces

    pid = syscalls.clone3(namespaces.flags(["mount"]))
    if pid == 0:
        for step in (mounts.IsolateMounts(), MaskPath("/proc/timer_list"), ReadonlyPath("/proc/sys")):
            step.apply(Live())
            print(f"{step.describe()}: {read('self')}", flush=True)
        with open("/proc/timer_list", "rb") as timers:
            print(f"/proc/timer_list has {len(timers.read())} bytes", flush=True)
        try:
            os.open("/proc/sys/kernel/hostname", os.O_WRONLY)
        except OSError as error:
            print(f"writing below /proc/sys: {error.strerror}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    demo()
