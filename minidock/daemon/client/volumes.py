"""Volumes elsewhere."""

from __future__ import annotations

import msgspec

from minidock.daemon.client.api import Api, Json, quoted, without_nulls
from minidock.model.volume import Volume

Filters = dict[str, list[str]]


def create(api: Api, name: str, driver: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
    body = {"Name": name, "Driver": driver, "DriverOpts": options, "Labels": labels}
    return _volume(api.json("POST", "/volumes/create", None, body))


def listed(api: Api, filters: Filters) -> list[Volume]:
    """By name, as Docker's client sorts them."""
    found = api.json("GET", "/volumes", {"filters": filters})["Volumes"] or []
    return sorted(map(_volume, found), key=lambda volume: volume.name)


def inspect(api: Api, name: str) -> Volume:
    return _volume(api.json("GET", f"/volumes/{quoted(name)}"))


def _volume(found: Json) -> Volume:
    return msgspec.convert(found, Volume)


def remove(api: Api, name: str, *, force: bool) -> None:
    api.json("DELETE", f"/volumes/{quoted(name)}", {"force": force})


def prune(api: Api, filters: Filters) -> tuple[list[str], int]:
    found = without_nulls(api.json("POST", "/volumes/prune", {"filters": filters}))
    return found.get("VolumesDeleted", []), found.get("SpaceReclaimed", 0)
