"""Networks, and how a container sits on one."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

from typing import Any

import msgspec

from minidock.errors import UsageError
from minidock.model.base import Api


class EndpointSettings(Api, frozen=True):
    """How a container sits on one network. `ip_address` without prefix; all empty while it does not run."""

    ipam_config: dict[str, Any] | None = msgspec.field(name="IPAMConfig", default=None)
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = msgspec.field(name="NetworkID", default="")
    endpoint_id: str = msgspec.field(name="EndpointID", default="")
    gateway: str = ""
    ip_address: str = msgspec.field(name="IPAddress", default="")
    ip_prefix_len: int = msgspec.field(name="IPPrefixLen", default=0)
    ipv6_gateway: str = msgspec.field(name="IPv6Gateway", default="")
    global_ipv6_address: str = msgspec.field(name="GlobalIPv6Address", default="")
    global_ipv6_prefix_len: int = msgspec.field(name="GlobalIPv6PrefixLen", default=0)
    dns_names: list[str] | None = msgspec.field(name="DNSNames", default=None)


ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
"""A driver option of an endpoint: `net.ipv4.conf.IFNAME.log_martians=1,…`, whatever the interface is called inside."""


def interface_sysctls(asked: EndpointSettings) -> list[tuple[str, str]]:
    """(net.X.Y.IFNAME.Z, value) of each. Raises UsageError in Docker's words."""
    found = []
    for one in filter(None, (asked.driver_opts or {}).get(ENDPOINT_SYSCTLS, "").split(",")):
        name, equals, value = one.partition("=")
        if not equals:
            raise UsageError(f"expected sysctl '{one}' to have format name=value")
        words = name.split(".")
        if len(words) != 5 or words[0] != "net" or words[3] != "IFNAME" or not all(words) or "/" in name:
            raise UsageError(f"expected sysctl '{name}' to have format net.X.Y.IFNAME.Z")
        found.append((name, value))
    return found


class IpamPool(Api, frozen=True, omit_defaults=True):
    """One subnet of a network, and what was said of it."""

    subnet: str = ""
    ip_range: str = msgspec.field(name="IPRange", default="")
    gateway: str = ""
    auxiliary_addresses: dict[str, str] = {}


class NetworkRequest(Api, frozen=True):
    """What `network create` asks for: the members of the API's body, with those of its IPAM beside them."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    enable_ipv6: bool = msgspec.field(name="EnableIPv6", default=False)
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    pools: list[IpamPool] = []
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    scope: str = ""
