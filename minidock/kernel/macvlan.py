"""macvlan and ipvlan: an interface of the container's own on a wire of the host's, without a bridge between.

A macvlan link has a hardware address of its own, as if a second card were plugged in; an ipvlan link shares its
parent's. Both hang on a parent interface and can be made directly in the container's namespace. The host itself can't
talk to them over that parent: packets go out, and never come back in.

man: ip-link(8) "macvlan", "ipvlan"
"""

from __future__ import annotations

import errno
import struct
from typing import ClassVar

from minidock.errors import MinidockError, SystemCallFailed, Unsupported
from minidock.kernel import link
from minidock.kernel.link import IFLA_ADDRESS, IFLA_LINK, IFLA_MTU, Link, index_of, links, mac_bytes
from minidock.kernel.netlink import Netlink, attribute
from minidock.steps import Live, Step

IFLA_NET_NS_PID = 19  # linux/if_link.h
IFLA_MACVLAN_MODE = 1
IFLA_IPVLAN_MODE = 1
MODES = {
    "macvlan": {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8},
    "ipvlan": {"l2": 0, "l3": 1, "l3s": 2},
}
"""Docker's words for the kernel's numbers; the first in daily use are bridge and l2."""
DEFAULT_MODE = {"macvlan": "bridge", "ipvlan": "l2"}


class CreateVlan(Step, frozen=True):
    """The link in the container's namespace; needs `live.pid`. It goes with the namespace."""

    kind: str
    parent: str
    name: str
    mode: str
    mac: str
    mtu: int
    man: ClassVar[str] = "ip-link(8)"

    def describe(self) -> str:
        return f"give the container a {self.kind} interface {self.name} on the host's {self.parent}"

    def shell(self) -> str:
        address = f" address {self.mac}" if self.kind == "macvlan" else ""
        return (
            f"ip link add {self.name} link {self.parent}{address} mtu {self.mtu} netns $PID "
            f"type {self.kind} mode {self.mode}"
        )

    def apply(self, live: Live) -> None:
        create(self.kind, self.parent, self.name, self.mode, mac=self.mac, mtu=self.mtu, pid=live.pid)


def create(kind: str, parent: str, name: str, mode: str, *, mac: str = "", mtu: int = 0, pid: int = 0) -> None:
    """Make the link, in the process's network namespace or our own. Raises Unsupported where the kernel has none."""
    if not index_of(parent):
        raise MinidockError(f"the parent interface {parent} is not here", hint="`ip link` shows those that are")
    number = MODES[kind][mode]
    data = attribute(IFLA_MACVLAN_MODE, number) if kind == "macvlan" else attribute(IFLA_IPVLAN_MODE, _u16(number))
    more = [attribute(IFLA_LINK, index_of(parent))]
    if mac and kind == "macvlan":
        more.append(attribute(IFLA_ADDRESS, mac_bytes(mac)))
    more += [attribute(IFLA_MTU, mtu)] if mtu else []
    more += [attribute(IFLA_NET_NS_PID, pid)] if pid else []
    try:
        link.create(kind, name, *more, data=data)
    except SystemCallFailed as error:
        if error.number == errno.EOPNOTSUPP:
            raise Unsupported(f"this kernel has no {kind} links", hint=f"modprobe {kind}") from error
        if error.number == errno.EBUSY:
            raise MinidockError(
                f"the interface {parent} can't be the parent of {kind} links: it has links of another kind or mode",
                hint="`ip -d link` shows them; macvlan and ipvlan can't share a parent, and passthru shares with none",
            ) from error
        raise


def _u16(number: int) -> bytes:
    return struct.pack("=H", number)


def probe(kind: str, parent: str) -> None:
    """Try it: raises MinidockError when this kernel, or this parent (which is here), can't."""
    name = f"md-try-{kind[:3]}"
    link.delete(name)
    create(kind, parent, name, DEFAULT_MODE[kind])
    link.delete(name)


def read(pid: int) -> list[Link]:
    """The links of both kinds that the process sees."""
    with Netlink(pid=pid) as netlink:
        return [found for found in links(netlink) if found.kind in MODES]


def demo() -> None:
    """Whether this kernel has them, tried on the first interface that isn't the loopback."""
    with Netlink() as netlink:
        parent = next(found.name for found in links(netlink) if found.name != "lo" and found.up)
    for kind in MODES:
        try:
            probe(kind, parent)
            print(kind, "works on", parent)
        except MinidockError as error:
            print(kind, "does not:", error)


if __name__ == "__main__":
    demo()
