"""The one door to C: system calls by their man page's names, failing with the call, its arguments and a hint.

Python's own `os` has most of what is needed; here is what it lacks (native/syscalls.c). Every function raises
SystemCallFailed, which reads like a line of strace: `mount("proc", "/proc", "proc", 0, ""): EPERM (…)`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from minidock import _native
from minidock.errors import SystemCallFailed

ffi, lib = _native.ffi, _native.lib

AT_FDCWD = -100  # fcntl.h
AT_EMPTY_PATH = 0x1000  # fcntl.h
AT_RECURSIVE = 0x8000  # fcntl.h

HINTS = {
    errno.EPERM: "this needs root: try sudo",
    errno.ENOSYS: "this kernel is too old for that call: minidock needs Linux 5.12 or newer",
}
"""What an errno means whatever the call was; calls add their own where they know better."""

Pathlike = str | Path


def failed(call: str, arguments: Sequence[object], *, hint: str = "", number: int | None = None) -> SystemCallFailed:
    """The error for a call that has just returned -1, with cffi's saved errno."""
    number = ffi.errno if number is None else number
    shown = ", ".join(_show(argument) for argument in arguments)
    return SystemCallFailed(f"{call}({shown})", number, hint=hint or HINTS.get(number, ""))


def _show(argument: object) -> str:
    if isinstance(argument, str | Path):
        return f'"{argument}"'
    return "NULL" if argument is None else str(argument)


def _bytes(path: Pathlike | None) -> object:
    return ffi.NULL if path is None else os.fsencode(path)


# mounts


def mount(source: str | None, target: Pathlike, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    if lib.md_mount(_bytes(source), _bytes(target), _bytes(kind), flags, _bytes(data)) != 0:
        raise failed("mount", (source, target, kind, hex(flags), data))


def umount2(target: Pathlike, flags: int = 0) -> None:
    """umount2(2)."""
    if lib.md_umount2(_bytes(target), flags) != 0:
        raise failed("umount2", (target, flags))


def pivot_root(new_root: Pathlike, put_old: Pathlike) -> None:
    """pivot_root(2)."""
    if lib.md_pivot_root(_bytes(new_root), _bytes(put_old)) != 0:
        hint = "EINVAL: new_root must be a mount point, and neither it nor its parent mount may be shared"
        raise failed("pivot_root", (new_root, put_old), hint=hint if ffi.errno == errno.EINVAL else "")


def open_tree(dirfd: int, path: Pathlike, flags: int) -> int:
    """open_tree(2): a descriptor of a mount, or with OPEN_TREE_CLONE of a detached copy of it."""
    fd: int = lib.md_open_tree(dirfd, _bytes(path), flags)
    if fd < 0:
        raise failed("open_tree", (dirfd, path, hex(flags)))
    return fd


def move_mount(from_dirfd: int, from_path: Pathlike, to_dirfd: int, to_path: Pathlike, flags: int) -> None:
    """move_mount(2)."""
    if lib.md_move_mount(from_dirfd, _bytes(from_path), to_dirfd, _bytes(to_path), flags) != 0:
        raise failed("move_mount", (from_dirfd, from_path, to_dirfd, to_path, hex(flags)))


def fsopen(kind: str, flags: int) -> int:
    """fsopen(2): a descriptor on which a new file system is configured."""
    fd: int = lib.md_fsopen(_bytes(kind), flags)
    if fd < 0:
        raise failed("fsopen", (kind, hex(flags)))
    return fd


def fsconfig(fd: int, command: int, key: str | None = None, value: str | None = None, aux: int = 0) -> None:
    """fsconfig(2). On failure the kernel's own words are read from the descriptor and shown as the hint."""
    if lib.md_fsconfig(fd, command, _bytes(key), _bytes(value), aux) != 0:
        number = ffi.errno
        raise failed("fsconfig", (fd, command, key, value, aux), hint=_fs_log(fd), number=number)


def _fs_log(fd: int) -> str:
    """What the file system wrote about its refusal: fsopen(2), "Message retrieval interface"."""
    try:
        return os.read(fd, 4096).decode(errors="replace").strip()
    except OSError:  # ENODATA: it had nothing to say
        return ""


def fsmount(fd: int, flags: int, attributes: int) -> int:
    """fsmount(2): a descriptor of the detached mount of what fsconfig has created."""
    mounted: int = lib.md_fsmount(fd, flags, attributes)
    if mounted < 0:
        raise failed("fsmount", (fd, hex(flags), hex(attributes)))
    return mounted


def mount_setattr(
    dirfd: int,
    path: Pathlike,
    flags: int,
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
) -> None:
    """mount_setattr(2)."""
    if lib.md_mount_setattr(dirfd, _bytes(path), flags, attr_set, attr_clr, propagation, userns_fd) != 0:
        raise failed("mount_setattr", (dirfd, path, hex(flags), hex(attr_set), hex(attr_clr), hex(propagation)))


# files

RESOLVE_NO_XDEV = 0x01  # linux/openat2.h
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10


ATTEMPTS = 1000
"""Of openat2(2) that says EAGAIN; a single one lasts some microseconds."""


def openat2(dirfd: int, path: Pathlike | bytes, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): open with rules for how the path may be walked. Raises OSError as os.open does.

    With RESOLVE_IN_ROOT the descriptor's directory is "/" for "..", absolute names and symlinks: what a hostile
    tree contains can't lead outside. Close-on-exec is always set.

    While anything on the machine is mounted or renamed, the kernel can't be sure of a ".." and says EAGAIN: it is asked
    again, but not for ever, as whoever is in the tree may be renaming on purpose.
    """
    for _ in range(ATTEMPTS):
        fd: int = lib.md_openat2(dirfd, os.fsencode(path), flags | os.O_CLOEXEC, mode, resolve)
        if fd >= 0 or ffi.errno != errno.EAGAIN:
            break
    if fd < 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno), os.fsdecode(path))
    return fd


KEEP_OWNER = 0xFFFFFFFF
"""(uid_t)-1 of chown(2): leave it as it is."""


def make_file(
    dirfd: int, name: bytes, data: bytes, at: int, size: int, uid: int, gid: int, mode: int, chmod: bool, mtime: int
) -> None:
    """A new file in one call: openat(2) with O_EXCL, write, fchown, fchmod if `chmod`, utimensat, close.

    Its bytes are `size` of `data`, from `at` on; all of them must be there. `mtime` in nanoseconds. Raises OSError as
    os.open does; then the file may be there, and incomplete.
    """
    if not 0 <= at <= at + size <= len(data):
        raise ValueError(f"{size} bytes from {at} on, of {len(data)}")
    seconds, nanoseconds = divmod(mtime, 1_000_000_000)
    if lib.md_make_file(dirfd, name, data, at, size, uid, gid, mode, chmod, seconds, nanoseconds) != 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno), os.fsdecode(name))


CLOSE_RANGE_CLOEXEC = 4  # linux/close_range.h


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """close_range(2)."""
    if lib.md_close_range(first, last, flags) != 0:
        raise failed("close_range", (first, last, flags))


# namespaces


def clone3(flags: int, cgroup_fd: int = -1) -> int:
    """clone3(2) as a fork: 0 in the child, its pid in the parent. Only in a process with one thread."""
    pid: int = lib.md_clone3(flags, cgroup_fd)
    if pid < 0:
        raise failed("clone3", (hex(flags), cgroup_fd))
    return pid


def unshare(flags: int) -> None:
    """unshare(2)."""
    if lib.md_unshare(flags) != 0:
        raise failed("unshare", (hex(flags),))


def setns(fd: int, kind: int) -> None:
    """setns(2)."""
    if lib.md_setns(fd, kind) != 0:
        raise failed("setns", (fd, hex(kind)))


def sethostname(name: str) -> None:
    """sethostname(2)."""
    raw = name.encode()
    if lib.md_sethostname(raw, len(raw)) != 0:
        raise failed("sethostname", (name,))


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    raw = name.encode()
    if lib.md_setdomainname(raw, len(raw)) != 0:
        raise failed("setdomainname", (name,))


# credentials


def capget() -> tuple[int, int, int]:
    """capget(2) of this thread: effective, permitted, inheritable, as bit masks."""
    sets = ffi.new("uint64_t[3]")
    if lib.md_capget(sets) != 0:
        raise failed("capget", ())
    return sets[0], sets[1], sets[2]


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) of this thread."""
    if lib.md_capset(ffi.new("uint64_t[3]", [effective, permitted, inheritable])) != 0:
        raise failed("capset", (hex(effective), hex(permitted), hex(inheritable)))


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """prctl(2); returns what the kernel returned."""
    result: int = lib.md_prctl(option, arg2, arg3, arg4, arg5)
    if result < 0:
        raise failed("prctl", (option, arg2, arg3, arg4, arg5))
    return result


def setgroups(groups: Sequence[int]) -> None:
    """setgroups(2)."""
    if lib.md_setgroups(len(groups), ffi.new("uint32_t[]", list(groups))) != 0:
        raise failed("setgroups", (len(groups), list(groups)))


def setresgid(gid: int) -> None:
    """setresgid(2), all three ids."""
    if lib.md_setresgid(gid, gid, gid) != 0:
        raise failed("setresgid", (gid, gid, gid))


def setresuid(uid: int) -> None:
    """setresuid(2), all three ids."""
    if lib.md_setresuid(uid, uid, uid) != 0:
        raise failed("setresuid", (uid, uid, uid))


def seccomp_filter(program: bytes, flags: int = 0) -> int:
    """seccomp(2) SECCOMP_SET_MODE_FILTER; `program` is an array of 8-byte struct sock_filter."""
    result: int = lib.md_seccomp_filter(flags, ffi.from_buffer(program), len(program) // 8)
    if result < 0:
        raise failed("seccomp", ("SECCOMP_SET_MODE_FILTER", hex(flags), f"{len(program) // 8} instructions"))
    return result


def bpf(command: int, attributes: object, size: int) -> int:
    """bpf(2); `attributes` a cffi buffer holding union bpf_attr. Returns what the kernel returned."""
    result: int = lib.md_bpf(command, attributes, size)
    if result < 0:
        raise failed("bpf", (command, f"{size} bytes"))
    return result


# processes


def execveat(dirfd: int, path: Pathlike, args: Sequence[str], env: Sequence[str], flags: int) -> NoReturn:
    """execveat(2). Environment lines are passed on as they are; returns only by raising."""

    def array(words: Sequence[str]) -> tuple[object, list[object]]:
        kept = [ffi.new("char[]", os.fsencode(word)) for word in words]
        return ffi.new("char *[]", [*kept, ffi.NULL]), kept

    argv, _kept_args = array(args)  # cffi frees what nobody refers to
    envp, kept_env = array(env)
    lib.md_execveat(dirfd, _bytes(path), argv, envp, flags)
    raise failed("execveat", (dirfd, path, list(args), f"{len(kept_env)} variables", flags))


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """pidfd_send_signal(2): the process meant, never another one that got its number."""
    if lib.md_pidfd_send_signal(pidfd, number) != 0:
        raise failed("pidfd_send_signal", (pidfd, number))


def join_session_keyring(name: str | None) -> int:
    """keyctl(2) KEYCTL_JOIN_SESSION_KEYRING."""
    serial: int = lib.md_join_session_keyring(_bytes(name))
    if serial < 0:
        raise failed("keyctl", ("KEYCTL_JOIN_SESSION_KEYRING", name))
    return serial


def set_mempolicy(mode: int, nodes: int) -> None:
    """set_mempolicy(2); `nodes` has a bit for each node."""
    words = ffi.new("unsigned long[]", [nodes >> 64 * place & 2**64 - 1 for place in range(NODES // 64)])
    # The kernel reads one bit less than it is told.
    if lib.md_set_mempolicy(mode, words if nodes else ffi.NULL, NODES + 1 if nodes else 0) != 0:
        raise failed("set_mempolicy", (hex(mode), hex(nodes)))


NODES = 1024
"""As many as any kernel is built for: CONFIG_NODES_SHIFT is at most 10."""


def personality(persona: int) -> None:
    """personality(2)."""
    if lib.md_personality(persona) < 0:
        raise failed("personality", (hex(persona),))


def sched_setattr(pid: int, attributes: bytes) -> None:
    """sched_setattr(2); `attributes` is a struct sched_attr."""
    if lib.md_sched_setattr(pid, ffi.from_buffer(attributes), 0) != 0:
        raise failed("sched_setattr", (pid, attributes.hex()))


def ioprio_set(which: int, who: int, priority: int) -> None:
    """ioprio_set(2)."""
    if lib.md_ioprio_set(which, who, priority) != 0:
        raise failed("ioprio_set", (which, who, priority))


# inotify


def inotify_init1(flags: int) -> int:
    """inotify_init1(2): a descriptor from which changes of files are read."""
    fd: int = lib.md_inotify_init1(flags)
    if fd < 0:
        raise failed("inotify_init1", (hex(flags),), hint="EMFILE: /proc/sys/fs/inotify/max_user_instances")
    return fd


def inotify_add_watch(fd: int, path: Pathlike, mask: int) -> int:
    """inotify_add_watch(2): from now on tell what happens to the file, or in the directory."""
    watch: int = lib.md_inotify_add_watch(fd, _bytes(path), mask)
    if watch < 0:
        raise failed("inotify_add_watch", (fd, path, hex(mask)))
    return watch


def demo() -> None:
    """A call that the kernel refuses: the error says which, with what, and why."""
    from minidock.errors import SystemCallFailed

    try:
        umount2("/no/such/mount")
    except SystemCallFailed as error:
        print(error)


if __name__ == "__main__":
    demo()
