"""--network and what goes with it: which networks a container joins, and how it sits on each.

--network NAME                                    with --ip, --ip6, --network-alias, --link, --mac-address beside it
--network name=NAME,alias=A,ip=…,gw-priority=1    the long form, one for each network

Flags that stand beside belong to the first network. Texts are Docker's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import UsageError
from ..model.checks import is_user_defined
from ..model.network import EndpointSettings, IpamPool
from .commands import Complaint
from .parse_mounts import csv_fields

BESIDE = (
    ("network_alias", "aliases", "--network-alias and per-network alias"),
    ("link", "links", "--link and per-network links"),
    ("ip", "IPv4Address", "--ip and per-network IPv4 address"),
    ("ip6", "IPv6Address", "--ip6 and per-network IPv6 address"),
    ("link_local_ip", "LinkLocalIPs", "--link-local-ip and per-network link-local IP addresses"),
)
"""Flag, the long form's place for the same, and how both at once are told."""


class Wanted(msgspec.Struct, frozen=True):
    """One --network."""

    name: str
    aliases: list[str] = []
    links: list[str] = []
    ipam: dict[str, Any] = {}
    mac_address: str = ""
    driver_opts: dict[str, str] = {}
    gw_priority: int = 0

    def settings(self) -> EndpointSettings:
        return EndpointSettings(
            ipam_config=self.ipam or None,
            aliases=self.aliases or None,
            links=self.links or None,
            mac_address=self.mac_address,
            driver_opts=self.driver_opts or None,
            gw_priority=self.gw_priority,
        )


def parse_network(raw: str) -> Wanted:
    """One value of --network."""
    if not re.match(r"^\w+=.*$", raw):
        return Wanted(raw)
    name = mac = ""
    priority = 0
    aliases: list[str] = []
    ipam: dict[str, Any] = {}
    options: dict[str, str] = {}
    for field in csv_fields(raw):
        key, equals, value = field.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals:
            raise UsageError(f"invalid field {field}")
        if key == "name":
            name = value
        elif key == "alias":
            aliases.append(value)
        elif key in ("ip", "ip6"):
            ipam["IPv6Address" if key == "ip6" else "IPv4Address"] = value
        elif key == "link-local-ip":
            ipam.setdefault("LinkLocalIPs", []).append(value)
        elif key == "mac-address":
            mac = value
        elif key == "driver-opt":
            option, equals, setting = value.strip().partition("=")
            if not (option and equals):
                raise UsageError("invalid key value pair format in driver options")
            options[option.lower()] = setting
        elif key == "gw-priority":
            if not value.removeprefix("-").isdecimal():
                raise UsageError(f'invalid gw-priority: strconv.ParseInt: parsing "{value}": invalid syntax')
            priority = int(value)
        else:
            raise UsageError(f"invalid field key {key}")
    if not name:
        raise UsageError("network name/id is not specified")
    return Wanted(name, aliases, [], ipam, mac, options, priority)


def join(flags: Mapping[str, Any], mac_address: str) -> tuple[str, dict[str, EndpointSettings], list[str]]:
    """(the network mode, the endpoints asked for, links of the default network) of all flags together."""
    networks: list[Wanted] = list(flags["network"]) or [Wanted("default")]
    names = [network.name for network in networks]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f'network "{name}" is specified multiple times')
    if len(networks) > 1 and not all(is_user_defined(name) for name in names):
        raise UsageError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    first = _with_flags(networks[0], flags, mac_address)
    links = [] if is_user_defined(first.name) else flags["link"]
    if first.aliases and not is_user_defined(first.name):
        raise UsageError("network-scoped aliases are only supported for user-defined networks")
    asked = {network.name: network.settings() for network in [first, *networks[1:]]}
    if asked == {first.name: EndpointSettings()} and not is_user_defined(first.name):
        asked = {}
    return first.name, asked, links


def _with_flags(first: Wanted, flags: Mapping[str, Any], mac_address: str) -> Wanted:
    """The first network, completed by the flags that stand beside it."""
    ipam = dict(first.ipam)
    for flag, place, told in BESIDE:
        there = ipam.get(place) if place[0].isupper() else getattr(first, place)
        if flags[flag] and there:
            raise UsageError(f"conflicting options: cannot specify both {told}")
        if flags[flag] and place[0].isupper():
            ipam[place] = flags[flag]
    user_defined = is_user_defined(first.name)
    return msgspec.structs.replace(
        first,
        aliases=first.aliases or flags["network_alias"],
        links=flags["link"] if user_defined else [],
        ipam=ipam,
        mac_address=first.mac_address or (mac_address if user_defined else ""),
    )


def link(raw: str) -> str:
    """--link `NAME[:ALIAS]`, kept with its alias as Docker keeps it."""
    name, _, alias = raw.partition(":")
    if not raw:
        raise UsageError("empty string specified for links")
    if raw.count(":") > 1:
        raise UsageError(f"bad format for links: {raw}")
    return f"{name}:{alias or name}"


# network create: which address belongs to which subnet.


def words_of(values: list[str]) -> list[str]:
    """Flags of the kind `strings`: several words in one, between commas."""
    return [word for value in values for word in value.split(",")]


def pools(subnets: list[str], ranges: list[str], gateways: list[str], auxiliary: dict[str, str]) -> list[IpamPool]:
    """What belongs to which subnet, as Docker's client sorts it out."""
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise Complaint("every ip-range or gateway must have a corresponding subnet", 1)
    rows: dict[str, dict[str, Any]] = {}
    for subnet in subnets:
        for other in rows:
            if _inside(other, subnet.partition("/")[0]) or _inside(subnet, other.partition("/")[0]):
                raise Complaint("multiple overlapping subnet configuration is not supported", 1)
        rows[subnet] = {"subnet": subnet}
    for address in ranges:
        _place(rows, address, "ip_range", f"no matching subnet for range {address}")
    for address in gateways:
        _place(rows, address, "gateway", f"no matching subnet for gateway {address}")
    for name, address in auxiliary.items():
        around = next((row for known, row in rows.items() if _inside(known, address)), None)
        if around is None:
            raise Complaint(f"no matching subnet for aux-address {address}", 1)
        around.setdefault("auxiliary_addresses", {})[name] = address
    return [IpamPool(**row) for row in rows.values()]


def _place(rows: dict[str, dict[str, Any]], address: str, key: str, problem: str) -> None:
    for subnet, row in rows.items():
        if _inside(subnet, address.partition("/")[0]):
            if key in row:
                what = "ranges" if key == "ip_range" else "gateways"
                raise Complaint(
                    f"cannot configure multiple {what} ({address}, {row[key]}) on the same subnet ({subnet})", 1
                )
            row[key] = address
            return
    raise Complaint(problem, 1)


def _inside(subnet: str, address: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return False  # the engine says what is wrong with it
