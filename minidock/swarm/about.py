"""What a node says of itself: to the swarm (API `NodeDescription`), and to who asks the daemon (API `SwarmInfo`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.errors import MinidockError
from minidock.swarm import cluster
from minidock.swarm.etcd import Unavailable
from minidock.swarm.objects import Body

if TYPE_CHECKING:
    from minidock.swarm.membership import Membership


def description(facts: Body) -> Body:
    """Out of the engine's `info`."""
    plugins = [
        {"Type": kind, "Name": name}
        for kind in ("Log", "Network", "Volume")
        for name in sorted(facts["Plugins"].get(kind) or [])
    ]
    labels = dict(str(label).partition("=")[::2] for label in facts.get("Labels") or [])
    engine: Body = {"EngineVersion": facts["ServerVersion"], "Plugins": plugins}
    if labels:
        engine["Labels"] = labels
    return {
        "Hostname": facts["Name"],
        "Platform": {"Architecture": facts["Architecture"], "OS": facts["OSType"]},
        "Resources": {"NanoCPUs": int(facts["NCPU"]) * 1_000_000_000, "MemoryBytes": facts["MemTotal"]},
        "Engine": engine,
    }


def info(membership: Membership) -> Body:
    """Blocks, where the node is a manager: then the store is asked."""
    node, manager = membership.node, membership.manager
    found: dict[str, Any] = {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": membership.state,
        "ControlAvailable": False,
        "Error": membership.error,
        "RemoteManagers": None,
    }
    if node is None or node.locked:
        return found
    found |= {"NodeID": node.id, "NodeAddr": node.address}
    found["RemoteManagers"] = [{"NodeID": "", "Addr": address} for address in node.managers]
    if manager is None:
        return found
    if not manager.works:  # etcd would let us wait for seconds to say the same
        return {**found, "Error": Unavailable("").message}
    try:
        nodes = manager.store.all("node")
        current = cluster.only(manager.store)
    except MinidockError as error:
        return {**found, "Error": error.message}
    managers = [one for one in nodes if one.body.get("ManagerStatus")]
    return {
        **found,
        "ControlAvailable": True,
        "RemoteManagers": [{"NodeID": one.id, "Addr": one.body["ManagerStatus"]["Addr"]} for one in managers],
        "Nodes": len(nodes),
        "Managers": len(managers),
        "Cluster": cluster.shown(current, tokens_too=False),
    }
