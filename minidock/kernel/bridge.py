"""A bridge: a switch made of software. What is plugged into it are links whose `master` it is.

It learns which address lives behind which port and passes frames between them; and it is an interface of the host
itself, so that the host has an address there and can be the containers' gateway.

The bridge is shared by all containers of an instance. It stays when one of them goes: making it again costs 6 ms and
removing it 50 ms (the kernel waits for everybody who may still look at it). `network.teardown` takes it away.

man: ip-link(8) "bridge", bridge(8)
"""

from __future__ import annotations

import errno
import os
from typing import ClassVar

from minidock.errors import SystemCallFailed
from minidock.kernel import link
from minidock.kernel.link import IFLA_ADDRESS, IFLA_MTU, Link, index_of, links, mac_bytes
from minidock.kernel.netlink import Netlink, attribute, ignoring
from minidock.steps import Live, Step


class CreateBridge(Step, frozen=True):
    """Make the bridge unless it is there. `mac` is fixed: else it changes with the ports, and neighbours forget us."""

    name: str
    mac: str
    mtu: int
    man: ClassVar[str] = "ip-link(8)"

    def describe(self) -> str:
        return f"make the bridge {self.name}, a switch that containers are plugged into, unless it is there"

    def shell(self) -> str:
        return (
            f"ip link show {self.name} >/dev/null 2>&1 || "
            f"ip link add {self.name} address {self.mac} mtu {self.mtu} type bridge"
        )

    def apply(self, live: Live) -> None:
        if index_of(self.name):
            return
        try:
            link.create(
                "bridge", self.name, attribute(IFLA_ADDRESS, mac_bytes(self.mac)), attribute(IFLA_MTU, self.mtu)
            )
        except SystemCallFailed as error:
            # Another container of the instance was faster.
            ignoring(error, errno.EEXIST)


def ports(name: str) -> list[Link]:
    """The links plugged into the bridge."""
    index = index_of(name)
    with Netlink() as netlink:
        return [found for found in links(netlink) if index and found.master == index]


def read(pid: int) -> list[Link]:
    """The bridges that the process sees."""
    with Netlink(pid=pid) as netlink:
        return [found for found in links(netlink) if found.kind == "bridge"]


def demo() -> None:
    """A bridge in a network namespace of our own, with one cable plugged in."""
    # Not above: a cable is laid to a bridge.
    from minidock.kernel.veth import example

    with example():
        for bridge in read(os.getpid()):
            print(bridge.name, bridge.mac, "ports:", [port.name for port in ports(bridge.name)])


if __name__ == "__main__":
    demo()
