"""Overlay: an image's layers and the container's own changes, as one tree.

Below lie read-only directories, one a layer; on top one that takes every change. Reading goes from the top down, the
first that has the name wins; writing copies the file up first; deleting leaves a *whiteout*, a character device 0:0
that hides the name below. Kernel's Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Callable, Iterator
from typing import ClassVar

from minidock.errors import SystemCallFailed, Unsupported
from minidock.kernel import syscalls
from minidock.steps import Live, Step

PAGE = 4096
"""mount(2) takes at most one page of options; more is cut off silently or refused with EINVAL."""


class MountOverlay(Step, frozen=True):
    """Applied in the child, so that no mount of a container ever exists on the host: nothing to leak, and nobody
    else's mount namespace can hold a copy that makes it busy.

    `lower` has the *top* layer first. `upper` and `work` must be on one file system that isn't overlay itself.
    """

    lower: list[str]
    upper: str
    work: str
    target: str
    in_userns: bool = False
    """In a user namespace nobody may set attributes of the name space `trusted`: overlayfs is told to note what a
    directory hides in `user.overlay.opaque` then. Whiteouts, devices 0:0, may be made there all the same."""
    man: ClassVar[str] = "mount(8)"

    def describe(self) -> str:
        return f"lay {len(self.lower)} layer{'s' * (len(self.lower) != 1)} and a writable one over each other"

    def shell(self) -> str:
        return (
            f"mount -t overlay overlay -o {shlex.quote(self._options(joined(self.lower)))} {shlex.quote(self.target)}"
        )

    def _options(self, lower: str) -> str:
        options = f"lowerdir={lower},upperdir={_escape(self.upper)},workdir={_escape(self.work)}"
        return f"{options},userxattr" if self.in_userns else options

    def apply(self, live: Live) -> None:
        try:
            with within_a_page(self.lower, self._options) as options:
                syscalls.mount("overlay", self.target, "overlay", 0, options)
        except SystemCallFailed as error:
            hint = "the upper directory must not be on an overlay itself: put --root on another file system"
            raise SystemCallFailed(error.call, error.number, hint=hint) from error


@contextlib.contextmanager
def within_a_page(lower: list[str], options: Callable[[str], str]) -> Iterator[str]:
    """mount(2)'s options, made of the layers' names as overlayfs reads them. Raises Unsupported for too many."""
    fds: list[int] = []
    found = options(joined(lower))
    try:
        if len(found) >= PAGE:
            # Many layers: name each by a descriptor, `/proc/self/fd/12`, and 127 of them fit a page.
            fds += (os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in lower)
            found = options(joined([f"/proc/self/fd/{fd}" for fd in fds]))
        if len(found) >= PAGE:
            raise Unsupported(
                "max depth exceeded", hint="their names don't fit into one page, which is what mount(2) takes"
            )
        yield found
    finally:
        for fd in fds:
            os.close(fd)


def joined(lower: list[str]) -> str:
    """The layers as one word of overlayfs."""
    return ":".join(map(_escape, lower))


def split(word: str) -> list[str]:
    """The layers of such a word."""
    return [re.sub(r"\\(.)", r"\1", path) for path in re.findall(r"(?:\\.|[^:\\])+", word)]


def _escape(path: str) -> str:
    """Commas end an option and colons a layer, unless escaped."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def read(pid: int) -> dict[str, str]:
    """The root mount of a process, when it is an overlay: its superblock options by name."""
    from minidock.kernel import mounts

    root = next(row for row in reversed(mounts.read(pid)) if row["destination"] == "/")
    if root["type"] != "overlay":
        return {}
    pairs = (word.partition("=") for word in root["superblock"].split(","))
    return {key: value for key, _, value in pairs if value}


def demo() -> None:
    """Two layers with the same name in both: the top one wins, and the change goes to the upper directory."""
    import tempfile

    from minidock.kernel import mounts, namespaces

    with tempfile.TemporaryDirectory() as base:
        for name in ("bottom", "top", "upper", "work", "merged"):
            os.mkdir(f"{base}/{name}")
        for layer in ("bottom", "top"):
            with open(f"{base}/{layer}/file", "w", encoding="utf-8") as file:
                file.write(f"from {layer}\n")
        if syscalls.clone3(namespaces.flags(["mount"])) == 0:
            mounts.IsolateMounts().apply(Live())
            step = MountOverlay([f"{base}/top", f"{base}/bottom"], f"{base}/upper", f"{base}/work", f"{base}/merged")
            print(f"$ {step.shell()}")
            step.apply(Live())
            with open(f"{base}/merged/file", encoding="utf-8") as file:
                print("merged/file says:", file.read().strip())
            os.unlink(f"{base}/merged/file")
            print("after rm, upper/file is a device with number", os.stat(f"{base}/upper/file").st_rdev, flush=True)
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    demo()
