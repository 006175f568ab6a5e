"""A veth pair: a network cable made of software. What goes in at one end comes out at the other.

One end stays on the host, plugged into the bridge; the other is the container's eth0. The kernel can make the far
end directly in the container's network namespace, named through the pid of a process in it: one message, no moment
in which the host has a stray interface called eth0.

When the namespace ends its interfaces end, and a cable never has one end only.

man: veth(4), ip-link(8)
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import struct
import time
import zlib
from collections.abc import Iterator
from typing import ClassVar

from minidock.errors import SystemCallFailed
from minidock.kernel import link, syscalls
from minidock.kernel.bridge import CreateBridge
from minidock.kernel.link import (
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_MASTER,
    IFLA_MTU,
    Link,
    ifinfo,
    index_of,
    links,
    mac_bytes,
)
from minidock.kernel.netlink import CLONE_NEWNET, Netlink, attribute, ignoring, nested
from minidock.steps import Live, Step

AF_BRIDGE = 7  # linux/socket.h
IFLA_PROTINFO = 12  # linux/if_link.h
IFLA_NET_NS_PID = 19
IFLA_BRPORT_MODE = 4
VETH_INFO_PEER = 1  # linux/veth.h
RTM_SETLINK = 19  # linux/rtnetlink.h
RTM_NEWNSID = 88
RTM_GETNSID = 90
NETNSA_NSID = 1  # linux/net_namespace.h
NETNSA_PID = 2
RTGENMSG = bytes(4)  # struct rtgenmsg: a family, padded

PATIENCE = 0.02
"""Seconds to wait for a namespace to die: not much more than what deleting the cable takes."""


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
        give_number(live.pid, number_of(self.name))
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
        link.create(
            "veth",
            self.name,
            attribute(IFLA_MTU, self.mtu),
            attribute(IFLA_MASTER, index_of(self.bridge)),
            data=nested(VETH_INFO_PEER, peer),
            up=True,
        )
        with Netlink() as netlink:
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
        # A bound socket that was closed in there still holds the namespace for some 15 ms: it is freed by RCU.
        deadline = time.monotonic() + PATIENCE
        while index_of(self.name) and is_alive(number_of(self.name)):
            if time.monotonic() > deadline:
                link.delete(self.name)
                return
            time.sleep(0.001)


# A network namespace can give others numbers (ip-netns(8), `set` and `list-id`), by which it may ask for them later.
# We give the container's one when the cable is laid, so that undo() can ask after it without a process in there.


def number_of(name: str) -> int:
    """The number for the namespace at the other end of this cable: 31 bits that hardly any other gives.

    A container may have several cables; their names differ in the first four characters only.
    """
    return zlib.crc32(name[4:14].encode()) >> 1


def give_number(pid: int, number: int) -> None:
    """Know the process's network namespace by that number from now on."""
    body = RTGENMSG + attribute(NETNSA_PID, pid) + attribute(NETNSA_NSID, number)
    try:
        with Netlink() as netlink:
            netlink.request(f"ip netns set {number}", RTM_NEWNSID, body)
    except SystemCallFailed as error:
        # It has one already, or another has this one. Then undo() leaves the cable to the kernel.
        ignoring(error, errno.EEXIST)


def is_alive(number: int) -> bool:
    """Whether the namespace of that number is held by a process, a descriptor or a mount. When it has lost the last,
    the kernel doesn't name it any more, long before its links are gone. This question waits for no lock."""
    try:
        with Netlink() as netlink:
            netlink.request("ip netns list-id", RTM_GETNSID, RTGENMSG + attribute(NETNSA_NSID, number))
    except SystemCallFailed as error:
        ignoring(error, errno.ENOENT, errno.EINVAL)
        return False
    return True


def read(pid: int) -> list[Link]:
    """The ends of cables that the process sees."""
    with Netlink(pid=pid) as netlink:
        return [found for found in links(netlink) if found.kind == "veth"]


@contextlib.contextmanager
def example() -> Iterator[Live]:
    """For demonstrations: a network namespace of our own, and a cable from its bridge demo0 into a child's."""
    syscalls.unshare(CLONE_NEWNET)
    CreateBridge("demo0", "02:42:00:00:00:01", 1500).apply(Live())
    if (child := syscalls.clone3(CLONE_NEWNET)) == 0:
        signal.pause()
    live = Live(pid=child)
    step = CreateVeth("demo-cable", "eth0", "demo0", "02:42:00:00:00:02", 1500)
    print(f"# with $PID={child}, a process in the other namespace:\n{step.shell()}", flush=True)
    try:
        step.apply(live)
        yield live
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def demo() -> None:
    """Lay a cable into another namespace, and look at both its ends."""
    with example() as live:
        print("here: ", *read(os.getpid()))
        print("there:", *read(live.pid))


if __name__ == "__main__":
    demo()
