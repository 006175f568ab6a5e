"""network create, ls, inspect, rm, prune, connect, disconnect.

What a container is asked to be on is in its record (`requested`), also while it doesn't run; what it is on, with
addresses, in `endpoints`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from minidock import network, steps
from minidock.engine import events, rootless
from minidock.engine.durations import unix
from minidock.engine.record import Record, Records, alive
from minidock.errors import Forbidden, NetworkNotFound, UsageError
from minidock.model.network import EndpointSettings, NetworkRequest
from minidock.network import addresses, config_only, endpoint, store
from minidock.network.subnets import Network
from minidock.network.teardown import remove as remove_network
from minidock.paths import Layout
from minidock.steps import SILENT, Live, Narrator

Filters = dict[str, list[str]]


def create(layout: Layout, asked: NetworkRequest, *, narrator: Narrator = SILENT) -> str:
    """The new network's id. Its bridge is there when this returns; nothing is when it raises."""
    rootless.no_bridge(layout)
    made = store.create(layout, asked)
    try:
        steps.apply_all(endpoint.shared(layout, made), Live(), narrator)
    except BaseException:
        remove_network(layout, made)
        raise
    tell(layout, made, "create")
    return made.id


def tell(layout: Layout, found: Network, action: str, container: str = "") -> None:
    """As an event."""
    more = {"container": container} if container else {}
    events.emit(layout, "network", action, found.id or network.network_id(layout, found.name), {
        "name": found.name, "type": found.driver, **more,
    })  # fmt: skip


# Looking


def ls(layout: Layout, filters: Filters) -> list[dict[str, Any]]:
    """API `Network`s, by name. Raises UsageError for a filter that is none."""
    used = {name for record in Records(layout).all() for name in of(record)} if "dangling" in filters else set()
    return [shown(found) for found in store.ls(layout) if _fits(found, filters, used)]


def inspect(layout: Layout, ref: str) -> dict[str, Any]:
    """API `Network` with the containers that run on it. Raises NetworkNotFound."""
    found = store.find(layout, ref)
    running = [record for record in Records(layout).all() if found.name in record.endpoints and alive(record)]
    return shown(found) | {"Containers": {record.id: _member(record, found.name) for record in running}}


def shown(found: Network) -> dict[str, Any]:
    """In the order of Docker's API."""
    asked = found.asked or NetworkRequest(found.name, driver=found.driver)
    pools = msgspec.to_builtins(sorted(asked.pools, key=lambda pool: ":" in pool.subnet))
    if found.subnet and not any(":" not in pool.subnet for pool in asked.pools):
        pools.insert(0, {"Subnet": found.subnet, "Gateway": found.gateway})
    if found.subnet6 and not any(":" in pool.subnet for pool in asked.pools):
        pools.append({"Subnet": found.subnet6, "Gateway": found.gateway6})
    return {
        "Name": found.name,
        "Id": found.id,
        "Created": found.created or "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": found.driver,
        "EnableIPv6": asked.enable_ipv6,
        "IPAM": {"Driver": "default", "Options": asked.ipam_options if found.asked else None, "Config": pools},
        "Internal": asked.internal,
        "Attachable": asked.attachable,
        "Ingress": asked.ingress,
        "ConfigFrom": {"Network": asked.config_from},
        "ConfigOnly": asked.config_only,
        "Containers": {},
        "Options": asked.options if found.asked else _default_options(found),
        "Labels": asked.labels,
    }


def _default_options(found: Network) -> dict[str, str]:
    if found.name != "bridge":
        return {}
    prefix = "com.docker.network"
    return {
        f"{prefix}.bridge.default_bridge": "true",
        f"{prefix}.bridge.enable_icc": "true",
        f"{prefix}.bridge.enable_ip_masquerade": "true",
        f"{prefix}.bridge.host_binding_ipv4": "0.0.0.0",  # noqa: S104 - Docker's word for "all"
        f"{prefix}.bridge.name": found.bridge,
        f"{prefix}.driver.mtu": str(found.mtu),
    }


def _member(record: Record, name: str) -> dict[str, str]:
    found = record.endpoints[name]
    return {
        "Name": record.name,
        "EndpointID": found.endpoint_id,
        "MacAddress": found.mac_address,
        "IPv4Address": f"{found.ip_address}/{found.ip_prefix_len}" if found.ip_address else "",
        "IPv6Address": f"{found.global_ipv6_address}/{found.global_ipv6_prefix_len}"
        if found.global_ipv6_address
        else "",
    }


def of(record: Record) -> dict[str, EndpointSettings]:
    """The networks that the container is to be on, with what was asked for on each."""
    mode = "bridge" if record.host_config.network_mode in ("", "default") else record.host_config.network_mode
    if record.isolated or mode.startswith("container:"):
        return {}
    return {("bridge" if name == "default" else name): asked for name, asked in record.requested.items()} or {
        mode: EndpointSettings()
    }


def _fits(found: Network, filters: Filters, used: set[str]) -> bool:
    predefined = found.name in store.PREDEFINED
    labels = found.asked.labels if found.asked else {}
    for key, values in filters.items():
        if key == "type":
            if values[-1] not in ("custom", "builtin"):
                raise UsageError(f"invalid filter: 'type'='{values[-1]}'")
            fits = predefined == (values[-1] == "builtin")
        elif key == "dangling":
            if values[-1].lower() not in ("1", "t", "true", "0", "f", "false"):
                told = """invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")"""
                raise UsageError(told)
            fits = (not predefined and found.name not in used) == (values[-1].lower() in ("1", "t", "true"))
        elif key in ("label", "label!"):
            matches = [_has(labels, value) for value in values]
            fits = all(matches) if key == "label" else not any(matches)
        else:
            if key not in PREDICATES:
                raise UsageError(f"invalid filter '{key}'")
            fits = any(PREDICATES[key](found, value) for value in values)
        if not fits:
            return False
    return True


def _has(labels: dict[str, str], value: str) -> bool:
    key, equals, wanted = value.partition("=")
    return key in labels and (not equals or labels[key] == wanted)


def _moment(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"invalid filter 'until={value}'") from None


PREDICATES: dict[str, Callable[[Network, str], bool]] = {
    "driver": lambda found, value: found.driver == value,
    "id": lambda found, value: found.id.startswith(value),
    "name": lambda found, value: value in found.name,
    "scope": lambda found, value: value == "local",
    "until": lambda found, value: found.created != "" and unix(found.created) < _moment(value),
}


# Removing


def remove(layout: Layout, ref: str, *, force: bool) -> None:
    """Raises NetworkNotFound, unless forced, and Conflict while containers run on it."""
    try:
        found = store.find(layout, ref)
    except NetworkNotFound:
        if force:
            return
        raise
    if found.name in store.PREDEFINED:
        raise Forbidden(f"{found.name} is a pre-defined network and cannot be removed")
    if addresses.peek(layout, found.name):
        raise Forbidden(
            f"error while removing network: network {found.name} id {found.id} has active endpoints",
            hint=f"minidock network inspect {found.name} shows the containers on it",
        )
    config_only.check_removing(layout, found)
    remove_network(layout, found)
    tell(layout, found, "destroy")


def prune(layout: Layout, filters: Filters) -> list[str]:
    """Remove those that no container is to be on; names. With no container running, the default bridge, the table and
    the switches go as well: what the host had before is what it has then."""
    if strange := [key for key in filters if key not in ("label", "label!", "until")]:
        raise UsageError(f"invalid filter '{strange[0]}'")
    used = {name for record in Records(layout).all() for name in of(record)}
    removed = []
    for found in store.ls(layout):
        if found.name in store.PREDEFINED or found.name in used or addresses.peek(layout, found.name):
            continue
        if found.asked and found.asked.config_only:  # no container is ever on it: it is kept, as by Docker
            continue
        if _fits(found, filters, used):
            remove(layout, found.name, force=True)
            removed.append(found.name)
    if not filters and not any(addresses.peek(layout, name) for name in addresses.networks(layout)):
        network.teardown(layout)
    events.emit(layout, "network", "prune", "", {"reclaimed": "0"})
    return removed
