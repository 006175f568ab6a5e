"""What a container's networks take: the claims that are made for it, and the steps that make them.

    before   the bridges with their addresses, forwarding, the table, the published ports   on the host, shared
    joined   the cables                                                                     need the container's pid
    child    lo up, each eth's address, eth up, the default route                           in the container's namespace

The shared steps do nothing when they find their work done, and have no undo: making bridge and table costs 15 ms
and removing them 70 ms, too much for each `run --rm`. `teardown` removes them.
"""

from __future__ import annotations

import os

import msgspec

from minidock import files
from minidock.errors import UsageError
from minidock.kernel import link
from minidock.kernel.link import LinkUp
from minidock.kernel.route import AddDefaultRoute
from minidock.kernel.veth import CreateVeth
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.model.network import EndpointSettings
from minidock.network import addresses, balance, config_only, endpoint, names, overlay, ports, store, subnets
from minidock.network.addresses import Claim, Published
from minidock.network.arithmetic import mac_of
from minidock.network.endpoint import Endpoint
from minidock.network.names import AnswerNames
from minidock.network.store import network_id
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Step

"""Where the shim's name server listens inside: one of those, by lot."""


class Attachment(msgspec.Struct, frozen=True):
    """How a container will sit on its networks: the steps in three places, and the facts that others need."""

    before: list[Step] = []
    joined: list[Step] = []
    child: list[Step] = []
    endpoints: dict[str, EndpointSettings] = {}
    """For inspect: NetworkSettings.Networks."""
    ports: dict[str, list[PortBinding] | None] = {}
    """For inspect: NetworkSettings.Ports, with the host's real port numbers."""
    addresses: list[str] = []
    """The addresses that /etc/hosts gives the container's own name."""
    hold: list[tuple[str, str, int]] = []
    """Protocol, address and number of the host's ports, for reserve_ports()."""
    proxied: list[tuple[Published, str]] = []
    """Ports that the shim passes on by hand, and to which address of the container."""
    gateway: str = ""
    """The host as the container sees it: what `host-gateway` stands for in --add-host."""
    named: list[str] = []
    """Networks in which names are answered: those that somebody made."""
    reaches_out: bool = False
    """Whether there is a way out: questions for foreign names are passed on."""
    name_server: str = ""
    """The only one that can be reached, instead of the host's."""
    lifeline: str = ""
    """The name in Live.fds of a pipe that ends with the container's shim, where a step asks for one (uplink.py)."""
    dns_port: int = 0
    """Where inside the shim answers them; 0 when nobody asks: that may change when it is connected to a network."""

    @property
    def hosts_address(self) -> str:
        """The first of its addresses, or empty."""
        return self.addresses[0] if self.addresses else ""


def plan(
    layout: Layout,
    container_id: str,
    config: ContainerConfig,
    host: HostConfig,
    endpoints: dict[str, EndpointSettings],
    *,
    name: str = "",
    dry_run: bool = False,
) -> Attachment:
    """Claim addresses and ports for the container, and say what is to be done. With `dry_run` nothing is claimed.

    `endpoints` are those asked for, by network. Raises NetworkNotFound, PortInUse, UsageError; then nothing is held.
    """
    mode = "none" if config.network_disabled or "none" in endpoints else host.network_mode or "default"
    if mode.startswith("container:"):
        if host.port_bindings or host.publish_all_ports:
            raise UsageError("conflicting options: port publishing and the container type network mode")
        return Attachment()
    if mode == "host":
        return Attachment(endpoints={"host": EndpointSettings(network_id=network_id(layout, "host"))})
    if mode == "none":
        none = EndpointSettings(network_id=network_id(layout, "none"))
        shown = {} if "none" in endpoints else {"none": none}
        return Attachment(child=[LinkUp("lo")], endpoints=shown)
    if layout.user is not None:
        return _uplink(layout, container_id, config, host, {mode, *endpoints}, dry_run=dry_run)
    asked = wanted(layout, mode, endpoints, dry_run=dry_run)
    if dry_run:
        claimed = _claims(layout, container_id, name, asked, config, host, dry_run=True)
    else:
        with files.locked(layout.lock("network")):
            addresses.release(layout, container_id)
            try:
                claimed = _claims(layout, container_id, name, asked, config, host, dry_run=False)
            except BaseException:
                addresses.release(layout, container_id)
                raise
    return _attach(layout, config, claimed)


def _uplink(
    layout: Layout, container_id: str, config: ContainerConfig, host: HostConfig, asked: set[str], *, dry_run: bool
) -> Attachment:
    """An ordinary user's: no cable, but a process that carries packets."""
    from minidock.network import uplink

    step, published = uplink.plan(layout, container_id, config, host, asked, dry_run=dry_run)
    return Attachment(
        joined=[step],
        child=uplink.inside(),
        endpoints={"bridge": uplink.shown(layout)},
        ports=ports.shown(config, published),
        addresses=[uplink.ADDRESS],
        name_server=uplink.NAME_SERVER,
        lifeline=uplink.LIFELINE,
    )


def wanted(
    layout: Layout, mode: str, endpoints: dict[str, EndpointSettings], *, dry_run: bool
) -> list[tuple[Network, EndpointSettings]]:
    """The networks to join, that of --network first. Raises NetworkNotFound."""
    first = "bridge" if mode in ("", "default") else mode
    asked = {("bridge" if name == "default" else name): found for name, found in endpoints.items()}
    order = ([first] if not asked or first in asked else []) + [name for name in asked if name != first]
    return [(_network(layout, name, dry_run=dry_run), asked.get(name, EndpointSettings())) for name in order]


def _network(layout: Layout, name: str, *, dry_run: bool) -> Network:
    if name == "bridge":
        return subnets.default_network(layout, dry_run=dry_run)
    network = store.find(layout, name)
    config_only.check_joining(network)
    if not dry_run:
        subnets.ready(layout, network)
    return network


def settle(attachment: Attachment) -> None:
    """Wait until the cables pass packets: call it when the child's steps are done, before its command starts."""
    for step in attachment.joined:
        if isinstance(step, CreateVeth):
            link.settle(step.name)
            link.settle(step.bridge)


# Claims: hold the network lock for them.


def _claims(
    layout: Layout,
    container: str,
    name: str,
    asked: list[tuple[Network, EndpointSettings]],
    config: ContainerConfig,
    host: HostConfig,
    *,
    dry_run: bool,
) -> list[Endpoint]:
    found: list[Endpoint] = []
    way_out = gateway_of(asked)
    for network, settings in asked:
        # On a wire of the host's own (macvlan) there is nothing to publish: whoever sees the wire sees the container.
        here = way_out and network.name == way_out.name and not network.parent
        published = ports.wanted(config, host) if here else []
        called = endpoint.called(network, settings, container, name, config.hostname)
        claim = claim_in(
            layout,
            network,
            called,
            container,
            name,
            published,
            inside=endpoint.inside_name(network, {end.claim.inside for end in found}),
            dry_run=dry_run,
        )
        found.append(Endpoint(network, called, claim))
    return found


def claim_in(
    layout: Layout,
    network: Network,
    asked: EndpointSettings,
    container: str,
    name: str,
    published: list[tuple[int, str, PortBinding]],
    *,
    inside: str,
    dry_run: bool,
) -> Claim:
    """An address, and ports, that nobody else has, written down unless `dry_run`."""
    if dry_run:
        claims = [claim for claim in addresses.peek(layout, network.name) if claim.container != container]
    else:
        claims = addresses.living(layout, network.name)
    ipam = asked.ipam_config or {}
    overlay.check_joining(layout, network, ipam.get("IPv4Address", ""))
    address, address6 = (_address(network, claims, ipam.get(key, ""), six=six) for key, six in FAMILIES)
    everywhere = [claim for other in addresses.networks(layout) for claim in addresses.peek(layout, other)]
    chosen = ports.choose(
        layout,
        published,
        address,
        [claim for claim in everywhere if claim.container != container],
        dry_run=dry_run,
        address6=address6,
        default_ip=network.option("bridge.host_binding_ipv4"),
    )
    # Its own name first: that is what reverse questions get as answer. The default network has no names.
    called = [] if network.name == "bridge" else list(dict.fromkeys([*filter(None, [name]), *(asked.aliases or [])]))
    pid = 0 if dry_run else os.getpid()
    claim = Claim(address, container, pid, subnets.start_ticks(pid), chosen, address6, called, inside)
    if not dry_run:
        addresses.write(layout, network, claim)
    return claim


FAMILIES = (("IPv4Address", False), ("IPv6Address", True))


def _address(network: Network, claims: list[Claim], asked: str, *, six: bool) -> str:
    if asked:
        return addresses.asked_address(network, claims, asked, six=six)
    if six and not network.subnet6:
        return ""
    return addresses.free_address(network, claims, six=six)


def gateway_of(asked: list[tuple[Network, EndpointSettings]]) -> Network | None:
    """The network whose gateway is the way out: no internal one, the highest priority, then one that has both families
    (else nothing of the other one would get out), then the first by name."""
    open_ones = [(network, settings) for network, settings in asked if not network.internal and network.gateway]
    best = min(open_ones, key=lambda pair: (-pair[1].gw_priority, not pair[0].gateway6, pair[0].name), default=None)
    return best[0] if best else None


# Steps


def _attach(layout: Layout, config: ContainerConfig, endpoints: list[Endpoint]) -> Attachment:
    pairs = [(end.network, end.asked) for end in endpoints]
    way_out = gateway_of(pairs)
    published = [port for end in endpoints for port in end.claim.ports]
    # Who is called the same on two networks is found on that of the way out, as with Docker.
    named = [end.network.name for end in endpoints if end.network.name != "bridge"]
    named.sort(key=lambda name: way_out is None or name != way_out.name)
    dns_port = names.draw_port() if named else 0
    macs = {end.network.name: end.asked.mac_address or "" for end in endpoints}
    if config.mac_address and endpoints:
        macs[endpoints[0].network.name] = macs[endpoints[0].network.name] or config.mac_address
    rows = [(end, macs[end.network.name] or mac_of(end.claim.address)) for end in endpoints]
    balanced = balance.of(layout, endpoints)
    return Attachment(
        before=[
            step for end in endpoints for step in [*endpoint.shared(layout, end.network), *endpoint.own(layout, end)]
        ],
        joined=[
            *(endpoint.cable(end, mac) for end, mac in rows),
            *([AnswerNames(dns_port)] if named else []),
            *([balanced] if balanced else []),
        ],
        child=[
            LinkUp("lo"),
            *(step for end in endpoints for step in endpoint.inside(end)),
            *(AddDefaultRoute(gateway) for gateway in endpoint.gateways(way_out)),
        ],
        endpoints={end.network.name: endpoint.shown(layout, end, mac) for end, mac in rows},
        ports=ports.shown(config, published) if way_out and not way_out.parent else {},
        addresses=[address for end in endpoints for address in (end.claim.address, end.claim.address6) if address],
        hold=[(port.protocol, port.host_ip, port.host_port) for port in published],
        proxied=[pair for end in endpoints for pair in ports.proxied(end.claim.ports, end.claim.address)],
        gateway=way_out.gateway if way_out else "",
        named=named,
        reaches_out=way_out is not None,
        dns_port=dns_port,
    )
