"""--link on the default network, Docker's way from before networks had names: variables and a line in /etc/hosts.

In a network that somebody made a link is a name only, and the container's name server answers it (network/names.py).
"""

from __future__ import annotations

from minidock.engine.record import Record, Records, alive
from minidock.errors import Conflict, ContainerNotFound, UsageError
from minidock.model.host import HostConfig
from minidock.network import ports, resolv
from minidock.paths import Layout

ON_THE_DEFAULT_NETWORK = ("", "default", "bridge")
IGNORED = ("HOME", "PATH")


def check(layout: Layout, host: HostConfig) -> None:
    """At create. Raises UsageError in Docker's words for a container that isn't there, or a network not our own."""
    kind = host.network_mode.partition(":")[0]
    if kind in ("host", "container"):
        sort = {"host": "host type networking", "container": "container type network"}[kind]
        raise UsageError(
            f"conflicting options: {sort} can't be used with links. This would result in undefined behavior"
        )
    for link in host.links:
        name = link.partition(":")[0]
        if not name:
            raise UsageError('could not get container for : invalid name or ID supplied: ""')
        try:
            Records(layout).find(name)
        except ContainerNotFound as error:
            raise UsageError(f"could not get container for {name}: {error.message}") from error


def linked(layout: Layout, record: Record) -> list[tuple[str, Record]]:
    """The containers by their aliases. Raises Conflict for one that doesn't run."""
    if record.host_config.network_mode not in ON_THE_DEFAULT_NETWORK:
        return []  # compose asks twice, here and in the network's settings
    rows = []
    for link in record.host_config.links:
        name, _, alias = link.partition(":")
        other = Records(layout).find(name)
        if not alive(other):
            raise Conflict(f"Cannot link to a non running container: /{other.name} AS /{record.name}/{alias}")
        rows.append((alias, other))
    return rows


def hosts(layout: Layout, record: Record) -> list[str]:
    """As --add-host takes them: `alias id name:address`."""
    return [f"{_names(alias, other)}:{_address(other)}" for alias, other in linked(layout, record)]


def _names(alias: str, other: Record) -> str:
    return " ".join(dict.fromkeys((alias, other.id[:12], other.name)))


def follow(layout: Layout, other: Record) -> None:
    """The container was started again, maybe at another address: tell those that run and are linked to it.

    Their variables can't be changed any more; /etc/hosts can.
    """
    for record in Records(layout).all():
        if record.host_config.network_mode not in ON_THE_DEFAULT_NETWORK or not alive(record):
            continue
        for name, _, alias in (link.partition(":") for link in record.host_config.links):
            if name.removeprefix("/") == other.name or other.id.startswith(name):
                _rewrite(layout, record, {alias or name, other.id[:12]}, _address(other))


def forget(layout: Layout, record: Record, link: str) -> None:
    """The container runs on without the link: its line in /etc/hosts goes. Raises ContainerNotFound."""
    name, _, alias = link.partition(":")
    _rewrite(layout, record, {alias or name, Records(layout).find(name).id[:12]}, "")


def _rewrite(layout: Layout, record: Record, names: set[str], address: str) -> None:
    """In place, as the file is bound into the container."""
    path = layout.container(record.id) / "hosts"
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    path.write_text(resolv.relinked_hosts(text, names, address), encoding="utf-8", errors="surrogateescape")


def environment(layout: Layout, record: Record) -> list[str]:
    """ALIAS_NAME, ALIAS_PORT…, ALIAS_ENV_…: what the other one exposes and how it was started."""
    lines = []
    for alias, other in linked(layout, record):
        prefix = alias.upper().replace("-", "_")
        address = _address(other)
        exposed = [port for key in other.config.exposed_ports for port in ports.numbers(key)]
        exposed.sort(key=lambda port: (port[0], port[1] != "tcp"))  # ALIAS_PORT is the first of them
        lines.append(f"{prefix}_NAME=/{record.name}/{alias}")
        if exposed:
            lines.append(f"{prefix}_PORT={exposed[0][1]}://{address}:{exposed[0][0]}")
            lines += _ranges(prefix, address, exposed)
        for number, protocol in exposed:
            name = f"{prefix}_PORT_{number}_{protocol.upper()}"
            lines += [f"{name}={protocol}://{address}:{number}", f"{name}_ADDR={address}"]
            lines += [f"{name}_PORT={number}", f"{name}_PROTO={protocol}"]
        lines += [f"{prefix}_ENV_{line}" for line in other.config.env if line.partition("=")[0] not in IGNORED]
    return lines


def _ranges(prefix: str, address: str, exposed: list[tuple[int, str]]) -> list[str]:
    """Three ports or more in a row are told as one range, too: ALIAS_PORT_8000_TCP_START … _END."""
    lines, first = [], 0
    while first < len(exposed):
        last = first
        while last + 1 < len(exposed) and exposed[last + 1][0] <= exposed[first][0] + last + 1 - first:
            last += 1
        if last <= first + 1:
            first += 1
            continue
        (start, protocol), (end, other) = exposed[first], exposed[last]
        name = f"{prefix}_PORT_{start}_{protocol.upper()}"
        lines += [f"{name}_START={protocol}://{address}:{start}", f"{name}_ADDR={address}", f"{name}_PROTO={protocol}"]
        lines += [f"{name}_PORT_START={start}", f"{prefix}_PORT_{start}_{other.upper()}_END={other}://{address}:{end}"]
        lines.append(f"{prefix}_PORT_{start}_{other.upper()}_PORT_END={end}")
        first = last + 1
    return lines


def _address(other: Record) -> str:
    return other.endpoints["bridge"].ip_address if "bridge" in other.endpoints else ""
