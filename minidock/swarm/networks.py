"""Networks of the swarm: made once for all nodes, and laid out on a node when the first task there needs them.

Docker's driver for them is `overlay`. On a node such a network is a bridge, and where it has tasks on other nodes a
cable through IP to them (minidock/network/tunnel.py).
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable
from typing import Any

from minidock.errors import Conflict, MinidockError, NotFound, Unsupported, UsageError
from minidock.swarm import mesh, subnets
from minidock.swarm.board import ASIDE, Board, spec, template
from minidock.swarm.objects import Body, Stored, new_id, stamp
from minidock.swarm.store import NameTaken, Store

LABEL = "com.docker.swarm.network.id"
"""On the node's bridge: which network of the swarm it is."""
OF_THE_NODE = ("host",)
"""Networks that every node has of its own, and that services may use."""


def create(store: Store, given: Body) -> Body:
    """POST /networks/create of an overlay. Raises Conflict, UsageError, Unsupported."""
    name = str(given.get("Name") or "")
    if not name:
        raise UsageError("network name cannot be empty")
    for member in ("EnableIPv6", "ConfigOnly", "Ingress"):
        if given.get(member):
            raise Unsupported(f"an overlay network can't be made with {member}")
    if "encrypted" in (given.get("Options") or {}):
        raise Unsupported("an overlay network can't be encrypted")
    ipam = given.get("IPAM") or {}
    config = ipam.get("Config") or []
    if len(config) > 1:
        raise Unsupported("an overlay network can't have several subnets")
    if name == mesh.INGRESS:
        raise Conflict(f"network with name {name} already exists")
    body = subnets.new_body(
        name,
        ipam,
        [_pool(store, each) for each in config],
        Internal=bool(given.get("Internal")),
        Attachable=bool(given.get("Attachable")),
        Options=given.get("Options") or {},
        Labels=given.get("Labels") or None,
    )
    try:
        made = store.create("network", new_id(), body, name=name)
    except NameTaken:
        raise Conflict(f"network with name {name} already exists") from None
    return {"Id": made.id, "Warning": ""}


def _pool(store: Store, given: Body) -> Body:
    """What was asked for; where no subnet was, the leader chooses one (subnets.py)."""
    if not given.get("Subnet"):
        return given
    try:
        subnet = ipaddress.IPv4Network(given["Subnet"])
    except ValueError:
        raise UsageError(f"invalid subnet {given['Subnet']}") from None
    if any(subnet.overlaps(pool) for network in store.all("network") if (pool := subnets.pool_of(network))):
        raise UsageError("invalid pool request: Pool overlaps with other one on this address space")
    return subnets.with_gateway(given, subnet)


def allocated(store: Store, id: str, patience: float = 5.0) -> None:
    """Wait until the leader has chosen what nobody said: the next command should see it. Without a leader, in vain."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        network = store.get("network", id)
        if network is None or (subnets.pool_of(network) and subnets.vni(network)):
            return
        time.sleep(0.02)


def shown(network: Stored) -> Body:
    """API `Network`."""
    body = {name: value for name, value in network.body.items() if name not in ("Spec", ASIDE)}
    return {"Name": body["Name"], "Id": network.id, "Created": stamp(network.created), **body}


def all_shown(store: Store) -> list[Body]:
    return [shown(network) for network in store.all("network")]


def find(store: Store, ref: str) -> Stored | None:
    """By id, name, or the beginning of an id."""
    exact = store.get("network", ref) or store.by_name("network", ref)
    if exact is not None:
        return exact
    return next((each for each in store.all("network") if len(ref) > 3 and each.id.startswith(ref)), None)


def inspected(store: Store, ref: str) -> Body | None:
    found = find(store, ref)
    return None if found is None else shown(found)


def remove(store: Store, ref: str) -> str | None:
    """→ its id, or None when there is none. Raises MinidockError while a service uses it."""
    found = find(store, ref)
    if found is None:
        return None
    for service in store.all("service"):
        if found.body.get("Ingress") and mesh.publishes(service):
            raise MinidockError(
                "rpc error: code = FailedPrecondition desc = ingress network cannot be removed because service "
                f"{service.id} depends on it"
            )
        if any(each.get("Target") == found.id for each in wanted(service)):
            raise MinidockError(
                f"rpc error: code = FailedPrecondition desc = network {found.id} is in use by service {service.id}"
            )
    store.delete("network", found.id)
    return found.id


# Of services and tasks


def wanted(service: Stored) -> list[Body]:
    """API `NetworkAttachmentConfig`s. In the template, or where older clients say it."""
    found: list[Body] = template(service).get("Networks") or spec(service).get("Networks") or []
    return found


def resolved(store: Store, given: Body) -> None:
    """Names become ids. Raises NotFound."""
    for place in (given, given.get("TaskTemplate") or {}):
        for each in place.get("Networks") or []:
            ref = str(each.get("Target") or "")
            found = find(store, ref)
            if found is None and ref not in OF_THE_NODE:
                raise NotFound(f"network {ref} not found")
            each["Target"] = ref if found is None else found.id


def of_service(board: Board, service: Stored) -> list[Stored]:
    """The swarm's networks that it is on, `ingress` first; those of the nodes (host) aren't."""
    found = [board.networks.get(str(each.get("Target"))) for each in wanted(service)]
    if mesh.publishes(service):
        found.insert(0, mesh.network(board))
    return [network for network in found if network is not None]


def attachments(board: Board, service: Stored) -> list[Body]:
    """What a node must know to lay them out: for the task's notes."""
    ingress = mesh.network(board) if mesh.publishes(service) else None
    found = [_attachment(ingress, [])] if ingress is not None else []
    for each in wanted(service):
        network = board.networks.get(str(each.get("Target")))
        aliases = called(service, each)
        of_node = {"Name": each.get("Target"), "Aliases": aliases}
        found.append(of_node if network is None else _attachment(network, aliases))
    return found


def _attachment(network: Stored, aliases: list[str]) -> Body:
    pool = network.body["IPAM"]["Config"][0]
    return {
        **{name: network.body[name] for name in ("Name", "Internal", "Ingress")},
        **{name: pool[name] for name in ("Subnet", "Gateway")},
        "ID": network.id,
        "Aliases": aliases,
    }


def called(service: Stored, attachment: Body) -> list[str]:
    """What others on the network call the service."""
    return [str(spec(service)["Name"]), *(attachment.get("Aliases") or [])]


def described(network: Stored) -> Body:
    """API `Network` as tasks show it (NetworksAttachments)."""
    body, given = network.body, network.shown()
    ipam = body["IPAM"]
    driver = {"Name": ipam.get("Driver") or "default"}
    spec = {
        "Name": body["Name"],
        "Labels": body.get("Labels") or {},
        "DriverConfiguration": {},
        **({"Attachable": True} if body.get("Attachable") else {}),
        **({"Internal": True} if body.get("Internal") else {}),
        **({"Ingress": True} if body.get("Ingress") else {}),
        "IPAMOptions": {"Driver": driver},
        "Scope": "swarm",
    }
    return {
        **{name: given[name] for name in ("ID", "Version", "CreatedAt", "UpdatedAt")},
        "Spec": spec,
        "DriverState": {"Name": "overlay", "Options": body.get("Options") or {}},
        "IPAMOptions": {"Driver": driver, "Configs": ipam["Config"]},
    }


def of_task(body: Body) -> list[Body]:
    found: list[Body] = body[ASIDE].get("Networks") or []
    return found


def request(attachment: Body, gateway: str = "") -> Body:
    """Body of POST /networks/create for the node's bridge, and the node's own address on it."""
    return {
        "Name": attachment["Name"],
        "Driver": "bridge",
        "Internal": attachment["Internal"],
        "Labels": {LABEL: attachment["ID"]},
        "IPAM": {"Config": [{"Subnet": attachment["Subnet"], "Gateway": gateway or attachment["Gateway"]}]},
    }


def merged(here: Iterable[Body], of_swarm: list[Body]) -> list[Any]:
    """The node's networks and the swarm's: a bridge that is one of these is shown as it."""
    known = {network["Id"] for network in of_swarm}
    return [*(each for each in here if (each.get("Labels") or {}).get(LABEL) not in known), *of_swarm]
