"""Bind mounts: a file or directory that is elsewhere already, seen at a path of the container too.

Two moves. A *copy* of the mount is taken, which hangs nowhere yet (open_tree(2)); then it gets its attributes and is
hung into the container's tree. Who takes the copy, and when, decides what it is:

- usually the child, once its mounts are independent of the host's: the copy has no ties;
- before that, when mounts are to travel through it (`shared`, `slave`): only then is the copy a peer of the host's;
- the parent lends it, for a container with a user namespace, or with other owners: there the child may not walk the
  host's paths, and only the host's root may say that files belong to somebody else (kernel/idmap.py);
- inside another container, when it is that one's mount that is to be shared (--ipc container:NAME).
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from typing import ClassVar

from minidock.errors import MinidockError, SystemCallFailed
from minidock.kernel import idmap, namespaces, rootpath, syscalls
from minidock.kernel.mount_options import RDONLY, of_bind, of_locked, parse
from minidock.kernel.mounts import OPEN_TREE_CLOEXEC, OPEN_TREE_CLONE, hang
from minidock.spec import IdMapping
from minidock.steps import Live, Step

AT_SYMLINK_NOFOLLOW = 0x100  # linux/fcntl.h

SUBDIRECTORY = "X-mount.subdir="
"""mount(8)'s word for a directory inside the source: --mount volume-subpath. It is resolved inside the source, since
whoever can write there could have planted a link."""


class TakeMount(Step, frozen=True):
    """The first move by itself, for the BindMount at `destination`."""

    destination: str
    source: str
    options: list[str]
    man: ClassVar[str] = "open_tree(2)"

    def describe(self) -> str:
        return f"take a copy of the mount of {self.source}, for {self.destination}"

    def shell(self) -> str:
        return f"# mount(8) takes the copy and hangs it in one go: see {self.destination}"

    def apply(self, live: Live) -> None:
        live.fds[key(self.destination)] = take(self.source, self.options)


def key(destination: str) -> str:
    """The name in Live.fds under which a taken copy waits."""
    return f"mount {destination}"


class BindMount(Step, frozen=True):
    """Both moves, or the second when the copy has been taken. `source` is absolute and exists."""

    rootfs: str
    destination: str
    source: str
    options: list[str]
    uids: list[IdMapping] = []
    gids: list[IdMapping] = []
    """An idmapped mount: who a file belongs to, on disk and in the mount."""
    lent: bool = False
    man: ClassVar[str] = "open_tree(2)"

    def describe(self) -> str:
        options = parse(self.options)
        readonly = " read-only" if (options.attr_set | options.rec_set) & RDONLY else ""
        owners = ", with other owners" if self.uids else ""
        return f"show the host's {_whole(self)} at {self.destination}{readonly}{owners}"

    def shell(self) -> str:
        options = parse(self.options)
        source, target = shlex.quote(_whole(self)), shlex.quote(self.rootfs + self.destination)
        lines = [
            f"if [ -d {source} ]; then mkdir -p {target}; else mkdir -p $(dirname {target}) && touch {target}; fi",
            f"mount --{'rbind' if options.recursive else 'bind'} {source} {target}",
        ]
        if self.uids:
            pairs = " ".join(f"u:{line.container_id}:{line.host_id}:{line.size}" for line in self.uids)
            lines[1] += f"\n# with other owners, from util-linux 2.39 on: -o X-mount.idmap={shlex.quote(pairs)}"
        words = [word for word in self.options if word in ("ro", "nosuid", "nodev", "noexec")]
        if words:
            lines.append(f"mount -o remount,bind,{','.join(words)} {target}")
        if options.rec_set & RDONLY:
            lines.append(f"while read -r _ _ _ _ at words _; do case $at in {target}|{target}/*)")
            lines.append('mount -o "remount,bind,ro${words#r?}" "$at" ;; esac; done < /proc/self/mountinfo')
        return "\n".join(lines)

    def apply(self, live: Live) -> None:
        options = parse(self.options)
        copy = self._copy(live)
        _set_attributes(copy, self)
        root = rootpath.open_root(self.rootfs)
        target = self._place(root, is_directory=stat.S_ISDIR(os.fstat(copy).st_mode))
        # Here, before the pivot, /proc is still the host's.
        rootpath.spare_proc(root, target, self.destination, proc=os.path.samestat(os.fstat(copy), os.stat("/proc")))
        hang(copy, target)
        # Propagation can only be set once the mount is part of a namespace.
        if options.propagation:
            flags = syscalls.AT_EMPTY_PATH | (syscalls.AT_RECURSIVE if options.propagation_recursive else 0)
            syscalls.mount_setattr(copy, "", flags, propagation=options.propagation)
        for fd in (copy, root, target):
            os.close(fd)

    def _place(self, root: int, *, is_directory: bool) -> int:
        """Where it hangs, made when there is nothing: EINVAL or ENOTDIR otherwise, as a directory can only cover a
        directory, and a file a file."""
        make = rootpath.make_directories if is_directory else rootpath.make_file
        if "dest-nofollow" in self.options and not is_directory:
            make = rootpath.make_entry
        try:
            target = make(root, self.destination)
            if stat.S_ISDIR(os.fstat(target).st_mode) == is_directory:
                return target
            os.close(target)
        except NotADirectoryError:
            pass  # told below, as the other way round
        raise MinidockError("not a directory: Are you trying to mount a directory onto a file (or vice-versa)?")

    def _copy(self, live: Live) -> int:
        if self.lent:
            live.actions["lend"]()
            return live.fds.pop("lent")
        taken = live.fds.pop(key(self.destination), -1)
        return taken if taken >= 0 else take(self.source, self.options)

    def lend(self, live: Live) -> int:
        """The parent's: it may see what a user namespace's root may not, and map ids."""
        copy = self._take_with_our_rights(live.pid)
        options = parse(self.options)
        if self.uids or options.mapped:  # without maps: as in the user namespace that the container has entered
            owners = idmap.namespace(self.uids, self.gids) if self.uids else idmap.namespace_of(live.pid)
            idmap.shift(copy, owners, of=self.source, recursive=options.mapped_recursively)
        return copy

    def _take_with_our_rights(self, child: int) -> int:
        """In the child's mount namespace: an earlier mount of its own can be the source there, and what the host
        forbids in a mount (`ro`, `nosuid`, …) is locked: the user namespace's root can't allow it."""
        if travels(self.options) or self.source.startswith("/proc/"):
            return take(self.source, self.options)
        try:
            with namespaces.in_mounts(f"/proc/{child}/ns/mnt"):
                return take(self.source, self.options)
        except MinidockError as error:
            # `bind` alone of what has locked mounts below it: they would be uncovered (mount_namespaces(7)).
            if not (isinstance(error.__cause__, SystemCallFailed) and error.__cause__.number == errno.EINVAL):
                raise
            return take(self.source, self.options)


def _whole(step: BindMount) -> str:
    return "/".join([step.source, *subdirectories(step.options)])


def subdirectories(options: list[str]) -> list[str]:
    """The directory inside the source that is meant, or nothing."""
    return [word.removeprefix(SUBDIRECTORY) for word in options if word.startswith(SUBDIRECTORY)]


def _set_attributes(copy: int, step: BindMount) -> None:
    options, empty = parse(step.options), syscalls.AT_EMPTY_PATH
    to_set, to_clear = of_bind(step.options)
    try:
        if to_set or to_clear:
            syscalls.mount_setattr(copy, "", empty, attr_set=to_set, attr_clr=to_clear)
    except SystemCallFailed as error:
        # What the host forbids in this mount a user namespace's root can't allow: all else may still be as asked.
        locked = of_locked(step.options, _attributes(copy)) if error.number == errno.EPERM else None
        if locked is None:
            what = f'error mounting "{step.source}" at "{step.destination}"'
            raise MinidockError(f"{what}: {(os.strerror(error.number)).lower()}", hint=str(error)) from error
        syscalls.mount_setattr(copy, "", empty, attr_set=locked[0], attr_clr=locked[1])
    if options.rec_set or options.rec_clr:
        flags = empty | syscalls.AT_RECURSIVE
        syscalls.mount_setattr(copy, "", flags, attr_set=options.rec_set, attr_clr=options.rec_clr)


def _attributes(mounted: int) -> set[str]:
    """A mount's own, as words: statfs(2)."""
    flags = os.fstatvfs(mounted).f_flag
    words = {
        "ro": os.ST_RDONLY, "nosuid": os.ST_NOSUID, "nodev": os.ST_NODEV, "noexec": os.ST_NOEXEC,
        "noatime": os.ST_NOATIME, "nodiratime": os.ST_NODIRATIME, "relatime": os.ST_RELATIME,
    }  # fmt: skip
    found = {word for word, bit in words.items() if flags & bit}
    return found if found & {"noatime", "relatime"} else found | {"strictatime"}


def take(source: str, options: list[str]) -> int:
    """A detached copy of what is mounted at the source, with what hangs below it for `rbind`."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (syscalls.AT_RECURSIVE if parse(options).recursive else 0)
    flags |= AT_SYMLINK_NOFOLLOW if "src-nofollow" in options else 0
    owner, separator, path = source.partition("/root/")
    if separator and owner.startswith("/proc/") and owner.removeprefix("/proc/").isdecimal():
        return _borrow(int(owner.removeprefix("/proc/")), path, flags)
    for inside in subdirectories(options):
        return _take_inside(source, inside, flags)
    try:
        return syscalls.open_tree(syscalls.AT_FDCWD, source, flags)
    except MinidockError as error:
        raise MinidockError(f"bind source path does not exist: {source}", hint=str(error)) from error


def _take_inside(source: str, inside: str, flags: int) -> int:
    root = os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = syscalls.openat2(root, inside, os.O_PATH, resolve=syscalls.RESOLVE_IN_ROOT)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise MinidockError(f"cannot access path {source}/{inside}: {reason}") from error
    finally:
        os.close(root)
    try:
        return syscalls.open_tree(found, "", flags | syscalls.AT_EMPTY_PATH)
    finally:
        os.close(found)


def _borrow(pid: int, path: str, flags: int) -> int:
    """A copy of a mount of another mount namespace: open_tree(2) says EINVAL for those unless one is in there.

    What lies there is that container's, and hostile: no link is followed, and nothing of it is run.
    """
    with namespaces.in_mounts(f"/proc/{pid}/ns/mnt"):
        resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
        found = syscalls.openat2(syscalls.AT_FDCWD, f"/{path}", os.O_PATH, resolve=resolve)
        try:
            return syscalls.open_tree(found, "", flags | syscalls.AT_EMPTY_PATH)
        finally:
            os.close(found)


def travels(options: list[str]) -> bool:
    """Whether mounts are to travel through it, in or out: `shared`, `slave` and their recursive forms."""
    return any(word.removeprefix("r") in ("shared", "slave") for word in options)


def peers(path: str, mountinfo: str | None = None) -> tuple[str, set[str]]:
    """(where the mount that holds the path hangs, which of "shared" and "master" it is): proc_pid_mountinfo(5)."""
    if mountinfo is None:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mountinfo = file.read()
    real = os.path.realpath(path)
    best, found = "", set[str]()
    for line in mountinfo.splitlines():
        fields = line.partition(" - ")[0].split(" ")
        place = fields[4].replace("\\040", " ").replace("\\134", "\\")
        if len(place) >= len(best) and (real == place or real.startswith(place.rstrip("/") + "/")):
            best, found = place, {word.partition(":")[0] for word in fields[6:]}
    return best, found


def read(pid: int) -> list[str]:
    """Where something of another file system's inside hangs: the destinations of bind mounts."""
    from minidock.kernel import mounts

    return [row["destination"] for row in mounts.read(pid) if row["root"] != "/"]


def demo() -> None:
    """Show /etc at /mnt, read-only, to a child."""
    from minidock.kernel import mounts

    if syscalls.clone3(namespaces.flags(["mount"])) == 0:
        mounts.IsolateMounts().apply(Live())
        step = BindMount("", "/mnt", "/etc", ["rbind", "ro"])
        print(f"$ {step.shell()}")
        step.apply(Live())
        print([row for row in mounts.read(os.getpid()) if row["destination"] == "/mnt"], flush=True)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    demo()
