"""How a packet gets in and out: networks, addresses, published ports, names. docs/networking.md tells the whole way.

plan(…) -> Attachment       claim an address and ports, and list the steps that connect the container
reserve_ports(hold)         take the host's ports, so that no other program gets them
default_network(layout)     the instance's bridge and subnet, chosen and written down when it has none yet
release(layout, id)         give the claims back
teardown(layout)            remove bridge, table, rules and switches of the whole instance
"""

from __future__ import annotations

from minidock.network.addresses import Published, release
from minidock.network.attachment import Attachment, plan, settle
from minidock.network.reserve import reserve_ports
from minidock.network.store import network_id
from minidock.network.subnets import default_network
from minidock.network.teardown import teardown

__all__ = [
    "Attachment",
    "Published",
    "default_network",
    "network_id",
    "plan",
    "release",
    "reserve_ports",
    "settle",
    "teardown",
]
