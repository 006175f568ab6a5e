"""The routing mesh: a port that a service publishes answers on every node, whatever nodes run its tasks.

    client ──▶ any node:8080 ──▶ the node's ingress.py ──▶ the network `ingress` ──▶ task 1:80 │ task 2:80 │ …

All tasks that publish ports are on the network `ingress`, and so is every node, with an address of its own. It is made
with the first service that publishes a port, and laid out on the nodes for as long as there is one.
"""

from __future__ import annotations

from minidock.swarm import subnets
from minidock.swarm.board import Board, spec, template
from minidock.swarm.objects import Body, Stored, new_id
from minidock.swarm.store import NameTaken

INGRESS = "ingress"
VNI = 4096


def reconcile(board: Board) -> None:
    if network(board) is None and in_use(board):
        body = subnets.new_body(INGRESS, {}, [], Ingress=True, Options={subnets.VNI: str(VNI)})
        try:
            made = board.store.create("network", new_id(), body, name=INGRESS)
        except NameTaken:  # a leader before us
            return
        board.networks[made.id] = made


def network(board: Board) -> Stored | None:
    return next((found for found in board.networks.values() if found.body.get("Ingress")), None)


def in_use(board: Board) -> bool:
    return any(publishes(service) for service in board.services.values())


def publishes(service: Stored) -> bool:
    """Whether any port of it is every node's. Who shares a node's own network has no place on another one."""
    said = spec(service).get("EndpointSpec") or {}
    networks = template(service).get("Networks") or spec(service).get("Networks") or []
    on_host = any(each.get("Target") == "host" for each in networks)
    return not on_host and any(_is_everywhere(port) for port in said.get("Ports") or [])


def ports(service: Stored) -> list[Body]:
    """API `PortConfig`s with the numbers that the allocator gave."""
    found = (service.body.get("Endpoint") or {}).get("Ports") or []
    return [port for port in found if _is_everywhere(port) and port.get("PublishedPort")] if publishes(service) else []


def _is_everywhere(port: Body) -> bool:
    return bool(port.get("PublishMode", "ingress") == "ingress")
