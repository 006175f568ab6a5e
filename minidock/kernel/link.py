"""Links: network interfaces, real or made up, each in one network namespace, known by name and by number.

Everything about a link travels as one netlink message, RTM_NEWLINK, that creates or changes: `struct ifinfomsg`
(family, type, index, flags, which flags to change), then attributes. `ip -d link` shows all of them.

man: ip-link(8), rtnetlink(7), netdevice(7)
"""

from __future__ import annotations

import _socket
import struct
import time
from typing import ClassVar

import msgspec

from minidock.errors import SystemCallFailed
from minidock.kernel.netlink import (
    GONE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    Netlink,
    attribute,
    attributes,
    ignoring,
    nested,
)
from minidock.steps import Live, Step

RTM_NEWLINK = 16  # linux/rtnetlink.h
RTM_DELLINK = 17
RTM_GETLINK = 18

IFINFOMSG = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFF_UP = 0x1  # net/if.h

IFLA_ADDRESS = 1  # linux/if_link.h
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_QDISC = 6
IFLA_MASTER = 10
IFLA_LINKINFO = 18
IFLA_LINK_NETNSID = 37
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2

MAC_LENGTH = 6
SETTLED = 0.2


class LinkUp(Step, frozen=True):
    """An interface passes packets only when it is up; a new namespace is born with `lo` alone, and that is down."""

    name: str
    man: ClassVar[str] = "ip-link(8)"

    def describe(self) -> str:
        return f"bring the interface {self.name} up"

    def shell(self) -> str:
        return f"ip link set {self.name} up"

    def apply(self, live: Live) -> None:
        with Netlink() as netlink:
            body = ifinfo(flags=IFF_UP, change=IFF_UP) + attribute(IFLA_IFNAME, self.name)
            netlink.request(self.shell(), RTM_NEWLINK, body)


class Link(msgspec.Struct, frozen=True):
    """An interface as the kernel describes it; `kind` is veth, bridge … or empty, `master` an index or 0."""

    index: int
    name: str
    up: bool
    mtu: int
    mac: str
    master: int
    kind: str
    queue: str
    """Its queueing discipline; "noop" throws packets away: the link is up, but the kernel has not switched it on."""
    peer_netns: int
    """The number that our namespace gave to the one where the other end of a veth is; -1: it is here, or no veth."""
    peer: int = 0
    """Of a veth, the index of the other end, in its namespace."""


def create(kind: str, name: str, *more: bytes, data: bytes = b"", up: bool = False) -> None:
    """Make an interface of that kind: veth, bridge, macvlan … `more` are attributes that every kind may have, `data`
    are the kind's own. Raises SystemCallFailed: EEXIST when the name is taken, EOPNOTSUPP when the kernel lacks it."""
    on = IFF_UP if up else 0
    own = [nested(IFLA_INFO_DATA, data)] if data else []
    what = nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, kind.encode()), *own)
    body = b"".join([ifinfo(flags=on, change=on), attribute(IFLA_IFNAME, name), *more, what])
    with Netlink() as netlink:
        netlink.request(f"ip link add {name} type {kind}", RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)


def ifinfo(*, index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    """struct ifinfomsg; the message's attributes follow it."""
    return IFINFOMSG.pack(0, 0, index, flags, change)


def index_of(name: str) -> int:
    """The number of the interface in our network namespace, 0 when there is none.

    An ioctl (netdevice(7), SIOCGIFINDEX) that takes no lock: a netlink request may wait for the kernel's one big
    network lock, which is held for milliseconds while the namespace of a dead container is torn down.
    """
    try:
        return _socket.if_nametoindex(name)
    except OSError:
        return 0


def get(name: str) -> Link | None:
    """The interface of that name, None when there is none."""
    try:
        with Netlink() as netlink:
            body = ifinfo() + attribute(IFLA_IFNAME, name)
            return _link(netlink.request(f"ip link show {name}", RTM_GETLINK, body)[0])
    except SystemCallFailed as error:
        ignoring(error, *GONE)
        return None


def settle(name: str) -> None:
    """Wait until the interface really passes packets; at most SETTLED seconds.

    When the other end of a cable comes up, a worker of the kernel switches our end on a little later, and packets sent
    before are lost: a connection that is made in that moment takes a second longer. Since Linux 6.10 the question
    itself makes the kernel do it at once ("synchronize link-watch when carrier is queried").
    """
    deadline = time.monotonic() + SETTLED
    while (found := get(name)) and found.queue == "noop" and time.monotonic() < deadline:
        time.sleep(0.001)


def links(netlink: Netlink) -> list[Link]:
    """All interfaces of the socket's network namespace."""
    return [_link(message) for message in netlink.dump("ip link", RTM_GETLINK, ifinfo())]


def delete(name: str) -> None:
    """Remove the interface; nothing happens when it is not there. Takes 15 ms: the kernel waits for its readers."""
    if not index_of(name):
        return
    try:
        with Netlink() as netlink:
            body = ifinfo() + attribute(IFLA_IFNAME, name)
            netlink.request(f"ip link delete {name}", RTM_DELLINK, body)
    except SystemCallFailed as error:
        ignoring(error, *GONE)


def _link(message: bytes) -> Link:
    _, _, index, flags, _ = IFINFOMSG.unpack_from(message)
    found = dict(attributes(message[IFINFOMSG.size :]))
    info = dict(attributes(found.get(IFLA_LINKINFO, b"")))
    return Link(
        index=index,
        name=text(found.get(IFLA_IFNAME)),
        up=bool(flags & IFF_UP),
        mtu=_number(found.get(IFLA_MTU), 0),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        master=_number(found.get(IFLA_MASTER), 0),
        kind=text(info.get(IFLA_INFO_KIND)),
        queue=text(found.get(IFLA_QDISC)),
        peer_netns=_number(found.get(IFLA_LINK_NETNSID), -1),
        peer=_number(found.get(IFLA_LINK), 0),
    )


def text(raw: bytes | None) -> str:
    """A string attribute without its closing zero."""
    return (raw or b"").rstrip(b"\0").decode(errors="replace")


def _number(raw: bytes | None, missing: int) -> int:
    return int(struct.unpack("=i", raw)[0]) if raw else missing


def mac_bytes(mac: str) -> bytes:
    """`02:42:ac:12:00:02` as six bytes. Raises ValueError when it is none."""
    raw = bytes.fromhex(mac.replace(":", "").replace("-", ""))
    if len(raw) != MAC_LENGTH:
        raise ValueError(mac)
    return raw


def read(pid: int) -> list[Link]:
    """The interfaces that the process sees."""
    with Netlink(pid=pid) as netlink:
        return links(netlink)


class Counters(msgspec.Struct, frozen=True):
    """What an interface has carried since it was made: bytes, packets, and those that failed or were dropped."""

    received: int
    sent: int
    received_packets: int = 0
    received_errors: int = 0
    received_dropped: int = 0
    sent_packets: int = 0
    sent_errors: int = 0
    sent_dropped: int = 0


def counters(pid: int) -> dict[str, Counters]:
    """By interface, of the network namespace that the process is in: /proc/PID/net/dev (proc_pid_net(5)).

    Empty when the process is gone.
    """
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()[2:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    rows = (line.partition(":") for line in lines)
    return {name.strip(): _counters([int(word) for word in words.split()]) for name, _, words in rows}


def _counters(words: list[int]) -> Counters:
    """Eight columns for what came, then eight for what went: bytes, packets, errs, drop, and others."""
    received, sent = words[:4], words[8:12]
    return Counters(received[0], sent[0], *received[1:], *sent[1:])


def demo() -> None:
    """The interfaces of this network namespace, as `ip link` shows them."""
    with Netlink() as netlink:
        for link in links(netlink):
            print(link)


if __name__ == "__main__":
    demo()
