"""What CDI files ask for, done to a container's config.json: nodes and their rules, mounts, variables, hooks, groups.

It is done anew at each start: the numbers of a device may be others after a reboot, and a driver's files after an
update. Whatever a file names and the host hasn't got ends the start: half a GPU is an error that nobody understands.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from minidock import spec
from minidock.engine.cdi_specs import CdiMount, DeviceNode, Edits
from minidock.engine.environment import merge_env
from minidock.errors import Unsupported, UsageError

STALE = "the CDI file may be older than the driver: make it anew"


def apply(config: spec.Spec, edits: Sequence[Edits]) -> spec.Spec:
    """The same config with the edits in it. Raises UsageError, Unsupported."""
    for each in edits:
        config = _apply(config, each)
    return config


def _apply(config: spec.Spec, edits: Edits) -> spec.Spec:
    if edits.intel_rdt is not None:
        raise Unsupported("the CDI device wants intelRdt: minidock has no resctrl groups")
    if edits.net_devices and not config.linux.namespace("network"):
        raise UsageError("the CDI device moves a network interface in: the container shares the host's network")
    replace = msgspec.structs.replace
    process, linux = config.process, config.linux
    assert process is not None
    groups = [*process.user.additional_gids, *(gid for gid in edits.additional_gids if gid)]
    process = replace(
        process,
        env=merge_env(process.env, edits.env),
        user=replace(process.user, additional_gids=list(dict.fromkeys(groups))),
    )
    owner = process.user
    devices, rules = list(linux.devices), list(linux.resources.devices if linux.resources else [])
    for wanted in edits.device_nodes:
        node = _node(wanted, owner)
        devices = [*(device for device in devices if device.path != node.path), node]
        if node.type in ("b", "c") and wanted.permissions != "none":
            rules.append(spec.DeviceRule(True, node.type, node.major, node.minor, wanted.permissions or "rwm"))
    moved = {device.host_interface_name: {"name": device.name} for device in edits.net_devices}
    linux = replace(linux, net_devices={**linux.net_devices, **moved})
    linux = replace(linux, devices=devices, resources=replace(linux.resources or spec.Resources(), devices=rules))
    return replace(
        config, process=process, linux=linux, mounts=_mounts(config.mounts, edits.mounts), hooks=_hooks(config, edits)
    )


def _node(wanted: DeviceNode, owner: spec.User) -> spec.Device:
    """A node of the container; what the file doesn't say is read off the host's."""
    source = wanted.host_path or wanted.path
    kind, major, minor, mode = wanted.type, wanted.major, wanted.minor, wanted.file_mode
    if not kind or (kind != "p" and (major is None or minor is None)):
        facts = _stat(source)
        kind = kind or ("c" if stat.S_ISCHR(facts.st_mode) else "b")
        major, minor = os.major(facts.st_rdev), os.minor(facts.st_rdev)
        mode = stat.S_IMODE(facts.st_mode) if mode is None else mode
    return spec.Device(
        type="c" if kind == "u" else kind,
        path=wanted.path,
        major=major or 0,
        minor=minor or 0,
        file_mode=mode,
        uid=owner.uid or None if wanted.uid is None else wanted.uid,
        gid=owner.gid or None if wanted.gid is None else wanted.gid,
    )


def _stat(path: str) -> os.stat_result:
    try:
        facts = os.stat(path)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise UsageError(f"CDI device injection failed: stat {path}: {reason}", hint=STALE) from error
    if not (stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode)):
        raise UsageError(f"CDI device injection failed: {path} is not a device node", hint=STALE)
    return facts


def _mounts(before: list[spec.Mount], wanted: Sequence[CdiMount]) -> list[spec.Mount]:
    """A mount replaces another at its place; then parents before what lies below them."""
    rows = list(before)
    for mount in wanted:
        is_bind = mount.type in ("", "none", "bind") or bool({"bind", "rbind"} & set(mount.options))
        if is_bind and not os.path.exists(mount.host_path):
            raise UsageError(f"CDI device injection failed: there is no {mount.host_path} to be mounted", hint=STALE)
        options = mount.options
        if is_bind and not {"bind", "rbind"} & set(options):
            options = ["rbind", *options]
        place = os.path.normpath(mount.container_path)
        rows = [row for row in rows if os.path.normpath(row.destination) != place]
        rows.append(spec.Mount(place, "bind" if is_bind else mount.type, mount.host_path, options))
    return sorted(rows, key=lambda mount: len(Path(mount.destination).parts)) if wanted else rows


def _hooks(config: spec.Spec, edits: Edits) -> spec.Hooks | None:
    if not edits.hooks:
        return config.hooks
    names = {"createRuntime": "create_runtime", "createContainer": "create_container"}
    names["startContainer"] = "start_container"
    hooks = config.hooks or spec.Hooks()
    for hook in edits.hooks:
        stage = names.get(hook.hook_name, hook.hook_name)
        added = spec.Hook(hook.path, hook.args, hook.env, hook.timeout)
        hooks = msgspec.structs.replace(hooks, **{stage: [*getattr(hooks, stage), added]})
    return hooks
