"""Routes: for each packet that leaves, the longest prefix that fits says by which interface, through which gateway.

The default route has prefix length 0 and fits everything. `ip route get ADDRESS` tells what the kernel would choose.

man: ip-route(8), rtnetlink(7) RTM_NEWROUTE
"""

from __future__ import annotations

import socket
import struct
from typing import ClassVar

import msgspec

from minidock.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, Netlink, attribute, attributes
from minidock.steps import Live, Step

RTM_NEWROUTE = 24  # linux/rtnetlink.h
RTM_DELROUTE = 25
RTM_GETROUTE = 26
RTMSG = struct.Struct("=BBBBBBBBI")  # family, dst length, src length, tos, table, protocol, scope, type, flags
RTA_DST = 1
RTA_OIF = 4
RTA_GATEWAY = 5
RT_TABLE_MAIN = 254
RTPROT_BOOT = 3  # put there by somebody at a prompt or at boot, as ip-route does
RTN_UNICAST = 1


class AddDefaultRoute(Step, frozen=True):
    """Everything that has no better route goes to the gateway: the bridge's address on the host."""

    gateway: str
    man: ClassVar[str] = "ip-route(8)"

    def describe(self) -> str:
        return f"send everything else to the gateway {self.gateway}"

    def shell(self) -> str:
        return f"ip{_six(self.gateway)} route add default via {self.gateway}"

    def apply(self, live: Live) -> None:
        with Netlink() as netlink:
            netlink.request(self.shell(), RTM_NEWROUTE, _default(self.gateway), NLM_F_CREATE | NLM_F_EXCL)


def replace_default(gateways: list[str]) -> None:
    """In our network namespace: these are the gateways from now on, at most one of each family; others are none."""
    with Netlink() as netlink:
        for family, zero in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - it means "any"
            fixed = RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0)
            while any(found.prefix == 0 for found in routes(netlink, family)):
                netlink.request(f"ip route delete default ({zero})", RTM_DELROUTE, fixed)
    for gateway in gateways:
        AddDefaultRoute(gateway).apply(Live())


def _default(gateway: str) -> bytes:
    family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
    fixed = RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0)
    return fixed + attribute(RTA_GATEWAY, socket.inet_pton(family, gateway))


def _six(address: str) -> str:
    return " -6" if ":" in address else ""


class Route(msgspec.Struct, frozen=True):
    """`destination` and `prefix` say for whom, `index` is the interface, `gateway` empty when they are neighbours."""

    destination: str
    prefix: int
    index: int
    gateway: str


def routes(netlink: Netlink, family: socket.AddressFamily = socket.AF_INET) -> list[Route]:
    """The routes to other machines, of all tables: VPNs like to have their own. Needs no root."""
    found = []
    zero = bytes(4 if family == socket.AF_INET else 16)
    for message in netlink.dump("ip route", RTM_GETROUTE, RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
        _, prefix, _, _, _, _, _, kind, _ = RTMSG.unpack_from(message)
        values = dict(attributes(message[RTMSG.size :]))
        if kind != RTN_UNICAST:
            continue
        gateway = values.get(RTA_GATEWAY)
        found.append(
            Route(
                destination=socket.inet_ntop(family, values.get(RTA_DST, zero)),
                prefix=prefix,
                index=int(struct.unpack("=I", values.get(RTA_OIF, b"\0\0\0\0"))[0]),
                gateway=socket.inet_ntop(family, gateway) if gateway else "",
            )
        )
    return found


def read(pid: int) -> list[Route]:
    """The routes that the process's packets take."""
    with Netlink(pid=pid) as netlink:
        return routes(netlink)


def demo() -> None:
    """The IPv4 routes of this network namespace."""
    with Netlink() as netlink:
        for route in routes(netlink):
            print(route)


if __name__ == "__main__":
    demo()
