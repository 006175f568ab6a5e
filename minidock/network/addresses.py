"""Who has which address: one file an address, `networks/<name>/addresses/172.18.0.2`, that tells the container.

A claim is written while the instance's network lock is held, so that two never get the same one, and before anything
is asked of the kernel. It counts while its container is being started (the process that claimed it lives) or has a
journal (its steps are not undone yet). Any other claim was left by a kill -9 or a power failure, and is taken over.
"""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import ClassVar

import msgspec

from minidock import files
from minidock.errors import Conflict, MinidockError, UsageError
from minidock.network import names, subnets
from minidock.network.arithmetic import contains, is_address, number, text
from minidock.network.ipam import usable
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Live, Step


class Published(msgspec.Struct, frozen=True):
    """`host_ip`:`host_port` of the host (0.0.0.0: all its addresses) leads to `port` of the container's `address`."""

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int

    def clashes(self, protocol: str, host_ip: str, host_port: int) -> bool:
        """Whether both can't be published at once."""
        if (self.protocol, self.host_port) != (protocol, host_port):
            return False
        if (":" in self.host_ip) != (":" in host_ip):
            return False
        return self.host_ip == host_ip or bool({"0.0.0.0", "::"} & {self.host_ip, host_ip})  # noqa: S104


class Claim(msgspec.Struct, frozen=True):
    """An address and the ports published for it; `pid` and `ticks` are the process that made the claim."""

    address: str
    container: str
    pid: int
    ticks: int
    ports: list[Published] = []
    address6: str = ""
    names: list[str] = []
    """What others on the network call it, its own name first; empty on the default network, which has no names."""
    inside: str = "eth0"
    """The container's interface on this network."""


class HoldAddress(Step, frozen=True):
    """The claim, as a step: planning has written it, so that no other plan gets the address; undo gives it back."""

    path: str
    address: str
    container: str
    man: ClassVar[str] = "open(2)"

    def describe(self) -> str:
        return f"hold the address {self.address} for the container"

    def shell(self) -> str:
        path = shlex.quote(self.path)
        claim = f'{{"address": "{self.address}", "container": "{self.container}", "pid": %s, "ticks": %s}}'
        ticks = "$(cut -d' ' -f22 /proc/$$/stat)"
        return f"mkdir -p $(dirname {path})\nprintf '{claim}\\n' $$ \"{ticks}\" > {path}"

    def undo_shell(self) -> str:
        return f"rm -f {shlex.quote(self.path)}"

    def apply(self, live: Live) -> None:
        if _holder(Path(self.path)) != self.container:
            raise MinidockError(f"the address {self.address} is not held for container {self.container[:12]} any more")

    def undo(self, live: Live) -> None:
        if _holder(Path(self.path)) == self.container:
            Path(self.path).unlink(missing_ok=True)
            names.write(Path(self.path).parent.parent)


def path_of(layout: Layout, network: str, address: str) -> Path:
    return subnets.directory(layout, network) / "addresses" / address


def living(layout: Layout, network: str) -> list[Claim]:
    """The claims that count. Those that don't are removed, so hold the network lock."""
    found = []
    for path, claim in _claims(layout, network):
        if _counts(layout, claim):
            found.append(claim)
        else:
            path.unlink(missing_ok=True)
    for path in path_of(layout, network, "").glob(".*"):  # half of one: who was writing it had the lock, and is dead
        path.unlink(missing_ok=True)
    return found


def peek(layout: Layout, network: str) -> list[Claim]:
    """The claims that count, without touching anything."""
    return [claim for _, claim in _claims(layout, network) if _counts(layout, claim)]


def free_address(network: Network, claims: list[Claim], *, six: bool = False) -> str:
    """The lowest one that nobody has. Raises MinidockError, in Docker's words, when there is none."""
    taken = {claim.address6 if six else claim.address for claim in claims}
    for address in network.hosts(six=six):
        if address not in taken:
            return address
    family = "IPv6" if six else "IPv4"
    raise MinidockError(f"no available {family} addresses on this network's address pools: {network.name}")


def asked_address(network: Network, claims: list[Claim], address: str, *, six: bool = False) -> str:
    """--ip and --ip6. Raises in Docker's words for one that the network hasn't, or that somebody has.

    Of a network that was made with a pool of IPv6, but without --ipv6, none is given: as with Docker, that is no error.
    """
    subnet, gateway = (network.subnet6, network.gateway6) if six else (network.subnet, network.gateway)
    if network.name == "bridge":
        raise UsageError("user specified IP address is supported on user defined networks only")
    asked_pools = network.asked.pools if network.asked else []
    pools = [pool.subnet for pool in asked_pools]
    if six and not subnet and any(":" in pool for pool in pools):
        return ""
    if not subnet or subnet not in pools:
        raise UsageError(
            "user specified IP address is supported only when connecting to networks with user configured subnets"
        )
    if not is_address(address, six=six):
        raise UsageError(f"invalid {'IPv6' if six else 'IPv4'} address: {address}")
    if not contains(subnet, address):
        raise UsageError(f"Invalid address {address}: It does not belong to any of this network's subnets")
    address = text(number(address), address)
    aside = [each for pool in asked_pools for each in pool.auxiliary_addresses.values()]
    others = {number(each) for each in aside if (":" in each) == six}
    taken = {claim.address6 if six else claim.address for claim in claims}
    if address == gateway or address in taken or number(address) in others or number(address) not in usable(subnet):
        raise Conflict("Address already in use")
    return address


def write(layout: Layout, network: Network, claim: Claim) -> Path:
    """Put the claim down; hold the network lock. Not synced: after a power failure no claim counts anyway."""
    path = path_of(layout, network.name, claim.address)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, claim, durable=False)
    if claim.names:
        names.write(path.parent.parent)
    return path


def release(layout: Layout, container: str) -> None:
    """Give back whatever the container holds, on any network. Nothing happens when it holds nothing."""
    for network in networks(layout):
        for path, claim in _claims(layout, network):
            if claim.container == container:
                path.unlink(missing_ok=True)
                names.write(path.parent.parent)


def rename(layout: Layout, container: str, new: str) -> None:
    """The container answers to its new name from now on, and not to the old one."""
    with files.locked(layout.lock("network")):
        for network, claim in of_container(layout, container).items():
            if claim.names:
                others = [name for name in claim.names[1:] if name != new]
                changed = msgspec.structs.replace(claim, names=[new, *others])
                files.write_json(path_of(layout, network, claim.address), changed, durable=False)
                names.write(subnets.directory(layout, network))


def of_container(layout: Layout, container: str) -> dict[str, Claim]:
    """What the container holds, by network."""
    return {
        network: claim
        for network in sorted(networks(layout))
        for _, claim in _claims(layout, network)
        if claim.container == container
    }


def networks(layout: Layout) -> list[str]:
    """Names of the instance's networks that have been used."""
    return subnets.names(layout)


def container_name(layout: Layout, container: str) -> str:
    """What people call the container, else its short id."""
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        raw = (layout.container(container) / "container.json").read_bytes()
        return str(msgspec.json.decode(raw, type=_Named).name)
    return container[:12]


class _Named(msgspec.Struct):
    """The only member of container.json that is needed here."""

    name: str


def _claims(layout: Layout, network: str) -> list[tuple[Path, Claim]]:
    """All claim files. One that can't be read was cut short by a crash, and counts for nobody."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in path_of(layout, network, "").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if not path.name.startswith("."):
                    found.append((path, files.read_json(path, Claim)))
    return found


def _holder(path: Path) -> str:
    try:
        return files.read_json(path, Claim).container
    except FileNotFoundError:
        return ""


def _counts(layout: Layout, claim: Claim) -> bool:
    if (layout.container_run(claim.container) / "journal.json").exists():
        return True
    return subnets.start_ticks(claim.pid) == claim.ticks != 0
