"""What a node must know of the swarm's networks that its tasks are on: told with the tasks, and again at every change.

    names      who is called what: a service is its virtual address, or its tasks' (dnsrr); tasks.NAME are the tasks'
    services   behind each virtual address the tasks that run, among which connections are shared out
    here       the addresses that containers of this node may have
    peers      those of others, and on which node each is: where packets for it are sent, at UDP port `port`
    ports      of the network `ingress`: what every node listens at, and the tasks elsewhere behind it
    gateway    the node's own address: until it has one, it isn't told of the network

A task counts from the moment it runs (healthy, where it says how that is seen) until it is to stop: so a rolling update
takes the old ones out of the way before they are gone.
"""

from __future__ import annotations

from collections.abc import Iterable

from minidock.swarm import addressing, mesh, networks, subnets
from minidock.swarm.addressing import plain
from minidock.swarm.board import Board, aside, desired, node_of, spec, state
from minidock.swarm.cluster import DATA_PATH_PORT
from minidock.swarm.nodes import DATA_PATH
from minidock.swarm.objects import Body, Stored, TaskState
from minidock.swarm.store import Store
from minidock.swarm.tasks import name


def of(store: Store, node: str) -> dict[str, Body]:
    """By network."""
    board = Board(store, 0)
    ingress = mesh.network(board)
    mine = {id for task in board.tasks.values() if node_of(task) == node for id in _on(task)}
    if ingress is not None and mesh.in_use(board):
        mine.add(ingress.id)
    return {
        id: _seen(board, network, node)
        for id, network in board.networks.items()
        if id in mine and node in addressing.of_nodes(network)
    }


def _on(task: Stored) -> Iterable[str]:
    return () if state(task).ended else addressing.of_task(task)


def _seen(board: Board, network: Stored, node: str) -> Body:
    there = [task for task in board.tasks.values() if network.id in _on(task)]
    return {
        "Name": network.body["Name"],
        "ID": network.id,
        "Internal": network.body["Internal"],
        "Ingress": network.body["Ingress"],
        "Ports": _ports(board, there, network, node) if network.body["Ingress"] else [],
        "Subnet": str(subnets.pool_of(network)),
        "Gateway": addressing.of_nodes(network)[node],
        "Here": sorted(_address(task, network) for task in there if node_of(task) == node),
        "VNI": subnets.vni(network),
        "Port": int((board.cluster.body if board.cluster else {}).get("DataPathPort") or DATA_PATH_PORT),
        "Local": _reached(board, node),
        "Peers": _peers(board, network, there, node),
        **_called(board, network, [task for task in there if _answers(task)]),
    }


def _ports(board: Board, there: list[Stored], network: Stored, node: str) -> list[Body]:
    """What is published, with the tasks on other nodes; the node knows best of its own (story.py)."""
    found = []
    for service in board.services.values():
        tasks = [task for task in there if task.body["ServiceID"] == service.id and node_of(task) != node]
        behind = {task.id: _address(task, network) for task in tasks if _answers(task)}
        found += [{**port, "Tasks": behind} for port in mesh.ports(service)]
    return found


def _reached(board: Board, node: str) -> str:
    """Where packets for the node's containers are sent."""
    found = board.nodes.get(node)
    if found is None:
        return ""
    return str(aside(found).get(DATA_PATH) or (found.body.get("Status") or {}).get("Addr") or "")


def _peers(board: Board, network: Stored, there: list[Stored], node: str) -> dict[str, str]:
    found = {_address(task, network): node_of(task) for task in there}
    found |= {address: other for other, address in addressing.of_nodes(network).items()}
    reached = {address: _reached(board, other) for address, other in sorted(found.items()) if other and other != node}
    return {address: host for address, host in reached.items() if host}


def _address(task: Stored, network: Stored) -> str:
    return plain(addressing.of_task(task)[network.id])


def _answers(task: Stored) -> bool:
    return state(task) == TaskState.RUNNING and desired(task) <= TaskState.COMPLETE


def _called(board: Board, network: Stored, tasks: list[Stored]) -> Body:
    """Names and services."""
    names: dict[str, set[str]] = {}
    if not network.body["Ingress"]:  # where nobody looks for names: the node speaks to addresses
        names = {name(task): {_address(task, network)} for task in tasks}
    behind: dict[str, list[str]] = {}
    for service in board.services.values():
        wanted = [each for each in networks.wanted(service) if each.get("Target") == network.id]
        if not wanted:
            continue
        addresses = sorted(_address(task, network) for task in tasks if task.body["ServiceID"] == service.id)
        own = [plain(each["Addr"]) for each in addressing.virtual(service) if each["NetworkID"] == network.id]
        behind.update((address, addresses) for address in own)
        for each in networks.called(service, wanted[0]):
            names.setdefault(each, set()).update(own or addresses)
        names.setdefault(f"tasks.{spec(service)['Name']}", set()).update(addresses)
    return {
        "Names": {name: sorted(addresses) for name, addresses in sorted(names.items()) if addresses},
        "Services": dict(sorted(behind.items())),
    }
