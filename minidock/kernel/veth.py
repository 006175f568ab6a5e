"""A veth pair: a network cable made of software. What goes in at one end comes out at the other.

One end stays on the host, plugged into the bridge; the other is the container's eth0. The kernel can make the far
end directly in the container's network namespace, named through the pid of a process in it: one message, no moment
in which the host has a stray interface called eth0.

When the namespace ends its interfaces end, and a cable never has one end only.

man: veth(4), ip-link(8)
"""

from __future__ import annotations

import errno
import struct
from typing import ClassVar

from minidock.errors import SystemCallFailed
from minidock.kernel import link
from minidock.kernel.link import (
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_TARGET_NETNSID,
    RTM_GETLINK,
    RTM_NEWLINK,
    Link,
    ifinfo,
    index_of,
    links,
    mac_bytes,
)
from minidock.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, Netlink, attribute, ignoring, nested
from minidock.steps import Live, Step

AF_BRIDGE = 7  # linux/socket.h
IFLA_PROTINFO = 12  # linux/if_link.h
IFLA_NET_NS_PID = 19
IFLA_BRPORT_MODE = 4
VETH_INFO_PEER = 1  # linux/veth.h
RTM_SETLINK = 19  # linux/rtnetlink.h


class CreateVeth(Step, frozen=True):
    """The cable between the bridge and the container; needs `live.pid`, a process in the container's namespace."""

    name: str
    """The host's end."""
    peer: str
    """The container's end, as it is called in there: eth0."""
    bridge: str
    mac: str
    """Hardware address of the container's end."""
    mtu: int
    man: ClassVar[str] = "veth(4)"

    def describe(self) -> str:
        return f"lay a cable from the bridge {self.bridge} ({self.name}) into the container ({self.peer})"

    def shell(self) -> str:
        return (
            f"ip link add {self.name} mtu {self.mtu} type veth "
            f"peer name {self.peer} address {self.mac} mtu {self.mtu} netns $PID\n"
            f"ip link set {self.name} master {self.bridge} up\n"
            f"bridge link set dev {self.name} hairpin on"
        )

    def apply(self, live: Live) -> None:
        try:
            self._create(live.pid)
        except SystemCallFailed as error:
            # The container was started again before the kernel has torn down its last namespace.
            ignoring(error, errno.EEXIST)
            link.delete(self.name)
            self._create(live.pid)

    def _create(self, pid: int) -> None:
        peer = (
            ifinfo()
            + attribute(IFLA_IFNAME, self.peer)
            + attribute(IFLA_ADDRESS, mac_bytes(self.mac))
            + attribute(IFLA_MTU, self.mtu)
            + attribute(IFLA_NET_NS_PID, pid)
        )
        body = (
            ifinfo(flags=IFF_UP, change=IFF_UP)
            + attribute(IFLA_IFNAME, self.name)
            + attribute(IFLA_MTU, self.mtu)
            + attribute(IFLA_MASTER, index_of(self.bridge))
            + nested(
                IFLA_LINKINFO,
                attribute(IFLA_INFO_KIND, b"veth"),
                nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, peer)),
            )
        )
        with Netlink() as netlink:
            netlink.request(f"ip link add {self.name} type veth", RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)
            # Hairpin: a frame may leave by the port it came in. So a container reaches its own published port also
            # where br_netfilter rewrites addresses inside the bridge (it is loaded wherever Docker has run).
            port = struct.pack("=BxHiII", AF_BRIDGE, 0, index_of(self.name), 0, 0)
            mode = nested(IFLA_PROTINFO, attribute(IFLA_BRPORT_MODE, b"\1"))
            netlink.request(f"bridge link set dev {self.name} hairpin on", RTM_SETLINK, port + mode)

    def undo(self, live: Live) -> None:
        """Pull the cable, unless the namespace at its other end is dying: then the kernel is already at it.

        Deleting means to wait 15 ms for what is going to happen anyway. But a namespace that another container has
        joined (`--network container:ID`) lives on, and there the cable must go: the address is somebody else's soon.
        """
        found = link.get(self.name) if index_of(self.name) else None
        if found is not None and not is_dying(found.peer_netns):
            link.delete(self.name)


def is_dying(netns: int) -> bool:
    """Whether the network namespace that our own one knows by this number (ip-netns(8), `list-id`) has lost its
    last process, socket and mount: the kernel refuses to name it to us (EINVAL) long before its links are gone."""
    if netns < 0:
        return False
    try:
        with Netlink() as netlink:
            body = ifinfo() + attribute(IFLA_TARGET_NETNSID, netns) + attribute(IFLA_IFNAME, "lo")
            netlink.request(f"ip link show lo target-nsid {netns}", RTM_GETLINK, body)
    except SystemCallFailed as error:
        ignoring(error, errno.EINVAL)
        return True
    return False


def read(pid: int) -> list[Link]:
    """The ends of cables that the process sees."""
    with Netlink(pid=pid) as netlink:
        return [found for found in links(netlink) if found.kind == "veth"]


def demo() -> None:
    """The ends of cables in this network namespace, and where their other ends are (ip-netns(8), `list-id`)."""
    with Netlink() as netlink:
        for found in links(netlink):
            if found.kind == "veth":
                where = "gone" if is_dying(found.peer_netns) else f"in network namespace {found.peer_netns}"
                print(found.name, "other end", where)


if __name__ == "__main__":
    demo()
