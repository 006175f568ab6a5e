"""How a node begins: as the first of a swarm that it founds, or let in by one; and anew, in another role."""

from __future__ import annotations

import asyncio
import base64

import msgspec

from minidock.errors import MinidockError, UsageError
from minidock.paths import Layout
from minidock.swarm import addresses, ca, cluster, nodes, sealing, tokens, wire
from minidock.swarm import node as own
from minidock.swarm.etcd_server import EtcdServer
from minidock.swarm.etcd_store import LEADER
from minidock.swarm.manager import Manager, Surroundings
from minidock.swarm.node import Keys, Node
from minidock.swarm.objects import Body, new_id


def founded(given: Body) -> tuple[Node, Body]:
    listen = addresses.listening(str(given.get("ListenAddr") or ""))
    advertise = addresses.advertised(str(given.get("AdvertiseAddr") or ""), listen)
    spec: Body = {**(given.get("Spec") or {})}
    if given.get("AutoLockManagers"):
        spec["EncryptionConfig"] = {"AutoLockManagers": True}
    port = int(given.get("DataPathPort") or 0)
    if port and not 1024 <= port <= 49151:
        raise UsageError(f"invalid data path port: {port}. Valid range is 1024 - 49151")
    availability = str(given.get("Availability") or "active")
    if availability not in nodes.AVAILABILITIES:
        raise UsageError(f'invalid Availability: "{availability}"')
    body = cluster.new(
        spec,
        pools=given.get("DefaultAddrPool"),
        subnet=int(given.get("SubnetSize") or 0),
        data_path_port=port,
    )
    id, cluster_id, (key, request) = new_id(), new_id(), ca.new_request()
    authority = ca.Authority(body["TLSInfo"]["TrustRoot"], body["Private"]["CAKey"])
    who = ca.Identity(id, "manager", cluster_id)
    names = names_of(listen, advertise)
    lasts = body["Spec"]["CAConfig"]["NodeCertExpiry"] / cluster.SECOND
    keys = Keys(key, base64.b64encode(sealing.new_key()).decode())
    node = Node(
        id=id,
        cluster=cluster_id,
        role="manager",
        listen=listen,
        advertise=advertise,
        certificate=ca.issue(authority, request, who, names, lasts),
        root_ca=authority.certificate,
        managers=[advertise],
        data_path_addr=addresses.data_path(str(given.get("DataPathAddr") or "")),
        keys=keys,
    )
    return node, body


async def admitted(given: Body, listen: str, remotes: list[str]) -> Node:
    """With a certificate, by a token that knows the swarm's root."""
    token = tokens.parsed(str(given.get("JoinToken") or ""))
    asked = str(given.get("AdvertiseAddr") or "")
    root = (await wire.ask_any(remotes, "ca", context=wire.blind()))["certificate"]
    if not tokens.same(tokens.digest(root), token.digest):
        raise MinidockError("remote CA does not match fingerprint. Expected: " + token.digest)
    key, request = await asyncio.to_thread(ca.new_request)
    wish = {
        "request": request,
        "token": given["JoinToken"],
        "availability": str(given.get("Availability") or "active"),
        "addresses": names_of(listen, addresses.advertised(asked, listen) if asked else ""),
    }
    said = await wire.ask_any(remotes, "certificate", wish, context=wire.trusting(root))
    host, port = own.split(listen)
    seen = said["address"] if host in ("0.0.0.0", "::") else host  # noqa: S104 - as it is written
    return Node(
        id=said["node"],
        cluster=said["cluster"],
        role=said["role"],
        listen=listen,
        advertise=addresses.advertised(asked, listen) if asked else own.joined(seen, port),
        certificate=said["certificate"],
        root_ca=said["root_ca"],
        managers=said["managers"] or remotes,
        data_path_addr=addresses.data_path(str(given.get("DataPathAddr") or "")),
        keys=Keys(key),
    )


async def renewed(layout: Layout, node: Node) -> Node:
    """With a new key and certificate, as what people want it to be now. Raises Refusal, Unreachable."""
    key, request = await asyncio.to_thread(ca.new_request)
    wish = {"request": request, "addresses": names_of(node.listen, node.advertise)}
    said = await wire.ask_any(
        node.managers, "certificate", wish, context=wire.trusting(node.root_ca, own.running(layout))
    )
    assert node.keys is not None
    keys = Keys(key, node.keys.cluster if said["role"] == "manager" else "")
    return msgspec.structs.replace(
        node, certificate=said["certificate"], role=said["role"], managers=said["managers"], keys=keys
    )


async def anew(around: Surroundings, node: Node) -> Manager:
    """The one that is left, in an etcd of its own; the other managers are to be workers, should they come back."""
    manager = Manager(around, msgspec.structs.replace(node, managers=[node.advertise]))
    try:
        await manager.boot({node.id: node.peer_url}, anew=True)
        await asyncio.to_thread(manager.etcd.wait)
        await asyncio.to_thread(
            manager.etcd.client.delete, LEADER
        )  # whoever led is gone: no need to wait for his lease
        for other in await asyncio.to_thread(nodes.managers, manager.store):
            if other.id != node.id:
                spec = {**other.body["Spec"], "Role": "worker"}
                await asyncio.to_thread(nodes.change, manager.store, other.id, Spec=spec, ManagerStatus=None)
    except BaseException:
        await manager.stop()
        raise
    return manager


def names_of(listen: str, advertise: str) -> list[str]:
    """Addresses that a manager's certificate must have: etcd's clients look for them."""
    hosts = [own.split(address)[0] for address in (listen, advertise) if address]
    return [host for host in dict.fromkeys(hosts) if host not in ("0.0.0.0", "::")]  # noqa: S104 - as it is written


def clean(layout: Layout) -> None:
    """What an init or join that was killed has left."""
    EtcdServer(layout).stop()
    own.forget(layout)
    own.directory(layout).mkdir(mode=0o700, parents=True)
