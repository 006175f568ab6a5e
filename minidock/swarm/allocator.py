"""What must be unique in the swarm: ports that services publish, addresses on its networks. Then tasks are scheduled.

A port of mode `ingress` is every node's: one that nobody named is taken from 30000 to 32767. Ports of mode `host` are
the node's that runs the task; the scheduler keeps two tasks apart that want the same, and the node chooses those
that nobody named.

A service of endpoint mode `vip` has one address on each of its networks, for all its tasks; each task has its own.
"""

from __future__ import annotations

from minidock.swarm import networks
from minidock.swarm.addressing import Addresses, virtual
from minidock.swarm.board import ASIDE, Board, aside, spec, state
from minidock.swarm.objects import Body, Stored, TaskState, stamp

FIRST, LAST = 30000, 32767
Port = tuple[str, int]


def reconcile(board: Board) -> None:
    addresses = Addresses(board)
    for service in list(board.services.values()):
        if not _is_ready(board, service):
            _allocate(board, service, addresses)
    for task in list(board.tasks.values()):
        of = board.services.get(str(task.body.get("ServiceID")))
        if state(task) == TaskState.NEW and of is not None and _is_ready(board, of):
            _attach(board, task, of, addresses)


def _published(board: Board, service: Stored) -> Body:
    said: Body = spec(service).get("EndpointSpec") or {}
    return {"Mode": "vip", **said} if said.get("Ports") or networks.of_service(board, service) else said


def _virtual_on(board: Board, service: Stored) -> list[str]:
    """The networks on which the service is to have an address of its own."""
    vip = _published(board, service).get("Mode", "vip") == "vip"
    return [network.id for network in networks.of_service(board, service)] if vip else []


def _is_ready(board: Board, service: Stored) -> bool:
    same = _published(board, service) == (service.body.get("Endpoint") or {}).get("Spec")
    return same and [each["NetworkID"] for each in virtual(service)] == _virtual_on(board, service)


def _allocate(board: Board, service: Stored, addresses: Addresses) -> None:
    """What it has already, stays its own: an update doesn't move what clients know."""
    wanted = _published(board, service)
    ports, shown = _ports(board, service, wanted), _virtual(board, service, addresses)
    if ports is None or shown is None:
        return  # none is left: its tasks stay NEW until one is
    endpoint: Body = {"Spec": wanted}
    if ports:
        endpoint["Ports"] = ports
    if shown:
        endpoint["VirtualIPs"] = shown
    board.write(service, {"Endpoint": endpoint})


def _virtual(board: Board, service: Stored, addresses: Addresses) -> list[Body] | None:
    held = {each["NetworkID"]: each for each in virtual(service)}
    found = []
    for id in _virtual_on(board, service):
        address = held.pop(id)["Addr"] if id in held else addresses.knows(id) and addresses.take(id)
        if not address:
            return None
        found.append({"NetworkID": id, "Addr": address})
    for id, left in held.items():
        if addresses.knows(id):
            addresses.give_back(id, left["Addr"])
    return found


def _attach(board: Board, task: Stored, service: Stored, addresses: Addresses) -> None:
    """The task's own address on each of its networks, and what its node must know."""
    joined, shown = networks.attachments(board, service), []
    for each in joined:
        if not each.get("ID"):
            continue
        address = addresses.take(each["ID"]) if addresses.knows(each["ID"]) else None
        if address is None:
            why = f"no address is left on network {each['Name']}"
            if task.body["Status"].get("Err") != why:
                board.status(task, TaskState.NEW, "pending task allocation", why)
            return
        each["Address"] = address
        shown.append({"Network": networks.described(board.networks[each["ID"]]), "Addresses": [address]})
    ports = (service.body.get("Endpoint") or {}).get("Ports")
    notes = {"Ports": ports, "Networks": joined} if ports or joined else {}
    status = {**task.body["Status"], "State": TaskState.PENDING.shown(), "Message": "pending task scheduling"}
    status |= {"Timestamp": stamp(board.now)}
    status.pop("Err", None)
    changes = {"Status": status, ASIDE: {**aside(task), **notes}}
    board.write(task, {**changes, "NetworksAttachments": shown} if shown else changes)


def _ports(board: Board, service: Stored, wanted: Body) -> list[Body] | None:
    held = {_key(port): port for port in (service.body.get("Endpoint") or {}).get("Ports") or []}
    taken = _taken(board, service)
    ports = []
    for port in wanted.get("Ports") or []:
        if port.get("PublishMode", "ingress") == "ingress" and not port.get("PublishedPort"):
            old = held.get(_key(port), {}).get("PublishedPort")
            number = old or _free(port.get("Protocol", "tcp"), taken)
            if number is None:
                return None
            port = {**port, "PublishedPort": number}
        taken.add((port.get("Protocol", "tcp"), port.get("PublishedPort", 0)))
        ports.append(port)
    return ports


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
