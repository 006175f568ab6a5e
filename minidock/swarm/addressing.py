"""Addresses on the swarm's networks: who has which, in one pass of the leader. Nobody else gives any away.

Whatever stands in the store counts: virtual addresses in services, those of tasks that haven't ended, the nodes' own.
An address that a task has just left is the last to be given away again: its node may still be clearing up.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from minidock.swarm import subnets
from minidock.swarm.board import Board, aside, state
from minidock.swarm.objects import Body, Stored

NODES = "Nodes"
"""Aside of a network: the nodes' own addresses on it, by node."""


class Addresses:
    """Of all networks of the swarm that have a subnet."""

    def __init__(self, board: Board) -> None:
        self._pools = {id: pool for id, network in board.networks.items() if (pool := subnets.pool_of(network))}
        self._ranges = {id: _range(network) for id, network in board.networks.items()}
        self._taken: dict[str, set[IPv4Address]] = {id: set() for id in self._pools}
        self._left: dict[str, set[IPv4Address]] = {id: set() for id in self._pools}
        for id, network in board.networks.items():
            self._hold(id, [subnets.gateway_of(network), *of_nodes(network).values()])
        for service in board.services.values():
            for each in virtual(service):
                self._hold(each["NetworkID"], [each["Addr"]])
        for task in board.tasks.values():
            for id, address in of_task(task).items():
                self._hold(id, [address], ended=state(task).ended)

    def _hold(self, network: str, addresses: Iterable[str], *, ended: bool = False) -> None:
        held = (self._left if ended else self._taken).get(network)
        if held is not None:
            held.update(ipaddress.IPv4Interface(address).ip for address in addresses if address)

    def knows(self, network: str) -> bool:
        return network in self._pools

    def take(self, network: str) -> str | None:
        """The next one, with its prefix: `10.0.1.5/24`. None when none is free."""
        pool, taken, left = self._pools[network], self._taken[network], self._left[network]
        for avoided in (taken | left, taken):
            for address in (self._ranges[network] or pool).hosts():
                if address not in avoided:
                    taken.add(address)
                    return f"{address}/{pool.prefixlen}"
        return None

    def give_back(self, network: str, address: str) -> None:
        self._taken[network].discard(ipaddress.IPv4Interface(address).ip)


def _range(network: Stored) -> IPv4Network | None:
    config = (network.body["IPAM"].get("Config") or [{}])[0]
    return ipaddress.IPv4Network(config["IPRange"]) if config.get("IPRange") else None


def virtual(service: Stored) -> list[Body]:
    """API `EndpointVirtualIP`s."""
    found: list[Body] = (service.body.get("Endpoint") or {}).get("VirtualIPs") or []
    return found


def of_task(task: Stored) -> dict[str, str]:
    """By network, with prefix."""
    return {
        each["Network"]["ID"]: str(each["Addresses"][0])
        for each in task.body.get("NetworksAttachments") or []
        if each.get("Addresses")
    }


def of_nodes(network: Stored) -> dict[str, str]:
    """By node, without prefix."""
    found: dict[str, str] = aside(network).get(NODES) or {}
    return found


def plain(address: str) -> str:
    """Without its prefix."""
    return address.partition("/")[0]
