"""From an OCI config.json to the ordered list of steps: the whole life of a container's making, as plain values.

The order is the story. Each place in it has a reason, given where the step is put in; runtime-spec lifecycle.md and
config.md say what must be true when the command starts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from minidock.errors import UsageError
from minidock.kernel import devices, mounts, namespaces, sysctl, user, uts
from minidock.kernel.execute import Execute
from minidock.runtime import tree
from minidock.runtime.planned import Plan, Spawn
from minidock.runtime.rights import agent, held, rights
from minidock.runtime.tree import hook_steps
from minidock.spec import Hooks, Process, Spec
from minidock.steps import Step

if TYPE_CHECKING:
    from minidock.kernel.cgroups import CgroupPlan


class Extras(msgspec.Struct, frozen=True):
    """What the engine adds to a bundle: the network's steps, and where the root file system comes from."""

    before: list[Step] = []
    joined: list[Step] = []
    child: list[Step] = []
    root: list[Step] = []
    """Applied in the child instead of using the bundle's directory as it is: an overlay mount, volumes' copy-up."""
    remapped: bool = False
    """A user namespace whose parent is the host's root: it makes /dev, and does what a namespace's root may not."""
    state: dict[str, Any] = {}
    """What hooks are told of the container: runtime-spec runtime.md, "State"."""
    keyring: bool = True
    """False for --no-new-keyring: the container shares its caller's session keyring."""
    bind_devices: bool = False
    """The host's device nodes are shown: we are root of a user namespace, where nobody can make one."""
    hooks_in: str = ""
    """Where createContainer hooks stand, if not in the root file system."""
    pivot: bool = True
    """False for --no-pivot: a root on the initial ramdisk can't be pivoted away from."""
    agents_version: str = ""
    """What a seccomp agent is told of its message's version, if not that of config.json."""


def plan(spec: Spec, *, rootfs: str, cgroups: CgroupPlan, extras: Extras, cache: Path | None = None) -> Plan:
    """The steps for a bundle. `rootfs` is the absolute path of its root; it is where `extras.root` mounts.

    `cache` is a directory for compiled seccomp programs.

    Raises UsageError for what the specification forbids.
    """
    process = spec.process
    if process is None or not process.args:
        raise UsageError("the bundle's process has no args")
    new = [entry.type for entry in spec.linux.namespaces if not entry.path]
    joined_user = spec.linux.namespace("user")
    own_user = "user" in new or bool(joined_user and joined_user.path)
    hooks = spec.hooks or Hooks()
    return Plan(
        before=[*extras.before, *cgroups.before, *tree.hung(spec, rootfs)],
        spawn=_spawn(spec, new, own_user, extras, cgroups.clone_dir),
        joined=[
            *([user.MapIds(spec.linux.uid_mappings, spec.linux.gid_mappings)] if "user" in new else []),
            *cgroups.joined,
            *extras.joined,
            *_net_devices(spec),
            *_by_parent(process, extras),
        ],
        child=[
            *agent(spec, extras.state, extras.agents_version),
            # Into the cgroup while the host's mounts are in sight, and before it becomes the cgroup namespace's root.
            *cgroups.child,
            *_enter(spec, new, own_user, extras),
            *extras.child,
            *_names(spec),
            *tree.steps(spec, process, rootfs, extras, cgroups.path, own_user),
            *_settle(spec, process, cache, extras),
        ],
        execute=Execute(process.args, process.env, process.cwd),
        terminal=process.terminal,
        umask=0o022 if process.user.umask is None else process.user.umask,
        held=held(spec, process),
        host_hooks=[
            *hook_steps("prestart", hooks.prestart, extras.state, extras.state.get("bundle", "/")),
            *hook_steps("createRuntime", hooks.create_runtime, extras.state, extras.state.get("bundle", "/")),
        ],
        start_hooks=hook_steps("startContainer", hooks.start_container, {**extras.state, "status": "created"}, "."),
    )


def _spawn(spec: Spec, new: list[str], own_user: bool, extras: Extras, group: str) -> Spawn:
    pid = spec.linux.namespace("pid")
    return Spawn(
        # cgroup and time namespaces can't be flags of this clone: see kernel/namespaces.py.
        kinds=[kind for kind in namespaces.KINDS if kind in new and kind not in ("cgroup", "time")],
        cgroup=group,
        pid_path=pid.path if pid else "",
        user_path=_user_path(spec, extras),
        offsets=spec.linux.time_offsets if "time" in new else {},
        # New namespaces belong to the user namespace in which they are made, and existing ones can be entered only
        # with rights over theirs: so where there is a user namespace, all this comes before the clone.
        paths=_paths(spec) if own_user and not extras.remapped else {},
    )


def _net_devices(spec: Spec) -> list[Step]:
    if not spec.linux.net_devices:
        return []
    from minidock.kernel import netdevice

    entry = spec.linux.namespace("network")
    return netdevice.steps(spec.linux.net_devices, entry.path if entry else "")


def _by_parent(process: Process, extras: Extras) -> list[Step]:
    """What the child may not do to itself."""
    if not extras.remapped or process.oom_score_adj is None:
        return []
    return [sysctl.SetOomScoreAdj(process.oom_score_adj, by_parent=True)]


def _user_path(spec: Spec, extras: Extras) -> str:
    entry = spec.linux.namespace("user")
    return entry.path if entry and extras.remapped else ""


def _paths(spec: Spec) -> dict[str, str]:
    """Namespaces to be entered, user last: with it go the rights over those that are the host's."""
    entries = [spec.linux.namespace(kind) for kind in reversed(namespaces.KINDS) if kind not in ("pid", "mount")]
    return {entry.type: entry.path for entry in entries if entry and entry.path}


def _enter(spec: Spec, new: list[str], own_user: bool, extras: Extras) -> list[Step]:
    """Namespaces that exist already, user first: it gives the capabilities that the others ask for."""
    steps: list[Step] = []
    born = bool(_user_path(spec, extras))
    if extras.remapped or not own_user:
        joined = {kind: path for kind, path in reversed(_paths(spec).items()) if not (kind == "user" and born)}
        steps += [namespaces.JoinNamespace(kind, path) for kind, path in joined.items()]
    if own_user:
        steps.append(user.BecomeRoot())
    else:
        steps += [namespaces.JoinNamespace(kind, path) for kind, path in _paths(spec).items()]
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


def _settle(spec: Spec, process: Process, cache: Path | None, extras: Extras) -> list[Step]:
    """After the pivot: what the command itself is to be. Rights go last, since every step before may need them."""
    from minidock.kernel import masks, workdir

    root = spec.root
    propagation = spec.linux.rootfs_propagation
    end = [mounts.SetRootPropagation(propagation)] if propagation not in ("", "private", "rprivate") else []
    name = extras.state.get("id") or os.path.basename(spec.linux.cgroups_path)
    steps: list[Step] = []
    if extras.keyring:
        from minidock.kernel import keyring

        steps.append(keyring.JoinSessionKeyring(f"_ses.{name}"))
    if process.terminal:
        from minidock.kernel import pty

        size = process.console_size
        steps.append(pty.OpenTerminal(size.height if size else 0, size.width if size else 0, process.user.uid))
        steps.append(devices.BindConsole())
    steps.append(workdir.OwnStandardStreams(process.user.uid))
    steps.append(workdir.EnterDirectory(process.cwd))
    steps += [mounts.ReadonlyMount(mount.destination) for mount in spec.mounts if tree.late(mount)]
    if root and root.readonly:
        steps.append(mounts.ReadonlyRoot())
    steps += [masks.ReadonlyPath(path) for path in spec.linux.readonly_paths]
    steps += [masks.MaskPath(path) for path in dict.fromkeys(spec.linux.masked_paths)]
    steps += end  # of what is unbindable no copy can be taken any more, and those above take one
    return [*steps, *rights(spec, process, cache)]
