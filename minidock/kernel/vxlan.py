"""VXLAN: an Ethernet cable between hosts that only IP connects. Frames travel as the payload of UDP packets.

    frame from a container ─▶ bridge ─▶ vxlan interface ─▶ [IP of hosts | UDP 4789 | VNI | frame] ─▶ the other host's
                                                                                     vxlan interface ─▶ its bridge

The VNI, 24 bits, says which of many such cables it is. Which host has a hardware address is looked up in the
interface's forwarding table (neighbour.py). It could be learned, by flooding what is unknown to all hosts by multicast;
but who gives the addresses away knows where they are, and writes it down. So nothing is flooded (`nolearning`), and
questions of ARP for far addresses are answered on the spot from the ARP table of the interface (`proxy`).

50 bytes of each packet are the wrapping: an MTU of 1500 outside leaves 1450 inside.

In one network namespace a VNI can be had once for each UDP port. The interface is made as a port of its bridge, in one
message: what is killed in between leaves nothing that doesn't go with the bridge.

man: ip-link(8) "VXLAN", RFC 7348
"""

from __future__ import annotations

import errno
import struct
from typing import ClassVar

from minidock.errors import Conflict, MinidockError, SystemCallFailed, Unsupported
from minidock.kernel import link
from minidock.kernel.link import IFLA_ADDRESS, IFLA_MASTER, IFLA_MTU, Link, index_of, links, mac_bytes
from minidock.kernel.neighbour import packed
from minidock.kernel.netlink import Netlink, attribute
from minidock.steps import Live, Step

IFLA_VXLAN_ID = 1  # linux/if_link.h
IFLA_VXLAN_LOCAL = 4
IFLA_VXLAN_LEARNING = 7
IFLA_VXLAN_PROXY = 11
IFLA_VXLAN_PORT = 15
IFLA_VXLAN_LOCAL6 = 17
WRAPPING = 50
"""Bytes: Ethernet 14, IP 20, UDP 8, VXLAN 8."""


class CreateTunnel(Step, frozen=True):
    """The vxlan interface as a port of the bridge, unless it is there."""

    name: str
    bridge: str
    vni: int
    port: int
    local: str
    """This host's address for such packets."""
    mac: str
    """As the bridge's own: frames to the host itself are taken only by a port that they are addressed to."""
    mtu: int
    man: ClassVar[str] = "ip-link(8)"

    def describe(self) -> str:
        return f"lay a cable through IP to other hosts ({self.name}, VNI {self.vni}), unless it is there"

    def shell(self) -> str:
        return (
            f"ip link show {self.name} >/dev/null 2>&1 || ip link add {self.name} address {self.mac} mtu {self.mtu} "
            f"master {self.bridge} type vxlan id {self.vni} dstport {self.port} local {self.local} nolearning proxy\n"
            f"ip link set {self.name} up"
        )

    def apply(self, live: Live) -> None:
        found = link.get(self.name)
        if found is not None:
            if found.master == index_of(self.bridge):
                return
            link.delete(self.name)  # somebody took its bridge away
        try:
            create(self)
        except SystemCallFailed as error:
            if error.number == errno.EOPNOTSUPP:
                raise Unsupported("this kernel has no vxlan links", hint="modprobe vxlan") from error
            if error.number == errno.EEXIST and not index_of(self.name):
                raise Conflict(
                    f"VNI {self.vni} at UDP port {self.port} is somebody else's in this network namespace",
                    hint="`ip -d link show type vxlan` shows whose; another swarm here needs another --data-path-port",
                ) from error
            raise


def create(wanted: CreateTunnel) -> None:
    """Raises SystemCallFailed: EEXIST when name or VNI are taken, EOPNOTSUPP when the kernel has no such links."""
    kind = IFLA_VXLAN_LOCAL6 if ":" in wanted.local else IFLA_VXLAN_LOCAL
    link.create(
        "vxlan",
        wanted.name,
        attribute(IFLA_ADDRESS, mac_bytes(wanted.mac)),
        attribute(IFLA_MTU, wanted.mtu),
        attribute(IFLA_MASTER, index_of(wanted.bridge)),
        data=attribute(IFLA_VXLAN_ID, wanted.vni)
        + attribute(IFLA_VXLAN_PORT, struct.pack(">H", wanted.port))
        + attribute(kind, packed(wanted.local))
        + attribute(IFLA_VXLAN_LEARNING, b"\0")
        + attribute(IFLA_VXLAN_PROXY, b"\1"),
        up=True,
    )


def read(pid: int) -> list[Link]:
    """The links of this kind that the process sees."""
    with Netlink(pid=pid) as netlink:
        return [found for found in links(netlink) if found.kind == "vxlan"]


def demo() -> None:
    """Whether this kernel has them: a bridge and a cable that leads nowhere, for a moment."""
    link.create("bridge", "md-try-br")
    try:
        CreateTunnel("md-try-vx", "md-try-br", 4095, 4789, "127.0.0.1", "02:42:00:00:00:01", 1450).apply(Live())
        print(link.get("md-try-vx"))
    except MinidockError as error:
        print(error)
    finally:
        link.delete("md-try-vx")
        link.delete("md-try-br")


if __name__ == "__main__":
    demo()
