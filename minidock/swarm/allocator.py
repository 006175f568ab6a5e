"""What must be unique in the swarm: the ports that services publish, and then tasks may be scheduled.

A port of mode `ingress` is every node's: one that nobody named is taken from 30000 to 32767. Ports of mode `host` are
the node's that runs the task; the scheduler keeps two tasks apart that want the same, and the node chooses those
that nobody named.
"""

from __future__ import annotations

from minidock.swarm import networks
from minidock.swarm.board import Board, spec, state
from minidock.swarm.objects import Body, Stored, TaskState

FIRST, LAST = 30000, 32767
Port = tuple[str, int]


def reconcile(board: Board) -> None:
    for service in list(board.services.values()):
        if _published(service) != (service.body.get("Endpoint") or {}).get("Spec"):
            _allocate(board, service)
    for task in list(board.tasks.values()):
        of = board.services.get(str(task.body.get("ServiceID")))
        if state(task) == TaskState.NEW and of is not None and _is_ready(of):
            ports, joined = (of.body.get("Endpoint") or {}).get("Ports"), networks.attachments(board, of)
            noted = board.note(task, Ports=ports, Networks=joined) if ports or joined else task
            if noted is not None:
                board.status(noted, TaskState.PENDING, "pending task scheduling")


def _published(service: Stored) -> Body:
    said: Body = spec(service).get("EndpointSpec") or {}
    return {"Mode": "vip", **said} if said.get("Ports") else said


def _is_ready(service: Stored) -> bool:
    return bool(_published(service) == (service.body.get("Endpoint") or {}).get("Spec"))


def _allocate(board: Board, service: Stored) -> None:
    """Ports that it has already, stay its own: an update doesn't move what clients know."""
    wanted = _published(service)
    held = {_key(port): port for port in (service.body.get("Endpoint") or {}).get("Ports") or []}
    taken = _taken(board, service)
    ports = []
    for port in wanted.get("Ports") or []:
        if port.get("PublishMode", "ingress") == "ingress" and not port.get("PublishedPort"):
            old = held.get(_key(port), {}).get("PublishedPort")
            number = old or _free(port.get("Protocol", "tcp"), taken)
            if number is None:
                return  # none is left: its tasks stay NEW until one is
            port = {**port, "PublishedPort": number}
        taken.add((port.get("Protocol", "tcp"), port.get("PublishedPort", 0)))
        ports.append(port)
    endpoint: Body = {"Spec": wanted}
    if ports:
        endpoint["Ports"] = ports
    addresses = (service.body.get("Endpoint") or {}).get("VirtualIPs")
    if addresses:
        endpoint["VirtualIPs"] = addresses
    board.write(service, {"Endpoint": endpoint})


def _key(port: Body) -> tuple[object, ...]:
    return (port.get("Name", ""), port.get("Protocol", "tcp"), port.get("TargetPort"))


def _taken(board: Board, beside: Stored) -> set[Port]:
    return {
        (port.get("Protocol", "tcp"), port.get("PublishedPort", 0))
        for service in board.services.values()
        if service.id != beside.id
        for port in (service.body.get("Endpoint") or {}).get("Ports") or []
        if port.get("PublishMode", "ingress") == "ingress"
    }


def _free(protocol: str, taken: set[Port]) -> int | None:
    return next((number for number in range(FIRST, LAST + 1) if (protocol, number) not in taken), None)
