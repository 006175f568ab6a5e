"""What a container's network takes: the claims that are made for it, and the steps that make it.

    before   the bridge with its address, forwarding, the table, the published ports   on the host, shared but the last
    joined   the cable                                                                 needs the container's pid
    child    lo up, eth0's address, eth0 up, the default route                         in the container's namespace

The shared steps do nothing when they find their work done, and have no undo: making bridge and table costs 15 ms
and removing them 70 ms, too much for each `run --rm`. `teardown` removes them.
"""

from __future__ import annotations

import os
import socket

import msgspec

from minidock import files
from minidock.digests import hex_digest
from minidock.errors import NetworkNotFound, UsageError
from minidock.kernel import link
from minidock.kernel.address import AddAddress
from minidock.kernel.bridge import CreateBridge
from minidock.kernel.forwarding import EnableForwarding, SetInterfaceSysctl
from minidock.kernel.link import LinkUp
from minidock.kernel.route import AddDefaultRoute
from minidock.kernel.veth import CreateVeth
from minidock.model import ContainerConfig, EndpointSettings, HostConfig, PortBinding
from minidock.network import addresses, ports, subnets
from minidock.network.addresses import Claim, HoldAddress
from minidock.network.firewall import PassFirewalls
from minidock.network.nat import PublishPorts, SetUpNat
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Step

INSIDE = "eth0"


class Attachment(msgspec.Struct, frozen=True):
    """How a container will sit on its network: the steps in three places, and the facts that others need."""

    before: list[Step] = []
    joined: list[Step] = []
    child: list[Step] = []
    endpoints: dict[str, EndpointSettings] = {}
    """For inspect: NetworkSettings.Networks."""
    ports: dict[str, list[PortBinding] | None] = {}
    """For inspect: NetworkSettings.Ports, with the host's real port numbers."""
    hosts_address: str = ""
    """The address that /etc/hosts gives the container's own name; empty when it has none."""
    hold: list[tuple[str, str, int]] = []
    """Protocol, address and number of the host's ports, for reserve_ports()."""
    gateway: str = ""
    """The host as the container sees it: what `host-gateway` stands for in --add-host."""


def plan(
    layout: Layout,
    container_id: str,
    config: ContainerConfig,
    host: HostConfig,
    endpoints: dict[str, EndpointSettings],
    *,
    dry_run: bool = False,
) -> Attachment:
    """Claim an address and ports for the container, and say what is to be done. With `dry_run` nothing is claimed.

    `endpoints` are those asked for, by network. Raises NetworkNotFound, PortInUse, UsageError; then nothing is held.
    """
    mode = "none" if config.network_disabled else host.network_mode or "default"
    if mode.startswith("container:"):
        if host.port_bindings or host.publish_all_ports:
            raise UsageError("conflicting options: port publishing and the container type network mode")
        return Attachment()
    if mode == "host":
        return Attachment(endpoints={"host": EndpointSettings(network_id=network_id(layout, "host"))})
    if mode == "none":
        none = EndpointSettings(network_id=network_id(layout, "none"))
        return Attachment(child=[LinkUp("lo")], endpoints={"none": none}, ports=ports.shown(config, []))
    if mode not in ("default", "bridge"):
        raise NetworkNotFound(mode, hint="networks are bridge, host, none and container:ID")
    asked = endpoints.get("bridge") or endpoints.get("default") or EndpointSettings()
    if (asked.ipam_config or {}).get("IPv4Address"):
        raise UsageError("user specified IP address is supported on user defined networks only")
    network = subnets.default_network(layout, dry_run=dry_run)
    claim = _claim(layout, network, container_id, config, host, dry_run=dry_run)
    return _attach(layout, network, claim, config, asked)


def settle(attachment: Attachment) -> None:
    """Wait until the cable passes packets: call it when the child's steps are done, before its command starts."""
    for step in attachment.joined:
        if isinstance(step, CreateVeth):
            link.settle(step.name)
            link.settle(step.bridge)


def _claim(
    layout: Layout, network: Network, container: str, config: ContainerConfig, host: HostConfig, *, dry_run: bool
) -> Claim:
    """An address and ports that nobody else has, written down unless `dry_run`."""
    wanted = ports.wanted(config, host)
    if dry_run:
        claims = [claim for claim in addresses.peek(layout, network.name) if claim.container != container]
        address = addresses.free_address(network, claims)
        return Claim(address, container, 0, 0, ports.choose(layout, wanted, address, claims, dry_run=True))
    with files.locked(layout.lock("network")):
        addresses.release(layout, container)
        claims = addresses.living(layout, network.name)
        address = addresses.free_address(network, claims)
        chosen = ports.choose(layout, wanted, address, claims, dry_run=False)
        claim = Claim(address, container, os.getpid(), subnets.start_ticks(os.getpid()), chosen)
        addresses.write(layout, network, claim)
        return claim


def _attach(
    layout: Layout, network: Network, claim: Claim, config: ContainerConfig, asked: EndpointSettings
) -> Attachment:
    mac = asked.mac_address or config.mac_address or mac_of(claim.address)
    endpoint = EndpointSettings(
        ipam_config=asked.ipam_config,
        links=asked.links,
        aliases=asked.aliases,
        mac_address=mac,
        network_id=network_id(layout, network.name),
        endpoint_id=os.urandom(32).hex(),
        gateway=network.gateway,
        ip_address=claim.address,
        ip_prefix_len=network.prefix,
    )
    return Attachment(
        before=[*_shared(layout, network), *_own(layout, network, claim)],
        joined=[CreateVeth(host_end(claim.container), INSIDE, network.bridge, mac, network.mtu)],
        child=_child(network, claim),
        endpoints={network.name: endpoint},
        ports=ports.shown(config, claim.ports),
        hosts_address=claim.address,
        hold=[(port.protocol, port.host_ip, port.host_port) for port in claim.ports],
        gateway=network.gateway,
    )


def _shared(layout: Layout, network: Network) -> list[Step]:
    """What all containers of the instance use: done by the first."""
    bridge = network.bridge
    return [
        CreateBridge(bridge, mac_of(network.gateway), network.mtu),
        # Before the bridge is up: a container could call itself the router of the host.
        SetInterfaceSysctl(bridge, "ipv6", "accept_ra", "0", "no container may become the host's IPv6 router"),
        SetInterfaceSysctl(bridge, "ipv4", "route_localnet", "1", "127.0.0.1:PORT of the host may lead to a container"),
        AddAddress(bridge, f"{network.gateway}/{network.prefix}", shared=True),
        # The table before the interface works: with route_localnet its rules protect the host's localhost.
        SetUpNat(str(layout.root), layout.nft_table, bridge, network.subnet),
        PassFirewalls(str(layout.root), layout.nft_table, bridge),
        LinkUp(bridge),
        EnableForwarding(str(layout.run / "ip_forward")),
    ]


def _own(layout: Layout, network: Network, claim: Claim) -> list[Step]:
    """What is this container's, on the host."""
    path = addresses.path_of(layout, network.name, claim.address)
    steps: list[Step] = [HoldAddress(str(path), claim.address, claim.container)]
    if claim.ports:
        steps.append(PublishPorts(layout.nft_table, claim.ports))
    return steps


def _child(network: Network, claim: Claim) -> list[Step]:
    """What is done from inside, in the container's new network namespace."""
    no_ipv6 = SetInterfaceSysctl(INSIDE, "ipv6", "disable_ipv6", "1", "the network has no IPv6")
    return [
        LinkUp("lo"),
        no_ipv6,
        AddAddress(INSIDE, f"{claim.address}/{network.prefix}"),
        LinkUp(INSIDE),
        AddDefaultRoute(network.gateway),
    ]


def mac_of(address: str) -> str:
    """Docker's rule: 02:42 (locally administered), then the four bytes of the IPv4 address."""
    return (b"\x02\x42" + socket.inet_aton(address)).hex(":")


def host_end(container: str) -> str:
    """Name of the cable's end on the host: 15 bytes at most (IFNAMSIZ)."""
    return f"veth{container[:11]}"


def network_id(layout: Layout, name: str) -> str:
    """The id of a network that every instance has: 64 hexadecimal digits, always the same ones."""
    return hex_digest(f"{layout.root} {name}".encode())
