"""What the managers of a swarm say of its networks reaches this node's containers that are on them."""

from __future__ import annotations

import contextlib

from minidock import files
from minidock.engine.record import Record, Records, alive
from minidock.model.overlay import Arrangement
from minidock.network import addresses, balance, names, overlay, store, subnets, tunnel
from minidock.network.endpoint import Endpoint
from minidock.paths import Layout
from minidock.steps import Live


def arrange(layout: Layout, ref: str, given: Arrangement) -> None:
    """Names, services and peers of one network, for containers that run and that will.

    Raises NetworkNotFound, and Unsupported, Conflict where there is no way to other nodes.
    """
    found = store.find(layout, ref)
    with files.locked(layout.lock("network")):
        overlay.write(layout, found, given)
        names.write(subnets.directory(layout, found.name))
        tunnel.follow(layout, found)
    for record in Records(layout).all():
        if found.name in record.endpoints and alive(record):
            _balance(layout, record)


def _balance(layout: Layout, record: Record) -> None:
    held = addresses.of_container(layout, record.id)
    known = [(subnets.read(layout, name), name) for name in record.endpoints if name in held]
    step = balance.of(
        layout, [Endpoint(network, record.endpoints[name], held[name]) for network, name in known if network]
    )
    if step is not None:
        with contextlib.suppress(FileNotFoundError):  # it has ended just now, and its namespace with it
            step.apply(Live(record.state.pid))
