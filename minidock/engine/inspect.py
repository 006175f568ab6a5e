"""inspect: everything about a container, in the shape of Docker's API."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from minidock import network
from minidock.engine import init_layer, log_config
from minidock.engine.record import Record, Records, refresh
from minidock.model.network import EndpointSettings
from minidock.model.state import MountPoint
from minidock.network.endpoint import aliases
from minidock.paths import Layout


def container(layout: Layout, ref: str) -> dict[str, Any]:
    """API `ContainerInspectResponse`. Raises ContainerNotFound."""
    record = refresh(layout, Records(layout).find(ref))
    directory = layout.container(record.id)
    return {
        "Id": record.id,
        "Created": record.created,
        "Path": record.path,
        "Args": record.args,
        "State": _state(record),
        "Image": record.image_id,
        "ResolvConfPath": str(directory / "resolv.conf"),
        "HostnamePath": str(directory / "hostname"),
        "HostsPath": str(directory / "hosts"),
        "LogPath": _log_path(layout, record),
        "Name": f"/{record.name}",
        "RestartCount": record.restart_count,
        "Driver": "overlay2",
        "Platform": record.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": _execs(layout, record),
        "HostConfig": _host_config(record),
        "GraphDriver": _graph(layout, record),
        "Mounts": [_mount(point) for point in record.mounts],
        "Config": _config(record),
        "NetworkSettings": _network(layout, record),
    }


def _state(record: Record) -> dict[str, Any]:
    """Without a health check there is no health."""
    state: dict[str, Any] = msgspec.to_builtins(record.state)
    if record.state.health is None:
        del state["Health"]
    return state


def _log_path(layout: Layout, record: Record) -> str:
    """As Docker: only a json-file is anybody else's to read."""
    path = log_config.path(layout, record)
    return str(path) if path and path.name.endswith("-json.log") else ""


def _execs(layout: Layout, record: Record) -> list[str] | None:
    """Those that run and, of those that came through the API, the ones that can still be asked about."""
    directory = layout.container_run(record.id) / "exec"
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return None
    if not names:
        return None
    from minidock.engine import exec_sessions

    return [exec_sessions.whole_id(directory / name) for name in names]


OMITTED_WHEN_EMPTY = ("StorageOpt", "Tmpfs", "Sysctls", "Annotations", "Mounts", "Init")
NULL_WHEN_EMPTY = ("VolumesFrom", "ExtraHosts", "GroupAdd", "Links", "DeviceCgroupRules", "DeviceRequests")
"""How Docker shows what nobody asked for: Go's nil slices, and members that are left out."""


def _host_config(record: Record) -> dict[str, Any]:
    host: dict[str, Any] = {**msgspec.to_builtins(record.host_config), **_paths(record)}
    for name in NULL_WHEN_EMPTY:
        host[name] = host[name] or None
    for name in OMITTED_WHEN_EMPTY:
        if not host[name] and host[name] is not False:
            del host[name]
    # Members for other systems than Linux, which clients with typed answers expect.
    return {**host, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0}


def _mount(point: MountPoint) -> dict[str, Any]:
    """A bind has neither name nor driver, an image no driver."""
    shown: dict[str, Any] = msgspec.to_builtins(point)
    named = {name: value for name in ("Name", "Driver") if (value := shown.pop(name)) or point.type == "volume"}
    return {**shown, **named}


def _paths(record: Record) -> dict[str, Any]:
    from minidock.kernel import masks

    host = record.host_config
    return {
        "MaskedPaths": masks.MASKED if host.masked_paths is None else host.masked_paths or None,
        "ReadonlyPaths": masks.READONLY if host.readonly_paths is None else host.readonly_paths or None,
        "CapAdd": _capabilities(host.cap_add),
        "CapDrop": _capabilities(host.cap_drop),
        "SecurityOpt": host.security_opt or None,
        "Binds": host.binds or None,
        "Links": [f"/{name}:/{record.name}/{alias}" for name, _, alias in map(_halves, host.links)] or None,
        "Ulimits": [{"Name": limit.name, "Hard": limit.hard, "Soft": limit.soft} for limit in host.ulimits],
    }


def _capabilities(names: list[str]) -> list[str] | None:
    """Docker shows the kernel's names, however they were spelled."""
    spelled = (name.upper() for name in names)
    return [name if name.startswith("CAP_") or name == "ALL" else f"CAP_{name}" for name in spelled] or None


def _config(record: Record) -> dict[str, Any]:
    from minidock.kernel.execute import DEFAULT_PATH

    config: dict[str, Any] = msgspec.to_builtins(record.config)
    if not any(line.partition("=")[0] == "PATH" for line in record.config.env):
        config["Env"] = [f"PATH={DEFAULT_PATH}", *record.config.env]
    for key in ("MacAddress", "Healthcheck", "StopTimeout", "Shell", "ExposedPorts", "StopSignal", "NetworkDisabled"):
        if not config.get(key) and config.get(key) != 0:
            config.pop(key, None)
    if record.config.healthcheck:
        config["Healthcheck"] = {key: value for key, value in config["Healthcheck"].items() if value}
    config["Volumes"] = config["Volumes"] or None
    config["Labels"] = dict(sorted(config["Labels"].items()))
    return config


def _graph(layout: Layout, record: Record) -> dict[str, Any]:
    """The overlay is mounted in the container's own mount namespace: from outside it is seen through its process."""
    directory = layout.container(record.id)
    merged = f"/proc/{record.state.pid}/root" if record.state.pid else ""
    data = {
        "LowerDir": ":".join(init_layer.lower(layout, record)),
        "MergedDir": merged,
        "UpperDir": str(directory / "upper"),
        "WorkDir": str(directory / "work"),
    }
    return {"Name": "overlay2", "Data": data}


def _halves(link: str) -> tuple[str, str, str]:
    return link.partition(":")


def _asleep(record: Record, asked: EndpointSettings) -> EndpointSettings:
    """An endpoint of a container that doesn't run: what was asked for."""
    started = record.state.status != "created"
    if not started or (
        record.host_config.network_mode in ("", "default", "bridge", "host", "none") and not asked.aliases
    ):
        return asked
    return msgspec.structs.replace(asked, aliases=aliases(asked, record.id, record.name, record.config.hostname))


def _network(layout: Layout, record: Record) -> dict[str, Any]:
    mode = record.host_config.network_mode
    name = "bridge" if mode == "default" else mode
    endpoints = record.endpoints
    if not endpoints and not record.isolated and not name.startswith("container:"):
        asked = record.requested or {name: EndpointSettings()}
        endpoints = {("bridge" if key == "default" else key): _asleep(record, found) for key, found in asked.items()}
    # Docker's fields from before there were networks with names: those of the default one.
    first = endpoints.get("bridge", EndpointSettings())
    return {
        "Bridge": "",
        "SandboxID": network.network_id(layout, record.id) if record.state.pid else "",
        "SandboxKey": f"/proc/{record.state.pid}/ns/net" if record.state.pid else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "Ports": {key: None if rows is None else msgspec.to_builtins(rows) for key, rows in record.ports.items()},
        "EndpointID": first.endpoint_id,
        "Gateway": first.gateway,
        "IPAddress": first.ip_address,
        "IPPrefixLen": first.ip_prefix_len,
        "GlobalIPv6Address": first.global_ipv6_address,
        "GlobalIPv6PrefixLen": first.global_ipv6_prefix_len,
        "IPv6Gateway": first.ipv6_gateway,
        "MacAddress": first.mac_address,
        "Networks": {key: msgspec.to_builtins(value) for key, value in endpoints.items()},
    }
