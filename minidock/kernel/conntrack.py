"""Connection tracking: the kernel's memory of who talks with whom, and how their addresses are being rewritten.

The nat chains are asked for the first packet of a flow only; the rest follows what was decided then. UDP has no
connections, so a flow is over when it has been silent for half a minute. A client that keeps sending goes on past a
rule that is new, or on to a container that is gone: such flows must be forgotten when a port is (un)published.

man: conntrack(8)
"""

from __future__ import annotations

import errno
import socket
import struct

import msgspec

from minidock.errors import SystemCallFailed
from minidock.kernel.netlink import CLONE_NEWNET, GONE, NETLINK_NETFILTER, Netlink, attributes, ignoring, nested

NFNL_SUBSYS_CTNETLINK = 1 << 8  # linux/netfilter/nfnetlink.h
IPCTNL_MSG_CT_GET = 1  # linux/netfilter/nfnetlink_conntrack.h
IPCTNL_MSG_CT_DELETE = 2
CTA_TUPLE_ORIG = 1
CTA_TUPLE_REPLY = 2
CTA_TUPLE_IP = 1
CTA_TUPLE_PROTO = 2
CTA_IP_V4_SRC = 1
CTA_IP_V6_SRC = 3
CTA_PROTO_NUM = 1
CTA_PROTO_SRC_PORT = 2
CTA_PROTO_DST_PORT = 3
NFGENMSG = struct.Struct("=BBH")  # family, version, resource id


class Flow(msgspec.Struct, frozen=True):
    """Who was asked (`port`), and who answers in truth (`answers`, `answer_port`): after rewriting another one."""

    protocol: int
    port: int
    answers: str
    answer_port: int
    family: int
    original: bytes
    """The first direction as the kernel wrote it: by this it knows the flow again."""


def flows() -> list[Flow]:
    """All flows of our network namespace, of both families."""
    try:
        with Netlink(NETLINK_NETFILTER) as netlink:
            kind = NFNL_SUBSYS_CTNETLINK | IPCTNL_MSG_CT_GET
            messages = netlink.dump("conntrack -L", kind, NFGENMSG.pack(socket.AF_UNSPEC, 0, 0))
    except SystemCallFailed as error:
        # EINVAL, EOPNOTSUPP: the kernel has no connection tracking loaded, so there is nothing to forget.
        ignoring(error, errno.EINVAL, errno.EOPNOTSUPP)
        return []
    return [_flow(message) for message in messages]


def forget(protocol: int, *, port: int = 0, answers: str = "", answer_port: int = 0) -> int:
    """Forget the flows to a port of ours, or those that a container's address (and port) answer; returns how many."""
    forgotten = 0
    for flow in flows():
        if flow.protocol != protocol or (port and flow.port != port):
            continue
        if (answers and flow.answers != answers) or (answer_port and flow.answer_port != answer_port):
            continue
        forgotten += _delete(flow)
    return forgotten


def _delete(flow: Flow) -> int:
    body = NFGENMSG.pack(flow.family, 0, 0) + nested(CTA_TUPLE_ORIG, flow.original)
    try:
        with Netlink(NETLINK_NETFILTER) as netlink:
            netlink.request("conntrack -D", NFNL_SUBSYS_CTNETLINK | IPCTNL_MSG_CT_DELETE, body)
    except SystemCallFailed as error:
        ignoring(error, *GONE)
        return 0
    return 1


def _flow(message: bytes) -> Flow:
    values = dict(attributes(message[NFGENMSG.size :]))
    asked = dict(attributes(values[CTA_TUPLE_ORIG]))
    answer = dict(attributes(values[CTA_TUPLE_REPLY]))
    to, back = dict(attributes(asked[CTA_TUPLE_PROTO])), dict(attributes(answer[CTA_TUPLE_PROTO]))
    source = dict(attributes(answer[CTA_TUPLE_IP]))
    six = CTA_IP_V6_SRC in source
    return Flow(
        protocol=to[CTA_PROTO_NUM][0],
        port=int.from_bytes(to.get(CTA_PROTO_DST_PORT, b""), "big"),
        answers=socket.inet_ntop(socket.AF_INET6, source[CTA_IP_V6_SRC])
        if six
        else socket.inet_ntoa(source[CTA_IP_V4_SRC]),
        answer_port=int.from_bytes(back.get(CTA_PROTO_SRC_PORT, b""), "big"),
        family=message[0],
        original=values[CTA_TUPLE_ORIG],
    )


def read(pid: int) -> list[Flow]:
    """The flows of our own network namespace."""
    return flows()


def demo() -> None:
    """One datagram in a network namespace of our own, whose port a rule rewrites: what the kernel remembers of it."""
    from minidock.kernel import nft, syscalls
    from minidock.kernel.link import LinkUp
    from minidock.steps import Live

    syscalls.unshare(CLONE_NEWNET)
    LinkUp("lo").apply(Live())
    nft.run(
        "add table ip demo\nadd chain ip demo out { type nat hook output priority -100; }\n"
        "add rule ip demo out udp dport 53 redirect to :5353\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"who is there?", ("127.0.0.1", 53))
    for flow in flows():
        print(f"protocol {flow.protocol}: asked port {flow.port}, answered by {flow.answers}:{flow.answer_port}")


if __name__ == "__main__":
    demo()
