"""system df and system prune: how much room images, containers and volumes take, and giving it back."""

from __future__ import annotations

import os
import time
from collections import Counter

import msgspec

from minidock.engine import build_cache, image_list, image_remove, networks, ps, volume_store
from minidock.engine.image_list import Filters
from minidock.engine.prune import containers as prune_containers
from minidock.engine.record import Records
from minidock.errors import UsageError
from minidock.image.store import ImageStore
from minidock.model.lists import ImageSummary
from minidock.model.usage import DiskUsage, Pruned, VolumeUsage
from minidock.paths import Layout


def disk_usage(layout: Layout) -> DiskUsage:
    """API GET /system/df."""
    return DiskUsage(
        layers_size=image_remove.layers_size(layout),
        images=_images(layout),
        containers=ps.containers(layout, everything=True, last=0, filters={}, size=True),
        volumes=_volumes(layout),
        build_cache=build_cache.rows(layout),
    )


def _images(layout: Layout) -> list[ImageSummary]:
    """With what each shares with others."""
    store = ImageStore(layout)
    images = {image.id: image for image in store.images()}
    users = Counter(diff_id for image in images.values() for diff_id in set(image.diff_ids))
    rows = []
    for row in image_list.summaries(layout, everything=False, filters={}):
        shared = {diff_id for diff_id in images[row.id].diff_ids if users[diff_id] > 1}
        size = sum(record.size for diff_id in shared if (record := store.layer(diff_id)))
        rows.append(msgspec.structs.replace(row, shared_size=size))
    return rows


def _volumes(layout: Layout) -> list[VolumeUsage]:
    links = Counter(point.name for record in Records(layout).all() for point in record.mounts if point.type == "volume")
    try:
        names = sorted(os.listdir(layout.volumes))
    except FileNotFoundError:
        return []
    size = ps.directory_size
    return [VolumeUsage(name, links[name], size(f"{layout.volumes}/{name}/_data")) for name in names]


def content_size(layout: Layout, image_id: str) -> int:
    """Bytes of an image's blobs as they lie in the store: what a pull would bring."""
    store = ImageStore(layout)
    manifest = store.manifest(store.find(image_id))
    blobs = {blob.digest: blob.size for blob in (manifest.config, *manifest.layers)}
    return sum(blobs.values()) + store.record(image_id).manifest.size


def prune(layout: Layout, *, everything: bool, volumes: bool, filters: Filters) -> Pruned:
    """Stopped containers, networks, images, the build cache, and volumes when asked; those first that keep the others
    in use. What has no labels stays when those are asked for."""
    unknown = set(filters) - {"label", "label!", "until"}
    if unknown:
        raise UsageError(f"Invalid filter '{min(unknown)}'")
    stopped = prune_containers(layout, filters)
    gone, more = prune_volumes(layout, filters) if volumes else ([], 0)
    apart = networks.prune(layout, filters)
    dangling = {"dangling": ["false" if everything else "true"]}
    images, most = image_remove.prune(layout, {**filters, **dangling})
    forgotten, rest = ([], 0) if set(filters) - {"until"} else _prune_build_cache(layout, everything, filters)
    return Pruned(
        containers=stopped.containers_deleted,
        networks=apart,
        volumes=gone,
        images=images,
        build_cache=forgotten,
        space=stopped.space_reclaimed + more + most + rest,
    )


def _prune_build_cache(layout: Layout, everything: bool, filters: Filters) -> tuple[list[str], int]:
    older = time.time() - float(filters["until"][-1]) if "until" in filters else None
    return build_cache.prune(layout, everything=everything, older_than=older, keep_bytes=0)


def prune_volumes(layout: Layout, filters: Filters) -> tuple[list[str], int]:
    """Anonymous volumes that no container has."""
    return volume_store.prune(layout, {key: values for key, values in filters.items() if key != "until"})
