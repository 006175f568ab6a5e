"""The swarm's networks get what must be unique in it: a subnet of the swarm's pools, and a number on the wires (VNI).

Managers write a network down as it was asked for; the leader, and only it, fills in what nobody said. So two managers
that are asked at the same moment never give the same away.

Overlay networks are bridges of the nodes themselves, so a subnet that the leader's machine routes elsewhere (the
company's own 10.0.0.0/24) would cut that off: such a one isn't taken.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from minidock.swarm.board import Board
from minidock.swarm.cluster import POOL
from minidock.swarm.objects import Body, Stored

PREFIX = 24
FIRST = 4097
"""VNIs: 12 bits would be the VLANs', and Docker begins above them; 4096 is that of `ingress`."""
VNI = "com.docker.network.driver.overlay.vxlanid_list"
ROUTES = Path("/proc/net/route")
RTF_UP = 0x1  # linux/route.h


def reconcile(board: Board) -> None:
    for network in list(board.networks.values()):
        changes: Body = {}
        if pool_of(network) is None and (subnet := _free(board)) is not None:
            changes["IPAM"] = {**network.body["IPAM"], "Config": [with_gateway(_config(network), subnet)]}
        if not vni(network):
            changes["Options"] = {**(network.body.get("Options") or {}), VNI: str(_number(board))}
        if changes:
            board.write(network, changes)


def new_body(name: str, ipam: Body, config: list[Body], **more: Any) -> Body:  # noqa: ANN401 - JSON
    """API `Network` as it is written down."""
    return {
        "Name": name,
        "Scope": "swarm",
        "Driver": "overlay",
        "EnableIPv6": False,
        "IPAM": {"Driver": ipam.get("Driver") or "default", "Options": ipam.get("Options"), "Config": config},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": None,
        "Options": {},
        "Labels": None,
        "Spec": {"Name": name},
        **more,
    }


def with_gateway(given: Body, subnet: IPv4Network) -> Body:
    return {**given, "Subnet": str(subnet), "Gateway": given.get("Gateway") or str(subnet[1])}


def _config(network: Stored) -> Body:
    found: list[Body] = network.body["IPAM"].get("Config") or []
    return found[0] if found else {}


def pool_of(network: Stored) -> IPv4Network | None:
    """None while the leader hasn't chosen one."""
    said = _config(network).get("Subnet")
    return ipaddress.IPv4Network(said) if said else None


def gateway_of(network: Stored) -> str:
    return str(_config(network).get("Gateway") or "")


def vni(network: Stored) -> int:
    """0 while the leader hasn't chosen one."""
    return int((network.body.get("Options") or {}).get(VNI) or 0)


def _free(board: Board) -> IPv4Network | None:
    """The first piece of the swarm's pools that no network has, and no route leads to."""
    pools, prefix = [POOL], PREFIX
    if board.cluster is not None:
        pools = board.cluster.body.get("DefaultAddrPool") or pools
        prefix = int(board.cluster.body.get("SubnetSize") or prefix)
    used = [pool for network in board.networks.values() if (pool := pool_of(network))] + list(routed())
    for each in pools:
        for subnet in ipaddress.IPv4Network(each).subnets(new_prefix=prefix):
            if not any(subnet.overlaps(other) for other in used):
                return subnet
    return None


def _number(board: Board) -> int:
    used = {vni(network) for network in board.networks.values()}
    return next(number for number in range(FIRST, 1 << 24) if number not in used)


def routed() -> Iterator[IPv4Network]:
    """Where this machine's routes lead, but for the default ones: proc_pid_net(5), numbers in the host's order."""
    for line in ROUTES.read_text().splitlines()[1:]:
        _, destination, _, flags, _, _, _, mask, *_ = line.split()
        if int(flags, 16) & RTF_UP and int(mask, 16):
            yield IPv4Network(f"{_dotted(destination)}/{_dotted(mask)}", strict=False)


def _dotted(number: str) -> str:
    return socket.inet_ntoa(struct.pack("=I", int(number, 16)))
