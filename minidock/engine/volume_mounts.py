"""A container's mount points as entries of config.json: what is mounted where, and with which words."""

from __future__ import annotations

import os
from collections.abc import Iterable

from minidock.engine import image_mounts, userns
from minidock.engine.record import Record
from minidock.errors import UsageError
from minidock.kernel import bind
from minidock.model.host import MountRequest
from minidock.model.state import MountPoint
from minidock.spec import Mount

SHIFTED = "as in its user namespace"
"""The mode of a mount point whose files have the numbers that the container's own users have inside (a build's)."""


def oci_mounts(record: Record, user: tuple[int, int]) -> list[Mount]:
    """The container's mounts in config.json's form, parents before what lies below them. `user` is who the container's
    process is: uid and gid."""
    rows = [oci_mount(point, record, user) for point in record.mounts]
    for destination, options in record.host_config.tmpfs.items():
        rows.append(_tmpfs(os.path.normpath(destination), options.split(",") if options else []))
    return sorted(rows, key=lambda mount: mount.destination.count("/"))


def oci_mount(point: MountPoint, record: Record, user: tuple[int, int] = (0, 0)) -> Mount:
    """One of them. Raises UsageError where mounts are to travel and the host's mount doesn't let them."""
    request = _request(record, point.destination)
    if point.type == "tmpfs":
        options = request.tmpfs_options if request else None
        words = [f"size={options.size_bytes}"] if options and options.size_bytes else []
        words += [f"mode={options.mode:o}"] if options and options.mode else []
        return _tmpfs(point.destination, [*words, *([] if point.rw else ["ro"])])
    if point.type == "image":
        return image_mounts.oci_mount(point, request, record)
    source, words = point.source, _words(point, request, record)
    if point.mode == SHIFTED:
        return Mount(point.destination, "bind", source, [*words, "idmap"])
    if not _is_shifted(point):
        return Mount(destination=point.destination, type="bind", source=source, options=words)
    ids = userns.whose(userns.maps(record), source, user)
    return Mount(point.destination, "bind", source, [*words, "idmap"], ids.uids, ids.gids)


def _words(point: MountPoint, request: MountRequest | None, record: Record) -> list[str]:
    options = request.bind_options if request else None
    recursive = not (options and options.non_recursive)
    # As Docker since 25: a read-only bind is so with all that hangs below it, unless that is asked to stay writable.
    deep = recursive and not (options and options.read_only_non_recursive)
    readonly = [] if point.rw else ["rro" if deep else "ro"]
    inside = request.volume_options.subpath if request and request.volume_options else ""
    subdirectory = [f"{bind.SUBDIRECTORY}{inside}"] if inside else []
    return ["rbind" if recursive else "bind", _propagation(point, record), *readonly, *subdirectory]


def _propagation(point: MountPoint, record: Record) -> str:
    asked = point.propagation or "rprivate"
    if point.type != "bind" or not bind.travels([asked]):
        return asked
    place, links = bind.peers(point.source)
    wanted = {"shared"} if "shared" in asked else {"shared", "master"}
    if not links & wanted:
        kinds = "shared" if "shared" in asked else "shared or slave"
        raise UsageError(
            f"path {point.source} is mounted on {place} but it is not a {kinds} mount",
            hint=f"mount --make-rshared {place}",
        )
    # Out of a user namespace nothing may travel: the kernel makes such mounts slaves, too.
    return asked.replace("shared", "slave") if record.uid_map else asked


def _request(record: Record, destination: str) -> MountRequest | None:
    """The --mount behind a mount point, also of another container (--volumes-from)."""
    requests = [*record.host_config.mounts, *record.inherited]
    return next((item for item in requests if os.path.normpath(item.target) == destination), None)


def _tmpfs(destination: str, words: list[str]) -> Mount:
    """Docker's defaults, unless the words say otherwise: the later of two wins."""
    return Mount(destination=destination, type="tmpfs", source="tmpfs", options=["nosuid", "nodev", "noexec", *words])


def _is_shifted(point: MountPoint) -> bool:
    """-v SOURCE:TARGET:idmap."""
    return point.type == "bind" and "idmap" in point.mode.split(",")


def fresh(record: Record) -> Iterable[MountPoint]:
    """Volumes that are still empty, and are to get what the image has at their place (unless asked not to)."""
    for point in record.mounts:
        if point.type != "volume" or "nocopy" in point.mode.split(","):
            continue
        request = _request(record, point.destination)
        options = request.volume_options if request else None
        if not (options and (options.no_copy or options.subpath)) and not _holds_anything(point.source):
            yield point


def _holds_anything(source: str) -> bool:
    try:
        return bool(os.listdir(source))
    except FileNotFoundError:  # a dry run: nobody has made it
        return False
