"""Networks and volumes."""

from __future__ import annotations

from typing import Any

import msgspec

from minidock.daemon.spawner import Reply
from minidock.daemon.verbs.common import Arguments, Verb, members, plainly, read
from minidock.engine import Engine
from minidock.model.network import EndpointSettings, IpamPool, NetworkRequest
from minidock.model.overlay import Arrangement


class Ipam(msgspec.Struct, frozen=True, rename="pascal"):
    driver: str = ""
    options: dict[str, str] | None = None
    config: list[dict[str, Any]] = []


class ConfigFrom(msgspec.Struct, frozen=True, rename="pascal"):
    network: str = ""


class NetworkBody(msgspec.Struct, frozen=True, rename="pascal"):
    """What POST /networks/create has deeper than the engine: what is said of addresses, and a model to follow."""

    name: str
    driver: str = ""
    ipam: Ipam = msgspec.field(name="IPAM", default=Ipam())
    config_from: ConfigFrom = ConfigFrom()


def create_network(engine: Engine, given: Arguments, reply: Reply) -> object:
    body = read(given["body"], NetworkBody)
    asked = {
        **members(given["body"], NetworkRequest),
        "Driver": body.driver or "bridge",
        "IpamDriver": body.ipam.driver or "default",
        "IpamOptions": body.ipam.options,
        "Pools": [members(pool, IpamPool) for pool in body.ipam.config],
        "ConfigFrom": body.config_from.network,
    }
    return {"Id": engine.create_network(msgspec.convert(asked, NetworkRequest)), "Warning": ""}


class MembershipBody(msgspec.Struct, frozen=True, rename="pascal"):
    """Body of connect and disconnect."""

    container: str
    endpoint_config: dict[str, Any] = {}
    force: bool = False


def connect_network(engine: Engine, given: Arguments, reply: Reply) -> object:
    body = read(given["body"], MembershipBody)
    engine.connect_network(given["network"], body.container, read(body.endpoint_config, EndpointSettings))
    return None


def disconnect_network(engine: Engine, given: Arguments, reply: Reply) -> object:
    body = read(given["body"], MembershipBody)
    engine.disconnect_network(given["network"], body.container, force=body.force)
    return None


def arrange_network(engine: Engine, given: Arguments, reply: Reply) -> object:
    engine.arrange_network(given["ref"], msgspec.convert(given["body"], Arrangement))
    return None


def prune_networks(engine: Engine, given: Arguments, reply: Reply) -> object:
    return {"NetworksDeleted": engine.prune_networks(filters=given["filters"]) or None}


def create_volume(engine: Engine, given: Arguments, reply: Reply) -> object:
    asked = read(given["body"], VolumeWish)
    return engine.create_volume(
        asked.name, driver=asked.driver or "local", options=asked.driver_opts, labels=asked.labels
    )


class VolumeWish(msgspec.Struct, frozen=True, rename="pascal"):
    """Body of POST /volumes/create."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] = {}
    labels: dict[str, str] = {}


def volumes(engine: Engine, given: Arguments, reply: Reply) -> object:
    return {"Volumes": engine.volumes(filters=given["filters"]), "Warnings": None}


def prune_volumes(engine: Engine, given: Arguments, reply: Reply) -> object:
    names, freed = engine.prune_volumes(filters=given["filters"])
    return {"VolumesDeleted": names or None, "SpaceReclaimed": freed}


VERBS: dict[str, Verb] = {
    "networks": plainly(Engine.networks),
    "create_network": create_network,
    "inspect_network": plainly(Engine.inspect_network),
    "remove_network": plainly(Engine.remove_network),
    "connect_network": connect_network,
    "disconnect_network": disconnect_network,
    "prune_networks": prune_networks,
    "arrange_network": arrange_network,
    "volumes": volumes,
    "create_volume": create_volume,
    "inspect_volume": plainly(Engine.inspect_volume),
    "remove_volume": plainly(Engine.remove_volume),
    "prune_volumes": prune_volumes,
}
