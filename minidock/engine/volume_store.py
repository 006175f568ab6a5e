"""Volumes as things of their own: create, ls, inspect, rm, prune. What a container does with them is in volumes.py.

A volume is a directory, `volumes/NAME`: `_data` holds what containers see, `volume.json` labels, options and birth. A
directory without that file is a volume too (`mkdir` made it, or an older minidock): one that nobody has labelled.
"""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minidock import files
from minidock.engine import events
from minidock.engine.record import Record, Records
from minidock.errors import Conflict, MinidockError, NotFound, UsageError
from minidock.model.volume import Volume
from minidock.paths import Layout

ANONYMOUS = "com.docker.volume.anonymous"
"""The label of a volume that nobody has named: Docker's, by which `prune` knows it."""
OPTIONS = ("type", "o", "device")
LONGEST = 249
"""Characters of a name: while it is being removed its directory is called `.NAME.gone`, and NAME_MAX is 255."""
Filters = dict[str, list[str]]


def create(layout: Layout, name: str, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
    """Make it; an empty name is drawn by lot. One that is there already is left as it is.

    Raises UsageError in Docker's words.
    """
    if not name:
        name, labels = os.urandom(32).hex(), {ANONYMOUS: "", **labels}
    check_name(name)
    if driver not in ("", "local"):
        raise NotFound(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
    with _changing(layout):
        found = find(layout, name)
        if found:  # whatever is asked for: as Docker does
            return found
        check_options(name, options)
        return _write(layout, name, options, labels)


def ensure(layout: Layout, name: str, options: dict[str, str], labels: dict[str, str], *, anonymous: bool) -> bool:
    """The volume of a mount: made when it is missing; whether it was. The caller holds the lock `creating`."""
    if find(layout, name) is not None:
        return False
    check_name(name)
    check_options(name, options)
    _write(layout, name, options, {**({ANONYMOUS: ""} if anonymous else {}), **labels})
    return True


def check_name(name: str) -> None:
    if not is_name(name):
        raise UsageError(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )
    if len(name) > LONGEST:
        raise UsageError(f"create {name}: volume name is too long, names should be at most {LONGEST} characters")
    if len(name) == 1:
        raise UsageError(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )


def is_name(name: str) -> bool:
    """[a-zA-Z0-9][a-zA-Z0-9_.-]*"""
    rest = name.replace("_", "").replace(".", "").replace("-", "")
    return name.isascii() and name[:1].isalnum() and (rest or "a").isalnum()


def check_options(name: str, options: dict[str, str]) -> None:
    """What the driver local knows: a mount, as mount(8) would be told. Some of it needs the rest."""
    for option in options:
        if option not in OPTIONS:
            raise UsageError(f'create {name}: invalid option: "{option}"')
    if not options:
        return
    for option in ("device", "type"):
        if not options.get(option):
            raise UsageError(f'create {name}: missing required option: "{option}"')


def ls(layout: Layout, filters: Filters) -> list[Volume]:
    """Every volume, by name. Raises UsageError for a filter that is none."""
    records = Records(layout).all() if "dangling" in filters else []
    used = {point.name for record in records for point in record.mounts if point.type == "volume"}
    with contextlib.suppress(FileNotFoundError):
        names = sorted(entry for entry in os.listdir(layout.volumes) if is_name(entry))
        found = [volume for name in names if (volume := find(layout, name))]
        return [volume for volume in found if _fits(volume, filters, used)]
    return []


def inspect(layout: Layout, name: str) -> Volume:
    """Raises NotFound."""
    found = find(layout, name) if is_name(name) else None
    if found is None:
        raise NotFound(f"get {name}: no such volume")
    return found


def remove(layout: Layout, name: str, *, force: bool) -> None:
    """Raises NotFound, unless forced, and Conflict with the ids of the containers that have it."""
    with _changing(layout):
        if force and find(layout, name) is None:
            return
        inspect(layout, name)
        holders = users(layout, name)
        if holders:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(record.id for record in holders)}]")
        delete(layout, name)


def prune(layout: Layout, filters: Filters) -> tuple[list[str], int]:
    """Remove what no container has: anonymous ones, and with the filter `all=1` the others too. Names, and bytes."""
    from minidock.engine.ps import directory_size

    removed, freed = [], 0
    everything = filters.pop("all", ["0"])[-1] in ("1", "true")
    for volume in ls(layout, filters):
        with _changing(layout):
            if users(layout, volume.name) or not (everything or _is_anonymous(volume)):
                continue
            size = directory_size(volume.mountpoint)
            delete(layout, volume.name)
        removed.append(volume.name)
        freed += size
    events.emit(layout, "volume", "prune", "", {"reclaimed": str(freed)})
    return removed, freed


def users(layout: Layout, name: str) -> list[Record]:
    """The containers, running or not, that have it among their mounts."""
    records = Records(layout).all()
    return [r for r in records if any(point.type == "volume" and point.name == name for point in r.mounts)]


def delete(layout: Layout, name: str) -> None:
    """Gone at once, by a rename, then taken apart: a killed removal leaves no half volume."""
    directory = layout.volumes / name
    gone = layout.volumes / f".{name}.gone"
    with contextlib.suppress(FileNotFoundError):
        os.rename(directory, gone)
        events.emit(layout, "volume", "destroy", name, {"driver": "local"})
    for left in layout.volumes.glob(".*.gone"):
        files.remove_tree(left)
        if left.exists():
            raise MinidockError(f"can't remove the volume {name}")


@contextlib.contextmanager
def _changing(layout: Layout) -> Iterator[None]:
    """Nobody writes a container down meanwhile, which may be about to use it (engine/repair.py, `creating`)."""
    with files.locked(layout.lock("creating")):
        yield


class _Facts(msgspec.Struct, frozen=True):
    """volume.json."""

    created: str
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None


def _write(layout: Layout, name: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
    from minidock.engine.durations import timestamp

    directory = layout.volumes / name
    (directory / "_data").mkdir(parents=True, exist_ok=True)
    created = timestamp().partition(".")[0] + "Z"
    files.write_json(directory / "volume.json", _Facts(created, labels or None, options or None))
    events.emit(layout, "volume", "create", name, {"driver": "local"})
    return inspect(layout, name)


def find(layout: Layout, name: str) -> Volume | None:
    """What is known of it; None when there is no such volume."""
    directory = layout.volumes / name
    if len(os.fsencode(name)) > LONGEST or not directory.is_dir():
        return None
    try:
        facts = files.read_json(directory / "volume.json", _Facts)
    except FileNotFoundError:
        facts = _Facts(_born(directory))
    return Volume(
        name=name,
        mountpoint=str(directory / "_data"),
        created_at=facts.created,
        labels=dict(sorted(facts.labels.items())) if facts.labels else None,
        options=dict(sorted(facts.options.items())) if facts.options else None,
    )


def _born(directory: Path) -> str:
    from minidock.engine.durations import timestamp

    return timestamp(directory.stat().st_mtime).partition(".")[0] + "Z"


def _is_anonymous(volume: Volume) -> bool:
    """By the label; by the 64 digits where there are no labels, as nobody wrote any down."""
    if volume.labels is not None:
        return ANONYMOUS in volume.labels
    return len(volume.name) == 64


def _fits(volume: Volume, filters: Filters, used: set[str]) -> bool:
    labels = volume.labels or {}
    for key, values in filters.items():
        if key == "dangling":
            wanted = _truth(key, values[-1])
            if (volume.name not in used) != wanted:
                return False
        elif key == "name":
            if not any(value in volume.name for value in values):
                return False
        elif key == "driver":
            if volume.driver not in values:
                return False
        elif key in ("label", "label!"):
            fits = [_has(labels, value) for value in values]
            if not (all(fits) if key == "label" else not any(fits)):
                return False
        else:
            raise UsageError(f"Invalid filter '{key}'")
    return True


def _has(labels: dict[str, str], value: str) -> bool:
    key, equals, wanted = value.partition("=")
    return key in labels and (not equals or labels[key] == wanted)


def _truth(key: str, value: str) -> bool:
    if value.lower() not in ("1", "t", "true", "0", "f", "false"):
        raise UsageError(f"Invalid filter '{key}=[{value}]'")
    return value.lower() in ("1", "t", "true")
