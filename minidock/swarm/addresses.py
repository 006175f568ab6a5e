"""Where a node listens, and under which address the others find it. Texts are those of moby daemon/cluster."""

from __future__ import annotations

import ipaddress
import socket

from minidock.errors import MinidockError, UsageError
from minidock.swarm.node import PORT, joined, split

NOT_FOUND = "could not find the system's IP address - specify one with --advertise-addr"
NOWHERE = "192.0.2.1"
"""TEST-NET-1 (RFC 5737): a datagram socket that is connected to it sends nothing, and knows its own address then."""


def listening(text: str) -> str:
    """`0.0.0.0` or `0.0.0.0:2377` → with the port. Raises UsageError."""
    if not text:
        raise UsageError('invalid ListenAddr "": invalid empty address')
    host, port = parted(text, PORT, f"could not parse listen address {text}")
    if not _is_ip(host):
        raise UsageError(f"could not parse listen address {text}", hint="an address of this host, and a port")
    return joined(host, port)


def advertised(text: str, listen: str) -> str:
    """What was asked for; else where we listen, or the address that leads outside. Raises MinidockError."""
    host, port = split(listen)
    if text:
        host, port = parted(text, port, f"invalid advertise address {text}")
        if not _is_ip(host):
            raise UsageError(f"advertise address must be a non-zero IP address: {text}")
    elif ipaddress.ip_address(host).is_unspecified:
        host = outward(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if ipaddress.ip_address(host).is_unspecified:
        raise UsageError("advertise address must be a non-zero IP address")
    return joined(host, port)


def data_path(text: str) -> str:
    """That of --data-path-addr; empty where none is given. Raises UsageError."""
    if text and (not _is_ip(text) or ipaddress.ip_address(text).is_unspecified):
        raise UsageError("data path address must be a non-zero IP address (without a port number)")
    return text


def remote(text: str) -> str:
    """That of a manager, which may be a name."""
    host, port = parted(text, PORT, f"invalid remote address {text}")
    return joined(host, port)


def parted(text: str, default: int, problem: str) -> tuple[str, int]:
    """Raises UsageError with the problem."""
    bare = text.strip("[]")
    if _is_ip(bare):
        return bare, default
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, default
    if not port.isdecimal() or not 0 < int(port) < 65536 or (":" in host and not host.startswith("[")) or not host:
        raise UsageError(problem)
    return host.strip("[]"), int(port)


def outward(family: socket.AddressFamily) -> str:
    """Raises MinidockError where no route leads outside."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((NOWHERE if family == socket.AF_INET else "2001:db8::1", 9))
        except OSError as error:
            raise MinidockError(NOT_FOUND) from error
        return str(probe.getsockname()[0])


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
