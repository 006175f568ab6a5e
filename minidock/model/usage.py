"""How much room things take, and what a prune took away."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec

from minidock.model.base import Api
from minidock.model.lists import ContainerSummary, ImageSummary


class VolumeUsage(Api, frozen=True):
    """A volume, how many containers have it, and the bytes in it."""

    name: str
    links: int
    size: int


class BuildCache(Api, frozen=True):
    """One entry of the build cache. `shared`: an image has its layer too."""

    id: str = msgspec.field(name="ID")
    type: str
    description: str
    size: int
    shared: bool
    created_at: str
    last_used_at: str
    in_use: bool = False
    usage_count: int = 1


class DiskUsage(Api, frozen=True):
    """Answer to GET /system/df."""

    layers_size: int
    images: list[ImageSummary]
    containers: list[ContainerSummary]
    volumes: list[VolumeUsage]
    build_cache: list[BuildCache]


class ContainersPruned(Api, frozen=True):
    """Answer to POST /containers/prune."""

    containers_deleted: list[str]
    space_reclaimed: int


class Pruned(msgspec.Struct, frozen=True):
    """What a prune took away: ids, names, rows of ("Untagged" | "Deleted", what), and bytes."""

    containers: list[str]
    networks: list[str]
    volumes: list[str]
    images: list[tuple[str, str]]
    build_cache: list[str]
    space: int
