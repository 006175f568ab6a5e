"""Other options for a file system that is mounted already: mount(8)'s `remount`.

An old call for once: mount(2) with MS_REMOUNT sets the flags of the mount and the options of its file system in one go,
to exactly what is said. One thing is said by it alone: that a file's versions are to be counted (`iversion`), for which
fsconfig(2) has no word. The place is a descriptor here too: it is named through /proc/self/fd, which nobody can swap.
Man page: mount(2).
"""

from __future__ import annotations

import os
import shlex
from typing import ClassVar

from minidock.errors import UsageError
from minidock.kernel import rootpath, syscalls
from minidock.kernel.mount_options import ATTRIBUTES, OLD_FLAGS, of_bind, parse
from minidock.steps import Live, Step

MS_REMOUNT = 1 << 5  # sys/mount.h


class Remount(Step, frozen=True):
    """Of what an earlier mount has put at `destination`."""

    rootfs: str
    destination: str
    kind: str
    source: str
    options: list[str]
    man: ClassVar[str] = "mount(2)"

    def describe(self) -> str:
        return f"change the options of what is mounted at {self.destination}"

    def shell(self) -> str:
        return f"mount -o {shlex.quote(','.join(self.options))} {shlex.quote(self.rootfs + self.destination)}"

    def apply(self, live: Live) -> None:
        root = rootpath.open_root(self.rootfs)
        try:
            target = rootpath.open_in(root, self.destination)
        except FileNotFoundError:
            raise UsageError(f"nothing is mounted at {self.destination}, so nothing can be remounted there") from None
        finally:
            os.close(root)
        if parse(self.options).bind:
            of_one_mount(target, self.options)
        else:
            change(target, self.kind, self.source, self.options)
        os.close(target)


def of_one_mount(mounted: int, words: list[str]) -> None:
    """With `bind` the mount alone gets other flags, and its file system, which others may have mounted too, stays."""
    to_set, to_clear = of_bind(words)
    syscalls.mount_setattr(mounted, "", syscalls.AT_EMPTY_PATH, attr_set=to_set, attr_clr=to_clear)


def change(mounted: int, kind: str, source: str, words: list[str]) -> None:
    """The mount that the descriptor is open on gets these options and no others."""
    data = ",".join(parse(words).data) or None
    syscalls.mount(source or kind, f"/proc/self/fd/{mounted}", kind, MS_REMOUNT | numbers(words), data)


def numbers(words: list[str]) -> int:
    """The words' bits in mount(2); later words win."""
    flags = 0
    for word in words:
        # The first four have the same bits in mount_setattr(2): ro, nosuid, nodev, noexec.
        to_set, to_clear = OLD_FLAGS.get(word) or ATTRIBUTES.get(word, (0, 0))
        flags = flags & ~to_clear | to_set
    return flags


def read(pid: int) -> dict[str, str]:
    """The file systems' own options, by where they hang: proc_pid_mountinfo(5), "super options"."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.rstrip("\n").split(" ") for line in file]
    return {fields[4]: fields[-1] for fields in lines}


def demo() -> None:
    """Mount a tmpfs, then let it shrink."""
    from minidock.kernel import mounts, namespaces

    if syscalls.clone3(namespaces.flags(["mount"])) == 0:
        mounts.IsolateMounts().apply(Live())
        mounts.MountFilesystem("", "/mnt", "tmpfs", "demo", ["size=64k"]).apply(Live())
        step = Remount("", "/mnt", "tmpfs", "demo", ["remount", "size=32k", "ro"])
        print(f"$ {step.shell()}\n{read(os.getpid())['/mnt']}")
        step.apply(Live())
        print(read(os.getpid())["/mnt"], flush=True)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    demo()
