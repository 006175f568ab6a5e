"""Netlink: the socket over which programs and the kernel talk about interfaces, addresses, routes and rules.

One message is a header (length, type, flags, sequence, port), a fixed part that depends on the type (`struct
ifinfomsg` for links), and attributes: length, type, value, padded to four bytes, possibly nested. `ip` speaks the
same; `strace -e trace=sendmsg,recvmsg ip link` shows it. The kernel answers each request with an error message whose
error is 0 for "done" (an ack), and a dump with many messages and a last one.

A socket belongs for ever to the network namespace in which it was opened, wherever its process goes: `Netlink(pid=…)`
enters the container's namespace, opens the socket there and comes back.

man: netlink(7), rtnetlink(7)
"""

from __future__ import annotations

import _socket  # without the enumerations of socket.py, and what that imports: runtime/sync.py
import errno
import os
import struct
from collections.abc import Iterator
from types import TracebackType

from minidock.errors import SystemCallFailed
from minidock.kernel import syscalls

NETLINK_ROUTE = 0  # linux/netlink.h
NETLINK_NETFILTER = 12
SOL_NETLINK = 270
NETLINK_EXT_ACK = 11

NLMSG_ERROR = 2
NLMSG_DONE = 3

NLM_F_REQUEST = 0x01
NLM_F_ACK = 0x04
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_CAPPED = 0x100  # in an answer: the request is not repeated in it
NLM_F_ACK_TLVS = 0x200  # in an answer: attributes follow, among them the kernel's words

NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
NLMSGERR_ATTR_MSG = 1

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
CLONE_NEWNET = 0x40000000  # linux/sched.h


def attribute(kind: int, value: bytes | int | str) -> bytes:
    """One attribute: bytes as they are, int as u32 in the host's order, str with its closing zero."""
    if isinstance(value, int):
        value = struct.pack("=I", value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    length = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute whose value is attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data`, one after the other, as (type, value)."""
    while len(data) >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(data)
        if length < ATTRIBUTE.size:
            return
        yield kind & NLA_TYPE_MASK, data[ATTRIBUTE.size : length]
        data = data[length + (-length % 4) :]


class Netlink:
    """A netlink socket. With `pid` it speaks to the network namespace of that process instead of ours."""

    def __init__(self, protocol: int = NETLINK_ROUTE, *, pid: int = 0) -> None:
        self.socket = _socket_in(pid, protocol) if pid else _opened(protocol)
        self.sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def request(self, what: str, kind: int, body: bytes, flags: int = 0) -> list[bytes]:
        """Ask, wait for the ack, return the messages that came before it (without their headers).

        `what` is the request in iproute2's words, for the error: SystemCallFailed `ip link add md0: EEXIST (…)`.
        """
        self.sequence += 1
        header = HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | NLM_F_ACK | flags, self.sequence, 0)
        self.socket.send(header + body)
        return list(self._answers(what))

    def dump(self, what: str, kind: int, body: bytes) -> list[bytes]:
        """Everything of that kind, one message each."""
        return self.request(what, kind, body, NLM_F_DUMP)

    def _answers(self, what: str) -> Iterator[bytes]:
        while True:
            data = self.socket.recv(1 << 17)
            while data:
                length, kind, flags, sequence, _ = HEADER.unpack_from(data)
                message, data = data[HEADER.size : length], data[length + (-length % 4) :]
                if sequence != self.sequence:
                    continue
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    _raise_for(what, message, flags)
                    return
                yield message


def _raise_for(what: str, message: bytes, flags: int) -> None:
    """struct nlmsgerr: a negative errno, the request's header, and since Linux 4.12 perhaps a sentence."""
    number = -int(struct.unpack_from("=i", message)[0])
    if not number:
        return
    hint = syscalls.HINTS.get(number, "")
    if flags & NLM_F_ACK_TLVS:
        asked = HEADER.unpack_from(message, 4)[0]
        start = 4 + (HEADER.size if flags & NLM_F_CAPPED else asked)
        words = dict(attributes(message[start:])).get(NLMSGERR_ATTR_MSG, b"")
        hint = words.rstrip(b"\0").decode(errors="replace") or hint
    raise SystemCallFailed(what, number, hint=hint)


def _opened(protocol: int) -> _socket.socket:
    try:
        made = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
        made.bind((0, 0))
        # Ask for the kernel's own words in errors, beside the errno.
        made.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
    except OSError as error:
        raise SystemCallFailed(f"socket(AF_NETLINK, SOCK_RAW, {protocol})", error.errno or 0) from error
    return made


def _socket_in(pid: int, protocol: int) -> _socket.socket:
    """A socket of another process's network namespace. Only this thread moves, and only for a moment: setns(2)."""
    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        theirs = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(theirs, CLONE_NEWNET)
            try:
                return _opened(protocol)
            finally:
                syscalls.setns(ours, CLONE_NEWNET)
        finally:
            os.close(theirs)
    finally:
        os.close(ours)


def ignoring(error: SystemCallFailed, *numbers: int) -> None:
    """Raise the error again unless its errno is one of those that mean "already so"."""
    if error.number not in numbers:
        raise error


GONE = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)
"""What the kernel says when the thing to remove isn't there: links ENODEV, routes ESRCH, addresses EADDRNOTAVAIL."""


def demo() -> None:
    """One request in raw bytes: "which links are there?" (RTM_GETLINK), and the sizes of what comes back."""
    with Netlink() as netlink:
        for message in netlink.dump("ip link", 18, bytes(16)):
            fixed, rest = message[:16], message[16:]
            print(fixed.hex(" ", 4), "and", len(list(attributes(rest))), "attributes in", len(rest), "bytes")


if __name__ == "__main__":
    demo()
