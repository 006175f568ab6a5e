"""From an OCI config.json to the ordered list of steps: the whole life of a container's making, as plain values.

The order is the story. Each place in it has a reason, given where the step is put in; runtime-spec lifecycle.md and
config.md say what must be true when the command starts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from minidock.errors import UsageError
from minidock.kernel import bind, devices, mounts, namespaces, pivot, sysctl, user, uts
from minidock.kernel.execute import Execute
from minidock.spec import Device, Mount, Process, Spec, TimeOffset
from minidock.steps import Live, Step

if TYPE_CHECKING:
    from minidock.kernel.cgroups import CgroupPlan


class Spawn(Step, frozen=True):
    """The birth of the first process: applied by runtime/parent.py, which owns the processes."""

    kinds: list[str]
    cgroup: str
    pid_path: str
    user_path: str = ""
    """A user namespace to be born in: others that are new then belong to it, as do those that are joined."""
    offsets: dict[str, TimeOffset] = {}
    man: ClassVar[str] = "clone(2)"

    def describe(self) -> str:
        inside = ", born in its cgroup" if self.cgroup else ""
        kinds = ", ".join(self.kinds)
        return f"clone the first process into new {kinds} namespaces{inside}" if kinds else "clone the first process"

    def shell(self) -> str:
        options = " ".join(f"--{namespaces.KINDS[kind].option}" for kind in self.kinds)
        return f"unshare {options} --fork sh $RUN/child.sh &"

    def for_children(self) -> list[Step]:
        """What the cloning process does to itself so that its next child is born there."""
        steps: list[Step] = []
        if self.pid_path:
            steps.append(namespaces.JoinNamespace("pid", self.pid_path))
        if self.offsets:
            steps.append(namespaces.SetTimeOffsets(self.offsets))
        return steps

    def apply(self, live: Live) -> None:
        live.actions["spawn"]()

    def undo(self, live: Live) -> None:
        if live.pid:
            from minidock.runtime import parent

            parent.kill(live.pid)


class Extras(msgspec.Struct, frozen=True):
    """What the engine adds to a bundle: the network's steps, and where the root file system comes from."""

    before: list[Step] = []
    joined: list[Step] = []
    child: list[Step] = []
    root: list[Step] = []
    """Applied in the child instead of using the bundle's directory as it is: an overlay mount, volumes' copy-up."""
    remapped: bool = False
    """A user namespace whose parent is the host's root: it makes /dev, and does what a namespace's root may not."""


class Plan(msgspec.Struct, frozen=True):
    """`before` and `joined` are A's, `child` is C's, `execute` is what C becomes."""

    before: list[Step]
    spawn: Spawn
    joined: list[Step]
    child: list[Step]
    execute: Execute
    terminal: bool = False
    umask: int = 0o022

    def sections(self) -> list[tuple[str, list[Step]]]:
        """For people: --dry-run, --explain."""
        return [
            ("on the host", [*self.before, self.spawn, *self.joined]),
            ("in the container", [*self.child, self.execute]),
        ]


def plan(spec: Spec, *, rootfs: str, cgroups: CgroupPlan, extras: Extras, cache: Path | None = None) -> Plan:
    """The steps for a bundle. `rootfs` is the absolute path of its root; it is where `extras.root` mounts.

    `cache` is a directory for compiled seccomp programs.

    Raises UsageError for what the specification forbids.
    """
    process = spec.process
    if process is None or not process.args:
        raise UsageError("the bundle's process has no args")
    new = [entry.type for entry in spec.linux.namespaces if not entry.path]
    if "mount" not in new:
        raise UsageError("a container needs a mount namespace of its own")
    pid = spec.linux.namespace("pid")
    own_user = "user" in new
    return Plan(
        before=[*extras.before, *cgroups.before],
        spawn=Spawn(
            # cgroup and time namespaces can't be flags of this clone: see kernel/namespaces.py.
            kinds=[kind for kind in namespaces.KINDS if kind in new and kind not in ("cgroup", "time")],
            cgroup=cgroups.clone_dir,
            pid_path=pid.path if pid else "",
            user_path=_user_path(spec, extras),
            offsets=spec.linux.time_offsets if "time" in new else {},
        ),
        joined=[
            *([user.MapIds(spec.linux.uid_mappings, spec.linux.gid_mappings)] if own_user else []),
            *cgroups.joined,
            *extras.joined,
            *_by_parent(process, extras),
        ],
        child=[
            # Into the cgroup while the host's mounts are in sight, and before it becomes the cgroup namespace's root.
            *cgroups.child,
            *_enter(spec, new, born=bool(_user_path(spec, extras))),
            *extras.child,
            *_names(spec),
            *_tree(spec, process, rootfs, extras, own_user),
            *_settle(spec, process, cache),
        ],
        execute=Execute(process.args, process.env, process.cwd),
        terminal=process.terminal,
        umask=0o022 if process.user.umask is None else process.user.umask,
    )


def _by_parent(process: Process, extras: Extras) -> list[Step]:
    """What the child may not do to itself."""
    if not extras.remapped or process.oom_score_adj is None:
        return []
    return [sysctl.SetOomScoreAdj(process.oom_score_adj, by_parent=True)]


def _root_ids(spec: Spec) -> tuple[int, int]:
    """Who the user namespace's root is outside."""
    uids, gids = spec.linux.uid_mappings, spec.linux.gid_mappings
    return user.outside(uids, 0), user.outside(gids, 0)


def _user_path(spec: Spec, extras: Extras) -> str:
    entry = spec.linux.namespace("user")
    return entry.path if entry and extras.remapped else ""


def _enter(spec: Spec, new: list[str], *, born: bool) -> list[Step]:
    """Namespaces that exist already, user first: it gives the capabilities that the others ask for."""
    steps: list[Step] = []
    for kind in namespaces.KINDS:
        entry = spec.linux.namespace(kind)
        if entry and entry.path and kind not in ("pid", "mount") and not (kind == "user" and born):
            steps.append(namespaces.JoinNamespace(kind, entry.path))
    if "user" in new or born:
        steps.append(user.BecomeRoot())
    if "cgroup" in new:
        steps.append(namespaces.NewCgroupNamespace())
    return steps


def _names(spec: Spec) -> list[Step]:
    steps: list[Step] = []
    if spec.hostname:
        steps.append(uts.SetHostname(spec.hostname))
    if spec.domainname:
        steps.append(uts.SetDomainname(spec.domainname))
    return steps


def _tree(spec: Spec, process: Process, rootfs: str, extras: Extras, own_user: bool) -> list[Step]:
    """The container's file system, and the pivot into it."""
    # A copy is a peer of the host's mount only if it is taken before ours are cut off from the host's.
    steps: list[Step] = [
        bind.TakeMount(_place(mount), mount.source, mount.options)
        for mount in spec.mounts
        if _is_bind(mount) and bind.travels(mount.options) and not _is_lent(mount, spec)
    ]
    steps.append(mounts.IsolateMounts("slave" in spec.linux.rootfs_propagation))
    steps += extras.root or [pivot.BindRoot(rootfs)]
    steps += [_mount(mount, rootfs, spec, extras) for mount in spec.mounts]
    steps += _devices(spec, rootfs, own_user, made=extras.remapped)
    # Written through the host's /proc, so before the pivot; after the namespaces they belong to.
    steps += [sysctl.SetSysctl(name, value) for name, value in spec.linux.sysctl.items()]
    if process.oom_score_adj is not None and not extras.remapped:
        steps.append(sysctl.SetOomScoreAdj(process.oom_score_adj))
    steps.append(pivot.PivotRoot(rootfs))
    return steps


def _place(mount: Mount) -> str:
    return os.path.normpath("/" + mount.destination.lstrip("/"))


def _is_bind(mount: Mount) -> bool:
    return "bind" in mount.options or "rbind" in mount.options or mount.type == "bind"


def _is_lent(mount: Mount, spec: Spec) -> bool:
    return bool(mount.uid_mappings) or spec.linux.namespace("user") is not None


def _mount(mount: Mount, rootfs: str, spec: Spec, extras: Extras) -> Step:
    from minidock.kernel import cgroup_mount, cgroups

    destination = _place(mount)
    if _is_bind(mount):
        options = mount.options if {"bind", "rbind"} & set(mount.options) else ["bind", *mount.options]
        uids, gids, lent = mount.uid_mappings, mount.gid_mappings, _is_lent(mount, spec)
        return bind.BindMount(rootfs, destination, mount.source, options, uids, gids, lent)
    if extras.remapped and destination == "/dev" and mount.type == "tmpfs":
        return devices.MakeDeviceDirectory(rootfs, mount.options, _nodes(spec), *_root_ids(spec))
    if mount.type == "cgroup":
        hierarchies = cgroups.discover()
        if not hierarchies.v1:
            return cgroup_mount.MountCgroup(rootfs, destination, mount.options)
        v1 = cgroup_mount.v1_hierarchies(hierarchies.v1)
        return cgroup_mount.MountCgroupV1(rootfs, destination, mount.options, v1)
    return mounts.MountFilesystem(rootfs, destination, mount.type, mount.source, mount.options)


def _nodes(spec: Spec) -> list[Device]:
    asked = {device.path for device in spec.linux.devices}
    return [*(entry for entry in devices.DEFAULT if entry.path not in asked), *spec.linux.devices]


def _devices(spec: Spec, rootfs: str, own_user: bool, *, made: bool) -> list[Step]:
    steps: list[Step] = []
    for device in _nodes(spec) if not made else []:
        mode = 0o666 if device.file_mode is None else device.file_mode & 0o7777
        owner = (device.uid or 0, device.gid or 0)
        path, numbers = device.path, (device.type, device.major, device.minor)
        steps.append(devices.MakeDevice(rootfs, path, *numbers, mode, *owner, own_user))
    return [*steps, devices.LinkDevices(rootfs, devices.SYMLINKS)]


def _settle(spec: Spec, process: Process, cache: Path | None) -> list[Step]:
    """After the pivot: what the command itself is to be. Rights go last, since every step before may need them."""
    from minidock.kernel import keyring, masks, pty, workdir

    root = spec.root
    steps: list[Step] = [keyring.JoinSessionKeyring(f"_ses.{os.path.basename(spec.linux.cgroups_path)}")]
    if process.terminal:
        size = process.console_size
        steps.append(pty.OpenTerminal(size.height if size else 0, size.width if size else 0, process.user.uid))
        steps.append(devices.BindConsole())
    steps.append(workdir.OwnStandardStreams(process.user.uid))
    steps.append(workdir.EnterDirectory(process.cwd))
    if root and root.readonly:
        steps.append(mounts.ReadonlyRoot())
    steps += [masks.ReadonlyPath(path) for path in spec.linux.readonly_paths]
    steps += [masks.MaskPath(path) for path in spec.linux.masked_paths]
    return [*steps, *rights(spec, process, cache)]


def rights(spec: Spec, process: Process, cache: Path | None) -> list[Step]:
    """Limits, filter, user and capabilities: the same for the first process and for `exec`."""
    from minidock.kernel import capabilities, credentials, no_new_privs, rlimits, seccomp

    caps = process.capabilities
    steps: list[Step] = [*rlimits.steps(process.rlimits)]
    filters: list[Step] = [seccomp.load_filter(spec.linux.seccomp, cache)] if spec.linux.seccomp else []
    if process.no_new_privileges:
        steps.append(no_new_privs.SetNoNewPrivs())
    else:
        # Without no_new_privs only CAP_SYS_ADMIN may install a filter: before that capability goes.
        steps += filters
    if caps:
        steps += [capabilities.DropBoundingSet(caps.bounding), capabilities.KeepCaps()]
    steps.append(credentials.SetUser(process.user.uid, process.user.gid, process.user.additional_gids))
    if caps:
        steps.append(capabilities.set_capabilities(caps))
    return [*steps, *filters] if process.no_new_privileges else steps
