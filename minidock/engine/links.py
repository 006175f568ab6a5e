"""--link on the default network, Docker's way from before networks had names: variables and a line in /etc/hosts.

In a network that somebody made a link is a name only, and the container's name server answers it (network/names.py).
"""

from __future__ import annotations

from minidock.engine.record import Record, Records, alive
from minidock.errors import Conflict, ContainerNotFound, UsageError
from minidock.paths import Layout

ON_THE_DEFAULT_NETWORK = ("", "default", "bridge")
IGNORED = ("HOME", "PATH")


def check(layout: Layout, links: list[str]) -> None:
    """At create. Raises UsageError in Docker's words for a container that isn't there."""
    for link in links:
        name = link.partition(":")[0]
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
    return [
        f"{' '.join(dict.fromkeys((alias, other.id[:12], other.name)))}:{_address(other)}"
        for alias, other in linked(layout, record)
    ]


def environment(layout: Layout, record: Record) -> list[str]:
    """ALIAS_NAME, ALIAS_PORT…, ALIAS_ENV_…: what the other one exposes and how it was started."""
    lines = []
    for alias, other in linked(layout, record):
        prefix = alias.upper().replace("-", "_")
        address = _address(other)
        keys = sorted(other.config.exposed_ports, key=lambda key: (key.partition("/")[2], int(key.split("/")[0])))
        ports = [(number, protocol or "tcp") for number, _, protocol in (key.partition("/") for key in keys)]
        lines.append(f"{prefix}_NAME=/{record.name}/{alias}")
        if ports:
            lines.append(f"{prefix}_PORT={ports[0][1]}://{address}:{ports[0][0]}")
        for number, protocol in ports:
            name = f"{prefix}_PORT_{number}_{protocol.upper()}"
            lines += [f"{name}={protocol}://{address}:{number}", f"{name}_ADDR={address}"]
            lines += [f"{name}_PORT={number}", f"{name}_PROTO={protocol}"]
        lines += [f"{prefix}_ENV_{line}" for line in other.config.env if line.partition("=")[0] not in IGNORED]
    return lines


def _address(other: Record) -> str:
    return other.endpoints["bridge"].ip_address if "bridge" in other.endpoints else ""
