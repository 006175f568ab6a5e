"""From this node's part of a swarm's network to the others': a VXLAN interface at the bridge, while it has peers.

A network whose containers are all here needs none, and has none. Where its other addresses are, the managers say
(overlay.py); hardware addresses follow from IP addresses, as everywhere (`endpoint.mac_of`), so nobody has to ask.
"""

from __future__ import annotations

from typing import ClassVar

from minidock.kernel import link, neighbour
from minidock.kernel.netlink import Netlink
from minidock.kernel.vxlan import CreateTunnel
from minidock.model.overlay import Arrangement
from minidock.network import overlay
from minidock.network.arithmetic import mac_of
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Live, Step, apply_all


class KnowPeers(Step, frozen=True):
    """Write down at the tunnel where each address of the network is, and what its hardware address is."""

    name: str
    peers: dict[str, str]
    """Address → the host that it is on."""
    man: ClassVar[str] = "bridge(8)"

    def describe(self) -> str:
        return f"tell {self.name} on which host each of {len(self.peers)} addresses is"

    def shell(self) -> str:
        return "\n".join(
            f"bridge fdb replace {mac_of(address)} dev {self.name} dst {host} self permanent\n"
            f"ip neigh replace {address} lladdr {mac_of(address)} dev {self.name} nud permanent"
            for address, host in sorted(self.peers.items())
        )

    def apply(self, live: Live) -> None:
        with Netlink() as netlink:
            hosts = {mac_of(address): host for address, host in self.peers.items()}
            had = {found.mac: found.address for found in neighbour.hosts(netlink, self.name)}
            for mac in had.keys() - hosts.keys():
                neighbour.remove_host(netlink, self.name, mac)
            for mac, host in hosts.items() - had.items():
                neighbour.add_host(netlink, self.name, mac, host)
            known = {found.address for found in neighbour.addresses(netlink, self.name) if found.permanent}
            for address in known - self.peers.keys():
                neighbour.remove_address(netlink, self.name, address)
            for address in self.peers.keys() - known:
                neighbour.add_address(netlink, self.name, address, mac_of(address))


def name_of(network: Network) -> str:
    """`vx0-1a2b` at the bridge `md0-1a2b`: whose it is can be seen; 15 bytes at most (IFNAMSIZ)."""
    return f"vx{network.bridge[2:]}"


def steps(layout: Layout, network: Network) -> list[Step]:
    """None for a network that is no swarm's, or has nobody elsewhere. The bridge is there already."""
    return _steps(network, overlay.read(overlay.path_of(layout, network))) if overlay.is_of_swarm(network) else []


def _steps(network: Network, said: Arrangement) -> list[Step]:
    if not said.peers:
        return []
    name, mac = name_of(network), mac_of(network.gateway)
    cable = CreateTunnel(name, network.bridge, said.vni, said.port, said.local, mac, network.mtu)
    return [cable, KnowPeers(name, said.peers)]


def follow(layout: Layout, network: Network) -> None:
    """The managers have said something new. Raises Unsupported, Conflict.

    Without a bridge there is nothing to do: the steps above come with it.
    """
    if not link.index_of(network.bridge):
        return
    wanted = steps(layout, network)
    apply_all(wanted, Live())
    if not wanted:
        link.delete(name_of(network))
