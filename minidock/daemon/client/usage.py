"""How much room things take elsewhere, and giving it back."""

from __future__ import annotations

from typing import Any

import msgspec

from minidock.daemon.client import containers, images
from minidock.daemon.client import volumes as volume_store
from minidock.daemon.client.api import Api, without_nulls
from minidock.model.lists import ContainerSummary
from minidock.model.usage import BuildCache, DiskUsage, Pruned, VolumeUsage

Filters = dict[str, list[str]]


def disk_usage(api: Api) -> DiskUsage:
    found = without_nulls(api.json("GET", "/system/df"))
    return DiskUsage(
        layers_size=found.get("LayersSize", 0),
        images=[images.row(each) for each in found.get("Images", [])],
        containers=msgspec.convert(found.get("Containers", []), list[ContainerSummary]),
        volumes=[_volume(each) for each in found.get("Volumes", [])],
        build_cache=[_entry(each) for each in found.get("BuildCache", [])],
    )


def _volume(found: dict[str, Any]) -> VolumeUsage:
    used = found.get("UsageData", {})
    return VolumeUsage(found["Name"], used.get("RefCount", 0), used.get("Size", 0))


def _entry(found: dict[str, Any]) -> BuildCache:
    return msgspec.convert({"Description": "", "CreatedAt": "", "LastUsedAt": "", **found}, BuildCache)


def prune(api: Api, *, everything: bool, volumes: bool, filters: Filters) -> Pruned:
    """As Docker's client, request by request; those first that keep the others in use."""
    stopped = containers.prune(api, filters)
    gone, freed = _volumes(api, filters) if volumes else ([], 0)
    apart = without_nulls(api.json("POST", "/networks/prune", {"filters": filters})).get("NetworksDeleted", [])
    dangling = {"dangling": ["false" if everything else "true"]}
    deleted, more = images.prune(api, {**filters, **dangling})
    forgotten, rest = ([], 0) if set(filters) - {"until"} else _build_cache(api, everything, filters)
    space = stopped.space_reclaimed + freed + more + rest
    return Pruned(stopped.containers_deleted, apart, gone, deleted, forgotten, space)


def _build_cache(api: Api, everything: bool, filters: Filters) -> tuple[list[str], int]:
    found = without_nulls(api.json("POST", "/build/prune", {"all": everything, "filters": filters}))
    return found.get("CachesDeleted", []), found.get("SpaceReclaimed", 0)


def _volumes(api: Api, filters: Filters) -> tuple[list[str], int]:
    kept = {name: values for name, values in filters.items() if name != "until"}  # a volume has no such time
    return volume_store.prune(api, kept)
