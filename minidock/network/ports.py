"""Published ports: from what was asked (`-p 8080:80`, `-p 80`, `-P`) to what it will be, with real numbers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from minidock.errors import PortInUse, Unsupported, UsageError
from minidock.model import ContainerConfig, HostConfig, PortBinding
from minidock.network.addresses import Claim, Published, container_name
from minidock.paths import Layout

ANY = "0.0.0.0"  # noqa: S104
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
MAXIMUM = 65535
PROTOCOLS = ("tcp", "udp", "sctp")


def wanted(config: ContainerConfig, host: HostConfig) -> list[tuple[int, str, PortBinding]]:
    """What is to be published: container port, protocol, and where on the host."""
    asked: list[tuple[int, str, PortBinding]] = []
    bound = set()
    for key, bindings in host.port_bindings.items():
        for port, protocol in _numbers(key):
            bound.add((port, protocol))
            for binding in bindings or [PortBinding()]:
                if (port, protocol, binding) not in asked:
                    asked.append((port, protocol, binding))
    if host.publish_all_ports:
        exposed = {number for key in config.exposed_ports for number in _numbers(key)} - bound
        asked += [(port, protocol, PortBinding()) for port, protocol in sorted(exposed)]
    return asked


def choose(
    layout: Layout, asked: Iterable[tuple[int, str, PortBinding]], address: str, claims: list[Claim], *, dry_run: bool
) -> list[Published]:
    """Give every port a real number on the host: the one asked for, a free one of a range, or any free one.

    Raises PortInUse with the container's name when one of the instance's own has it; what else on the host may have
    it is found out when the port is reserved.
    """
    chosen: list[Published] = []
    for port, protocol, binding in asked:
        ip = _host_address(binding.host_ip, port, protocol)
        candidates = _candidates(binding.host_port)
        for number in candidates:
            holders = (claim for claim in claims for entry in claim.ports if entry.clashes(protocol, ip, number))
            holder = next(holders, None)
            if holder and len(candidates) == 1:
                raise PortInUse(f"{ip}:{number}", f"container {container_name(layout, holder.container)}")
            if holder or any(other.clashes(protocol, ip, number) for other in chosen):
                continue
            if dry_run or len(candidates) == 1 or _is_free(protocol, ip, number):
                chosen.append(Published(protocol, ip, number, address, port))
                break
        else:
            raise PortInUse(f"{ip}:{binding.host_port or 'any'}", "")
    return chosen


def shown(config: ContainerConfig, published: list[Published]) -> dict[str, list[PortBinding] | None]:
    """As `inspect` shows it in NetworkSettings.Ports: exposed ports that are not published have None."""
    ports: dict[str, list[PortBinding] | None] = {}
    for key in config.exposed_ports:
        for port, protocol in _numbers(key):
            ports[f"{port}/{protocol}"] = None
    for entry in published:
        key = f"{entry.port}/{entry.protocol}"
        ports[key] = [*(ports.get(key) or []), PortBinding(entry.host_ip, str(entry.host_port))]
    return ports


def _numbers(key: str) -> list[tuple[int, str]]:
    """`80/tcp`, `53/udp`, `8000-8002/tcp`, `80` as (port, protocol). Raises UsageError."""
    span, _, protocol = key.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise UsageError(f"invalid proto: {protocol}")
    return [(number, protocol) for number in _range(span)]


def _range(span: str) -> range:
    first, _, last = span.partition("-")
    if not (first.isascii() and first.isdigit()) or (last and not (last.isascii() and last.isdigit())):
        raise UsageError(f"invalid port: {span}")
    low, high = int(first), int(last or first)
    if not 0 < low <= high <= MAXIMUM:
        raise UsageError(f"invalid port: {span}", hint="ports are 1 to 65535, and a range goes upwards")
    return range(low, high + 1)


def _candidates(host_port: str) -> list[int]:
    """The numbers to try in turn. For "any": all that the kernel itself would choose from, from a random one on, so
    that instances which look at the same moment don't choose the same."""
    if host_port and host_port != "0":
        return list(_range(host_port))
    low, high = (int(number) for number in EPHEMERAL.read_text().split())
    start = low + int.from_bytes(os.urandom(4), "big") % (high + 1 - low)
    return [*range(start, high + 1), *range(low, start)]


def _host_address(host_ip: str, port: int, protocol: str) -> str:
    """The IPv4 address to publish on. Raises UsageError, or Unsupported for IPv6: our containers have none."""
    if not host_ip:
        return ANY
    if ":" in host_ip:
        raise Unsupported(
            f"can't publish {port}/{protocol} on {host_ip}: containers have no IPv6 address here",
            hint="publish it on an IPv4 address",
        )
    try:
        socket.inet_pton(socket.AF_INET, host_ip)
    except OSError as error:
        raise UsageError(f"invalid IP address: {host_ip}") from error
    return host_ip


def _is_free(protocol: str, ip: str, number: int) -> bool:
    from minidock.network import reserve

    try:
        for taken in reserve.reserve_ports([(protocol, ip, number)]):
            taken.close()
    except PortInUse:
        return False
    return True
