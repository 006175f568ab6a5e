"""Idmapped mounts: the same files, seen with other owners through one mount.

A user namespace makes root inside a nobody outside: user 100000, say. The image's files belong to root, 0, whom that
namespace doesn't know. Instead of copying each layer and changing its owners (what Docker does), the mount through
which the container sees it is told to translate: 0 on disk is 100000 in the mount, and so 0 again inside. Both
ways: what the container writes as its root lies on disk as 0.

The translation is given as a user namespace whose map says "on disk, in the mount, count". Only who is root over the
file system itself may set it, so this is the parent's work, and the child gets the mount as a descriptor.
Man page: mount_setattr(2), "ID-mapped mounts".
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from minidock.errors import MinidockError, SystemCallFailed
from minidock.kernel import mounts, namespaces, syscalls, user
from minidock.kernel.mount_options import MS_RDONLY
from minidock.spec import IdMapping
from minidock.steps import Live, Step

MOUNT_ATTR_IDMAP = 0x00100000  # linux/mount.h
PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP = 28, 1 << 2  # linux/prctl.h, linux/securebits.h


class MountIdmappedOverlay(Step, frozen=True):
    """The container's root for a user namespace: all layers idmapped, the writable one too. The parent makes it and
    lends it to the child.

    The overlay itself is the host's: in one of the user namespace's own, the kernel would not look at the marks of
    deleted directories (trusted.overlay.opaque). `directory` holds `upper` and `work`; `target` is an empty directory.
    """

    lower: list[str]
    directory: str
    target: str
    owner: tuple[int, int]
    """Whom the user namespace's root is, uid and gid."""
    man: ClassVar[str] = "mount_setattr(2)"

    def describe(self) -> str:
        return f"lay {len(self.lower)} idmapped image layer{'s' * (len(self.lower) != 1)} and a writable one together"

    def shell(self) -> str:
        return "# mount(8) from util-linux 2.39 on, for each layer: mount --bind -o X-mount.idmap=/proc/$PID/ns/user"

    def apply(self, live: Live) -> None:
        live.actions["lend"]()
        root, target = live.fds.pop("lent"), os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mounts.hang(root, target)
        for fd in (root, target):
            os.close(fd)

    def lend(self, live: Live) -> int:
        owners = namespace_of(live.pid)
        try:
            return laid(self.lower, owners, self.target, take=_whole, own=self.directory, owner=self.owner)
        finally:
            os.close(owners)


def laid(
    lower: list[str],
    owners: int,
    place: str,
    *,
    take: Callable[[str], int],
    own: str = "",
    owner: tuple[int, int] = (0, 0),
) -> int:
    """What `take` takes of the layers together, as the user namespace `owners` sees them: a descriptor of a mount.

    `own` is the directory of `upper` and `work`, and "" for an overlay that nobody writes to. `place` is any directory:
    what hangs there meanwhile, nobody else sees.
    """
    return namespaces.from_helper(lambda: _laid(lower, owners, place, take, own, owner))


def _laid(
    lower: list[str], owners: int, place: str, take: Callable[[str], int], own: str, owner: tuple[int, int]
) -> int:
    """In a mount namespace that ends with us: an overlay takes only layers that hang somewhere (before 6.15)."""
    syscalls.unshare(namespaces.KINDS["mount"].flag)
    mounts.IsolateMounts().apply(Live())
    places = mounts.new_filesystem("tmpfs", "tmpfs", ["mode=700"])
    mounts.hang(places, os.open(place, os.O_PATH | os.O_CLOEXEC))
    os.chdir(place)  # short names: 127 layers have to fit one page of options
    names = [str(number) for number in range(len(lower))]
    options, rows = f"lowerdir={':'.join(names)}", [*zip(lower, names, strict=True)]
    if own:
        options, rows = f"{options},upperdir=own/upper,workdir=own/work", [*rows, (own, "own")]
    for path, name in rows:
        copy = syscalls.open_tree(syscalls.AT_FDCWD, path, mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC)
        _set_owners(copy, owners, of=path)
        os.mkdir(name)
        mounts.hang(copy, os.open(name, os.O_PATH | os.O_CLOEXEC))
    os.mkdir("root")
    if own:
        _become_keeping_rights(*owner)
    syscalls.mount("overlay", "root", "overlay", 0 if own else MS_RDONLY, options)
    return take("root")


def _whole(root: str) -> int:
    return syscalls.open_tree(syscalls.AT_FDCWD, root, mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC)


def _become_keeping_rights(uid: int, gid: int) -> None:
    """An overlay acts on its layers as whoever mounted it. The host's root is nobody to an idmapped writable layer
    (EOVERFLOW, and the overlay would be read-only): so the mounter is who the container's root is, with our rights."""
    syscalls.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    syscalls.setresgid(gid)
    syscalls.setresuid(uid)


def shift(mounted: int, owners: int, *, of: str, recursive: bool = False) -> None:
    """Make a detached mount show other owners, with `recursive` what hangs below it too. `owners` is a descriptor of a
    user namespace with the maps, and closed; `of` is what it is a mount of, for the error."""
    try:
        _set_owners(mounted, owners, of=of, recursive=recursive)
    finally:
        os.close(owners)


EVERYBODY = IdMapping(0, 0, (1 << 32) - 1)
"""All ids, as they are; the last number means nobody at all."""


def exchange(owner: int, inside: int, known: list[IdMapping]) -> list[IdMapping]:
    """The map by which what is `owner`'s on disk is user `inside`'s in the container, and the reverse.

    All others stay who they are, but root: what is root's on disk belongs to nobody in the mount, and nobody in there
    can make a file of root's. `known` are the container's own ids: what the mount shows has to be one of them.
    """
    if owner == inside:
        pieces = [(0, 0, EVERYBODY.size)]
    else:
        holes = sorted({0, owner, inside, EVERYBODY.size})
        between = itertools.pairwise(holes)
        pieces = [(low + 1, low + 1, high - low - 1) for low, high in between if high > low + 1]
        pieces.append((owner, inside, 1))
    lines = []
    for disk, container, count in pieces:
        for entry in known:
            first = max(container, entry.container_id)
            end = min(container + count, entry.container_id + entry.size)
            if first < end:
                host = entry.host_id + first - entry.container_id
                lines.append(IdMapping(disk + first - container, host, end - first))
    return lines


def _set_owners(mounted: int, owners: int, *, of: str, recursive: bool = False) -> None:
    flags = syscalls.AT_EMPTY_PATH | (syscalls.AT_RECURSIVE if recursive else 0)
    try:
        syscalls.mount_setattr(mounted, "", flags, attr_set=MOUNT_ATTR_IDMAP, userns_fd=owners)
    except SystemCallFailed as error:
        if error.number not in (errno.EINVAL, errno.EPERM):
            raise
        raise MinidockError(
            f"{of} lies on a file system that this kernel can't mount with other owners ({error})",
            hint="ext4, xfs and btrfs can (Linux 5.12 to 5.15), tmpfs since 6.3; --userns host does without",
        ) from error


def namespace(uids: list[IdMapping], gids: list[IdMapping]) -> int:
    """A descriptor of a user namespace with these maps. Its only process ends at once: the descriptor keeps it."""
    ready, told = os.pipe()
    pid = syscalls.clone3(namespaces.KINDS["user"].flag)
    if pid == 0:
        os.close(told)
        os.read(ready, 1)
        os._exit(0)
    try:
        user.MapIds(uids, gids).apply(Live(pid))
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(told)
        os.close(ready)
        os.waitpid(pid, 0)


def namespace_of(pid: int) -> int:
    """A descriptor of the user namespace that a process is in."""
    return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def read(pid: int) -> list[str]:
    """Where a process has idmapped mounts, as mountinfo says since Linux 6.14; empty before."""
    return [row["destination"] for row in mounts.read(pid) if "idmapped" in row["options"].split(",")]


def demo() -> None:
    """Show a file of root's through a mount in which it belongs to user 1000."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as base:
        Path(base, "file").touch()
        mounted = syscalls.open_tree(syscalls.AT_FDCWD, base, mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC)
        shift(mounted, namespace([IdMapping(0, 1000, 1)], [IdMapping(0, 1000, 1)]), of=base)
        print("on disk:     ", os.stat(f"{base}/file").st_uid)
        print("in the mount:", os.stat("file", dir_fd=mounted).st_uid)
        os.close(mounted)


if __name__ == "__main__":
    demo()
