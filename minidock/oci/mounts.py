"""mounts: crun's command that hangs mounts into a container that runs, and takes them away again.

    mounts add CONTAINER FILE         FILE is a list of mounts as in config.json
    mounts remove CONTAINER FILE

Sources are the host's, so copies of them are taken out here. The rest is done by a child of ours that has the
container's users and mounts, else what it makes would belong to nobody there. It runs nothing and loads nothing in
there: what it sees as /usr is the container's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from minidock import spec
from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.kernel import bind, idmap, mounts, namespaces, rootpath, syscalls, user
from minidock.kernel.mount_options import parse
from minidock.kernel.pivot import MNT_DETACH
from minidock.oci import texts
from minidock.oci.container import Runtime
from minidock.oci.words import Words
from minidock.runtime.planned import mounts_own
from minidock.steps import Live

UMOUNT_NOFOLLOW = 8  # linux/fs.h
OF_THE_MOUNTER = ("proc", "sysfs", "mqueue", "cgroup", "cgroup2")
"""Kinds that show the namespaces of whoever mounts them: ours, not the container's."""
BIRTH_ONLY = ("remount", "tmpcopyup", "iversion", "copy-symlink")


def change(runtime: Runtime, words: Words) -> int:
    """Raises UsageError, Unsupported, and MinidockError with the kernel's word; then nothing has been changed."""
    what, container_id, file = words.arguments
    if what not in ("add", "remove"):
        raise UsageError(f"unknown command {what!r}: add or remove")
    state = runtime.read(container_id)
    if runtime.status(state) == "stopped":
        raise texts.not_running()
    config = runtime.config(container_id)
    if not mounts_own(config):
        raise UsageError("the container has no mounts of its own: what is added would be in everybody's")
    wanted = _read(Path(file))
    if what == "remove":
        _inside(state.pid, config, lambda: _unmount_all([mount.destination for mount in wanted]))
        return 0
    copies = [_copy(mount, config, state.bundle, state.pid) if _is_bind(mount) else -1 for mount in wanted]
    _inside(state.pid, config, lambda: _hang_all(wanted, copies))
    return 0


def _read(file: Path) -> list[spec.Mount]:
    try:
        wanted = spec.decode(file.read_bytes(), list[spec.Mount])
    except FileNotFoundError:
        raise UsageError(f"open {file}: no such file or directory") from None
    except msgspec.MsgspecError as error:
        raise UsageError(f"{file}: {error}") from error
    for mount in wanted:
        if os.path.normpath(f"/{mount.destination}").lstrip("/") == "":
            raise UsageError(f"{file}: a mount's destination can't be the root")
        if mount.type in OF_THE_MOUNTER:
            raise Unsupported(f"can't add a {mount.type}: it would show the host's namespaces")
        if late := [word for word in mount.options if word in BIRTH_ONLY]:
            raise Unsupported(f"{late[0]} is for config.json alone, not for a container that runs")
    return wanted


def _is_bind(mount: spec.Mount) -> bool:
    return mount.type == "bind" or bool({"bind", "rbind"} & set(mount.options))


def _copy(mount: spec.Mount, config: spec.Spec, bundle: str, pid: int) -> int:
    """Of what the host has mounted at the source, which hangs nowhere yet; with other owners where that is asked."""
    source = os.path.normpath(os.path.join(bundle, mount.source))
    copy = bind.take(source, mount.options)
    options = parse(mount.options)
    if mount.uid_mappings or options.mapped:
        own = config.linux.uid_mappings and not mount.uid_mappings
        owners = idmap.namespace_of(pid) if own else idmap.namespace(mount.uid_mappings, mount.gid_mappings)
        idmap.shift(copy, owners, of=source, recursive=options.mapped_recursively)
    return copy


def _inside(pid: int, config: spec.Spec, work: Callable[[], None]) -> None:
    """`work` in the container's user and mount namespaces. Raises MinidockError with what it said."""
    entered = ["user", "mount"] if config.linux.namespace("user") else ["mount"]
    places = [f"/proc/{pid}/ns/{namespaces.KINDS[kind].file}" for kind in entered]
    opened = [os.open(place, os.O_RDONLY | os.O_CLOEXEC) for place in places]
    report, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for kind, fd in zip(entered, opened, strict=True):
                syscalls.setns(fd, namespaces.KINDS[kind].flag)
                if kind == "user":
                    user.BecomeRoot().apply(Live())
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - told to the parent, then _exit
            os.write(told, (str(error) or repr(error)).encode()[:4096])
        finally:
            os._exit(1)
    for fd in (told, *opened):
        os.close(fd)
    with open(report, "rb") as file:
        said = file.read().decode(errors="replace")
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise MinidockError(said or "the process that enters the container died")


def _hang_all(wanted: list[spec.Mount], copies: list[int]) -> None:
    hung: list[str] = []
    try:
        for mount, copy in zip(wanted, copies, strict=True):
            _hang(mount, copy)
            hung.append(mount.destination)
    except (MinidockError, OSError):
        _unmount_all(hung)
        raise


def _hang(mount: spec.Mount, copy: int) -> None:
    if copy >= 0:
        step = bind.BindMount("", mount.destination, mount.source, ["bind", *mount.options])
        live = Live()
        live.fds[bind.key(mount.destination)] = copy
        step.apply(live)
        return
    root = rootpath.open_root("/")
    made = mounts.MountFilesystem("", mount.destination, mount.type, mount.source, mount.options).make(root)
    mounts.hang(made, rootpath.make_directories(root, mount.destination))
    mounts.propagate(made, parse(mount.options))


def _unmount_all(destinations: list[str]) -> None:
    for destination in reversed(destinations):
        _unmount(destination)


def _unmount(destination: str) -> None:
    """By the directory that it is in, and no link on the way: a link of the container's would choose what goes, such as
    the mask over a file of /proc."""
    above, name = os.path.split(os.path.normpath(f"/{destination}"))
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
    os.fchdir(syscalls.openat2(rootpath.open_root("/"), above.lstrip("/") or ".", os.O_PATH, resolve=resolve))
    syscalls.umount2(name, MNT_DETACH | UMOUNT_NOFOLLOW)
