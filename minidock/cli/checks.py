"""What Docker's server refuses in a request to create a container, before anything is done: limits, names, conflicts.

Some of it needs facts of the host (how many processors), nothing needs root. Texts are Docker's.
"""

from __future__ import annotations

import os
import re
from typing import Any

import msgspec

from ..errors import UsageError
from ..model.container import ContainerConfig, Healthcheck
from ..model.host import HostConfig, RestartPolicy
from ..model.requests import CreateRequest
from .parse_logs import check_log_config
from .parse_mounts import check_mount
from .parse_networks import is_user_defined

LEAST_MEMORY = 6 << 20
NAME = r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+"


def check(request: CreateRequest, *, here: bool = True) -> list[str]:
    """Warnings, for what is done differently than asked. Raises UsageError for what can't be done.

    Not `here`: another daemon's host has other processors, and Docker has other log drivers; it will say so itself.
    """
    config, host = request.config, request.host_config
    _check_text(request)
    check_name(request.name)
    _check_memory(host)
    _check_processors(host)
    _check_process(config, host)
    if here:
        _check_what_is_here(host)
    _check_namespaces(config, host)
    _check_addresses(request)
    _check_targets(config, host)
    warnings = [f"Localhost DNS ({server}) may fail in containers." for server in host.dns if _is_loopback(server)][:1]
    if host.network_mode == "host" and host.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    return warnings


def _is_loopback(server: str) -> bool:
    return server.startswith("127.") or server == "::1"


def _check_text(request: CreateRequest) -> None:
    """The request becomes JSON, and that is UTF-8; bytes of the command line that aren't have no place in it."""
    try:
        msgspec.json.encode(request)
    except UnicodeEncodeError as error:
        word = os.fsencode(error.object).decode(errors="backslashreplace")
        raise UsageError(f"not valid UTF-8: {word}") from None


def check_name(name: str) -> None:
    if name and not re.fullmatch(NAME, name, re.ASCII):
        raise UsageError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def _check_memory(host: HostConfig) -> None:
    memory, swap, reservation = host.memory, host.memory_swap, host.memory_reservation
    if 0 < memory < LEAST_MEMORY:
        raise UsageError("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise UsageError("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0:
        raise UsageError("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < reservation < LEAST_MEMORY:
        raise UsageError("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise UsageError("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_processors(host: HostConfig) -> None:
    if host.nano_cpus and host.cpu_period:
        raise UsageError("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if host.nano_cpus and host.cpu_quota:
        raise UsageError("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise UsageError("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < host.cpu_quota < 1000:
        raise UsageError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.cpu_shares < 0:
        raise UsageError(f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer")


def _check_what_is_here(host: HostConfig) -> None:
    there = os.cpu_count() or 1
    if host.nano_cpus < 0 or host.nano_cpus > there * 10**9:
        raise UsageError(f"Range of CPUs is from 0.01 to {there}.00, as there are only {there} CPUs available")
    check_log_config(host.log_config)
    _check_set("cpuset cpus", host.cpuset_cpus, "Requested CPUs are not available", "/sys/devices/system/cpu/online")
    _check_set(
        "cpuset mems", host.cpuset_mems, "Requested memory nodes are not available", "/sys/devices/system/node/online"
    )


def _check_set(what: str, raw: str, absent: str, online: str) -> None:
    """A cpuset(7) list: well formed, and a part of what this host has (a list in the same form)."""
    if not raw:
        return
    wanted = _members(raw)
    if wanted is None:
        raise UsageError(f"Invalid value {raw} for {what}: invalid format: {raw}")
    try:
        with open(online) as file:
            available = file.read().strip()
    except FileNotFoundError:  # a kernel without NUMA has one node
        available = "0"
    if not wanted <= (_members(available) or set()):
        raise UsageError(f"{absent} - requested {raw}, available: {available}")


def _members(raw: str) -> set[int] | None:
    found: set[int] = set()
    for part in raw.split(","):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part, re.ASCII)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            return None
        found.update(range(first, last + 1))
    return found


def _check_process(config: ContainerConfig, host: HostConfig) -> None:
    if not -1000 <= host.oom_score_adj <= 1000:
        raise UsageError(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise UsageError(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path")
    check_signal(config.stop_signal)
    _check_health(config)
    _check_restart(host.restart_policy)


def _check_restart(policy: RestartPolicy) -> None:
    if policy.name not in ("no", "always", "unless-stopped", "on-failure"):
        raise UsageError(f"invalid restart policy '{policy.name}'")
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise UsageError(f"maximum retry count cannot be used with restart policy '{policy.name}'")
    if policy.maximum_retry_count < 0:
        raise UsageError("maximum retry count cannot be negative")


def _check_health(config: ContainerConfig) -> None:
    check = config.healthcheck or Healthcheck()
    for name in ("interval", "timeout", "start_period", "start_interval"):
        if 0 < getattr(check, name) < 1_000_000:
            member = "".join(word.capitalize() for word in name.split("_"))
            raise UsageError(f"{member} in Healthcheck cannot be less than 1ms")


def check_signal(raw: str) -> None:
    """A signal by name, with or without SIG, or by number; empty means the default."""
    import signal

    name = raw.upper()
    if not raw or (raw.isdecimal() and 0 < int(raw) <= 64):
        return
    name = name if name.startswith("SIG") else f"SIG{name}"
    if not (hasattr(signal, name) and isinstance(getattr(signal, name), signal.Signals)) and not re.fullmatch(
        r"SIGRT(MIN(\+\d{1,2})?|MAX(-\d{1,2})?)", name, re.ASCII
    ):
        raise UsageError(f"Invalid signal: {raw}")


def _check_namespaces(config: ContainerConfig, host: HostConfig) -> None:
    """Options that would have to change somebody else's namespace."""
    if host.network_mode.startswith("container:"):
        if host.network_mode == "container:":
            raise UsageError("Invalid network mode: invalid container format container:<name|id>")
        conflicts = (
            (config.hostname, "hostname and the network mode"),
            (host.dns, "dns and the network mode"),
            (host.extra_hosts, "custom host-to-IP mapping and the network mode"),
            (config.mac_address, "mac-address and the network mode"),
            (host.port_bindings or host.publish_all_ports, "port publishing and the container type network mode"),
            (config.exposed_ports, "port exposing and the container type network mode"),
        )
        for given, sentence in conflicts:
            if given:
                raise UsageError(f"conflicting options: {sentence}")
    if host.uts_mode == "host" and config.hostname:
        raise UsageError("conflicting options: hostname and the UTS mode")
    if host.network_mode == "host" and config.mac_address:
        raise UsageError("conflicting options: mac-address and the network mode")
    ipc = host.ipc_mode
    known = ("", "none", "private", "shareable", "host")
    if ipc not in known and not (ipc.startswith("container:") and ipc != "container:"):
        raise UsageError(f"Invalid IPC mode: {ipc}")


def _check_addresses(request: CreateRequest) -> None:
    """--ip and --ip6: well formed, and on networks that somebody made."""
    for name, asked in request.endpoints.items():
        ipam = asked.ipam_config or {}
        if not (ipam.get("IPv4Address") or ipam.get("IPv6Address")):
            continue
        if not is_user_defined(name):
            raise UsageError("user specified IP address is supported on user defined networks only")
        check_ip(ipam)


def check_ip(ipam: dict[str, Any]) -> None:
    import socket

    for key, family, shown in (("IPv4Address", socket.AF_INET, "IPv4"), ("IPv6Address", socket.AF_INET6, "IPv6")):
        if raw := ipam.get(key):
            try:
                socket.inet_pton(family, raw)
            except (OSError, ValueError):
                raise UsageError(f"invalid {shown} address: {raw}") from None


def _check_targets(config: ContainerConfig, host: HostConfig) -> None:
    """Every mount is well formed, and no two have the same place."""
    for mount in host.mounts:
        check_mount(mount)
    targets = [*config.volumes, *(bind.split(":")[1] for bind in host.binds), *(mount.target for mount in host.mounts)]
    for target in targets:
        if targets.count(target) > 1:
            raise UsageError(f"Duplicate mount point: {target}")
