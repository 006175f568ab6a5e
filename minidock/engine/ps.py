"""ps: the containers as a list, with what Docker says of each."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

from minidock import files
from minidock.engine import repair
from minidock.engine.durations import human_duration, unix
from minidock.engine.record import Record, Records, refresh
from minidock.errors import NotFound, UsageError
from minidock.model.lists import ContainerSummary, NetworkModeOnly, PortSummary
from minidock.model.state import ContainerState
from minidock.paths import Layout

Filters = dict[str, list[str]]


def containers(layout: Layout, *, everything: bool, last: int, filters: Filters, size: bool) -> list[ContainerSummary]:
    """Newest first. Only running ones unless `everything`, `last` or a filter that asks for others."""
    repair.repair(layout)
    records = [refresh(layout, record) for record in Records(layout).all()]
    records = [record for record in records if record.state.status != "removing"]
    if "ancestor" in filters:
        filters = {**filters, "ancestor": _descendants(layout, filters["ancestor"])}
    chosen = [record for record in records if _matches(record, filters, records)]
    if last > 0:
        chosen = [record for record in records if record in chosen][:last]
    elif not everything and not {"status", "exited"} & set(filters):
        chosen = [record for record in chosen if record.state.running]
    called, tags = _linked(records), _tags(layout)
    return [summary(layout, record, tags, size=size, called=called.get(record.id, [])) for record in chosen]


def _tags(layout: Layout) -> dict[str, str]:
    """What names of images mean: the store's file, without the store, which would cost each `ps` its import."""
    try:
        return files.read_json(layout.images / "tags.json", dict[str, str])
    except FileNotFoundError:
        return {}


def _linked(records: list[Record]) -> dict[str, list[str]]:
    if not any(record.host_config.links for record in records):
        return {}
    from minidock.engine import link_names

    return link_names.given(records)


def summary(
    layout: Layout, record: Record, tags: dict[str, str], *, size: bool = False, called: Sequence[str] = ()
) -> ContainerSummary:
    """API row; `called`: what others that link to it call it."""
    written = directory_size(f"{layout.container(record.id)}/upper") if size else 0
    root = written + _image_size(layout, record) if size else 0
    return ContainerSummary(
        id=record.id,
        names=[f"/{record.name}", *called],
        image=_made_from(record, tags),
        image_id=record.image_id,
        command=" ".join([record.path, *(f"'{word}'" if " " in word else word for word in record.args)]),
        created=unix(record.created),
        state=record.state.status,
        status=status(record),
        ports=_ports(record),
        labels=record.config.labels,
        host_config=NetworkModeOnly(record.host_config.network_mode),
        mounts=record.mounts,
        size_rw=written,
        size_root_fs=root,
    )


def _made_from(record: Record, tags: dict[str, str]) -> str:
    """What was asked for; the image's id where that means another image by now, or none."""
    name, identity = record.image, record.image_id
    if not identity or identity.removeprefix("sha256:").startswith(name.removeprefix("sha256:")):
        return name
    place, at, digest = name.partition("@")
    if at and ":" in place.rpartition("/")[2]:  # name:tag@digest is known by its digest alone
        name = f"{place.rpartition(':')[0]}@{digest}"
    full = (front + name + end for front in ("docker.io/library/", "docker.io/", "") for end in ("", ":latest"))
    return record.image if any(tags.get(one) == identity for one in full) else identity


def _image_size(layout: Layout, record: Record) -> int:
    from minidock.errors import ImageNotFound
    from minidock.image.store import ImageStore

    try:
        return ImageStore(layout).find(record.image_id).size
    except ImageNotFound:
        return 0


def _ports(record: Record) -> list[PortSummary]:
    rows = []
    for key, bindings in record.ports.items():
        number, _, protocol = key.partition("/")
        if not bindings:
            rows.append(PortSummary(private_port=int(number), type=protocol))
        for binding in bindings or []:
            public = int(binding.host_port)
            row = PortSummary(ip=binding.host_ip, private_port=int(number), public_port=public, type=protocol)
            rows.append(row)
    return rows


def status(record: Record) -> str:
    """`Up 5 minutes`, `Exited (137) 2 hours ago`, `Created`."""
    state = record.state
    if state.restarting:
        return f"Restarting ({state.exit_code}) {human_duration(time.time() - unix(state.finished_at))} ago"
    if state.running:
        return f"Up {human_duration(time.time() - unix(state.started_at))}{_condition(state)}"
    if state.status == "created":
        return "Created"
    ago = human_duration(time.time() - unix(state.finished_at))
    return f"Exited ({state.exit_code}) {ago} ago"


def _condition(state: ContainerState) -> str:
    if state.paused:
        return " (Paused)"
    if state.health is None:
        return ""
    return " (health: starting)" if state.health.status == "starting" else f" ({state.health.status})"


# filters: Docker's, each a predicate of record, value and all records


def _by_label(record: Record, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    return key in record.config.labels and (not equals or record.config.labels[key] == wanted)


def _descendants(layout: Layout, names: list[str]) -> list[str]:
    """The ids of these images, and of all made from them here. What no image is called, Docker passes over."""
    from minidock.errors import ImageNotFound, InvalidReference
    from minidock.image.store import ImageStore

    store = ImageStore(layout)
    found: set[str] = set()
    for name in names:
        with contextlib.suppress(ImageNotFound, InvalidReference):
            found.add(store.find(name).id)
    images = store.images()
    more = True
    while more:
        children = {image.id for image in images if image.parent in found}
        more = not children <= found
        found |= children
    return sorted(found)


def _by_name(record: Record, value: str) -> bool:
    """A regular expression; one that is none fits nothing."""
    import re

    with contextlib.suppress(re.error):
        return re.search(value, f"/{record.name}") is not None or re.search(value, record.name) is not None
    return False


def _by_publish(record: Record, value: str) -> bool:
    numbers, protocol = _ports_of("publish", value)
    pairs = record.ports.items()
    return any(
        int(row.host_port) in numbers and key.endswith(f"/{protocol}") for key, rows in pairs for row in rows or []
    )


def _by_expose(record: Record, value: str) -> bool:
    numbers, protocol = _ports_of("expose", value)
    return any(f"{number}/{protocol}" in record.ports for number in numbers)


def _ports_of(name: str, value: str) -> tuple[range, str]:
    """`80`, `80/udp`, `8000-8010/tcp`."""
    words, _, protocol = value.partition("/")
    first, dash, last = words.partition("-")
    for word in (first, last) if dash else (first,):
        if not (word.isascii() and word.isdigit()):
            problem = f'strconv.ParseUint: parsing "{word}": invalid syntax'
            raise UsageError(f"error while looking up for {name} {value}: {problem}")
    return range(int(first), int(last or first) + 1), protocol or "tcp"


def _by_exit_code(record: Record, value: str) -> bool:
    try:
        code = int(value)
    except ValueError:
        raise UsageError(f'strconv.Atoi: parsing "{value}": invalid syntax') from None
    return record.state.status == "exited" and record.state.exit_code == code


def _by_network(record: Record, value: str) -> bool:
    mode = record.host_config.network_mode
    return value in (*record.endpoints, *record.requested, "bridge" if mode == "default" else mode)


def _by_volume(record: Record, value: str) -> bool:
    return any(value in (point.name, point.source, point.destination) for point in record.mounts)


FILTERS: dict[str, Callable[[Record, str], bool]] = {
    "id": lambda record, value: record.id.startswith(value),
    "name": _by_name,
    "label": _by_label,
    "status": lambda record, value: record.state.status == value,
    "exited": _by_exit_code,
    "ancestor": lambda record, value: record.image_id == value,
    "volume": _by_volume,
    "network": _by_network,
    "publish": _by_publish,
    "expose": _by_expose,
    "is-task": lambda _, value: value.lower() in ("false", "0"),
    "isolation": lambda _, value: value == "default",
    "health": lambda record, value: value == (record.state.health.status if record.state.health else "none"),
}
KNOWN = {
    "status": ("created", "restarting", "running", "removing", "paused", "exited", "dead"),
    "is-task": ("true", "false", "1", "0"),
    "health": ("none", "starting", "healthy", "unhealthy"),
}


def _matches(record: Record, filters: Filters, records: list[Record]) -> bool:
    for key, values in filters.items():
        if key in ("before", "since"):
            other = next((item for item in records if _named(item, values[-1])), None)
            if other is None:
                raise NotFound(f"no such container {values[-1]}")
            older = record.created < other.created
            if record is other or older != (key == "before"):
                return False
            continue
        if key not in FILTERS:
            raise UsageError(f"invalid filter '{key}'")
        wrong = [value for value in values if key in KNOWN and value not in KNOWN[key]]
        if wrong and key == "health":
            raise UsageError(f"Unrecognised filter value for health: {wrong[0]}")
        if wrong:
            raise UsageError(f"invalid filter '{key}={wrong[0]}'")
        # Several labels must all be there; of other filters one has to fit.
        every = all if key == "label" else any
        if not every(FILTERS[key](record, value) for value in values):
            return False
    return True


def _named(record: Record, value: str) -> bool:
    return record.name == value.removeprefix("/") or record.id.startswith(value)


def directory_size(path: str) -> int:
    """Bytes of regular files below a directory, links counted once."""
    seen, total = set(), 0
    for base, _, names in os.walk(path):
        for name in names:
            facts = os.lstat(os.path.join(base, name))
            if (facts.st_dev, facts.st_ino) not in seen:
                seen.add((facts.st_dev, facts.st_ino))
                total += facts.st_size
    return total
