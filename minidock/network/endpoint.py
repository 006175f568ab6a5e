"""One network of a container, in steps: what is shared with others, what is its own on the host, and what is inside.

The steps of starting a container (attachment.py) and of connecting a running one (connection.py) are these.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

import msgspec

from minidock.kernel import macvlan
from minidock.kernel.address import AddAddress
from minidock.kernel.bridge import CreateBridge
from minidock.kernel.forwarding import EnableForwarding, EnableForwarding6, SetInterfaceSysctl
from minidock.kernel.link import LinkUp
from minidock.kernel.macvlan import CreateVlan
from minidock.kernel.sysctl import SetSysctl
from minidock.kernel.veth import CreateVeth
from minidock.kernel.vlan import CreateParent
from minidock.model.network import EndpointSettings, interface_sysctls
from minidock.network import addresses, nat, tunnel
from minidock.network.addresses import Claim, HoldAddress
from minidock.network.arithmetic import mac_of
from minidock.network.firewall import PassFirewalls
from minidock.network.publish import PublishPorts
from minidock.network.store import network_id
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Step

INSIDE = "eth0"


class Endpoint(msgspec.Struct, frozen=True):
    """One network of a container: what was asked there, and what has been claimed."""

    network: Network
    asked: EndpointSettings
    claim: Claim


def called(network: Network, asked: EndpointSettings, container: str, name: str, hostname: str) -> EndpointSettings:
    """What was asked for, with what others there call the container beside its name: its short id, and its hostname
    (Docker's way). Not on the default network, which has no names."""
    if network.name == "bridge":
        return asked
    return msgspec.structs.replace(asked, aliases=aliases(asked, container, name, hostname))


def aliases(asked: EndpointSettings, container: str, name: str, hostname: str) -> list[str]:
    also = [hostname] if hostname and hostname != name else []
    return list(dict.fromkeys([*(asked.aliases or []), container[:12], *also]))


def gateways(network: Network | None) -> list[str]:
    if network is None or network.option("bridge.inhibit_ipv4") == "true":
        return []
    return [gateway for gateway in (network.gateway, network.gateway6) if gateway]


def shown(layout: Layout, end: Endpoint, mac: str) -> EndpointSettings:
    """As `inspect` shows it."""
    network, claim = end.network, end.claim
    gateway = "" if network.internal else network.gateway
    return msgspec.structs.replace(
        end.asked,
        mac_address=mac,
        network_id=network.id or network_id(layout, network.name),
        endpoint_id=os.urandom(32).hex(),
        gateway=gateway,
        ip_address=claim.address,
        ip_prefix_len=network.prefix,
        global_ipv6_address=claim.address6,
        global_ipv6_prefix_len=network.prefix6 if claim.address6 else 0,
        ipv6_gateway=network.gateway6 if claim.address6 else "",
    )


def shared(layout: Layout, network: Network) -> list[Step]:
    """What all containers of the network use: done by the first."""
    bridge = network.bridge
    if not bridge:
        return [CreateParent(network.parent)] if network.parent_made else []
    six: list[Step] = []
    if network.subnet6:
        on = SetInterfaceSysctl(bridge, "ipv6", "disable_ipv6", "0", "the network has IPv6")
        six = [on, AddAddress(bridge, f"{network.gateway6}/{network.prefix6}", shared=True)]
    return [
        CreateBridge(bridge, mac_of(network.gateway), network.mtu),
        # Before the bridge is up: a container could call itself the router of the host.
        SetInterfaceSysctl(bridge, "ipv6", "accept_ra", "0", "no container may become the host's IPv6 router"),
        SetInterfaceSysctl(bridge, "ipv4", "route_localnet", "1", "127.0.0.1:PORT of the host may lead to a container"),
        AddAddress(bridge, f"{network.gateway}/{network.prefix}", shared=True),
        *six,
        # The table before the interface works: with route_localnet its rules protect the host's localhost.
        nat.set_up(layout, network),
        PassFirewalls(str(layout.root), layout.nft_table, bridge),
        *tunnel.steps(layout, network),
        LinkUp(bridge),
        EnableForwarding(str(layout.run / "ip_forward")),
        *([EnableForwarding6(str(layout.run / "ip6_forward"))] if network.subnet6 else []),
    ]


def own(layout: Layout, end: Endpoint) -> list[Step]:
    """What is this container's, on the host."""
    claim = end.claim
    path = addresses.path_of(layout, end.network.name, claim.address)
    steps: list[Step] = [HoldAddress(str(path), claim.address, claim.container)]
    if claim.ports:
        steps.append(PublishPorts(layout.nft_table, claim.ports))
    return steps


def cable(end: Endpoint, mac: str) -> Step:
    network, claim = end.network, end.claim
    if network.parent:
        options: dict[str, Any] = network.asked.options if network.asked else {}
        mode = options.get(f"{network.driver}_mode", macvlan.DEFAULT_MODE[network.driver])
        return CreateVlan(network.driver, network.parent, claim.inside, mode, mac, network.mtu)
    return CreateVeth(host_end(claim.container, claim.inside), claim.inside, network.bridge, mac, network.mtu)


def inside(end: Endpoint) -> list[Step]:
    """What is done from inside, in the container's new network namespace: an interface with its addresses."""
    network, claim, name = end.network, end.claim, end.claim.inside
    steps: list[Step] = []
    if not claim.address6:
        steps.append(SetInterfaceSysctl(name, "ipv6", "disable_ipv6", "1", "the network has no IPv6"))
    steps.append(AddAddress(name, f"{claim.address}/{network.prefix}"))
    if claim.address6:
        # It is off in a new namespace where the host has switched it off by default.
        steps.append(SetInterfaceSysctl(name, "ipv6", "disable_ipv6", "0", "the network has IPv6"))
        steps.append(AddAddress(name, f"{claim.address6}/{network.prefix6}"))
    local = (end.asked.ipam_config or {}).get("LinkLocalIPs") or []
    steps += [AddAddress(name, f"{address}/{64 if ':' in address else 16}") for address in local]
    steps += [SetSysctl(key.replace("IFNAME", name), value) for key, value in interface_sysctls(end.asked)]
    return [*steps, LinkUp(name)]


def inside_name(network: Network, taken: set[str]) -> str:
    """What the interface is called in the container: eth0, eth1 …, or as the network's own option begins it."""
    prefix = network.option("container_iface_prefix") or "eth"
    return next(name for name in (f"{prefix}{number}" for number in range(100)) if name not in taken)


def host_end(container: str, inside: str = INSIDE) -> str:
    """Name of the cable's end on the host: 15 bytes at most (IFNAMSIZ), and after four of them the container's id."""
    if inside == INSIDE:
        return f"veth{container[:11]}"
    number = inside.removeprefix("eth")
    short = f"{number:_>3}" if number.isdecimal() else f"{zlib.crc32(inside.encode()) & 0xFFF:03x}"
    return f"v{short}{container[:10]}"
