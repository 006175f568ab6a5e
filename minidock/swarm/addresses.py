"""Where a node listens, and under which address the others find it. Texts are those of moby daemon/cluster."""

from __future__ import annotations

import array
import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

from minidock.errors import MinidockError, UsageError
from minidock.swarm.node import PORT, joined, split

NOT_FOUND = "could not find the system's IP address - specify one with --advertise-addr"
BAD_ADVERTISED = "advertise address must be a non-zero IP address or network interface"
PORT_TOO = " (with optional port number)"
SIOCGIFCONF, IFREQ, MOST = 0x8912, 40, 1024
"""<linux/sockios.h>; bytes of a struct ifreq on 64 bits, <net/if.h>; addresses that we look at."""
NOWHERE = "192.0.2.1"
"""TEST-NET-1 (RFC 5737): a datagram socket that is connected to it sends nothing, and knows its own address then."""


def listening(text: str) -> str:
    """`0.0.0.0` or `0.0.0.0:2377` → with the port. Raises UsageError."""
    if not text:
        raise UsageError('invalid ListenAddr "": invalid empty address')
    host, port = parted(text, PORT, f"could not parse listen address {text}")
    return joined(_meant(host, "listen address must be an IP address or network interface"), port)


def advertised(text: str, listen: str) -> str:
    """What was asked for; else where we listen, or the address that leads outside. Raises MinidockError."""
    host, port = split(listen)
    if text:
        host, port = parted(text, port, BAD_ADVERTISED + PORT_TOO)
        host = _meant(host, BAD_ADVERTISED)
    elif ipaddress.ip_address(host).is_unspecified:
        host = outward(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if ipaddress.ip_address(host).is_unspecified:
        raise UsageError(BAD_ADVERTISED + PORT_TOO)
    return joined(host, port)


def data_path(text: str) -> str:
    """That of --data-path-addr; empty where none is given. Raises UsageError."""
    if not text:
        return ""
    found = text if _is_ip(text) else of_interface(text)
    if found is None or ipaddress.ip_address(found).is_unspecified:
        raise UsageError("data path address must be a non-zero IP address or network interface (without a port number)")
    return found


def _meant(host: str, problem: str) -> str:
    """The address, or that of the interface. Raises UsageError."""
    if _is_ip(host):
        return host
    found = of_interface(host)
    if found is None:
        raise UsageError(problem + PORT_TOO)
    return found


def of_interface(name: str) -> str | None:
    """Its IPv4 address, else its IPv6 one; None when there is no such interface. Raises UsageError."""
    if name not in (each for _, each in socket.if_nameindex()):
        return None
    for version, addresses in ((4, _ipv4(name)), (6, _ipv6(name))):
        if len(addresses) > 1:
            first, second = addresses[:2]
            raise UsageError(f"interface {name} has more than one IPv{version} address ({first} and {second})")
        if addresses:
            return addresses[0]
    raise UsageError(f"interface {name} has no usable IPv4 or IPv6 addresses")


def _ipv4(name: str) -> list[str]:
    """By netdevice(7): SIOCGIFCONF fills a buffer with struct ifreq, one for each address. Labels follow a colon."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        buffer = array.array("B", bytes(IFREQ * MOST))
        place, length = buffer.buffer_info()
        said = fcntl.ioctl(asked, SIOCGIFCONF, struct.pack("@iP", length, place))
    used = struct.unpack("@iP", said)[0]
    rows = [buffer[start : start + IFREQ].tobytes() for start in range(0, used, IFREQ)]
    named = [(row[:16].split(b"\0")[0].decode().partition(":")[0], row[20:24]) for row in rows]
    return [socket.inet_ntoa(address) for of, address in named if of == name]


def _ipv6(name: str) -> list[str]:
    """Of those that lead further than the link. proc(5): address, index, length, scope, flags, name."""
    try:
        rows = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
    except FileNotFoundError:  # a kernel without IPv6
        return []
    found = [ipaddress.IPv6Address(bytes.fromhex(row[0])) for row in rows if row[5] == name]
    return [str(address) for address in found if not address.is_link_local]


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
