"""Each node has an address of its own on each network that its tasks are on: the way out of its containers there, and
from where it speaks to tasks on other nodes.

On the network `ingress` every node has one, for whoever speaks to any node may mean a task on another one.

A network's first address is everybody's gateway in name only: two bridges with the same address, and a cable between
them, would answer for each other.
"""

from __future__ import annotations

from minidock.swarm import addressing, mesh
from minidock.swarm.addressing import Addresses, plain
from minidock.swarm.board import Board, node_of, state
from minidock.swarm.objects import Stored


def reconcile(board: Board) -> None:
    """A node keeps its address until it leaves the swarm: its bridge has it."""
    wanted: dict[str, set[str]] = {}
    for task in board.tasks.values():
        if node_of(task) in board.nodes and not state(task).ended:
            for id in addressing.of_task(task):
                wanted.setdefault(id, set()).add(node_of(task))
    ingress = mesh.network(board)
    if ingress is not None and mesh.in_use(board):
        wanted[ingress.id] = set(board.nodes)
    free: list[Addresses] = []
    for network in list(board.networks.values()):
        missing = wanted.get(network.id, set()) - addressing.of_nodes(network).keys()
        gone = addressing.of_nodes(network).keys() - board.nodes.keys()
        if missing or gone:
            free = free or [Addresses(board)]
            _write(board, network, sorted(missing), free[0])


def _write(board: Board, network: Stored, missing: list[str], free: Addresses) -> None:
    held = {node: address for node, address in addressing.of_nodes(network).items() if node in board.nodes}
    for node in missing:
        if free.knows(network.id) and (address := free.take(network.id)):
            held[node] = plain(address)
    if held != addressing.of_nodes(network):
        board.note(network, **{addressing.NODES: held})
