"""A network of a swarm on this node: a bridge like others, whose addresses and names are the managers' to say.

What they say last is kept in `networks/NAME/overlay.json`. From it come the lines of the hosts file that tell of
services and of tasks elsewhere (names.py), the rules that share out connections to a service (balance.py), and the
cable to the other nodes (tunnel.py).
"""

from __future__ import annotations

from pathlib import Path

from minidock import files
from minidock.errors import Forbidden
from minidock.kernel.vxlan import WRAPPING
from minidock.model.network import NetworkRequest
from minidock.model.overlay import Arrangement
from minidock.network import subnets
from minidock.network.subnets import Network
from minidock.paths import Layout

LABEL = "com.docker.swarm.network.id"
FILE = "overlay.json"


def is_of_swarm(network: Network) -> bool:
    return network.asked is not None and LABEL in network.asked.labels


def wrapping(asked: NetworkRequest) -> int:
    """What each packet's way to other hosts costs, in bytes."""
    return WRAPPING if LABEL in asked.labels else 0


def path_of(layout: Layout, network: Network) -> Path:
    return subnets.directory(layout, network.name) / FILE


def read(path: Path) -> Arrangement:
    """Nothing, before the managers have said anything."""
    try:
        return files.read_json(path, Arrangement)
    except FileNotFoundError:
        return Arrangement()


def write(layout: Layout, network: Network, given: Arrangement) -> None:
    files.write_json(path_of(layout, network), given, durable=False)


def check_joining(layout: Layout, network: Network, address: str) -> None:
    """A container's place on it is the managers' to give: else two nodes would give away the same address.

    Raises Forbidden, in Docker's words.
    """
    if is_of_swarm(network) and address not in read(path_of(layout, network)).here:
        raise Forbidden(
            f"Could not attach to network {network.name}: rpc error: code = PermissionDenied desc = "
            f"network {network.name} not manually attachable",
            hint="networks of a swarm are for its services; containers of one's own can't be on them yet",
        )
