"""Namespaces that a container shares: with the host, or with another container that runs."""

from __future__ import annotations

import os

from minidock.engine.record import Record, Records, alive
from minidock.errors import Conflict, NotRunning, UsageError
from minidock.paths import Layout


def joined(layout: Layout, record: Record) -> dict[str, str]:
    """Which namespaces are shared, and with whom: kind → "host" or a path of another container's process."""
    host = record.host_config
    wanted = {
        "network": host.network_mode,
        "pid": host.pid_mode,
        "ipc": host.ipc_mode,
        "uts": host.uts_mode,
        "cgroup": host.cgroupns_mode,
    }
    rows: dict[str, str] = {}
    for kind, mode in wanted.items():
        if mode == "host":
            rows[kind] = "host"
        elif mode.startswith("container:"):
            rows[kind] = _namespace_of(layout, mode.removeprefix("container:"), kind)
        elif kind in ("pid", "uts", "cgroup") and mode not in ("", "private"):
            raise UsageError(f"{kind}: invalid mode: {mode}")
    shared = {path.rpartition("/")[0] for path in rows.values() if path.startswith("/proc/")}
    if record.uid_map and shared:
        rows["user"] = _common_user_namespace(shared)
    return rows


def _common_user_namespace(processes: set[str]) -> str:
    """A namespace can only be joined from the user namespace that it belongs to."""
    paths = [f"{process}/user" for process in sorted(processes)]
    inodes = {os.stat(path).st_ino for path in paths}
    if len(inodes) > 1 or os.stat("/proc/self/ns/user").st_ino in inodes:
        raise UsageError(
            "can't share namespaces with a container that has another user namespace",
            hint="start both with --userns host, or share with one container only",
        )
    return paths[0]


def _namespace_of(layout: Layout, ref: str, kind: str) -> str:
    other = Records(layout).find(ref)
    if not alive(other) and kind == "network":
        raise Conflict(f"cannot join network of a non running container: {other.id}")
    if not alive(other):
        raise NotRunning(other.id)
    if kind == "ipc" and other.host_config.ipc_mode not in ("shareable", "host"):
        raise UsageError(
            f"can't join IPC of container {other.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor "
            "container)"
        )
    return f"/proc/{other.state.pid}/ns/{'net' if kind == 'network' else kind}"
