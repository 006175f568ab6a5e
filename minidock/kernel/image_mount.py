"""Another image as a directory of the container: its layers laid over each other, with nothing on top to write to.

An overlay without an upper directory is read-only. The rest is a bind mount's work (kernel/bind.py): the layers are
laid over the container's root for a moment, where nobody else can see it, and what is taken from there, all of it or a
directory inside, is hung where it is wanted. Weights of a model come so, as an image that many programs share.

How the names of many layers fit mount(2)'s options: kernel/overlay.py; other owners: kernel/idmap.py.
man: mount(2), open_tree(2); Documentation/filesystems/overlayfs.rst, "Multiple lower layers"
"""

from __future__ import annotations

import os
import shlex
from typing import ClassVar

from minidock.errors import MinidockError
from minidock.kernel import bind, idmap, overlay, syscalls
from minidock.kernel.mount_options import MS_RDONLY, parse
from minidock.kernel.shared_mount import MNT_DETACH
from minidock.spec import Mount
from minidock.steps import Live

LOWER = "lowerdir="
"""overlayfs's own word: a mount of config.json that has it, and no `upperdir=`, is such an image."""


class MountImage(bind.BindMount, frozen=True):
    """`source` is overlayfs's name for the layers, `a:b`, the top one first; there are two or more, or the kernel says
    EINVAL: a single layer can be bound as it is. `options` are those of a bind mount, and overlayfs's own besides."""

    man: ClassVar[str] = "mount(8)"

    @classmethod
    def of(cls, rootfs: str, mount: Mount, *, lent: bool = False) -> MountImage:
        """Of an entry of config.json: its option `lowerdir=` has the layers."""
        layers = next(word for word in mount.options if word.startswith(LOWER))
        options = [word for word in mount.options if not word.startswith(LOWER)]
        destination = os.path.normpath("/" + mount.destination.lstrip("/"))
        return cls(rootfs, destination, layers.removeprefix(LOWER), options, lent=lent)

    def describe(self) -> str:
        inside = "".join(f"/{path}" for path in bind.subdirectories(self.options))
        return (
            f"show the {len(self._layers())} layers of an image{inside and f', {inside} of it,'} at {self.destination}"
        )

    def shell(self) -> str:
        target = shlex.quote(self.rootfs + self.destination)
        whole = "/".join(['"$IMAGE"', *map(shlex.quote, bind.subdirectories(self.options))])
        lines = [
            "IMAGE=$(mktemp -d)",
            f'mount -t overlay -o {shlex.quote(f"ro,{LOWER}{self.source}{self._more()}")} overlay "$IMAGE"',
            f"if [ -d {whole} ]; then mkdir -p {target}; else mkdir -p $(dirname {target}) && touch {target}; fi",
            f"mount --bind {whole} {target}",
            'umount -l "$IMAGE"',
            'rmdir "$IMAGE"',
        ]
        return "\n".join(lines)

    def _layers(self) -> list[str]:
        return overlay.split(self.source)

    def _more(self) -> str:
        words = (word for word in parse(self.options).data if not word.startswith(bind.SUBDIRECTORY))
        return "".join(f",{word}" for word in words)

    def _copy(self, live: Live) -> int:
        if self.lent:
            return super()._copy(live)
        with overlay.within_a_page(self._layers(), lambda lower: f"{LOWER}{lower}{self._more()}") as options:
            syscalls.mount("overlay", self.rootfs, "overlay", MS_RDONLY, options)
        try:
            return self._take(self.rootfs)
        finally:
            syscalls.umount2(self.rootfs, MNT_DETACH)

    def _take(self, root: str) -> int:
        try:
            return bind.take(root, self.options)
        except MinidockError as error:
            reason = error.message.rpartition(": ")[2]
            inside = "/".join(bind.subdirectories(self.options))
            raise MinidockError(f"cannot access path {inside} in the image for {self.destination}: {reason}") from error

    def lend(self, live: Live) -> int:
        """The parent's: the layers as the container's user namespace sees them."""
        owners = idmap.namespace_of(live.pid)
        try:
            return idmap.laid(self._layers(), owners, self.rootfs, take=self._take)
        finally:
            os.close(owners)


def demo() -> None:
    """Two layers, seen by a child as one directory: the top one hides a file of the other."""
    import tempfile

    from minidock.kernel import mounts, namespaces

    with tempfile.TemporaryDirectory() as base:
        for name in ("bottom", "top", "root"):
            os.mkdir(f"{base}/{name}")
            open(f"{base}/{name}/file-of-{name}", "w", encoding="utf-8").close()
        os.mknod(f"{base}/top/file-of-bottom", 0o20000)
        if syscalls.clone3(namespaces.flags(["mount"])) == 0:
            mounts.IsolateMounts().apply(Live())
            step = MountImage(f"{base}/root", "/image", overlay.joined([f"{base}/top", f"{base}/bottom"]), ["ro"])
            print(f"$ {step.shell()}")
            step.apply(Live())
            print(
                "in the image:",
                os.listdir(f"{base}/root/image"),
                "beside it:",
                sorted(os.listdir(f"{base}/root")),
                flush=True,
            )
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    demo()
