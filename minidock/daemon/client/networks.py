"""Networks elsewhere, and who is on them."""

from __future__ import annotations

from typing import Any

import msgspec

from minidock.daemon.client.api import Api, quoted, without_nulls
from minidock.model.network import EndpointSettings, NetworkRequest

Filters = dict[str, list[str]]


def create(api: Api, asked: NetworkRequest) -> str:
    """The new network's id."""
    body = {
        "Name": asked.name,
        "CheckDuplicate": True,
        "Driver": asked.driver,
        "Scope": asked.scope,
        "Internal": asked.internal,
        "Attachable": asked.attachable,
        "Ingress": asked.ingress,
        "ConfigOnly": asked.config_only,
        "ConfigFrom": {"Network": asked.config_from} if asked.config_from else None,
        "EnableIPv6": asked.enable_ipv6,
        "IPAM": {
            "Driver": asked.ipam_driver,
            "Options": asked.ipam_options,
            "Config": msgspec.to_builtins(asked.pools),
        },
        "Options": asked.options,
        "Labels": asked.labels,
    }
    return str(api.json("POST", "/networks/create", None, body)["Id"])


def listed(api: Api, filters: Filters) -> list[dict[str, Any]]:
    """By name, as Docker's client sorts them."""
    found: list[dict[str, Any]] = api.json("GET", "/networks", {"filters": filters}) or []
    return sorted(found, key=lambda network: str(network["Name"]))


def inspect(api: Api, ref: str) -> dict[str, Any]:
    found: dict[str, Any] = api.json("GET", f"/networks/{quoted(ref)}")
    return found


def remove(api: Api, ref: str) -> None:
    api.json("DELETE", f"/networks/{quoted(ref)}")


def prune(api: Api, filters: Filters) -> list[str]:
    found = without_nulls(api.json("POST", "/networks/prune", {"filters": filters}))
    return list(found.get("NetworksDeleted", []))


def connect(api: Api, network: str, ref: str, asked: EndpointSettings) -> None:
    body = {"Container": ref, "EndpointConfig": msgspec.to_builtins(asked)}
    api.whole(api.open("POST", f"/networks/{quoted(network)}/connect", None, body))


def disconnect(api: Api, network: str, ref: str, *, force: bool) -> None:
    body = {"Container": ref, "Force": force}
    api.whole(api.open("POST", f"/networks/{quoted(network)}/disconnect", None, body))
