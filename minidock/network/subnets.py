"""The instance's own piece of address space: chosen by looking at what the host already routes, then written down.

Two records. `networks/bridge/network.json` in the instance's root tells what its default network is. The directory
/run/minidock-networks, one for all instances of the host, tells who took which subnet: instances that are created at
the same moment would otherwise look at the same routes and choose the same subnet.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minidock import files
from minidock.errors import Conflict, MinidockError
from minidock.kernel import link, netns, route
from minidock.kernel.netlink import Netlink
from minidock.model.network import NetworkRequest
from minidock.network.arithmetic import contains, number, overlap, span, text
from minidock.paths import Layout

REGISTRY = Path("/run/minidock-networks")
ETHERNET_MTU = 1500

CANDIDATES = (
    [f"172.{second}.0.0/16" for second in range(18, 32)]
    + [f"192.168.{third}.0/20" for third in range(0, 256, 16)]
    + [f"10.{second}.0.0/16" for second in range(200, 255)]
)
"""In Docker's order, without its own 172.17.0.0/16; the last row is for hosts with very many instances (tests)."""


class Network(msgspec.Struct, frozen=True):
    """A network of the instance, as in network.json. `asked` is what its maker said; None for the default one.

    macvlan and ipvlan have a `parent` interface of the host and no bridge.
    """

    name: str
    subnet: str
    gateway: str
    bridge: str
    mtu: int = ETHERNET_MTU
    driver: str = "bridge"
    id: str = ""
    created: str = ""
    subnet6: str = ""
    gateway6: str = ""
    parent: str = ""
    parent_made: bool = False
    """Whether the parent is ours: made with the network, and again after a reboot, and removed with it."""
    asked: NetworkRequest | None = None

    @property
    def prefix(self) -> int:
        return int(self.subnet.partition("/")[2])

    @property
    def prefix6(self) -> int:
        return int(self.subnet6.partition("/")[2] or 0)

    @property
    def internal(self) -> bool:
        """Whether there is no way out: it was asked so, or the parent is a card without a wire."""
        return (self.asked is not None and self.asked.internal) or (self.parent_made and "." not in self.parent)

    def option(self, name: str, default: str = "") -> str:
        """One of Docker's for bridges: `com.docker.network.bridge.NAME`, `com.docker.network.driver.mtu`."""
        return (self.asked.options if self.asked else {}).get(f"com.docker.network.{name}", default)

    def switched_on(self, name: str) -> bool:
        return self.option(name, "true").lower() in ("true", "1", "t")

    def hosts(self, *, six: bool = False) -> Iterator[str]:
        """The addresses for containers, lowest first: of the range, without the network's own, the gateway's, the
        broadcast and those that are told to be somebody else's."""
        subnet, gateway = (self.subnet6, self.gateway6) if six else (self.subnet, self.gateway)
        pools = self.asked.pools if self.asked else []
        pool = next((pool for pool in pools if pool.ip_range and contains(subnet, pool.ip_range)), None)
        first, size = span(subnet)
        lowest, count = span(pool.ip_range) if pool else (first, size)
        last = first + size - (0 if six else 1)
        others = {number(gateway)} if gateway else set()
        others |= {number(address) for pool in pools for address in pool.auxiliary_addresses.values()}
        candidates = itertools.takewhile(lambda found: found < lowest + count, itertools.count(lowest))
        return (text(found, subnet) for found in candidates if first < found < last and found not in others)


class Taken(msgspec.Struct, frozen=True):
    """A file of the registry: which instance took the subnet, and the process that did, while its bridge isn't up."""

    root: str
    pid: int
    ticks: int
    bridge: str = ""
    """Empty for the instance's default one."""


ODD = re.compile(r"[/%\x00-\x1f\x7f]|^\.")
"""What a network's name may have, and a file's can't, or should not: written as %2F."""


def directory(layout: Layout, name: str = "bridge") -> Path:
    return layout.networks / ODD.sub(lambda match: f"%{ord(match[0]):02X}", name)


def names(layout: Layout) -> list[str]:
    """Of all that have a directory, in their order."""
    with contextlib.suppress(FileNotFoundError):
        found = os.listdir(layout.networks)
        return sorted(re.sub("%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), name) for name in found)
    return []


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
        register(layout, known)
        files.write_json(directory(layout) / "network.json", known)
        return known


def ready(layout: Layout, network: Network) -> None:
    """Take the subnet of a network that has been made earlier, before its bridge comes up (again, after a reboot).

    Raises Conflict when another instance has come to use it.
    """
    if link.index_of(network.bridge) and _taken_by(network.subnet) == str(layout.root):
        return
    with files.locked(REGISTRY / "lock"):
        for subnet in registered():
            holder = _taken_by(subnet)
            if holder not in ("", str(layout.root)) and overlap(subnet, network.subnet):
                raise Conflict(
                    f"the subnet {network.subnet} of network {network.name} meets {subnet} of the instance {holder}",
                    hint="remove the network, and create it with another --subnet",
                )
        register(layout, network)


def register(layout: Layout, network: Network) -> None:
    """Write down that the subnet is ours; hold the registry's lock."""
    bridge = "" if network.bridge == layout.bridge else network.bridge
    taken = Taken(str(layout.root), os.getpid(), start_ticks(os.getpid()), bridge)
    files.write_json(_entry(network.subnet), taken, durable=False)


def unregister(layout: Layout, network: Network) -> None:
    """Give the subnet back to the host's other instances."""
    if network.subnet and _taken_by(network.subnet) in ("", str(layout.root)):
        _entry(network.subnet).unlink(missing_ok=True)


def forget(layout: Layout) -> None:
    """Give the subnet back to the host's other instances."""
    known = _read(layout)
    with files.locked(REGISTRY / "lock"):
        if known:
            unregister(layout, known)
        with contextlib.suppress(FileNotFoundError):
            (directory(layout) / "network.json").unlink()


def read(layout: Layout, name: str) -> Network | None:
    """What is written down of the network of that name."""
    try:
        return files.read_json(directory(layout, name) / "network.json", Network)
    except FileNotFoundError:
        return None


def _read(layout: Layout) -> Network | None:
    return read(layout, "bridge")


def _still_ours(known: Network, layout: Layout) -> bool:
    """Whether a subnet chosen earlier can be used: its bridge is up, or nobody else has come to use those addresses."""
    holder = _taken_by(known.subnet)
    if holder not in ("", str(layout.root)):
        return False
    return bool(link.index_of(known.bridge)) or not any(overlap(known.subnet, used) for used in _routed())


def _choose(layout: Layout) -> Network:
    subnet = free_subnet(layout, own=[found.subnet for found in everything(layout) if found.name != "bridge"])
    return Network("bridge", subnet, first_of(subnet), layout.bridge, uplink_mtu())


def free_subnet(layout: Layout, *, own: list[str]) -> str:
    """The first candidate that neither a route, another instance, nor one of our `own` subnets has."""
    used = _routed() + own + [subnet for subnet in registered() if _taken_by(subnet) not in ("", str(layout.root))]
    for subnet in CANDIDATES:
        if not any(overlap(subnet, other) for other in used):
            return subnet
    raise MinidockError(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        hint="all of 172.18-31.0.0/16, 192.168.0.0/16 and 10.200-254.0.0/16 are routed or taken: see `ip route`",
    )


def first_of(subnet: str) -> str:
    """Where the gateway is when nobody has said: the first address after the network's own."""
    return text(span(subnet)[0] + 1, subnet)


def everything(layout: Layout) -> list[Network]:
    """The instance's networks that have a file, by name."""
    return [found for name in names(layout) if (found := read(layout, name))]


def _routed() -> list[str]:
    """Destinations that the host has routes for, beside the default ones."""
    with Netlink() as netlink:
        return [f"{found.destination}/{found.prefix}" for found in route.routes(netlink) if found.prefix]


def uplink_mtu() -> int:
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
    if link.index_of(entry.bridge or Layout(Path(entry.root)).bridge) or start_ticks(entry.pid) == entry.ticks != 0:
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
