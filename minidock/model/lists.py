"""What lists show: a row of each noun."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec

from minidock.model.base import Api
from minidock.model.state import MountPoint


class PortSummary(Api, frozen=True, omit_defaults=True):
    """One open port; `public_port` 0 when it is not published, `type` is tcp, udp or sctp."""

    private_port: int
    type: str
    ip: str = msgspec.field(name="IP", default="")
    public_port: int = 0


class NetworkModeOnly(Api, frozen=True):
    """The part of HostConfig that a list of containers carries."""

    network_mode: str = "default"


class ContainerSummary(Api, frozen=True):
    """One row of GET /containers/json. `created` in seconds since 1970; names start with a slash; sizes in bytes,
    0 unless they were asked for."""

    id: str
    names: list[str]
    image: str
    image_id: str = msgspec.field(name="ImageID")
    command: str
    created: int
    state: str
    status: str
    ports: list[PortSummary] = []
    labels: dict[str, str] = {}
    host_config: NetworkModeOnly = NetworkModeOnly()
    mounts: list[MountPoint] = []
    size_rw: int = 0
    size_root_fs: int = 0


class ContainerStats(msgspec.Struct, frozen=True):
    """What a container uses, for people: shares of one processor and of its memory limit in percent, bytes."""

    id: str
    name: str
    cpu_percent: float
    memory: int
    memory_limit: int
    memory_percent: float
    received: int
    sent: int
    read: int
    written: int
    pids: int


class ImageSummary(Api, frozen=True):
    """One row of GET /images/json. `containers` is -1 when it was not counted."""

    id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: int
    size: int
    labels: dict[str, str] = {}
    containers: int = -1
    parent_id: str = ""
    shared_size: int = -1


class HistoryRow(Api, frozen=True):
    """One row of GET /images/NAME/history."""

    id: str
    created: int
    created_by: str
    tags: list[str] | None
    size: int
    comment: str
