"""What is remembered of a container, and what tells its first process from another of the same number."""

from __future__ import annotations

import msgspec

from minidock.errors import UsageError
from minidock.oci import texts

ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-")
"""What an id may consist of; it becomes the name of a directory and of a cgroup."""


class State(msgspec.Struct, frozen=True, rename="camel"):
    """state.json. `start_ticks` with `pid` names one process for ever (proc_pid_stat(5), field 22)."""

    oci_version: str
    id: str
    pid: int
    bundle: str
    rootfs: str
    annotations: dict[str, str]
    created: str
    cgroup: str
    start_ticks: int


def check_id(container_id: str) -> None:
    """Raises UsageError for an id that is empty, or not a name."""
    if not container_id:
        raise UsageError("container id cannot be empty")
    if wrong := [sign for sign in container_id if sign not in ALLOWED]:
        raise texts.invalid_id(container_id, wrong[0])
    # One that begins with a dot would be a hidden directory, like our own below --root.
    if container_id.startswith(".") or len(container_id) > 1024:
        raise texts.invalid_id(container_id)


def ticks(pid: int) -> int:
    """When the process started (proc_pid_stat(5), field 22); 0 when it is gone, or dead and not yet waited for."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def now() -> str:
    import time

    now = time.time_ns()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000))
    return f"{whole}.{now % 1_000_000_000:09d}Z"
