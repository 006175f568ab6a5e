"""Values of single flags of `run` and `create`: limits, addresses, devices, streams. Each checks one word.

Errors are Docker's texts. Those raised here while the flags are read appear after `invalid argument "…" for`; those
that Docker's client or server tell later are in request.py and checks.py.
"""

from __future__ import annotations

import re

from ..errors import UsageError
from ..model.host import DeviceMapping, Ulimit

ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue"),
    *("nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
"""setrlimit(2) names without RLIMIT_, less AS, which Docker does not know."""

NAMESPACED_SYSCTLS = (
    *("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax"),
    *("kernel.shmmni", "kernel.shm_rmid_forced"),
)
"""Those a namespace has its own of, so that setting them does not change the host; `net.` and `fs.mqueue.` as well."""


def ulimit(raw: str) -> Ulimit:
    """`nofile=1024:2048`, `core=0`: soft and hard; -1 is no limit."""
    name, equals, values = raw.partition("=")
    if not equals:
        raise UsageError(f"invalid ulimit argument: {raw}")
    if name not in ULIMITS:
        raise UsageError(f"invalid ulimit type: {name}")
    parts = values.split(":")
    if len(parts) > 2:
        raise UsageError(f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`")
    soft, hard = _limit(parts[0]), _limit(parts[-1])
    if hard != -1 and soft == -1:
        raise UsageError(
            f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        )
    if hard != -1 and soft > hard:
        raise UsageError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Ulimit(name, soft, hard)


def _limit(raw: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", raw, re.ASCII):
        raise UsageError(f'strconv.ParseInt: parsing "{raw}": invalid syntax')
    return int(raw)


def sysctl(raw: str) -> tuple[str, str]:
    """`net.ipv4.ip_forward=1`; only those that belong to a namespace of the container."""
    name, equals, value = raw.partition("=")
    if not equals or not (name in NAMESPACED_SYSCTLS or name.startswith(("net.", "fs.mqueue."))):
        raise UsageError(f"sysctl '{raw}' is not allowed")
    return name, value


def annotation(raw: str) -> tuple[str, str]:
    name, equals, value = raw.partition("=")
    if not equals or not name:
        raise UsageError(f"{raw} must be formatted as key=value" if name else "annotation key must not be empty")
    return name, value


def stream(raw: str) -> str:
    """-a: one of the standard streams."""
    if raw.lower() not in ("stdin", "stdout", "stderr"):
        raise UsageError("valid streams are STDIN, STDOUT and STDERR")
    return raw.lower()


def extra_host(raw: str) -> str:
    """--add-host `name:address`, `name=address`, `name:host-gateway`; kept as `name:address`."""
    name, separator, address = raw.partition("=") if "=" in raw else raw.partition(":")
    if not separator or not name:
        raise UsageError(f'bad format for add-host: "{raw}"')
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    if address != "host-gateway" and not _is_address(address):
        raise UsageError(f'invalid IP address in add-host: "{address}"')
    return f"{name}:{address}"


def address(raw: str) -> str:
    if not _is_address(raw.strip()):
        raise UsageError(f"IP address is not correctly formatted: {raw}")
    return raw.strip()


def _is_address(raw: str) -> bool:
    import ipaddress

    try:
        return not ("%" in raw or ipaddress.ip_address(raw) is None)
    except ValueError:
        return False


_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*\.?"


def domain(raw: str) -> str:
    """--dns-search: a domain, or `.` for none."""
    bare = raw.strip(" ")
    if bare == ".":
        return bare
    if len(bare) < 255 and re.fullmatch(_DOMAIN, bare):
        return bare
    raise UsageError(f"{raw} is not a valid domain")


def device_rule(raw: str) -> str:
    """--device-cgroup-rule `c 1:3 rwm`; type a, b or c, numbers or `*`."""
    if not re.fullmatch(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}", raw, re.ASCII):
        raise UsageError(f"invalid device cgroup format '{raw}'")
    return raw


def device(raw: str) -> DeviceMapping:
    """--device `/dev/a[:/dev/b][:rwm]`."""
    parts = raw.split(":")
    source = target = parts[0]
    mode = "rwm"
    if len(parts) == 3:
        target, mode = parts[1], parts[2]
        if not _is_device_mode(mode):
            raise UsageError(f"bad mode specified: {mode}")
    elif len(parts) == 2:
        if _is_device_mode(parts[1]):
            mode = parts[1]
        else:
            target = parts[1]
    if len(parts) > 3 or not source:
        raise UsageError(f"bad format for path: {raw}")
    for path in (source, target):
        if not path.startswith("/"):
            raise UsageError(f"{path} is not an absolute path")
    return DeviceMapping(source, target, mode)


def _is_device_mode(raw: str) -> bool:
    return bool(raw) and len(set(raw)) == len(raw) and set(raw) <= set("rwm")


def detach_keys(raw: str) -> str:
    """`ctrl-p,ctrl-q`, `ctrl-@`, `x`: the keys that leave a container running, separated by commas."""
    for key in raw.split(",") if raw else []:
        if len(key) == 1 and key.isascii():
            continue
        control = key.removeprefix("ctrl-")
        if control == key or len(control) != 1 or control not in "abcdefghijklmnopqrstuvwxyz@[\\]^_":
            raise UsageError(f"Unknown character: '{key}'")
    return raw


def pull_policy(raw: str) -> str:
    if raw not in ("", "always", "missing", "never"):
        raise UsageError(f'invalid pull option: \'{raw}\': must be one of "always", "missing" or "never"')
    return raw or "missing"


def mac_address(raw: str) -> str:
    if raw and not re.fullmatch(r"([0-9a-fA-F]{2}([:-]))([0-9a-fA-F]{2}\2){4}[0-9a-fA-F]{2}", raw, re.ASCII):
        raise UsageError(f"{raw} is not a valid mac address")
    return raw.replace("-", ":").lower()


SYSTEMS = ("linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "plan9", "android", "wasip1")
ARCHITECTURES = (
    *("amd64", "386", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le"),
    *("riscv64", "s390x", "wasm", "x86_64", "x86-64", "aarch64", "armhf", "armel", "i386"),
)


def platform(raw: str) -> str:
    """--platform `linux/arm64/v8`, `arm64`, `linux`; as given, when it can be one."""
    parts = raw.split("/")
    if not raw:
        return raw
    problem = ""
    if len(parts) > 3:
        problem = "cannot parse platform specifier"
    elif not all(re.fullmatch(r"[A-Za-z0-9_.-]+", part) for part in parts):
        problem = (
            f'"{next(p for p in parts if not re.fullmatch(r"[A-Za-z0-9_.-]+", p))}" is an invalid component of "{raw}"'
        )
    elif len(parts) == 1 and raw.lower() not in SYSTEMS + ARCHITECTURES:
        problem = "unknown operating system or architecture"
    if problem:
        raise UsageError(f'error parsing specified platform: "{raw}": {problem}: invalid argument')
    return raw
