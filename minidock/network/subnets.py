"""The instance's own piece of address space: chosen by looking at what the host already routes, then written down.

Two records. `networks/bridge/network.json` in the instance's root tells what its default network is. The directory
/run/minidock-networks, one for all instances of the host, tells who took which subnet: instances that are created at
the same moment would otherwise look at the same routes and choose the same subnet.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minidock import files
from minidock.errors import MinidockError
from minidock.kernel import link, netns, route
from minidock.kernel.netlink import Netlink
from minidock.paths import Layout

REGISTRY = Path("/run/minidock-networks")
ETHERNET_MTU = 1500
BITS = 32

CANDIDATES = (
    [f"172.{second}.0.0/16" for second in range(18, 32)]
    + [f"192.168.{third}.0/20" for third in range(0, 256, 16)]
    + [f"10.{second}.0.0/16" for second in range(200, 255)]
)
"""In Docker's order, without its own 172.17.0.0/16; the last row is for hosts with very many instances (tests)."""


class Network(msgspec.Struct, frozen=True):
    """A network of the instance, as in network.json."""

    name: str
    subnet: str
    gateway: str
    bridge: str
    mtu: int = ETHERNET_MTU
    driver: str = "bridge"

    @property
    def prefix(self) -> int:
        return int(self.subnet.partition("/")[2])

    def hosts(self) -> Iterator[str]:
        """The addresses for containers, lowest first: without the network's own, the gateway's and the broadcast."""
        first, size = span(self.subnet)
        return (dotted(number) for number in range(first + 2, first + size - 1))


class Taken(msgspec.Struct, frozen=True):
    """A file of the registry: which instance took the subnet, and the process that did, while its bridge isn't up."""

    root: str
    pid: int
    ticks: int


def directory(layout: Layout, name: str = "bridge") -> Path:
    return layout.networks / name


def default_network(layout: Layout, *, dry_run: bool = False) -> Network:
    """The instance's default network. Chosen at the first call; chosen again when somebody took the subnet meanwhile
    (a VPN came up while none of our containers ran). With `dry_run` nothing is written."""
    known = _read(layout)
    if known and link.index_of(known.bridge) and _taken_by(known.subnet) == str(layout.root):
        return known
    if dry_run:
        return known or _choose(layout)
    with files.locked(REGISTRY / "lock"):
        _sweep()
        known = _read(layout)
        if not known or not _still_ours(known, layout):
            known = _choose(layout)
        directory(layout).mkdir(parents=True, exist_ok=True)
        taken = Taken(str(layout.root), os.getpid(), start_ticks(os.getpid()))
        files.write_json(_entry(known.subnet), taken, durable=False)
        files.write_json(directory(layout) / "network.json", known)
        return known


def forget(layout: Layout) -> None:
    """Give the subnet back to the host's other instances."""
    known = _read(layout)
    with files.locked(REGISTRY / "lock"):
        if known and _taken_by(known.subnet) == str(layout.root):
            _entry(known.subnet).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (directory(layout) / "network.json").unlink()


def _read(layout: Layout) -> Network | None:
    try:
        return files.read_json(directory(layout) / "network.json", Network)
    except FileNotFoundError:
        return None


def _still_ours(known: Network, layout: Layout) -> bool:
    """Whether a subnet chosen earlier can be used: its bridge is up, or nobody else has come to use those addresses."""
    holder = _taken_by(known.subnet)
    if holder not in ("", str(layout.root)):
        return False
    return bool(link.index_of(known.bridge)) or not any(overlap(known.subnet, used) for used in _routed())


def _choose(layout: Layout) -> Network:
    """The first candidate that neither a route nor another instance has."""
    used = _routed() + [subnet for subnet in registered() if _taken_by(subnet) not in ("", str(layout.root))]
    for subnet in CANDIDATES:
        if not any(overlap(subnet, other) for other in used):
            gateway = dotted(span(subnet)[0] + 1)
            return Network("bridge", subnet, gateway, layout.bridge, _uplink_mtu())
    raise MinidockError(
        "no subnet is free for the default network",
        hint="all of 172.18-31.0.0/16, 192.168.0.0/16 and 10.200-254.0.0/16 are routed or taken: see `ip route`",
    )


def _routed() -> list[str]:
    """Destinations that the host has routes for, beside the default ones."""
    with Netlink() as netlink:
        return [f"{found.destination}/{found.prefix}" for found in route.routes(netlink) if found.prefix]


def _uplink_mtu() -> int:
    """What fits through the way out: behind a VPN or in a cloud less than Ethernet's 1500 bytes."""
    with Netlink() as netlink:
        ways_out = [found.index for found in route.routes(netlink) if not found.prefix]
        sizes = [found.mtu for found in link.links(netlink) if found.index in ways_out]
    return min([ETHERNET_MTU, *sizes])


# The registry: /run/minidock-networks/<network namespace>-<subnet>.


def _entry(subnet: str) -> Path:
    """Subnets of different network namespaces never meet (tests use that)."""
    return REGISTRY / f"{netns.identity()}-{subnet.replace('/', '_')}"


def registered() -> list[str]:
    """Subnets that instances have taken in our network namespace."""
    prefix = f"{netns.identity()}-"
    with contextlib.suppress(FileNotFoundError):
        names = [name for name in os.listdir(REGISTRY) if name.startswith(prefix)]
        return [name.removeprefix(prefix).replace("_", "/") for name in names]
    return []


def instances() -> list[Layout]:
    """The host's instances that have a network now."""
    return [Layout(Path(root)) for root in {_taken_by(subnet) for subnet in registered()} if root]


def _taken_by(subnet: str) -> str:
    """The root of the instance that has the subnet, or empty. An entry counts while the instance's bridge is there, or
    the process that is about to make it: killed ones leave nothing that lasts."""
    try:
        entry = files.read_json(_entry(subnet), Taken)
    except FileNotFoundError:
        return ""
    if link.index_of(Layout(Path(entry.root)).bridge) or start_ticks(entry.pid) == entry.ticks != 0:
        return entry.root
    return ""


def _sweep() -> None:
    """Remove what instances left that are gone altogether, whatever network namespace they lived in."""
    for path in REGISTRY.glob("*-*"):
        with contextlib.suppress(FileNotFoundError):
            entry = files.read_json(path, Taken)
            if start_ticks(entry.pid) != entry.ticks and not os.path.isdir(entry.root):
                path.unlink()


def start_ticks(pid: int) -> int:
    """When the process started (proc_pid_stat(5), field 22): with the pid it names one process for ever; 0 if gone."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(raw.rpartition(b") ")[2].split()[19])


# Arithmetic; the module `ipaddress` costs 3 ms to import.


def span(subnet: str) -> tuple[int, int]:
    """The first address as a number, and how many there are."""
    address, _, prefix = subnet.partition("/")
    size = 1 << (BITS - int(prefix))
    return int.from_bytes(socket.inet_aton(address), "big") & ~(size - 1), size


def overlap(one: str, other: str) -> bool:
    """Whether the two subnets have an address in common."""
    (first, size), (second, length) = span(one), span(other)
    return first < second + length and second < first + size


def dotted(number: int) -> str:
    return socket.inet_ntoa(number.to_bytes(4, "big"))
