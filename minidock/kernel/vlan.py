"""vlan and dummy: a parent for macvlan and ipvlan links, made where the host has none.

On a wire with IEEE 802.1Q each frame carries a tag, 1 to 4094: networks that share the cable and don't meet. The
link `eth0.50` puts tag 50 on what leaves by eth0, and takes what comes with it. A dummy link is a card without a
wire: those who hang on it reach each other, and nobody else.

They are shared by all containers of a network; `network.teardown` takes them away with it.

man: ip-link(8) "vlan", "dummy"
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from minidock.errors import MinidockError, SystemCallFailed, Unsupported, UsageError
from minidock.kernel import link
from minidock.kernel.link import IFLA_LINK, Link, LinkUp, index_of, links
from minidock.kernel.netlink import Netlink, attribute, ignoring
from minidock.steps import Live, Step

IFLA_VLAN_ID = 1  # linux/if_link.h
TAGS = range(1, 4095)  # 12 bits; 0 and 4095 are the standard's own
DUMMY = "dm-"
"""How Docker begins a dummy's name; the first 12 digits of its network's id follow, 15 bytes in all (IFNAMSIZ)."""


class CreateParent(Step, frozen=True):
    """Make the parent interface unless it is there: `eth0.50`, or a dummy. See `DUMMY`."""

    name: str
    man: ClassVar[str] = "ip-link(8)"

    def describe(self) -> str:
        if is_dummy(self.name):
            return f"make the dummy interface {self.name}, a card without a wire, unless it is there"
        base, tag = parsed(self.name)
        return f"make the interface {self.name}, what {base} carries with the VLAN tag {tag}, unless it is there"

    def shell(self) -> str:
        if is_dummy(self.name):
            made = f"ip link add {self.name} type dummy"
        else:
            base, tag = parsed(self.name)
            made = f"ip link add link {base} name {self.name} type vlan id {tag}"
        return f"ip link show {self.name} >/dev/null 2>&1 || {made}\nip link set {self.name} up"

    def apply(self, live: Live) -> None:
        if index_of(self.name):
            return
        try:
            create(self.name)
        except SystemCallFailed as error:
            # Another container of the network was faster.
            ignoring(error, errno.EEXIST)
        LinkUp(self.name).apply(live)


def is_dummy(name: str) -> bool:
    return name.startswith(DUMMY) and "." not in name


def parsed(name: str) -> tuple[str, int]:
    """`eth0.50` as the interface that carries it, and the tag. Raises UsageError in Docker's words."""
    base, dot, tag = name.rpartition(".")
    if not dot:
        raise UsageError(f"the parent interface {name} is not here", hint="`ip link` shows those that are")
    if not base or "." in base:
        raise UsageError(f"required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, received: {name}")
    if not (tag.isascii() and tag.isdecimal()):
        raise UsageError(f"unable to parse a valid vlan id from: {tag} (ex. eth0.10 for vlan 10)")
    if int(tag) not in TAGS:
        raise UsageError(f"vlan id must be between 1-4094, received: {tag}")
    return base, int(tag)


def create(name: str) -> None:
    """Make it. Raises UsageError, MinidockError, and Unsupported where the kernel has no such links."""
    if is_dummy(name):
        _create("dummy", name)
        return
    base, tag = parsed(name)
    if not index_of(base):
        raise MinidockError(f"-o parent interface was not found on the host: {base}", hint="`ip link` shows all")
    try:
        _create(
            "vlan", name, attribute(IFLA_LINK, index_of(base)), data=attribute(IFLA_VLAN_ID, struct.pack("=H", tag))
        )
    except SystemCallFailed as error:
        if error.number == errno.EEXIST and not index_of(name):
            raise MinidockError(f"{base} carries VLAN {tag} already, under another name than {name}") from error
        raise


def _create(kind: str, name: str, *more: bytes, data: bytes = b"") -> None:
    try:
        link.create(kind, name, *more, data=data)
    except SystemCallFailed as error:
        if error.number == errno.EOPNOTSUPP:
            raise Unsupported(
                f"this kernel has no {kind} links, and {name} is not here",
                hint=f"modprobe {'8021q' if kind == 'vlan' else kind}, or -o parent=INTERFACE that is",
            ) from error
        raise


@contextmanager
def for_a_moment(name: str) -> Iterator[None]:
    """With the parent there, to try what can hang on it."""
    create(name)
    try:
        yield
    finally:
        link.delete(name)


def read(pid: int) -> list[Link]:
    """The links of both kinds that the process sees."""
    with Netlink(pid=pid) as netlink:
        return [found for found in links(netlink) if found.kind in ("vlan", "dummy")]


def demo() -> None:
    """Whether this kernel has dummies, and tagged wires on them."""
    dummy = f"dm-{0xDE:012x}"
    try:
        with for_a_moment(dummy):
            print("dummy works")
            with for_a_moment(f"{dummy}.50"):
                print("vlan works")
    except MinidockError as error:
        print(error)


if __name__ == "__main__":
    demo()
