"""-v, --mount, --tmpfs and an image's VOLUMEs: what a container sees besides its layers.

Four kinds. A *bind* shows a path of the host. A *volume* is a directory that minidock keeps, `volumes/NAME/_data`; an
empty one gets what the image has at that place. A *tmpfs* is made at each start. An *image* is another image's files,
read-only (engine/image_mounts.py). How each is mounted: engine/volume_mounts.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from minidock.engine import image_mounts, userns, volume_store
from minidock.engine.record import Record, Records, replace
from minidock.errors import MinidockError, UsageError
from minidock.kernel.shared_mount import ShareMount
from minidock.model.host import MountRequest, VolumeOptions
from minidock.model.mount_checks import PROPAGATIONS, check_mode, check_mount, leads_out, target_problem
from minidock.model.state import MountPoint
from minidock.paths import Layout
from minidock.steps import Step


class Planned(msgspec.Struct, frozen=True):
    """The mount points of a container, and what was asked for those that it has from others (--volumes-from)."""

    points: list[MountPoint]
    inherited: list[MountRequest] = []
    images: dict[str, list[str]] = {}
    """By id those among them: their layers' directories, top first."""

    def of(self, record: Record) -> Record:
        return replace(record, mounts=self.points, inherited=self.inherited, mounted_images=self.images)


def prepare(layout: Layout, record: Record) -> Planned:
    """The mount points of a new container; missing bind sources of -v and volumes are made, as Docker does.

    Raises UsageError for a mount that can't be right, in Docker's words.
    """
    planned = plan(layout, record)
    for point in planned.points:
        if point.type == "volume":
            asked = _options_of(record, point)
            options = dict(asked.driver_config.get("Options") or {})
            anonymous = len(point.name) == 64 and point.name not in _named(record)
            if volume_store.ensure(layout, point.name, options, asked.labels, anonymous=anonymous):
                userns.give(point.source, record)
        elif point.type == "bind" and not os.path.lexists(point.source):
            Path(point.source).mkdir(parents=True, exist_ok=True)
            userns.give(point.source, record)
    return planned


def _options_of(record: Record, point: MountPoint) -> VolumeOptions:
    """What --mount says about the volume itself."""
    requests = (item for item in record.host_config.mounts if os.path.normpath(item.target) == point.destination)
    return next((item.volume_options for item in requests if item.volume_options), VolumeOptions())


def _named(record: Record) -> set[str]:
    """Volumes that the container's flags call by name."""
    binds = {bind.split(":", 1)[0] for bind in record.host_config.binds}
    return binds | {item.source for item in record.host_config.mounts if item.type == "volume"}


def plan(layout: Layout, record: Record) -> Planned:
    """The mount points as they would be; nothing is made. What of their sources is missing, `prepare` makes.

    What is asked for by name wins over what comes from other containers. Raises UsageError, in Docker's words.
    """
    host = record.host_config
    points: dict[str, MountPoint] = {}
    inherited: list[MountRequest] = []
    images: dict[str, list[str]] = {}
    for words in host.volumes_from:
        _inherit(layout, words, points, inherited, images)
    tmpfs = set(map(os.path.normpath, host.tmpfs))
    for destination in tmpfs:
        points.pop(destination, None)
    own: set[str] = set()
    binds = [_from_bind(layout, bind, host.volume_driver) for bind in host.binds]
    if twice := [point.destination for point in binds if point.destination in tmpfs]:
        raise UsageError(f"Duplicate mount point: {twice[0]}")
    for point in [*binds, *(_from_request(layout, request) for request in host.mounts)]:
        if point.destination in own:
            raise UsageError(f"Duplicate mount point: {point.destination}")
        own.add(point.destination)
        points[point.destination] = point
    for destination in record.config.volumes:
        clean = os.path.normpath(destination)
        if clean not in points and clean not in host.tmpfs:
            points[clean] = _volume(layout, os.urandom(32).hex(), clean, "", host.volume_driver)
    ordered = sorted(points, key=lambda path: (path.count("/"), path))
    found = [points[destination] for destination in ordered]
    images |= image_mounts.layers(layout, (point for point in found if point.source not in images))
    return Planned(found, inherited, images)


def _inherit(
    layout: Layout,
    words: str,
    points: dict[str, MountPoint],
    requests: list[MountRequest],
    images: dict[str, list[str]],
) -> None:
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
    images |= other.mounted_images


def _from_bind(layout: Layout, bind: str, driver: str) -> MountPoint:
    """`source:destination[:options]`; a source without a slash names a volume, and a destination alone a new one."""
    source, _, rest = bind.partition(":") if ":" in bind else (os.urandom(32).hex(), "", bind)
    destination, _, options = rest.partition(":")
    words = [word for word in options.split(",") if word]
    if not source:
        raise UsageError(f"invalid volume specification: '{bind}'")
    kind = "bind" if source.startswith("/") else "volume"
    destination = _absolute(destination, bind, kind)
    check_mode(bind, kind, options)
    writable = not {"ro", "rro"} & {*words}
    if not source.startswith("/"):
        return _volume(layout, source, destination, options, driver, rw=writable)
    propagation = next((word for word in words if word in PROPAGATIONS), "rprivate")
    return MountPoint(
        type="bind", source=source, destination=destination, mode=options, rw=writable, propagation=propagation
    )


def _from_request(layout: Layout, request: MountRequest) -> MountPoint:
    check_mount(request)
    destination = os.path.normpath(request.target)
    if request.type == "image":
        return image_mounts.point(layout, request.source, destination)
    if request.type == "tmpfs":
        return MountPoint(type="tmpfs", source="", destination=destination, rw=not request.read_only)
    if request.type == "volume":
        inside = request.volume_options.subpath if request.volume_options else ""
        if leads_out(inside):
            raise UsageError(
                'invalid mount config for type "volume": subpath must be a relative path within the volume'
            )
        name = request.source or os.urandom(32).hex()
        driver = (request.volume_options.driver_config if request.volume_options else {}).get("Name", "")
        volume_store.check_options(name, driver_options(request))
        return _volume(layout, name, destination, "z" if request.source else "", driver, rw=not request.read_only)
    options = request.bind_options
    if not os.path.lexists(request.source) and not (options and options.create_mountpoint):
        raise UsageError(f'invalid mount config for type "bind": bind source path does not exist: {request.source}')
    propagation = (options.propagation if options else "") or "rprivate"
    return MountPoint(
        type="bind", source=request.source, destination=destination, rw=not request.read_only, propagation=propagation
    )


def _absolute(destination: str, shown: str, kind: str) -> str:
    if problem := target_problem(destination):
        wrong = f'invalid mount config for type "{kind}": {problem}'
        raise UsageError(f"invalid volume specification: '{shown}': {wrong}")
    return os.path.normpath(destination)


def _volume(layout: Layout, name: str, destination: str, mode: str, driver: str, *, rw: bool = True) -> MountPoint:
    """Only where it will be: `prepare` makes it."""
    if driver not in ("", "local"):
        raise UsageError(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
    volume_store.check_name(name)
    data = layout.volumes / name / "_data"
    return MountPoint(
        type="volume", source=str(data), destination=destination, mode=mode or "z", rw=rw, name=name, driver="local"
    )


def driver_options(request: MountRequest) -> dict[str, str]:
    """--mount volume-opt=…"""
    config = request.volume_options.driver_config if request.volume_options else {}
    return dict(config.get("Options") or {})


def shared(layout: Layout, record: Record) -> list[Step]:
    """Volumes that are a file system or a directory from elsewhere: mounted on the host while containers use them."""
    steps: list[Step] = []
    for point in record.mounts:
        found = volume_store.find(layout, point.name) if point.type == "volume" else None
        if found is None or not found.options:
            continue
        words = [word for word in found.options.get("o", "").split(",") if word]
        if found.options["type"].startswith("nfs"):
            words = [_with_address(word) for word in words]
        users = str(layout.run / "volumes" / found.name)
        steps.append(
            ShareMount(found.mountpoint, found.options["type"], found.options["device"], words, users, record.id)
        )
    return steps


def _with_address(word: str) -> str:
    """`addr=nas`: the kernel takes numbers only."""
    import socket

    if not word.startswith("addr="):
        return word
    try:
        return f"addr={socket.gethostbyname(word.removeprefix('addr='))}"
    except OSError as error:
        raise MinidockError(f"error resolving passed in network volume address: {error}") from error


def remove_anonymous(layout: Layout, record: Record) -> None:
    """With `rm -v` and `run --rm`: volumes that were made for this container, unless another has them by now."""
    for point in record.mounts:
        anonymous = point.type == "volume" and len(point.name) == 64 and point.name not in _named(record)
        if anonymous and not [other for other in volume_store.users(layout, point.name) if other.id != record.id]:
            volume_store.delete(layout, point.name)
