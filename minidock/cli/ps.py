"""`ps` and `container ls`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from . import context
from .commands import verb
from .flags import boolean, many, number, text
from .tables import FORMAT_HELP, Columns, Listing, group_filters, parse_filter, shorten

if TYPE_CHECKING:
    from ..model.lists import ContainerSummary, PortSummary

HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
FILTERS: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(
        ("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name")
    ),
    **dict.fromkeys(("network", "publish", "since")),
    "status": ("created", "restarting", "running", "removing", "paused", "exited", "dead"),
    "volume": None,
}
"""Name → the values that there are, None for any."""

RAW = [
    *(("container_id", "ID"), ("image", "Image"), ("command", "Command"), ("created_at", "CreatedAt")),
    *(("state", "State"), ("status", "Status"), ("names", "Names"), ("labels", "Labels"), ("ports", "Ports")),
]


@verb(
    "ps",
    "List containers",
    "[OPTIONS]",
    flags=[
        boolean("all", "a", "Show all containers (default shows just running)"),
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text("format", "", FORMAT_HELP),
        number("last", "n", "Show n last created containers (includes all states)", default=-1),
        boolean("latest", "l", "Show the latest created container (includes all states)"),
        boolean("no-trunc", "", "Don't truncate output"),
        boolean("quiet", "q", "Only display container IDs"),
        boolean("size", "s", "Display total file sizes"),
    ],
    aliases=("minidock container ls", "minidock container list", "minidock container ps", "minidock ps"),
    examples="""
        minidock ps -a
        minidock ps -q --filter status=running --filter label=tier=web
        minidock ps --format 'table {{.Names}}\\t{{.Status}}'
    """,
)
def ps(
    all: bool,
    filter: list[tuple[str, str]],
    format: str,
    last: int,
    latest: bool,
    no_trunc: bool,
    quiet: bool,
    size: bool,
) -> None:
    rows = context.engine().containers(
        all=all,
        last=1 if latest else max(0, last),
        filters=group_filters(filter, FILTERS),
        size=size or ".Size" in format or "json" in format,
    )
    if quiet:
        if format:
            context.say("WARNING: Ignoring custom format, because both --format and --quiet are set.")
        for row in rows:
            print(row.id if no_trunc else row.id[:12])
        return
    names = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"] + (["Size"] if size else [])
    listing = Listing("ContainerContext", HEADERS, methods=_methods, raw=RAW)
    listing.show((columns(row, no_trunc=no_trunc) for row in rows), names, format)


def columns(row: ContainerSummary, *, no_trunc: bool) -> Columns:
    called = [name.removeprefix("/") for name in row.names]
    return {
        "ID": lambda: row.id if no_trunc else row.id[:12],
        "Image": partial(_image, row, no_trunc),
        "Command": lambda: f'"{row.command if no_trunc else shorten(row.command, 20)}"',
        "CreatedAt": lambda: time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(row.created)),
        "RunningFor": partial(_age, row.created),
        "Status": lambda: row.status,
        "State": lambda: row.state,
        "Ports": lambda: ports(row.ports),
        "Names": lambda: ",".join(name for name in called if no_trunc or "/" not in name),
        "Size": partial(_size, row),
        "Labels": lambda: ",".join(f"{key}={value}" for key, value in sorted(row.labels.items())),
        "Mounts": lambda: ",".join(
            mount if no_trunc else shorten(mount, 15) for mount in (m.name or m.source for m in row.mounts)
        ),
        "LocalVolumes": lambda: str(sum(mount.driver == "local" for mount in row.mounts)),
        "Networks": partial(_networks, row),
        "Platform": lambda: None,
    }


def _methods(row: Columns) -> Mapping[str, Callable[..., object]]:
    """`.Label "name"`."""

    def label(name: str) -> str:
        words = str(row["Labels"]()).split(",")
        return dict(word.partition("=")[::2] for word in words).get(name, "")

    return {"Label": label}


def _image(row: ContainerSummary, no_trunc: bool) -> str:
    """The name it was made from; its id when that name has gone to another image."""
    if not row.image:
        return "<no image>"
    if no_trunc or not (row.image.startswith("sha256:") or row.image == row.image_id):
        return row.image
    return row.image.removeprefix("sha256:")[:12]


def _age(created: int) -> str:
    from ..engine.durations import human_duration

    return f"{human_duration(time.time() - created)} ago"


def _size(row: ContainerSummary) -> str:
    from .units import human_size

    written = human_size(row.size_rw)
    return f"{written} (virtual {human_size(row.size_root_fs)})" if row.size_root_fs > 0 else written


def _networks(row: ContainerSummary) -> str:
    mode = row.host_config.network_mode
    return "bridge" if mode == "default" else mode.partition(":")[0]


def ports(found: list[PortSummary]) -> str:
    """`0.0.0.0:8080->80/tcp, 443/tcp`, in Docker's order: neighbours that keep their number outside become ranges, what
    is followed by a gap first; what has another number outside stands alone, at the end."""
    groups: dict[tuple[str, str], tuple[int, int]] = {}
    closed, alone = [], []
    for port in sorted(found, key=lambda port: (port.private_port, port.ip, port.public_port, port.type)):
        number = port.private_port
        if port.ip and port.public_port != number:
            alone.append(f"{_host(port.ip)}:{port.public_port}->{number}/{port.type}")
            continue
        key = (port.ip, port.type)
        first, last = groups.get(key, (number, number - 1))
        if number != last + 1:
            closed.append(_group(key, first, last))
            first = number
        groups[key] = (first, number)
    return ", ".join([*closed, *(_group(key, *ends) for key, ends in groups.items()), *alone])


def _group(key: tuple[str, str], first: int, last: int) -> str:
    address, protocol = key
    numbers = f"{first}-{last}" if first != last else str(first)
    return f"{_host(address)}:{numbers}->{numbers}/{protocol}" if address else f"{numbers}/{protocol}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
