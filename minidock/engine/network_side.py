"""The kernel has no networks either: a bridge, the cables plugged into it, addresses, and a table of rules.

As for containers (kernel_side.py), beside each fact stands the command that shows it without minidock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from minidock.engine.record import Record, Records, alive
from minidock.kernel import address as addresses
from minidock.kernel import link as links
from minidock.kernel.link import Link
from minidock.model.facts import KernelFact, KernelSection
from minidock.network import store
from minidock.paths import Layout


def section(layout: Layout, ref: str) -> KernelSection:
    """Without facts for a network that the kernel has nothing of (host, none). Raises NetworkNotFound."""
    found = store.find(layout, ref)
    here = links.read(os.getpid())
    on = [record for record in Records(layout).all() if found.name in record.endpoints and alive(record)]
    facts = [*_bridge(here, found.bridge), *_cables(here, found.bridge, on), *_ends(found.name, on)]
    if facts and found.bridge:
        facts.append(KernelFact("rules", layout.nft_table, f"nft list table inet {layout.nft_table}"))
    return KernelSection(found.name, "ip-link(8)", "minidock/kernel/bridge.py", facts)


def _bridge(here: list[Link], name: str) -> Iterator[KernelFact]:
    for link in here:
        if name and link.name == name:
            state = f"{name}, {'up' if link.up else 'down'}, mtu {link.mtu}"
            yield KernelFact("bridge", state, f"ip -d link show {name}")
            for at in addresses.read(os.getpid()):
                if at.index == link.index:
                    yield KernelFact("its address", f"{at.address}/{at.prefix}", f"ip address show {name}")


def _cables(here: list[Link], bridge: str, on: list[Record]) -> Iterator[KernelFact]:
    """What is plugged into the bridge, and where the other end is."""
    master = next((link.index for link in here if bridge and link.name == bridge), 0)
    inside = {record.state.pid: _inside(record.state.pid) for record in on}
    for link in here:
        if master and link.master == master:
            yield KernelFact("cable", f"{link.name} ↔ {_other_end(link, on, inside)}", f"ip -d link show {link.name}")


def _inside(pid: int) -> list[Link]:
    try:
        return links.read(pid)
    except (FileNotFoundError, ProcessLookupError):
        return []  # it ended while we looked


def _other_end(cable: Link, on: list[Record], inside: dict[int, list[Link]]) -> str:
    """Both ends know each other's number; numbers are given out per namespace, so both must agree."""
    for record in on:
        for end in inside[record.state.pid]:
            if end.kind == "veth" and (end.peer, end.index) == (cable.index, cable.peer):
                return f"{end.name} of {record.name}"
    return "elsewhere"


def _ends(name: str, on: list[Record]) -> Iterator[KernelFact]:
    for record in on:
        at = record.endpoints[name]
        if at.ip_address:
            command = f"nsenter -t {record.state.pid} -n ip address"
            yield KernelFact("address", f"{at.ip_address}/{at.ip_prefix_len} of {record.name}", command)
