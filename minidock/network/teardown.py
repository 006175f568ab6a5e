"""Remove all that an instance has on the host for its network, in the reverse order of making it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from minidock import files
from minidock.kernel import bridge, link
from minidock.kernel.forwarding import FORWARDING6, IP_FORWARD
from minidock.kernel.netlink import Netlink
from minidock.network import addresses, firewall, nat, overlay, store, subnets, tunnel
from minidock.network.subnets import Network
from minidock.paths import Layout


def teardown(layout: Layout) -> None:
    """Cables, bridges, parents, table, rules in other people's chains, switches, claims, subnet. Idempotent.

    No container of the instance may run: those that do lose their network. Networks that somebody made stay written
    down; their bridges come back with the next container.
    """
    with files.locked(layout.lock("network")):
        for name in {layout.bridge, *(network.bridge for network in subnets.everything(layout) if network.bridge)}:
            remove_bridge(name)
        for network in filter(overlay.is_of_swarm, subnets.everything(layout)):
            link.delete(tunnel.name_of(network))
        for parent in {network.parent for network in subnets.everything(layout) if network.parent_made}:
            link.delete(parent)
        firewall.tear_down(layout)
        nat.tear_down(layout)
        _restore(IP_FORWARD, layout.run / "ip_forward")
        _restore(FORWARDING6, layout.run / "ip6_forward")
        for used in addresses.networks(layout):
            for claimed in addresses.path_of(layout, used, "").glob("*"):
                claimed.unlink(missing_ok=True)
    for known in subnets.everything(layout):
        if known.name != "bridge":
            subnets.unregister(layout, known)
    subnets.forget(layout)


def remove(layout: Layout, network: Network) -> None:
    """One network that somebody made: bridge or parent, its part of the table, its files. No container may be on it."""
    with files.locked(layout.lock("network")):
        if network.bridge:
            remove_bridge(network.bridge)
            if overlay.is_of_swarm(network):
                link.delete(tunnel.name_of(network))
            firewall.tear_down(layout, network.bridge)
            nat.take_down(layout, network)
        shared = any(other.parent == network.parent and other.id != network.id for other in subnets.everything(layout))
        if network.parent_made and not shared:
            link.delete(network.parent)
        store.forget(layout, network)


def remove_bridge(name: str) -> None:
    for port in bridge.ports(name):
        link.delete(port.name)
    link.delete(name)


def _restore(switch: Path, remembered: Path) -> None:
    """Put the switch back to what it was, unless a bridge is left: somebody else may need it now."""
    with contextlib.suppress(FileNotFoundError):
        found = remembered.read_text()
        with Netlink() as netlink:
            others = any(other.kind == "bridge" for other in link.links(netlink))
        if not others:
            switch.write_text(found)
        remembered.unlink()
