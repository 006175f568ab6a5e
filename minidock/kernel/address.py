"""Addresses: which IP addresses an interface answers to, and which others it finds without a gateway (the prefix).

Adding 172.18.0.2/16 to eth0 also makes the kernel add the route "172.18.0.0/16 dev eth0".

man: ip-address(8), rtnetlink(7) RTM_NEWADDR
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import ClassVar

import msgspec

from minidock.errors import SystemCallFailed
from minidock.kernel.link import index_of
from minidock.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, Netlink, attribute, attributes, ignoring
from minidock.steps import Live, Step

RTM_NEWADDR = 20  # linux/rtnetlink.h
RTM_GETADDR = 22
IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface index
IFA_ADDRESS = 1  # linux/if_addr.h
IFA_LOCAL = 2
IFA_BROADCAST = 4
IFA_FLAGS = 8
IFA_F_NODAD = 0x02
BITS = 32


class AddAddress(Step, frozen=True):
    """Give the interface an address; `address` is written with its prefix length, `172.18.0.2/16`, `fd00::2/64`.

    IPv6 addresses can be used at once: nobody is asked whether he has the same (`nodad`), as they are given out here.

    `shared` is for the bridge, which has its address already in all containers but the first.
    """

    name: str
    address: str
    shared: bool = False
    man: ClassVar[str] = "ip-address(8)"

    def describe(self) -> str:
        unless = ", unless it has it" if self.shared else ""
        return f"give {self.name} the address {self.address}{unless}"

    def shell(self) -> str:
        six = ":" in self.address
        add = f"ip addr add {self.address} {'nodad' if six else 'brd +'} dev {self.name}"
        if not self.shared:
            return add
        word = "inet6" if six else "inet"
        return f"case $(ip addr show dev {self.name}) in *'{word} {self.address} '*) ;; *) {add} ;; esac"

    def apply(self, live: Live) -> None:
        body = _six(self.address, self.name) if ":" in self.address else _four(self.address, self.name)
        try:
            with Netlink() as netlink:
                what = f"ip addr add {self.address} dev {self.name}"
                netlink.request(what, RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_EXCL)
        except SystemCallFailed as error:
            if not self.shared:
                raise
            ignoring(error, errno.EEXIST)


def _four(address: str, name: str) -> bytes:
    dotted, _, prefix = address.partition("/")
    raw = socket.inet_aton(dotted)
    broadcast = int.from_bytes(raw, "big") | (1 << (BITS - int(prefix))) - 1
    return (
        IFADDRMSG.pack(socket.AF_INET, int(prefix), 0, 0, index_of(name))
        + attribute(IFA_LOCAL, raw)
        + attribute(IFA_ADDRESS, raw)
        + attribute(IFA_BROADCAST, broadcast.to_bytes(4, "big"))
    )


def _six(address: str, name: str) -> bytes:
    text, _, prefix = address.partition("/")
    raw = socket.inet_pton(socket.AF_INET6, text)
    fixed = IFADDRMSG.pack(socket.AF_INET6, int(prefix), IFA_F_NODAD, 0, index_of(name))
    return fixed + attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw) + attribute(IFA_FLAGS, IFA_F_NODAD)


class Address(msgspec.Struct, frozen=True):
    """An address of an interface: `172.18.0.2`, prefix length, index of the interface."""

    address: str
    prefix: int
    index: int


def addresses(netlink: Netlink) -> list[Address]:
    """The IPv4 addresses of the socket's network namespace."""
    found = []
    for message in netlink.dump("ip -4 addr", RTM_GETADDR, IFADDRMSG.pack(socket.AF_INET, 0, 0, 0, 0)):
        _, prefix, _, _, index = IFADDRMSG.unpack_from(message)
        values = dict(attributes(message[IFADDRMSG.size :]))
        raw = values.get(IFA_LOCAL) or values.get(IFA_ADDRESS, b"\0\0\0\0")
        found.append(Address(socket.inet_ntoa(raw), prefix, index))
    return found


def read(pid: int) -> list[Address]:
    """The IPv4 addresses that the process answers to."""
    with Netlink(pid=pid) as netlink:
        return addresses(netlink)


def demo() -> None:
    """The IPv4 addresses of this network namespace."""
    with Netlink() as netlink:
        for address in addresses(netlink):
            print(f"{address.address}/{address.prefix}", "on", socket.if_indextoname(address.index))


if __name__ == "__main__":
    demo()
