"""A bundle: the directory with config.json and the root file system. runtime-spec bundle.md, config.md."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from minidock import spec
from minidock.errors import UsageError
from minidock.oci import dialect
from minidock.runtime import support


class Bundle(msgspec.Struct, frozen=True):
    """The directory, config.json's bytes, and what they mean."""

    path: Path
    raw: bytes
    config: spec.Spec


def read_bundle(bundle: Path, name: str = "config.json") -> Bundle:
    """What a container is made from, checked. Raises UsageError and Unsupported."""
    if not bundle.is_dir():
        raise UsageError(f"chdir {bundle}: no such file or directory")
    try:
        raw = dialect.read((bundle / name).read_bytes())
        config = spec.from_json(raw)
    except FileNotFoundError:
        raise UsageError(f"JSON specification file {name} not found") from None
    except msgspec.MsgspecError as error:
        raise UsageError(f"{bundle}/{name}: {error}") from error
    config = completed(config)
    support.check(config)
    return Bundle(bundle, raw, config)


def completed(config: spec.Spec) -> spec.Spec:
    """With what is meant by members that are not there, or that changed their meaning."""
    config = with_mappings(config)
    limits = config.linux.resources
    if limits is None or limits.pids is None:
        return config
    limits = msgspec.structs.replace(limits, pids=explicit(limits.pids, config.oci_version))
    return msgspec.structs.replace(config, linux=msgspec.structs.replace(config.linux, resources=limits))


def explicit(pids: spec.Pids, version: str) -> spec.Pids:
    """Since 1.3 the specification has a `limit` of 0 mean what it says; as in runc it is 1 then, the process that there
    is, since systemd knows no 0. Before, 0 was Go's word for a member that nobody set, and podman 4.3 still writes it
    for any number, in a config of version 1.0.2: its containers could not fork."""
    counts = [int(word) for word in version.split("-")[0].split("+")[0].split(".") if word.isdigit()]
    return spec.Pids(limit=1) if pids.limit == 0 and counts >= [1, 3] else pids


def with_mappings(config: spec.Spec) -> spec.Spec:
    """A new user namespace that nobody said the users of has the caller's, each as himself. The specification has the
    mappings optional, and without any line every file would belong to nobody; runc refuses, crun fills in root alone,
    with whom no devpts of the usual `gid=5` can be mounted. What such a container lacks is rights outside."""
    linux = config.linux
    users = linux.namespace("user")
    if users is None or users.path or linux.uid_mappings or linux.gid_mappings:
        return config
    uids, gids = [[spec.IdMapping(first, first, size) for first, size in _ids(name)] for name in ("uid_map", "gid_map")]
    return msgspec.structs.replace(config, linux=msgspec.structs.replace(linux, uid_mappings=uids, gid_mappings=gids))


def _ids(name: str) -> list[tuple[int, int]]:
    """Of our own user namespace: (first, how many), from "inside outside count" a line."""
    lines = [line.split() for line in Path(f"/proc/self/{name}").read_text(encoding="ascii").splitlines()]
    return [(int(first), int(size)) for first, _, size in lines]


def listening() -> int:
    """How many sockets systemd or its like passes through us: sd_listen_fds(3). Those of LISTEN_PID, another process
    whose environment we have been given, aren't here. crun doesn't look at that one."""
    count = os.environ.get("LISTEN_FDS", "")
    ours = dialect.is_crun() or os.environ.get("LISTEN_PID") == str(os.getpid())
    return int(count) if count.isdigit() and ours else 0


def passed_on(asked: int) -> int:
    """How many descriptors from 3 on the process gets: those of socket activation, then the `asked` ones. Raises
    UsageError where one isn't there; what we have opened ourselves is close-on-exec, and is none."""
    first = 3 + listening()
    for fd in range(first, first + asked):
        try:
            there = os.get_inheritable(fd)
        except OSError:
            there = False
        if not (there or dialect.is_crun()):
            raise UsageError(f"unable to stat preserved-fd {fd - first} (of {asked}): descriptor {fd} is not open")
    return listening() + max(asked, 0)


def socket_activation(process: spec.Process) -> spec.Process:
    """The process is told of such sockets, by the pid that the container's first has."""
    if not listening():
        return process
    env = [*process.env, f"LISTEN_FDS={listening()}", "LISTEN_PID=1"]
    if names := os.environ.get("LISTEN_FDNAMES"):
        env.append(f"LISTEN_FDNAMES={names}")
    return msgspec.structs.replace(process, env=env)


def absolute(config: spec.Spec, bundle: Path, rootfs: str) -> spec.Spec:
    """Sources of bind mounts are relative to the bundle: config.md, "Mounts". A destination that begins with the root's
    own path means what is below it: so runc has it, and engines have written it so."""

    def placed(mount: spec.Mount) -> spec.Mount:
        bind = mount.type == "bind" or {"bind", "rbind"} & set(mount.options)
        source = os.path.normpath(bundle / mount.source) if bind and mount.source[:1] != "/" else mount.source
        inside = mount.destination.removeprefix(rootfs) if mount.destination.startswith(f"{rootfs}/") else ""
        if source == mount.source and not inside:
            return mount
        return msgspec.structs.replace(mount, source=source, destination=inside or mount.destination)

    return msgspec.structs.replace(config, mounts=[placed(mount) for mount in config.mounts])


def rootfs_of(bundle: Path, config: spec.Spec) -> str:
    if config.root is None:
        raise UsageError("root must be specified")
    rootfs = os.path.realpath(os.path.join(bundle, config.root.path))
    if not os.path.isdir(rootfs):
        raise UsageError(f"invalid rootfs: stat {rootfs}: no such file or directory")
    return rootfs


def hook_state(config: spec.Spec, container_id: str, bundle: Path, status: str) -> dict[str, Any]:
    """What hooks read on their standard input; the pid is added by whoever runs them."""
    told = {"ociVersion": config.oci_version, "id": container_id, "status": status, "bundle": str(bundle)}
    return {**told, "annotations": config.annotations} if config.annotations else told
