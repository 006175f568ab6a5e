"""Network namespaces: each has its own interfaces, addresses, routes, ports, firewall rules and /proc/sys/net.

A container is born in a new one (clone(2) with CLONE_NEWNET). All that it finds there is `lo`, and that is down: not
even 127.0.0.1 answers. A cable must be laid from outside (veth.py). The namespace lives as long as a process, an
open descriptor of /proc/PID/ns/net, or a mount of that file holds it.

man: network_namespaces(7), ip-netns(8)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from minidock.kernel import address, link, route, syscalls
from minidock.kernel.netlink import CLONE_NEWNET, Netlink


def identity(pid: int = 0) -> int:
    """The inode number of the namespace: two processes with the same one share all of it. 0 is ourselves."""
    return os.stat(f"/proc/{pid or 'self'}/ns/net").st_ino


@contextlib.contextmanager
def entered(pid: int) -> Iterator[None]:
    """For a moment this thread, and what it starts, is in the process's network namespace; 0 is where we are."""
    if not pid:
        yield
        return
    ours = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        theirs = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            syscalls.setns(theirs, CLONE_NEWNET)
        finally:
            os.close(theirs)
        try:
            yield
        finally:
            syscalls.setns(ours, CLONE_NEWNET)
    finally:
        os.close(ours)


def read(pid: int) -> dict[str, object]:
    """What the process's network looks like: identity, interfaces, addresses, routes."""
    with Netlink(pid=pid) as netlink:
        return {
            "namespace": identity(pid),
            "links": link.links(netlink),
            "addresses": address.addresses(netlink),
            "routes": route.routes(netlink),
        }


def demo() -> None:
    """Enter a new network namespace, and see what is there: one interface, down."""
    print("before:", [found.name for found in link.read(os.getpid())])
    syscalls.unshare(CLONE_NEWNET)
    print("after: ", [(found.name, "up" if found.up else "down") for found in link.read(os.getpid())])


if __name__ == "__main__":
    demo()
