"""The flags of `run` and `create`, put together to what the engine is asked: model.CreateRequest.

image, command, flags ──► ContainerConfig (what runs) + HostConfig (how this host runs it) ──► checks.py
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import UsageError
from ..model.container import ContainerConfig, Healthcheck
from ..model.host import HostConfig, PortBinding, RestartPolicy
from ..model.requests import CreateRequest
from . import parse_gpus
from . import parse_values as values
from .parse_env import environment, labels
from .parse_logs import log_config
from .parse_networks import join
from .parse_ports import parse_ports
from .parse_volumes import parse_tmpfs, parse_volumes

Flags = dict[str, Any]
"""Values by key, as flags.parse gives them for CREATE_FLAGS or RUN_FLAGS."""


ALIKE = (
    *("cap_add", "cap_drop", "privileged", "group_add", "oom_score_adj", "init", "dns", "dns_search"),
    *("memory", "memory_reservation", "memory_swap", "cpu_shares", "cpu_period", "cpu_quota"),
    *("cpuset_cpus", "cpuset_mems", "pids_limit", "shm_size", "oom_kill_disable", "cgroup_parent", "runtime"),
    *("blkio_weight", "blkio_weight_device", "volumes_from", "volume_driver", "isolation"),
)
"""Flags whose value is HostConfig's member of the same name, as it is."""


COMFORT = {"show_limits": "minidock.show-limits", "thread_hints": "minidock.thread-hints"}
"""What Docker hasn't got, as annotations: they travel over its API (engine/limits_view.py)."""


def build(image: str, command: list[str], flags: Flags) -> CreateRequest:
    """The request. Raises UsageError with Docker's text for what can't be right, alone or together."""
    if not flags["disable_content_trust"]:
        raise UsageError("--disable-content-trust=false can't be honoured: minidock doesn't talk to a notary server")
    open_ports, bindings = parse_ports(flags["publish"], flags["expose"])
    binds, anonymous = parse_volumes(flags["volume"])
    config = container_config(image, command, flags, open_ports, anonymous)
    mode, endpoints, links = join(flags, config.mac_address)
    host = msgspec.structs.replace(host_config(flags, bindings, binds), network_mode=mode, links=links)
    platform = values.platform(flags["platform"])
    return CreateRequest(config, host, name=flags["name"], platform=platform, endpoints=endpoints)


def host_config(flags: Flags, bindings: dict[str, list[PortBinding]], binds: list[str]) -> HostConfig:
    """How this host runs it."""
    security, masked, read_only = security_options(flags["security_opt"])
    return HostConfig(
        **{name: flags[name] for name in ALIKE},
        binds=list(dict.fromkeys(binds)),
        mounts=flags["mount"],
        tmpfs=parse_tmpfs(flags["tmpfs"]),
        readonly_rootfs=flags["read_only"],
        devices=[values.device(word) for word in parse_gpus.paths(flags["device"])],
        device_requests=parse_gpus.requests(flags["gpus"], flags["device"], flags["cdi_spec_dir"]),
        device_cgroup_rules=flags["device_cgroup_rule"],
        port_bindings=bindings,
        publish_all_ports=flags["publish_all"],
        dns_options=flags["dns_option"],
        extra_hosts=flags["add_host"],
        nano_cpus=flags["cpus"],
        cpu_realtime_period=flags["cpu_rt_period"],
        cpu_realtime_runtime=flags["cpu_rt_runtime"],
        blkio_device_read_bps=flags["device_read_bps"],
        blkio_device_write_bps=flags["device_write_bps"],
        blkio_device_read_iops=flags["device_read_iops"],
        blkio_device_write_iops=flags["device_write_iops"],
        memory_swappiness=swappiness(flags["memory_swappiness"]),
        ulimits=list({limit.name: limit for limit in flags["ulimit"]}.values()),
        pid_mode=pid_mode(flags["pid"]),
        ipc_mode=flags["ipc"],
        uts_mode=_one_of("uts", "UTS", flags["uts"], ("", "host")),
        cgroupns_mode=_one_of("cgroupns", "CGROUP", flags["cgroupns"], ("", "host", "private")),
        userns_mode=_one_of("userns", "USER", flags["userns"], ("", "host")),
        sysctls=dict(flags["sysctl"]),
        storage_opt=storage_options(flags["storage_opt"]),
        security_opt=security,
        masked_paths=masked,
        readonly_paths=read_only,
        container_id_file=flags["cidfile"],
        annotations={**dict(flags["annotation"]), **{name: "true" for flag, name in COMFORT.items() if flags[flag]}},
        log_config=log_config(flags["log_driver"], flags["log_opt"]),
        restart_policy=restart_policy(flags["restart"], auto_remove=flags["rm"]),
        auto_remove=flags["rm"],
    )


def container_config(
    image: str, command: list[str], flags: Flags, open_ports: list[str], anonymous: list[str]
) -> ContainerConfig:
    """What runs. With -d nothing is attached; without -a, stdout and stderr are, and stdin with -i."""
    attach, detached = flags["attach"], flags.get("detach", False)
    attach_stdin = not detached and ("stdin" in attach if attach else flags["interactive"])
    entrypoint = flags["entrypoint"]
    return ContainerConfig(
        hostname=flags["hostname"],
        domainname=flags["domainname"],
        user=flags["user"],
        attach_stdin=attach_stdin,
        attach_stdout=not detached and (not attach or "stdout" in attach),
        attach_stderr=not detached and (not attach or "stderr" in attach),
        exposed_ports={port: {} for port in open_ports},
        tty=flags["tty"],
        open_stdin=flags["interactive"],
        stdin_once=attach_stdin and flags["interactive"],
        env=environment(flags["env_file"], flags["env"]),
        cmd=command or None,
        image=image,
        volumes={target: {} for target in anonymous},
        working_dir=flags["workdir"],
        # An empty --entrypoint takes the image's away, which is not the same as none at all.
        entrypoint=None if entrypoint is None else [entrypoint],
        mac_address=values.mac_address(flags["mac_address"]),
        labels=labels(flags["label_file"], flags["label"]),
        stop_signal=flags["stop_signal"],
        stop_timeout=flags["stop_timeout"],
        healthcheck=healthcheck(flags),
    )


def healthcheck(flags: Flags) -> Healthcheck | None:
    """--health-*; None leaves it to the image."""
    names = ("health_interval", "health_timeout", "health_retries", "health_start_period", "health_start_interval")
    given = any(flags[name] for name in ("health_cmd", *names))
    if flags["no_healthcheck"]:
        if given:
            raise UsageError("--no-healthcheck conflicts with --health-* options")
        return Healthcheck(test=["NONE"])
    for name in names:
        if flags[name] < 0:
            raise UsageError(f"--{name.replace('_', '-')} cannot be negative")
    if not given:
        return None
    test = ["CMD-SHELL", flags["health_cmd"]] if flags["health_cmd"] else []
    return Healthcheck(test=test, **{name.removeprefix("health_"): flags[name] for name in names})


# Modes and policies that Docker's client checks.


def _one_of(flag: str, kind: str, given: str, known: tuple[str, ...]) -> str:
    if given not in known:
        raise UsageError(f"--{flag}: invalid {kind} mode")
    return given


def pid_mode(raw: str) -> str:
    if raw in ("", "host") or (raw.startswith("container:") and raw != "container:"):
        return raw
    raise UsageError("--pid: invalid PID mode")


def storage_options(words: list[str]) -> dict[str, str]:
    if not all("=" in word for word in words):
        raise UsageError("invalid storage option")
    return dict(word.split("=", 1) for word in words)


def restart_policy(raw: str, *, auto_remove: bool) -> RestartPolicy:
    """`no`, `always`, `unless-stopped`, `on-failure[:N]`; which of them there are is checked with the request."""
    name, _, count = raw.partition(":")
    if name not in ("", "no") and auto_remove:
        raise UsageError("conflicting options: cannot specify both --restart and --rm")
    if count and not count.removeprefix("-").isdecimal():
        raise UsageError("invalid restart policy format: maximum retry count must be an integer")
    return RestartPolicy(name or "no", int(count or 0))


def swappiness(raw: int) -> int | None:
    if raw != -1 and not 0 <= raw <= 100:
        raise UsageError(f"invalid value: {raw}. Valid memory swappiness range is 0-100")
    return None if raw == -1 else raw


def security_options(words: list[str]) -> tuple[list[str], list[str] | None, list[str] | None]:
    """(options as the API has them, masked paths, read-only paths): systempaths=unconfined empties the last two,
    None leaves the default; a seccomp profile is read here and travels as JSON."""
    kept: list[str] = []
    paths: list[str] | None = None
    for word in words:
        separator = "=" if "=" in word else ":"
        name, given, value = word.partition(separator)
        if not given and name != "no-new-privileges":
            raise UsageError(f'Invalid --security-opt: "{word}"')
        if word == "systempaths=unconfined":
            paths = []
            continue
        if (
            name not in ("seccomp", "apparmor", "label", "no-new-privileges")
            or (name == "no-new-privileges" and value not in ("", "true", "false"))
        ):  # fmt: skip
            raise UsageError(f'invalid --security-opt 2: "{word}"')
        if name == "seccomp" and value not in ("unconfined", "builtin"):
            value = _seccomp_profile(value)
        kept.append(f"{name}={value}" if given else name)
    return kept, paths, paths


def _seccomp_profile(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return msgspec.json.encode(msgspec.json.decode(file.read())).decode()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"opening seccomp profile ({path}) failed: open {path}: {reason}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"compacting json for seccomp profile ({path}) failed: {error}") from None
