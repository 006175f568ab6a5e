"""A bridge network's driver options (`-o com.docker.network.…`): which values they take, in Docker's words.

The table is Docker's, https://docs.docker.com/reference/cli/docker/network/create/#bridge-driver-options; what reads
them is `Network.option`. Options that no driver knows are kept and shown, as Docker does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minidock.errors import UsageError
from minidock.network.arithmetic import is_address

PREFIX = "com.docker.network."
TRUTHS = ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")
IFNAMSIZ = 16  # net/if.h: with the closing zero


def check(options: Mapping[str, str]) -> None:
    """Raises UsageError for a value that its option can't have."""
    for key, value in options.items():
        if key.startswith(PREFIX) and (problem := READERS.get(key.removeprefix(PREFIX), _anything)(value)):
            raise UsageError(f"failed to parse {key} value: {value} ({problem})")
        if key == f"{PREFIX}driver.mtu" and int(value) < 0:
            raise UsageError(f"invalid MTU number: {value}")


def _anything(_value: str) -> str:
    return ""


def _truth(value: str) -> str:
    return "" if value in TRUTHS else f'strconv.ParseBool: parsing "{value}": invalid syntax'


def _number(value: str) -> str:
    digits = value.removeprefix("-").removeprefix("+")
    return "" if digits.isascii() and digits.isdecimal() else f'strconv.Atoi: parsing "{value}": invalid syntax'


def _address(value: str) -> str:
    return "" if is_address(value) else "nil ip"


def _interface(value: str) -> str:
    if len(value.encode()) >= IFNAMSIZ:
        return f"an interface's name has at most {IFNAMSIZ - 1} bytes"
    return "an interface's name has no / and no blank" if "/" in value or value.split() != [value] else ""


def _prefix(value: str) -> str:
    """Two digits follow it."""
    return _interface(f"{value}00") if value else ""


READERS: dict[str, Callable[[str], str]] = {
    "bridge.default_bridge": _truth,
    "bridge.enable_icc": _truth,
    "bridge.enable_ip_masquerade": _truth,
    "bridge.inhibit_ipv4": _truth,
    "bridge.host_binding_ipv4": _address,
    "bridge.name": _interface,
    "container_iface_prefix": _prefix,
    "driver.mtu": _number,
}
"""Option → what is wrong with a value; empty when nothing is."""
