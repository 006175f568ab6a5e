"""The container's file system, from config.json to steps: mounts in the order given, devices, and the pivot into it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from msgspec import structs

from minidock.errors import UsageError
from minidock.kernel import bind, devices, mounts, namespaces, pivot, sysctl, user
from minidock.runtime.planned import mounts_own
from minidock.spec import Device, Hook, Hooks, IdMapping, Mount, Process, Spec
from minidock.steps import Live, Step

if TYPE_CHECKING:
    from minidock.kernel.hooks import RunHooks
    from minidock.runtime.plan import Extras


class AskParent(Step, frozen=True):
    """C waits here while A runs the hooks of the host, with every mount made and the root not yet swapped."""

    man: ClassVar[str] = "unix(7)"

    def describe(self) -> str:
        return "let the hooks of the host run"

    def shell(self) -> str:
        return "# the script's hooks of the host would run here, beside it"

    def apply(self, live: Live) -> None:
        live.actions["hooks"]()


def hung(spec: Spec, rootfs: str) -> list[Step]:
    """Without a mount namespace of its own, the container's tree hangs in somebody else's: the parent's work."""
    if mounts_own(spec):
        return []
    from minidock.kernel.shared_root import HangRoot, hanging

    entry = spec.linux.namespace("mount")
    path = entry.path if entry else ""
    return [HangRoot(rootfs, path, os.stat(path).st_ino if path else 0, hanging(rootfs, path))]


def _isolated(spec: Spec, rootfs: str, extras: Extras) -> list[Step]:
    """The root, where nothing that happens to it is seen outside; or as `hung` has put it there."""
    if not mounts_own(spec):
        entry = spec.linux.namespace("mount")
        return [namespaces.JoinNamespace("mount", entry.path)] if entry else []
    shared = spec.linux.rootfs_propagation.endswith("shared")
    slave = "slave" in spec.linux.rootfs_propagation
    isolate = mounts.IsolateMounts("shared" if shared else "slave" if slave else "private")
    made: list[Step] = [isolate, *(extras.root or [pivot.BindRoot(rootfs)])]
    return [*made, mounts.PrivateRoot(rootfs)] if shared else made


def _swap(spec: Spec, rootfs: str, extras: Extras) -> Step:
    """Into the container's root."""
    if not mounts_own(spec):
        from minidock.kernel.shared_root import ChangeRoot

        return ChangeRoot(rootfs)
    return pivot.PivotRoot(rootfs) if extras.pivot else pivot.MoveRoot(rootfs)


def steps(spec: Spec, process: Process, rootfs: str, extras: Extras, group: str, own_user: bool) -> list[Step]:
    """All of it. `group` is the path of the container's cgroup."""
    # A copy is a peer of the host's mount only if it is taken before ours are cut off from the host's.
    made: list[Step] = [
        bind.TakeMount(_place(mount), mount.source, mount.options)
        for mount in spec.mounts
        if _is_bind(mount)
        and bind.travels(mount.options)
        and not _is_lent(mount, spec)
        and "remount" not in mount.options
    ]
    made += _isolated(spec, rootfs, extras)
    made += [_mount(mount, rootfs, spec, extras, group) for mount in spec.mounts]
    made += _devices(spec, rootfs, own_user, extras)
    # Written through the host's /proc, so before the pivot; after the namespaces they belong to.
    made += [sysctl.SetSysctl(name, value) for name, value in spec.linux.sysctl.items()]
    if process.oom_score_adj is not None and not extras.remapped:
        made.append(sysctl.SetOomScoreAdj(process.oom_score_adj))
    hooks = spec.hooks or Hooks()
    if hooks.prestart or hooks.create_runtime:
        made.append(AskParent())
    made += hook_steps("createContainer", hooks.create_container, extras.state, extras.hooks_in or rootfs)
    made.append(_swap(spec, rootfs, extras))
    return made


def _place(mount: Mount) -> str:
    return _normal(mount.destination)


def _normal(path: str) -> str:
    return os.path.normpath("/" + path.lstrip("/"))


def _is_bind(mount: Mount) -> bool:
    return "bind" in mount.options or "rbind" in mount.options or mount.type == "bind"


def _is_lent(mount: Mount, spec: Spec) -> bool:
    return _is_mapped(mount) or spec.linux.namespace("user") is not None


def _is_mapped(mount: Mount) -> bool:
    return bool(mount.uid_mappings) or bool({"idmap", "ridmap"} & set(mount.options))


def _mount(mount: Mount, rootfs: str, spec: Spec, extras: Extras, group: str) -> Step:

    destination = _place(mount)
    if {"remount", "iversion"} & set(mount.options):
        from minidock.kernel import remount  # here, as the child imports nothing any more: runtime/seal.py
    if "copy-symlink" in mount.options and os.path.islink(mount.source):
        from minidock.kernel.copy_up import CopyLink

        return CopyLink(rootfs, destination, os.readlink(mount.source))
    if "remount" in mount.options:
        return remount.Remount(rootfs, destination, mount.type, mount.source, mount.options)
    if _is_bind(mount):
        options = mount.options if {"bind", "rbind"} & set(mount.options) else ["bind", *mount.options]
        uids = mount.uid_mappings or spec.linux.uid_mappings if _is_mapped(mount) else []
        gids = mount.gid_mappings or spec.linux.gid_mappings if _is_mapped(mount) else []
        return bind.BindMount(rootfs, destination, mount.source, options, uids, gids, _is_lent(mount, spec))
    if mount.type == "overlay" and _is_image(mount, spec):
        from minidock.kernel.image_mount import MountImage

        return MountImage.of(rootfs, mount, lent="idmap" in mount.options)
    if extras.remapped and destination == "/dev" and mount.type == "tmpfs":
        return devices.MakeDeviceDirectory(rootfs, mount.options, _nodes(spec), *_root_ids(spec))
    if mount.type == "cgroup":
        return _cgroup(mount, rootfs, spec, group)
    if "tmpcopyup" in mount.options:
        from minidock.kernel.copy_up import MountFilled

        return MountFilled(rootfs, destination, mount.type, mount.source, mount.options)
    if mount.type == "sysfs" and spec.linux.namespace("user"):
        return mounts.MountSysfs(rootfs, destination, mount.type, mount.source, mount.options)
    options = [word for word in mount.options if word != "ro"] if late(mount) else mount.options
    return mounts.MountFilesystem(rootfs, destination, mount.type, mount.source, options)


def _is_image(mount: Mount, spec: Spec) -> bool:
    """An overlay that nobody writes to. A user namespace mounts such a one itself, as far as it may, unless it is to
    see other owners."""
    words = {word.partition("=")[0] for word in mount.options}
    shown = spec.linux.namespace("user") is None or ("idmap" in words and not mount.uid_mappings)
    return shown and "lowerdir" in words and "upperdir" not in words


def _cgroup(mount: Mount, rootfs: str, spec: Spec, group: str) -> Step:
    """The hierarchies: the container's own part of each bound, or new mounts in its cgroup namespace."""
    from minidock.kernel import cgroup_mount, cgroups

    destination = _place(mount)
    hierarchies = cgroups.discover()
    if not spec.linux.namespace("cgroup") and (hierarchies.v1 or spec.linux.namespace("user")):
        own = {os.path.basename(where): where + group for where in hierarchies.v1.values()}
        return cgroup_mount.BindCgroup(
            rootfs, destination, mount.options, own or {"": f"{hierarchies.v2_mount}{group}"}
        )
    if not hierarchies.v1:
        return cgroup_mount.MountCgroup(rootfs, destination, mount.options)
    v1 = cgroup_mount.v1_hierarchies(hierarchies.v1)
    return cgroup_mount.MountCgroupV1(rootfs, destination, mount.options, v1)


def late(mount: Mount) -> bool:
    """A tmpfs becomes read-only in the end: other mounts hang in it, devices are made there."""
    new = not _kind(mount).endswith("bind") and "remount" not in mount.options
    return mount.type == "tmpfs" and "ro" in mount.options and new


def _kind(mount: Mount) -> str:
    """`bind` or `rbind`, wherever the specification has it; else the file system's type."""
    return next((word for word in mount.options if word in ("bind", "rbind")), mount.type)


def _outside(number: int, mappings: list[IdMapping], path: str) -> int:
    """The id that the host knows a device's owner by. Where the namespace's root is nobody outside, or where we only
    enter the namespace and don't know its mappings, that is the host's root: the mode says what others may.

    Raises UsageError for an owner whom the container doesn't have.
    """
    for line in mappings:
        if line.container_id <= number < line.container_id + line.size:
            return number - line.container_id + line.host_id
    if number and mappings:
        raise UsageError(f"{path} is to belong to {number}, whom the user namespace has no mapping for")
    return 0


def _nodes(spec: Spec) -> list[Device]:
    asked = {_normal(device.path) for device in spec.linux.devices}
    wanted = [structs.replace(device, path=_normal(device.path)) for device in spec.linux.devices]
    return [*(entry for entry in devices.DEFAULT if entry.path not in asked), *wanted]


def _root_ids(spec: Spec) -> tuple[int, int]:
    """Who the user namespace's root is outside."""
    uids, gids = spec.linux.uid_mappings, spec.linux.gid_mappings
    return user.outside(uids, 0), user.outside(gids, 0)


def _devices(spec: Spec, rootfs: str, own_user: bool, extras: Extras) -> list[Step]:
    bound = [mount for mount in spec.mounts if mount.destination.rstrip("/") == "/dev" and "bind" in _kind(mount)]
    if bound:  # the host's own, or somebody else's: it has its nodes, and they are not ours to change
        return []
    steps: list[Step] = []
    placed = {_place(mount) for mount in spec.mounts}  # a mount at a device's place is what was asked for there
    wanted = {_normal(device.path) for device in spec.linux.devices} - placed
    for device in _nodes(spec) if not extras.remapped else []:
        if extras.bind_devices:
            steps.append(bind.BindMount(rootfs, device.path, device.path, ["bind"]))
            continue
        mode = 0o666 if device.file_mode is None else device.file_mode & 0o7777
        owner = (device.uid or 0, device.gid or 0)
        if own_user:  # made from outside, where users have other numbers
            uids, gids = spec.linux.uid_mappings, spec.linux.gid_mappings
            owner = (_outside(owner[0], uids, device.path), _outside(owner[1], gids, device.path))
        path, numbers = device.path, (device.type, device.major, device.minor)
        steps.append(devices.MakeDevice(rootfs, path, *numbers, mode, *owner, own_user, path in wanted))
    return [*steps, devices.LinkDevices(rootfs, devices.SYMLINKS)]


def hook_steps(stage: str, wanted: list[Hook], state: dict[str, Any], cwd: str) -> list[RunHooks]:
    if not wanted:
        return []
    from minidock.kernel.hooks import RunHooks

    return [RunHooks(stage, wanted, state, cwd)]
