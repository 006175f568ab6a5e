"""Addresses as numbers, of both families, and hardware addresses. The module `ipaddress` costs 3 ms to import."""

from __future__ import annotations

import socket


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def bits(address: str) -> int:
    return 128 if ":" in address else 32


def number(address: str) -> int:
    """Raises OSError for what is no address."""
    return int.from_bytes(socket.inet_pton(family(address), address), "big")


def text(value: int, like: str) -> str:
    """The number as an address of the same family as `like`."""
    return socket.inet_ntop(family(like), value.to_bytes(bits(like) // 8, "big"))


def span(subnet: str) -> tuple[int, int]:
    """The first address as a number, and how many there are."""
    address, _, prefix = subnet.partition("/")
    size = 1 << (bits(address) - int(prefix))
    return number(address) & ~(size - 1), size


def overlap(one: str, other: str) -> bool:
    """Whether the two subnets have an address in common."""
    if family(one) != family(other):
        return False
    (first, size), (second, length) = span(one), span(other)
    return first < second + length and second < first + size


def contains(subnet: str, address: str) -> bool:
    if not subnet or family(subnet) != family(address):
        return False
    first, size = span(subnet)
    return first <= number(address.partition("/")[0]) < first + size


def is_subnet(words: str) -> bool:
    """An address, a slash and a prefix length."""
    address, slash, prefix = words.partition("/")
    try:
        number(address)
    except OSError:
        return False
    return bool(slash) and prefix.isascii() and prefix.isdigit() and int(prefix) <= bits(address)


def is_address(words: str, *, six: bool = False) -> bool:
    try:
        number(words)
    except OSError:
        return False
    return (":" in words) == six


def mac_of(address: str) -> str:
    """Docker's rule: 02:42 (locally administered), then the four bytes of the IPv4 address."""
    return (b"\x02\x42" + socket.inet_aton(address)).hex(":")
