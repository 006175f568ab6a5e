"""-v, --mount, --tmpfs and an image's VOLUMEs: what a container sees besides its layers.

Three kinds. A *bind* shows a path of the host. A *volume* is a directory that minidock keeps, `volumes/NAME/_data`; an
empty one gets what the image has at that place. A *tmpfs* is made at each start. How each is mounted:
engine/volume_mounts.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minidock import files
from minidock.engine import events, userns
from minidock.engine.record import Record, Records
from minidock.errors import MinidockError, UsageError
from minidock.model import HostConfig, MountPoint, MountRequest
from minidock.paths import Layout

PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


class Planned(msgspec.Struct, frozen=True):
    """The mount points of a container, and what was asked for those that it has from others (--volumes-from)."""

    points: list[MountPoint]
    inherited: list[MountRequest] = []


def prepare(layout: Layout, record: Record) -> Planned:
    """The mount points of a new container; missing bind sources of -v and volumes are made, as Docker does.

    Raises UsageError for a mount that can't be right, in Docker's words.
    """
    planned = plan(layout, record)
    for point in planned.points:
        if point.source and not os.path.lexists(point.source):
            Path(point.source).mkdir(parents=True, exist_ok=True)
            userns.give(point.source, record)
            if point.type == "volume":
                events.emit(layout, "volume", "create", point.name, {"driver": point.driver})
    for request in record.host_config.mounts:
        point = next(point for point in planned.points if point.destination == os.path.normpath(request.target))
        if point.type == "volume" and driver_options(request):
            _keep_options(point, driver_options(request))
    return planned


def plan(layout: Layout, record: Record) -> Planned:
    """The mount points as they would be; nothing is made. What of their sources is missing, `prepare` makes.

    What is asked for by name wins over what comes from other containers. Raises UsageError, in Docker's words.
    """
    host = record.host_config
    points: dict[str, MountPoint] = {}
    inherited: list[MountRequest] = []
    for words in host.volumes_from:
        _inherit(layout, words, points, inherited)
    for destination in map(os.path.normpath, host.tmpfs):
        points.pop(destination, None)
    own: set[str] = set()
    for point in _asked(layout, host):
        if point.destination in own:
            raise UsageError(f"Duplicate mount point: {point.destination}")
        own.add(point.destination)
        points[point.destination] = point
    for destination in record.config.volumes:
        clean = os.path.normpath(destination)
        if clean not in points and clean not in host.tmpfs:
            points[clean] = _volume(layout, os.urandom(32).hex(), clean, "", host.volume_driver)
    ordered = sorted(points, key=lambda path: (path.count("/"), path))
    return Planned([points[destination] for destination in ordered], inherited)


def _asked(layout: Layout, host: HostConfig) -> Iterator[MountPoint]:
    for bind in host.binds:
        yield _from_bind(layout, bind, host.volume_driver)
    for request in host.mounts:
        yield _from_request(layout, request)


def _inherit(layout: Layout, words: str, points: dict[str, MountPoint], requests: list[MountRequest]) -> None:
    """--volumes-from NAME[:ro]: all mount points of another container, at the same places."""
    name, _, mode = words.partition(":")
    if not name:
        raise UsageError('invalid name or ID supplied: ""')
    if mode not in ("", "ro", "rw", "z", "Z"):
        raise UsageError(f"invalid mode: {mode}")
    other = Records(layout).find(name)
    for point in other.mounts:
        points[point.destination] = msgspec.structs.replace(point, rw=point.rw and mode != "ro", mode="")
    requests += [*other.host_config.mounts, *other.inherited]


def _from_bind(layout: Layout, bind: str, driver: str) -> MountPoint:
    """`source:destination[:options]`; a source without a slash names a volume."""
    source, destination, *rest = bind.split(":", 2)
    options = rest[0] if rest else ""
    words = [word for word in options.split(",") if word]
    destination = _absolute(destination, bind)
    if not source.startswith("/"):
        return _volume(layout, source, destination, options, driver, rw="ro" not in words)
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
        driver = (request.volume_options.driver_config if request.volume_options else {}).get("Name", "")
        check_options(name, driver_options(request))
        return _volume(layout, name, destination, "z" if request.source else "", driver, rw=not request.read_only)
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


def _volume(layout: Layout, name: str, destination: str, mode: str, driver: str, *, rw: bool = True) -> MountPoint:
    """A volume is nothing but its directory, unless it was given options of what to mount."""
    if driver not in ("", "local"):
        raise UsageError(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
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


# Options of the local driver: a volume that is something mounted, as `mount -t TYPE -o O DEVICE`.


def driver_options(request: MountRequest) -> dict[str, str]:
    """--mount volume-opt=…"""
    config = request.volume_options.driver_config if request.volume_options else {}
    return dict(config.get("Options") or {})


def check_options(volume: str, options: dict[str, str]) -> None:
    for name in options:
        if name not in ("type", "o", "device"):
            raise UsageError(f'create {volume}: invalid option: "{name}"')
    for name in ("device", "type"):
        if options and not options.get(name):
            raise UsageError(f'create {volume}: missing required option: "{name}"')


def options_file(point: MountPoint) -> Path:
    """Beside the volume's `_data`."""
    return Path(point.source).parent / "opts.json"


def _keep_options(point: MountPoint, options: dict[str, str]) -> None:
    """Only a new volume gets them: what is in one that exists stays what it is."""
    file = options_file(point)
    if not file.exists() and not os.listdir(point.source):
        files.write_json(file, options)


def remove_anonymous(layout: Layout, record: Record) -> None:
    """With `rm -v` and `run --rm`: volumes that were made for this container alone, known by their 64-digit names."""
    named = {bind.split(":", 1)[0] for bind in record.host_config.binds}
    others = [other for other in Records(layout).all() if other.id != record.id] if record.mounts else []
    named |= {point.name for other in others for point in other.mounts}  # theirs too, by --volumes-from
    for point in record.mounts:
        if point.type == "volume" and len(point.name) == 64 and point.name not in named:
            directory = layout.volumes / point.name
            files.remove_tree(directory)
            if directory.exists():
                raise MinidockError(f"can't remove the volume {point.name}")
            events.emit(layout, "volume", "destroy", point.name, {"driver": point.driver})
