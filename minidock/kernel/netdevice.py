"""Network devices of the host that go into a container: a physical card, one end of a cable that somebody else laid.

A link lives in one network namespace and can be sent to another, under a new name if asked for. Its hardware address
and MTU go along; addresses don't, and the link arrives down. So the lasting addresses are read before and given again.
When the namespace ends, physical devices fall back to the host; others end with it.
Man page: network_namespaces(7), ip-link(8); runtime-spec config-linux.md, "Network Devices".
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterator
from typing import Any, ClassVar

from minidock.errors import UsageError
from minidock.kernel import syscalls
from minidock.kernel.address import IFADDRMSG, RTM_GETADDR, AddAddress
from minidock.kernel.link import IFLA_IFNAME, LinkUp, ifinfo, index_of
from minidock.kernel.netlink import CLONE_NEWNET, Netlink, attribute, attributes
from minidock.kernel.veth import RTM_SETLINK
from minidock.steps import Live, Step

IFLA_NET_NS_FD = 28  # linux/if_link.h
IFA_ADDRESS = 1  # linux/if_addr.h
IFA_LOCAL = 2
IFA_F_PERMANENT = 0x80
LONGEST = 15  # IFNAMSIZ, linux/if.h


class MoveDevice(Step, frozen=True):
    """The parent's: it stands in the namespace where the device is. `namespace` is a path, or empty for the child's."""

    name: str
    inside: str
    namespace: str = ""
    man: ClassVar[str] = "ip-link(8)"

    def describe(self) -> str:
        return f"move the network device {self.name} into the container" + (
            f" as {self.inside}" if self.inside != self.name else ""
        )

    def shell(self) -> str:
        return f"ip link set {self.name} netns {self.namespace or '$PID'} name {self.inside}"

    def apply(self, live: Live) -> None:
        if not (index := index_of(self.name)):
            raise UsageError(f"linux.netDevices: there is no network device {self.name}")
        target = os.open(self.namespace or f"/proc/{live.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with Netlink() as netlink:
                kept = lasting(netlink, index)
                to = attribute(IFLA_NET_NS_FD, target) + attribute(IFLA_IFNAME, self.inside)
                netlink.request(self.shell(), RTM_SETLINK, ifinfo(index=index) + to)
            with _inside(target):
                for address in kept:
                    AddAddress(self.inside, address).apply(live)
                LinkUp(self.inside).apply(live)
        finally:
            os.close(target)


def lasting(netlink: Netlink, index: int) -> list[str]:
    """The addresses that somebody gave the link for good, and that are seen from elsewhere: global and permanent."""
    found = []
    for message in netlink.dump("ip addr", RTM_GETADDR, IFADDRMSG.pack(0, 0, 0, 0, 0)):
        _, prefix, flags, scope, of = IFADDRMSG.unpack_from(message)
        if of != index or scope or not flags & IFA_F_PERMANENT:
            continue
        values = dict(attributes(message[IFADDRMSG.size :]))
        # Of a point-to-point link IFA_ADDRESS is the other end.
        found.append(f"{ipaddress.ip_address(values.get(IFA_LOCAL) or values[IFA_ADDRESS])}/{prefix}")
    return found


@contextlib.contextmanager
def _inside(namespace: int) -> Iterator[None]:
    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(namespace, CLONE_NEWNET)
        try:
            yield
        finally:
            syscalls.setns(ours, CLONE_NEWNET)
    finally:
        os.close(ours)


def steps(asked: dict[str, dict[str, Any]], namespace: str) -> list[Step]:
    """For an OCI spec. Raises UsageError for names that no device can have, or two would have."""
    moves = [MoveDevice(name, str(more.get("name") or name), namespace) for name, more in asked.items()]
    for name in (name for move in moves for name in (move.name, move.inside)):
        if name in ("", ".", "..") or len(name) > LONGEST or any(sign in name for sign in "/: \t\n%\0"):
            raise UsageError(f"linux.netDevices: invalid network device name {name!r}")
    if len({move.inside for move in moves}) < len(moves):
        raise UsageError("linux.netDevices: two devices would have the same name in the container")
    return [*moves]


def read(pid: int) -> list[str]:
    """The names of the devices that a process sees."""
    from minidock.kernel import link

    return [found.name for found in link.read(pid)]


def demo() -> None:
    """The lasting addresses of the devices here."""
    with Netlink() as netlink:
        for name in read(os.getpid()):
            print(name, *lasting(netlink, index_of(name)))


if __name__ == "__main__":
    demo()
