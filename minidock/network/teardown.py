"""Remove all that an instance has on the host for its network, in the reverse order of making it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from minidock import files
from minidock.kernel import bridge, link
from minidock.kernel.forwarding import IP_FORWARD
from minidock.kernel.netlink import Netlink
from minidock.network import addresses, firewall, nat, subnets
from minidock.paths import Layout


def teardown(layout: Layout) -> None:
    """Cables, bridge, table, rules in other people's chains, switches, claims, subnet. Idempotent.

    No container of the instance may run: those that do lose their network.
    """
    with files.locked(layout.lock("network")):
        for port in bridge.ports(layout.bridge):
            link.delete(port.name)
        link.delete(layout.bridge)
        firewall.tear_down(layout)
        nat.tear_down(layout)
        _restore_forwarding(layout.run / "ip_forward")
        for network in addresses.networks(layout):
            for claimed in addresses.path_of(layout, network, "").glob("*"):
                claimed.unlink(missing_ok=True)
    subnets.forget(layout)


def _restore_forwarding(remembered: Path) -> None:
    """Put net.ipv4.ip_forward back to what it was, unless a bridge is left: somebody else may need it now."""
    with contextlib.suppress(FileNotFoundError):
        found = remembered.read_text()
        with Netlink() as netlink:
            others = any(other.kind == "bridge" for other in link.links(netlink))
        if not others:
            IP_FORWARD.write_text(found)
        remembered.unlink()
