"""What a container is now."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec

from minidock.model.base import Api


class HealthResult(Api, frozen=True):
    """One health check; exit code -1 when it couldn't be made, or took too long."""

    start: str
    end: str
    exit_code: int
    output: str


class Health(Api, frozen=True):
    """API `Health`: starting, healthy or unhealthy, and the last five checks."""

    status: str = "starting"
    failing_streak: int = 0
    log: list[HealthResult] = []


class ContainerState(Api, frozen=True):
    """API `ContainerState`. Times are RFC 3339 with nanoseconds, or 0001-01-01T00:00:00Z."""

    status: str = "created"
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = msgspec.field(name="OOMKilled", default=False)
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = "0001-01-01T00:00:00Z"
    finished_at: str = "0001-01-01T00:00:00Z"
    health: Health | None = None


class MountPoint(Api, frozen=True):
    """One entry of inspect's `Mounts`."""

    type: str
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = msgspec.field(name="RW", default=True)
    propagation: str = ""
