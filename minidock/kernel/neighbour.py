"""Neighbours: which hardware address belongs to an IP address, and behind which port or host that one is found.

Two tables that the kernel fills by listening, one request for both (RTM_NEWNEIGH with another family):

    ARP table         10.0.1.5 → 02:42:0a:00:01:05        `ip neigh`, asked when a packet leaves an interface
    forwarding table  02:42:0a:00:01:05 → a port          `bridge fdb`, asked by a bridge for each frame

A VXLAN interface has a forwarding table, too, whose entries lead to hosts (vxlan.py). Permanent entries are those that
somebody has written down instead: nothing is learned for them, and nothing forgets them.

man: ip-neighbour(8), bridge(8) "fdb", rtnetlink(7) RTM_NEWNEIGH
"""

from __future__ import annotations

import socket
import struct

import msgspec

from minidock.errors import SystemCallFailed
from minidock.kernel.link import index_of, mac_bytes
from minidock.kernel.netlink import GONE, NLM_F_CREATE, Netlink, attribute, attributes, ignoring

RTM_NEWNEIGH = 28  # linux/rtnetlink.h
RTM_DELNEIGH = 29
RTM_GETNEIGH = 30
NLM_F_REPLACE = 0x100  # linux/netlink.h
AF_BRIDGE = 7  # linux/socket.h
NDMSG = struct.Struct("=BxxxiHBB")  # family, interface index, state, flags, type
NDA_DST = 1  # linux/neighbour.h
NDA_LLADDR = 2
NUD_PERMANENT = 0x80
NUD_NOARP = 0x40
NTF_SELF = 0x02
"""The interface's own forwarding table …"""
NTF_MASTER = 0x04
"""… and that of the bridge that it is a port of."""


class Neighbour(msgspec.Struct, frozen=True):
    """An entry of one interface: `address` is an IP address; of a forwarding table, that of the host, or empty."""

    mac: str
    address: str
    permanent: bool


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def add_address(netlink: Netlink, name: str, address: str, mac: str) -> None:
    """An entry of the ARP table for good, in place of what was there."""
    fixed = NDMSG.pack(socket.AF_INET, index_of(name), NUD_PERMANENT, 0, 0)
    body = fixed + attribute(NDA_DST, packed(address)) + attribute(NDA_LLADDR, mac_bytes(mac))
    what = f"ip neigh replace {address} lladdr {mac} dev {name} nud permanent"
    netlink.request(what, RTM_NEWNEIGH, body, NLM_F_CREATE | NLM_F_REPLACE)


def remove_address(netlink: Netlink, name: str, address: str) -> None:
    body = NDMSG.pack(socket.AF_INET, index_of(name), 0, 0, 0) + attribute(NDA_DST, packed(address))
    _gone_is_well(netlink, f"ip neigh del {address} dev {name}", body)


def add_host(netlink: Netlink, name: str, mac: str, host: str) -> None:
    """An entry of the interface's own forwarding table: frames to `mac` go to that host."""
    fixed = NDMSG.pack(AF_BRIDGE, index_of(name), NUD_PERMANENT | NUD_NOARP, NTF_SELF, 0)
    body = fixed + attribute(NDA_LLADDR, mac_bytes(mac)) + attribute(NDA_DST, packed(host))
    what = f"bridge fdb replace {mac} dev {name} dst {host} self permanent"
    netlink.request(what, RTM_NEWNEIGH, body, NLM_F_CREATE | NLM_F_REPLACE)


def remove_host(netlink: Netlink, name: str, mac: str) -> None:
    """That entry, and what the bridge has learned of it meanwhile: else it would look there for five minutes more."""
    for flag, word in ((NTF_SELF, "self"), (NTF_MASTER, "master")):
        body = NDMSG.pack(AF_BRIDGE, index_of(name), 0, flag, 0) + attribute(NDA_LLADDR, mac_bytes(mac))
        _gone_is_well(netlink, f"bridge fdb del {mac} dev {name} {word}", body)


def _gone_is_well(netlink: Netlink, what: str, body: bytes) -> None:
    try:
        netlink.request(what, RTM_DELNEIGH, body)
    except SystemCallFailed as error:
        ignoring(error, *GONE)


def addresses(netlink: Netlink, name: str) -> list[Neighbour]:
    """The interface's part of the ARP table."""
    return [found for found, _ in _entries(netlink, name, socket.AF_INET)]


def hosts(netlink: Netlink, name: str) -> list[Neighbour]:
    """The interface's own forwarding table, as far as it leads to hosts."""
    return [found for found, flags in _entries(netlink, name, AF_BRIDGE) if flags & NTF_SELF and found.address]


def _entries(netlink: Netlink, name: str, family: int) -> list[tuple[Neighbour, int]]:
    index, found = index_of(name), []
    for message in netlink.dump("ip neigh", RTM_GETNEIGH, NDMSG.pack(family, 0, 0, 0, 0)):
        _, at, state, flags, _ = NDMSG.unpack_from(message)
        values = dict(attributes(message[NDMSG.size :]))
        if at == index and NDA_LLADDR in values:
            to = values.get(NDA_DST, b"")
            address = socket.inet_ntop(socket.AF_INET6 if len(to) > 4 else socket.AF_INET, to) if to else ""
            found.append((Neighbour(values[NDA_LLADDR].hex(":"), address, bool(state & NUD_PERMANENT)), flags))
    return found


def read(pid: int) -> list[Neighbour]:
    """The ARP table of the process's eth0."""
    with Netlink(pid=pid) as netlink:
        return [found for found, _ in _entries(netlink, "eth0", socket.AF_INET)]


def demo() -> None:
    """The ARP table of this network namespace."""
    with Netlink() as netlink:
        for index, name in socket.if_nameindex():
            for found in addresses(netlink, name):
                print(index, name, found)


if __name__ == "__main__":
    demo()
