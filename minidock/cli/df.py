"""system df: how much room images, containers and volumes take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from . import context
from . import images as image_list
from . import ps as container_list
from .commands import verb
from .flags import boolean, text
from .tables import FORMAT_HELP, Columns, Listing
from .units import human_size

if TYPE_CHECKING:
    from ..model.lists import ContainerSummary, ImageSummary
    from ..model.usage import BuildCache, DiskUsage, VolumeUsage

HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
IMAGE_COLUMNS = ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"]
CONTAINER_COLUMNS = ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"]
VOLUME_HEADERS = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}
CACHE_HEADERS = dict(
    zip(
        ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
        ("CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"),
        strict=True,
    )
)
ACTIVE = ("running", "paused", "restarting")


@verb(
    "df",
    "Show disk usage",
    "[OPTIONS]",
    flags=[text("format", "", FORMAT_HELP), boolean("verbose", "v", "Show detailed information on space usage")],
    examples="""
        minidock system df
        minidock system df -v
    """,
)
def df(format: str, verbose: bool) -> None:
    usage = context.engine().disk_usage()
    if not verbose:
        names = ["Type", "TotalCount", "Active", "Size", "Reclaimable"]
        return Listing("diskUsageContext", HEADERS).show(summary(usage), names, format)
    if format:
        return _verbose_templated(usage, format)
    print("Images space usage:\n")
    Listing("ImageContext", image_list.HEADERS).show(_images(usage), IMAGE_COLUMNS, "")
    print("\nContainers space usage:\n")
    Listing("ContainerContext", container_list.HEADERS).show(_containers(usage), CONTAINER_COLUMNS, "")
    print("\nLocal Volumes space usage:\n")
    Listing("VolumeContext", VOLUME_HEADERS).show(map(_volume, usage.volumes), list(VOLUME_HEADERS), "")
    print(f"\nBuild cache usage: {human_size(_cached(usage), digits=4)}\n")
    Listing("BuildCacheContext", CACHE_HEADERS).show(map(_entry, usage.build_cache), list(CACHE_HEADERS), "")
    return None


# The table of four


def summary(usage: DiskUsage) -> list[Columns]:
    unique = sum(image.size - image.shared_size for image in usage.images if image.containers)
    written = sum(row.size_rw for row in usage.containers)
    idle = sum(row.size_rw for row in usage.containers if row.state not in ACTIVE)
    cached = _cached(usage)
    kept = sum(volume.size for volume in usage.volumes)
    unlinked = sum(volume.size for volume in usage.volumes if not volume.links)
    return [
        _row(
            "Images", _count(image.containers for image in usage.images), usage.layers_size, usage.layers_size - unique
        ),
        _row("Containers", _count(row.state in ACTIVE for row in usage.containers), written, idle),
        _row("Local Volumes", _count(volume.links for volume in usage.volumes), kept, unlinked),
        _row(
            "Build Cache",
            _count(row.in_use for row in usage.build_cache),
            cached,
            cached,
            percent=False,
        ),
    ]


def _count(uses: Iterable[object]) -> tuple[int, int]:
    """How many there are, and how many of them are in use."""
    listed = [bool(use) for use in uses]
    return len(listed), sum(listed)


def _row(kind: str, counts: tuple[int, int], size: int, reclaimable: int, *, percent: bool = True) -> Columns:
    share = f" ({reclaimable * 100 // size}%)" if size > 0 and percent else ""
    total, active = counts
    return {
        "Type": lambda: kind,
        "TotalCount": lambda: str(total),
        "Active": lambda: str(active),
        "Size": lambda: human_size(size, digits=4),
        "Reclaimable": lambda: human_size(reclaimable, digits=4) + share,
    }


# One by one


def _images(usage: DiskUsage) -> list[Columns]:
    return [_image(image) for image in usage.images]


def _image(image: ImageSummary) -> Columns:
    repository, tag, digest = image_list.names(image, [], False)[0]
    sizes: dict[str, Callable[[], object]] = {
        "SharedSize": lambda: human_size(image.shared_size, digits=4),
        "UniqueSize": lambda: human_size(image.size - image.shared_size, digits=4),
        "Containers": lambda: str(image.containers),
        "CreatedAt": lambda: time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(image.created)),
    }
    return {**image_list.columns(image, repository, tag, digest, False), **sizes}


def _containers(usage: DiskUsage) -> list[Columns]:
    """What a container wrote, without the size of what it lies on."""
    return [{**container_list.columns(row, no_trunc=False), "Size": partial(_written, row)} for row in usage.containers]


def _written(row: ContainerSummary) -> str:
    return human_size(row.size_rw)


def _volume(volume: VolumeUsage) -> Columns:
    return {
        "Name": lambda: volume.name,
        "Links": lambda: str(volume.links),
        "Size": lambda: human_size(volume.size, digits=4),
    }


def _cached(usage: DiskUsage) -> int:
    """Bytes that no image has as well."""
    return sum(row.size for row in usage.build_cache if not row.shared)


def _entry(row: BuildCache) -> Columns:
    from ..engine.durations import human_duration, unix

    def ago(moment: str) -> str:
        return f"{human_duration(time.time() - unix(moment))} ago" if moment else ""

    return {
        "ID": lambda: row.id[:12],
        "CacheType": lambda: row.type,
        "Size": lambda: human_size(row.size, digits=4),
        "CreatedSince": lambda: ago(row.created_at),
        "LastUsedSince": lambda: ago(row.last_used_at),
        "UsageCount": lambda: str(row.usage_count),
        "Shared": lambda: str(row.shared).lower(),
        "Description": lambda: row.description,
    }


def _verbose_templated(usage: DiskUsage, form: str) -> None:
    """The lists as one object, for a template."""
    from .gotemplate import parse, render

    def plain(rows: Iterable[Columns]) -> list[dict[str, Any]]:
        return [{name: column() for name, column in row.items()} for row in rows]

    thing = {
        "Images": plain(_images(usage)),
        "Containers": plain(_containers(usage)),
        "Volumes": plain(map(_volume, usage.volumes)),
        "BuildCache": plain(map(_entry, usage.build_cache)),
    }
    print(render(parse("{{json .}}" if form == "json" else form), thing))
