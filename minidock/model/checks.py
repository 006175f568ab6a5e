"""What Docker's server refuses in a request to create a container, before anything is done: names, values, conflicts.

The engine checks every request, whoever sends it; the command line does so before it pulls an image. Nothing here needs
root. Texts are Docker's; limits of memory and processors are in limit_checks.py.
"""

from __future__ import annotations

import os
import re
from typing import Any

import msgspec

from minidock.errors import UsageError
from minidock.model import limit_checks
from minidock.model.container import ContainerConfig, Healthcheck
from minidock.model.host import HostConfig, RestartPolicy
from minidock.model.log_options import check_log_config
from minidock.model.mount_checks import check_mount, target_problem
from minidock.model.network import interface_sysctls
from minidock.model.requests import CreateRequest

NAME = r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+"
BUILT_IN = ("default", "bridge", "host", "none")


def check(request: CreateRequest, *, here: bool = True) -> list[str]:
    """Warnings, for what is done differently than asked. Raises UsageError for what can't be done.

    Not `here`: another daemon's host has other processors, and Docker has other log drivers; it will say so itself.
    """
    config, host = request.config, request.host_config
    _check_text(request)
    check_name(request.name)
    limit_checks.check(host)
    _check_process(config)
    _check_host(host)
    if here:
        limit_checks.check_here(host)
        check_log_config(host.log_config)
    _check_namespaces(config, host)
    _check_addresses(request)
    _check_targets(host)
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


def _check_process(config: ContainerConfig) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise UsageError(f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path")
    check_signal(config.stop_signal)
    for line in config.env:
        if not line.partition("=")[0]:
            raise UsageError(f"invalid environment variable: {line}")
    _check_health(config)


def _check_host(host: HostConfig) -> None:
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise UsageError("can't create 'AutoRemove' container with restart policy")
    if host.shm_size < 0:
        raise UsageError("SHM size can not be less than 0")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise UsageError(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    for entry in host.extra_hosts:
        _check_extra_host(entry)
    ports = [binding.host_port for bindings in host.port_bindings.values() for binding in bindings or []]
    for port in ports:
        if not re.fullmatch(r"(\d{1,5}(-\d{1,5})?)?", port, re.ASCII):
            raise UsageError(f'invalid port specification: "{port}"')
    check_restart(host.restart_policy)


def _check_extra_host(entry: str) -> None:
    import ipaddress

    name, separator, address = entry.partition("=") if "=" in entry else entry.partition(":")
    if not (name and separator):
        raise UsageError(f'bad format for add-host: "{entry}"')
    try:
        if address != "host-gateway":
            ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise UsageError(f'invalid IP address in add-host: "{address}"') from None


def check_restart(policy: RestartPolicy) -> None:
    if policy.name not in ("", "no", "always", "unless-stopped", "on-failure"):
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
    if check.retries < 0:
        raise UsageError("Retries in Healthcheck cannot be negative")


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
    if host.cgroupns_mode not in ("", "private", "host"):
        raise UsageError(f"invalid cgroup namespace mode: {host.cgroupns_mode}")


def _check_addresses(request: CreateRequest) -> None:
    """--ip, --ip6 and --mac-address: well formed, and the former on networks that somebody made."""
    for mac in (request.config.mac_address, *(asked.mac_address for asked in request.endpoints.values())):
        if mac and not re.fullmatch(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", mac, re.ASCII | re.IGNORECASE):
            raise UsageError(f"address {mac}: invalid MAC address")
    for name, asked in request.endpoints.items():
        interface_sysctls(asked)
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


def _check_targets(host: HostConfig) -> None:
    """Every mount is well formed, and no two have the same place."""
    for mount in host.mounts:
        check_mount(mount)
    for target in host.tmpfs:
        if problem := target_problem(target):
            raise UsageError(problem)
    targets = [*(":".join(bind.split(":")[1:2]) for bind in host.binds), *(mount.target for mount in host.mounts)]
    for target in filter(None, targets):
        if targets.count(target) > 1:
            raise UsageError(f"Duplicate mount point: {target}")


def is_user_defined(network: str) -> bool:
    return network not in BUILT_IN and not network.startswith("container:")
