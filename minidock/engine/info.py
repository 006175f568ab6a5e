"""version and info: what minidock is, and what it stands on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from minidock import __version__
from minidock.engine.record import Records, refresh
from minidock.image.store import ImageStore
from minidock.kernel import cgroups
from minidock.kernel.cgroup_files import Hierarchies
from minidock.paths import Layout

API_VERSION = "1.44"


def version() -> dict[str, Any]:
    """API `SystemVersion`, of an engine that lives in the command itself."""
    facts = os.uname()
    return {
        "Platform": {"Name": "minidock"},
        "Components": [],
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": "1.24",
        "Os": "linux",
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(facts.machine, facts.machine),
        "KernelVersion": facts.release,
        "PythonVersion": platform.python_version(),
        "GoVersion": "",
        "GitCommit": "",
        "BuildTime": "",
        "Experimental": False,
    }


def info(layout: Layout) -> dict[str, Any]:
    """API `SystemInfo`: the part of it that exists without a daemon."""
    records = [refresh(layout, record) for record in Records(layout).all()]
    running = sum(record.state.running and not record.state.paused for record in records)
    paused = sum(record.state.paused for record in records)
    hierarchies = cgroups.discover()
    facts = os.uname()
    return {
        "ID": str(layout.root),
        "Containers": len(records),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(records) - running - paused,
        "Images": len(ImageStore(layout).images()),
        "Driver": "overlay2",
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs" if layout.user is None else "none",
        "CgroupVersion": "2" if not hierarchies.v1 else "1",
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "null"], "Log": ["json-file", "local", "none"]},
        "SecurityOptions": [
            "name=seccomp,profile=builtin",
            *(["name=rootless"] if layout.user is not None else []),
            "name=cgroupns",
        ],
        "Runtimes": {name: {"path": "minidock-oci"} for name in ("minidock", *_runtimes())},
        "DefaultRuntime": "minidock",
        "ServerVersion": __version__,
        "KernelVersion": facts.release,
        "OperatingSystem": _operating_system(),
        "OSType": "linux",
        "Architecture": facts.machine,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "DockerRootDir": str(layout.root),
        "Name": facts.nodename,
        "Swarm": {"LocalNodeState": "inactive"},
        "Warnings": [],
        **_devices(layout),
        **_possible(hierarchies if layout.user is None else Hierarchies()),
        **WHAT_CLIENTS_EXPECT,
    }


def _devices(layout: Layout) -> dict[str, Any]:
    """Where CDI files are looked for, and what they offer by name: API 1.44 and 1.50."""
    from minidock.engine import device_requests

    found = device_requests.listing(layout)
    rows = [{"Source": "cdi", "ID": device.name} for device in found.devices]
    return {"CDISpecDirs": found.directories, "DiscoveredDevices": rows}


def _possible(hierarchies: Hierarchies) -> dict[str, bool]:
    """Which limits this host can keep: Docker's client warns of each that is missing."""
    there = {*hierarchies.v1, *hierarchies.v2_controllers}
    return {
        "MemoryLimit": "memory" in there,
        "SwapLimit": "memory" in there and os.path.exists("/proc/swaps"),
        "CpuCfsPeriod": "cpu" in there,
        "CpuCfsQuota": "cpu" in there,
        "CPUShares": "cpu" in there,
        "CPUSet": "cpuset" in there,
        "PidsLimit": "pids" in there,
        "OomKillDisable": "memory" in hierarchies.v1,
        "IPv4Forwarding": _switched_on("/proc/sys/net/ipv4/ip_forward"),
        "BridgeNfIptables": True,
        "BridgeNfIp6tables": True,
    }


def _runtimes() -> list[str]:
    """What programs look for when they want GPUs: --runtime nvidia, where its driver is loaded."""
    return ["nvidia"] if os.path.exists("/proc/driver/nvidia/version") else []


def _switched_on(path: str) -> bool:
    try:
        return Path(path).read_text(encoding="ascii").strip() == "1"
    except OSError:
        return False


WHAT_CLIENTS_EXPECT: dict[str, Any] = {
    "Debug": False,
    "ExperimentalBuild": False,
    "LiveRestoreEnabled": True,
    "IndexServerAddress": "https://index.docker.io/v1/",
    "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": []},
    "DriverStatus": [],
    "Labels": [],
    "NFd": 0,
    "NGoroutines": 0,
    "NEventsListener": 0,
    "Isolation": "",
    "InitBinary": "minidock-init",
}
"""Members that hold for every instance, and those that only Docker's own daemon has something to say in."""


def _operating_system() -> str:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return "Linux"
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else "Linux"
