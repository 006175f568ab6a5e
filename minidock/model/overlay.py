"""What the managers of a swarm say of one of its networks to a node: who is there, and how they are called."""

import msgspec


class Arrangement(msgspec.Struct, frozen=True, rename="pascal"):
    """Addresses are IPv4 and without prefix."""

    here: list[str] = []
    """Those that containers of this node may have."""
    names: dict[str, list[str]] = {}
    services: dict[str, list[str]] = {}
    """Virtual address → those of the tasks behind it; none while none runs."""
    peers: dict[str, str] = {}
    """Addresses of the network on other nodes → the node's own address, to which packets for them are sent."""
    local: str = ""
    """This node's."""
    vni: int = msgspec.field(name="VNI", default=0)
    port: int = 4789
