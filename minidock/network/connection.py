"""Connecting and disconnecting a container that runs: the same claims and steps as at its start, done from outside."""

from __future__ import annotations

import os
from collections.abc import Callable

from minidock import files
from minidock.errors import SystemCallFailed
from minidock.kernel import link, netns, route
from minidock.kernel.netlink import GONE, ignoring
from minidock.kernel.veth import CreateVeth
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.model.network import EndpointSettings
from minidock.network import addresses, attachment, endpoint, ports, subnets
from minidock.network.addresses import Claim, HoldAddress, Published
from minidock.network.arithmetic import mac_of
from minidock.network.endpoint import Endpoint
from minidock.network.publish import PublishPorts
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Live, Step, apply_all


def join(
    layout: Layout,
    network: Network,
    asked: EndpointSettings,
    container: str,
    name: str,
    pid: int,
    hostname: str,
    *,
    published: list[tuple[int, str, PortBinding]],
    hold: Callable[[list[Published], list[tuple[Published, str]]], None],
) -> tuple[EndpointSettings, list[Step], list[Published]]:
    """Give the running container one more interface. What inspect shows, the host's steps for the journal, and what has
    become of the ports to be `published`, which `hold` takes on the host, and passes on by hand (its second list).

    Raises what failed, with everything undone.
    """
    if network.name != "bridge":
        subnets.ready(layout, network)
    with files.locked(layout.lock("network")):
        held = addresses.of_container(layout, container)
        inside = endpoint.inside_name(network, {claim.inside for claim in held.values()})
        asked = endpoint.called(network, asked, container, name, hostname)
        claim = attachment.claim_in(layout, network, asked, container, name, published, inside=inside, dry_run=False)
    end = Endpoint(network, asked, claim)
    mac = asked.mac_address or mac_of(claim.address)
    cable = endpoint.cable(end, mac)
    host = [*endpoint.shared(layout, network), *endpoint.own(layout, end), cable]
    live = Live(pid)
    try:
        if claim.ports:
            hold(claim.ports, ports.proxied(claim.ports, claim.address))
        apply_all(host, live)
        with netns.entered(pid):
            apply_all(endpoint.inside(end), live)
    except BaseException:
        leave(layout, network, container, pid)
        raise
    if isinstance(cable, CreateVeth):
        link.settle(cable.name)
        link.settle(cable.bridge)
    return endpoint.shown(layout, end, mac), [*endpoint.own(layout, end), cable], claim.ports


def to_publish(
    layout: Layout,
    container: str,
    config: ContainerConfig,
    host: HostConfig,
    connected: list[tuple[Network, EndpointSettings]],
    new: Network,
) -> list[tuple[int, str, PortBinding]]:
    """The ports that are to be published on the network which is joined: all that were asked for, when it is the first
    that has a way out. `connected` are those that the container will be on."""
    way_out = attachment.gateway_of(connected)
    if way_out is None or way_out.name != new.name or way_out.parent:
        return []
    already = any(claim.ports for claim in addresses.of_container(layout, container).values())
    return [] if already else ports.wanted(config, host)


def leave(layout: Layout, network: Network, container: str, pid: int) -> Claim | None:
    """Take the interface away again, and give back what was claimed for it; None when it held nothing there."""
    claim = addresses.of_container(layout, container).get(network.name)
    if claim is None:
        return None
    if network.bridge:
        link.delete(endpoint.host_end(container, claim.inside))
    elif pid:
        with netns.entered(pid):
            link.delete(claim.inside)
    for step in reversed(endpoint.own(layout, Endpoint(network, EndpointSettings(), claim))):
        step.undo(Live())
    return claim


def choose_way_out(pid: int, connected: list[tuple[Network, EndpointSettings]]) -> None:
    """Set the container's default routes anew, after it has got or lost a network."""
    with netns.entered(pid):
        try:
            route.replace_default(endpoint.gateways(attachment.gateway_of(connected)))
        except SystemCallFailed as error:
            ignoring(error, *GONE)


def move_ports(
    layout: Layout,
    container: str,
    published: list[Published],
    to: Network,
    hold: Callable[[list[Published], list[tuple[Published, str]]], None],
) -> list[Step]:
    """Let published ports lead to the container's address on another of its networks: the one that was left had them.

    The steps that did it. `hold` is as for join(). Raises PortInUse when somebody was quicker.
    """
    claim = addresses.of_container(layout, container).get(to.name)
    if claim is None:
        return []
    moved = [
        Published(
            port.protocol,
            port.host_ip,
            port.host_port,
            (claim.address6 if ":" in port.host_ip else "") or claim.address,
            port.port,
        )
        for port in published
    ]
    with files.locked(layout.lock("network")):
        addresses.write(
            layout,
            to,
            Claim(
                claim.address,
                container,
                os.getpid(),
                subnets.start_ticks(os.getpid()),
                moved,
                claim.address6,
                claim.names,
                claim.inside,
            ),
        )
    hold(moved, ports.proxied(moved, claim.address))
    step = PublishPorts(layout.nft_table, moved)
    apply_all([step], Live())
    return [step]


def belongs(step: Step, layout: Layout, network: Network, claim: Claim) -> bool:
    """Whether the journal's step was made for this network."""
    if isinstance(step, HoldAddress):
        return step.path == str(addresses.path_of(layout, network.name, claim.address))
    if isinstance(step, CreateVeth):
        return step.name == endpoint.host_end(claim.container, claim.inside)
    return isinstance(step, PublishPorts) and step.ports == claim.ports
