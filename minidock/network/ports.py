"""Published ports: from what was asked (`-p 8080:80`, `-p 80`, `-P`) to what it will be, with real numbers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path

from minidock.errors import PortInUse, UsageError
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.network.addresses import Claim, Published, container_name
from minidock.paths import Layout

ANY, ANY6 = "0.0.0.0", "::"  # noqa: S104
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
MAXIMUM = 65535
PROTOCOLS = ("tcp", "udp", "sctp")


def wanted(config: ContainerConfig, host: HostConfig) -> list[tuple[int, str, PortBinding]]:
    """What is to be published: container port, protocol, and where on the host."""
    asked: list[tuple[int, str, PortBinding]] = []
    bound = set()
    for key, bindings in host.port_bindings.items():
        for port, protocol in numbers(key):
            bound.add((port, protocol))
            for binding in bindings or [PortBinding()]:
                if (port, protocol, binding) not in asked:
                    asked.append((port, protocol, binding))
    if host.publish_all_ports:
        exposed = {number for key in config.exposed_ports for number in numbers(key)} - bound
        asked += [(port, protocol, PortBinding()) for port, protocol in sorted(exposed)]
    return asked


def choose(
    layout: Layout,
    asked: Iterable[tuple[int, str, PortBinding]],
    address: str,
    claims: list[Claim],
    *,
    dry_run: bool,
    address6: str = "",
    default_ip: str = "",
) -> list[Published]:
    """Give every port a real number on the host: the one asked for, a free one of a range, or any free one.

    Without an address of the host it is published on all of both families; `default_ip` is the network's own answer.
    Raises PortInUse with the container's name when one of the instance's own has it; what else on the host may have
    it is found out when the port is reserved.
    """
    chosen: list[Published] = []
    for port, protocol, binding in asked:
        ips = _host_addresses(binding.host_ip or default_ip)
        candidates = _candidates(binding.host_port)
        for number in candidates:
            wanted = [Published(protocol, ip, number, _inside(ip, address, address6), port) for ip in ips]
            holder = _holder(claims, wanted)
            if holder and len(candidates) == 1:
                raise PortInUse(f"{ips[0]}:{number}", f"container {container_name(layout, holder.container)}")
            if holder or any(_meet(other, one) for other in chosen for one in wanted):
                continue
            if dry_run or len(candidates) == 1 or all(_is_free(protocol, ip, number) for ip in ips):
                chosen += wanted
                break
        else:
            raise PortInUse(f"{ips[0]}:{binding.host_port or 'any'}", "")
    return chosen


def _inside(host_ip: str, address: str, address6: str) -> str:
    """Where in the container it leads: to its address of the same family, as far as it has one."""
    return (address6 if ":" in host_ip else address) or address or address6


def _holder(claims: list[Claim], wanted: list[Published]) -> Claim | None:
    return next((claim for claim in claims for entry in claim.ports for one in wanted if _meet(entry, one)), None)


def _meet(one: Published, other: Published) -> bool:
    return one.clashes(other.protocol, other.host_ip, other.host_port)


def proxied(published: Iterable[Published], address: str) -> list[tuple[Published, str]]:
    """What the shim passes on by hand, and to which address: what comes over IPv6 and can't be rewritten."""
    by_hand = ("tcp", "udp")
    return [(port, address or port.address) for port in published if ":" in port.host_ip and port.protocol in by_hand]


def shown(config: ContainerConfig, published: list[Published]) -> dict[str, list[PortBinding] | None]:
    """As `inspect` shows it in NetworkSettings.Ports: exposed ports that are not published have None."""
    ports: dict[str, list[PortBinding] | None] = {}
    for key in config.exposed_ports:
        for port, protocol in numbers(key):
            ports[f"{port}/{protocol}"] = None
    for entry in published:
        key = f"{entry.port}/{entry.protocol}"
        ports[key] = [*(ports.get(key) or []), PortBinding(entry.host_ip, str(entry.host_port))]
    return ports


def numbers(key: str) -> list[tuple[int, str]]:
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


def _host_addresses(host_ip: str) -> list[str]:
    """The addresses of the host to publish on: the one that was asked for, or all. Raises UsageError."""
    if not host_ip:
        return [ANY, ANY6] if host_has_ipv6() else [ANY]
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host_ip else socket.AF_INET, host_ip)
    except OSError as error:
        raise UsageError(f"invalid IP address: {host_ip}") from error
    return [host_ip]


def host_has_ipv6() -> bool:
    """Whether any interface of ours has such an address; the loopback does unless IPv6 is switched off."""
    try:
        return bool(Path("/proc/net/if_inet6").read_text())
    except FileNotFoundError:
        return False


def _is_free(protocol: str, ip: str, number: int) -> bool:
    from minidock.network import reserve

    try:
        for taken in reserve.reserve_ports([(protocol, ip, number)]):
            taken.close()
    except PortInUse:
        return False
    return True
