"""-v, --mount, --tmpfs and an image's VOLUMEs: what a container sees besides its layers.

Three kinds. A *bind* shows a path of the host. A *volume* is a directory that minidock keeps, `volumes/NAME/_data`; an
empty one gets what the image has at that place. A *tmpfs* is made at each start.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from minidock import files
from minidock.engine import events
from minidock.engine.record import Record
from minidock.errors import MinidockError, UsageError
from minidock.model import MountPoint, MountRequest
from minidock.paths import Layout
from minidock.spec import Mount

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


def prepare(layout: Layout, record: Record) -> list[MountPoint]:
    """The mount points of a new container; missing bind sources of -v and volumes are made, as Docker does.

    Raises UsageError for a mount that can't be right, in Docker's words.
    """
    points = plan(layout, record)
    for point in points:
        if point.source and not os.path.lexists(point.source):
            Path(point.source).mkdir(parents=True, exist_ok=True)
            if point.type == "volume":
                events.emit(layout, "volume", "create", point.name, {"driver": point.driver})
    return points


def plan(layout: Layout, record: Record) -> list[MountPoint]:
    """The mount points as they would be; nothing is made. What of their sources is missing, `prepare` makes.

    Raises UsageError for a mount that can't be right, in Docker's words.
    """
    points: dict[str, MountPoint] = {}
    for bind in record.host_config.binds:
        point = _from_bind(layout, bind)
        points[point.destination] = point
    for request in record.host_config.mounts:
        point = _from_request(layout, request)
        if point.destination in points:
            raise UsageError(f"Duplicate mount point: {point.destination}")
        points[point.destination] = point
    for destination in record.config.volumes:
        clean = os.path.normpath(destination)
        if clean not in points and clean not in record.host_config.tmpfs:
            points[clean] = _volume(layout, os.urandom(32).hex(), clean, "", {})
    return [points[destination] for destination in sorted(points, key=lambda path: (path.count("/"), path))]


def _from_bind(layout: Layout, bind: str) -> MountPoint:
    """`source:destination[:options]`; a source without a slash names a volume."""
    source, destination, *rest = bind.split(":", 2)
    options = rest[0] if rest else ""
    words = [word for word in options.split(",") if word]
    destination = _absolute(destination, bind)
    if not source.startswith("/"):
        return _volume(layout, source, destination, options, {}, rw="ro" not in words)
    propagation = next((word for word in words if word in PROPAGATIONS), "rprivate")
    return MountPoint(
        type="bind", source=source, destination=destination, mode=options, rw="ro" not in words, propagation=propagation
    )


def _from_request(layout: Layout, request: MountRequest) -> MountPoint:
    destination = _absolute(request.target, request.target)
    if request.type == "tmpfs":
        return MountPoint(type="tmpfs", source="", destination=destination, rw=not request.read_only)
    if request.type == "volume":
        name = request.source or os.urandom(32).hex()
        labels = request.volume_options.labels if request.volume_options else {}
        mode = "z" if request.source else ""
        return _volume(layout, name, destination, mode, labels, rw=not request.read_only)
    if request.type != "bind":
        raise UsageError(f'invalid mount config: mount type "{request.type}" unknown')
    options = request.bind_options
    if not os.path.lexists(request.source) and not (options and options.create_mountpoint):
        raise UsageError(f'invalid mount config for type "bind": bind source path does not exist: {request.source}')
    propagation = (options.propagation if options else "") or "rprivate"
    return MountPoint(
        type="bind", source=request.source, destination=destination, rw=not request.read_only, propagation=propagation
    )


def _absolute(destination: str, shown: str) -> str:
    if not destination.startswith("/"):
        raise UsageError(f"invalid volume specification: '{shown}': mount path must be absolute")
    clean = os.path.normpath(destination)
    if clean == "/":
        raise UsageError(f"invalid volume specification: '{shown}': invalid specification: destination can't be '/'")
    return clean


def _volume(
    layout: Layout, name: str, destination: str, mode: str, labels: dict[str, str], *, rw: bool = True
) -> MountPoint:
    """A volume is nothing but its directory."""
    if not _is_name(name):
        raise UsageError(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    data = layout.volumes / name / "_data"
    return MountPoint(
        type="volume", source=str(data), destination=destination, mode=mode or "z", rw=rw, name=name, driver="local"
    )


def _is_name(name: str) -> bool:
    """[a-zA-Z0-9][a-zA-Z0-9_.-]*"""
    rest = name.replace("_", "").replace(".", "").replace("-", "")
    return name.isascii() and name[:1].isalnum() and (rest or "a").isalnum()


def oci_mounts(record: Record) -> list[Mount]:
    """The container's mounts in config.json's form, parents before what lies below them."""
    rows = [_oci(point, record) for point in record.mounts]
    for destination, options in record.host_config.tmpfs.items():
        rows.append(_tmpfs(os.path.normpath(destination), options.split(",") if options else []))
    return sorted(rows, key=lambda mount: mount.destination.count("/"))


def _oci(point: MountPoint, record: Record) -> Mount:
    if point.type == "tmpfs":
        request = next(item for item in record.host_config.mounts if os.path.normpath(item.target) == point.destination)
        options = request.tmpfs_options
        words = [f"size={options.size_bytes}"] if options and options.size_bytes else []
        words += [f"mode={options.mode:o}"] if options and options.mode else []
        return _tmpfs(point.destination, [*words, *(["ro"] if request.read_only else [])])
    recursive = not any(
        item.bind_options and item.bind_options.non_recursive and item.target == point.destination
        for item in record.host_config.mounts
    )
    words = ["rbind" if recursive else "bind", point.propagation or "rprivate", *([] if point.rw else ["ro"])]
    return Mount(destination=point.destination, type="bind", source=point.source, options=words)


def _tmpfs(destination: str, words: list[str]) -> Mount:
    """Docker's defaults, unless the words say otherwise: the later of two wins."""
    return Mount(destination=destination, type="tmpfs", source="tmpfs", options=["nosuid", "nodev", "noexec", *words])


def fresh(record: Record) -> Iterable[MountPoint]:
    """Volumes that are still empty, and are to get what the image has at their place (unless asked not to)."""
    kept = {
        os.path.normpath(item.target)
        for item in record.host_config.mounts
        if item.volume_options and item.volume_options.no_copy
    }
    for point in record.mounts:
        nocopy = point.destination in kept or "nocopy" in point.mode.split(",")
        if point.type == "volume" and not nocopy and not _holds_anything(point.source):
            yield point


def _holds_anything(source: str) -> bool:
    try:
        return bool(os.listdir(source))
    except FileNotFoundError:  # a dry run: nobody has made it
        return False


def remove_anonymous(layout: Layout, record: Record) -> None:
    """With `rm -v` and `run --rm`: volumes that were made for this container alone, known by their 64-digit names."""
    named = {bind.split(":", 1)[0] for bind in record.host_config.binds}
    for point in record.mounts:
        if point.type == "volume" and len(point.name) == 64 and point.name not in named:
            directory = layout.volumes / point.name
            files.remove_tree(directory)
            if directory.exists():
                raise MinidockError(f"can't remove the volume {point.name}")
            events.emit(layout, "volume", "destroy", point.name, {"driver": point.driver})
