"""-p and --expose: which ports of the container are open, and where on the host.

    [[host address:][host port]:]container port[/protocol]       ports may be ranges of equal length
    published=8080,target=80,protocol=tcp                        the long form of the same

One host range and one container port means "any free port of that range".
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..model.host import PortBinding

PROTOCOLS = ("tcp", "udp", "sctp")


def parse_ports(published: Sequence[str], exposed: Sequence[str]) -> tuple[list[str], dict[str, list[PortBinding]]]:
    """(every port of the container that is open, "80/tcp"; bindings by such a port), in the order of the flags."""
    open_ports: dict[str, None] = {}
    bindings: dict[str, list[PortBinding]] = {}
    for raw in published:
        for port, binding in publish(raw if "=" not in raw else _long_form(raw)):
            open_ports[port] = None
            bindings.setdefault(port, []).append(binding)
    for raw in exposed:
        open_ports.update(dict.fromkeys(expose(raw)))
    return list(open_ports), bindings


def publish(raw: str) -> list[tuple[str, PortBinding]]:
    """The pairs of one -p: `8000-8001:80-81` gives two."""
    address, host, container = _split(raw)
    container, _, protocol = container.partition("/")
    if not container:
        raise UsageError(f"no port specified: {raw}<empty>")
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise UsageError(f"invalid proto: {protocol}")
    address = _address(address)
    first, last = _range(container, "containerPort")
    if not host:
        return [(f"{port}/{protocol}", PortBinding(address, "")) for port in range(first, last + 1)]
    host_first, host_last = _range(host, "hostPort")
    if host_last - host_first == last - first:
        shift = host_first - first
        return [(f"{port}/{protocol}", PortBinding(address, str(port + shift))) for port in range(first, last + 1)]
    if first != last:
        raise UsageError(f"invalid ranges specified for container and host Ports: {container} and {host}")
    return [(f"{first}/{protocol}", PortBinding(address, f"{host_first}-{host_last}"))]


def expose(raw: str) -> list[str]:
    """The ports of one --expose: `80`, `70-80/udp`."""
    if ":" in raw:
        raise UsageError(f"invalid port format for --expose: {raw}")
    ports, _, protocol = raw.partition("/")
    protocol = protocol.lower() or "tcp"
    start, dash, end = ports.partition("-")
    for part in (start, end) if dash else (start,):
        if not (part.isascii() and part.isdigit()):
            raise UsageError(
                f"invalid range format for --expose: {ports}, error: "
                f'strconv.ParseUint: parsing "{part}": invalid syntax'
            )
    first, last = int(start), int(end or start)
    if last < first:
        raise UsageError(
            f"invalid range format for --expose: {ports}, error: invalid range specified for port: {ports}"
        )
    if last > 65535 or protocol not in PROTOCOLS:
        raise UsageError(f"invalid range format for --expose: {raw}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _split(raw: str) -> tuple[str, str, str]:
    """(address, host port, container port); the address may hold colons itself, so the parts count from the right."""
    parts = raw.split(":")
    if len(parts) == 1:
        return "", "", raw
    if len(parts) == 2:
        return "", parts[0], parts[1]
    return ":".join(parts[:-2]), parts[-2], parts[-1]


def _address(raw: str) -> str:
    if raw.startswith("["):
        if not raw.endswith("]"):
            raise UsageError(f"invalid IP address {raw}: address {raw}:: missing ']' in address")
        raw = raw[1:-1]
    if raw and not _is_address(raw):
        raise UsageError(f"invalid IP address: {raw}")
    return raw


def _is_address(raw: str) -> bool:
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, raw)
        except OSError:
            continue
        return True
    return False


def _range(raw: str, what: str) -> tuple[int, int]:
    start, dash, end = raw.partition("-")
    if all(part.isascii() and part.isdigit() for part in ([start, end] if dash else [start])):
        first, last = int(start), int(end or start)
        if first <= last <= 65535:
            return first, last
    raise UsageError(f"invalid {what}: {raw}")


def _long_form(raw: str) -> str:
    """`published=8080,target=80,protocol=udp` as the short form. Unknown keys are left to rot, as Docker does."""
    fields = dict(part.partition("=")[::2] for part in raw.split(","))
    target, published = fields.get("target", ""), fields.get("published", "")
    short = f"{target}/{fields.get('protocol', 'tcp')}"
    return f"{published}:{short}" if published else short
