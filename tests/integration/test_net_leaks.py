"""After many runs there is as much of everything as after the first: addresses, ports, cables, rules, volumes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.instance import CGROUPS, Minidock, settled
from tests.support.needs import require_root, require_tool

RUNS = 20
"""docs/networking.md has the figures of a thousand."""


def test_runs_leave_as_much_as_the_first_left(minidock: Minidock, busybox_image: Path) -> None:
    require_root()
    require_tool("nft")
    minidock("load", "-i", str(busybox_image), check=True)
    minidock("network", "create", "many", check=True)
    run = ("run", "--rm", "--network", "many", "-p", "80", "-p", "81/udp", "-v", "/data", "busybox", "true")
    minidock(*run, check=True)
    assert not settled(lambda: cables(minidock))
    first = counts(minidock)
    # Between two runs something is there: an address, two ports, a volume. Else the counts would prove nothing.
    minidock("run", "-d", "--name", "one", *run[2:-1], "sleep", "1000", check=True)
    while_it_runs = counts(minidock)
    minidock("rm", "-f", "-v", "one", check=True)
    for _ in range(RUNS):
        minidock(*run, check=True)
    assert not settled(lambda: cables(minidock))
    assert counts(minidock) == first
    minidock("network", "rm", "many", check=True)
    assert all(while_it_runs[what] > first[what] for what in first), (while_it_runs, first)


def cables(minidock: Minidock) -> list[str]:
    """Ports of the instance's bridges: the kernel removes one some time after its namespace."""
    bridges = [name for name in os.listdir("/sys/class/net") if name.startswith(minidock.layout.bridge)]
    return [port for name in bridges for port in os.listdir(f"/sys/class/net/{name}/brif")]


def counts(minidock: Minidock) -> dict[str, int]:
    layout = minidock.layout
    table = ["nft", "list", "table", "inet", layout.nft_table]
    return {
        "addresses": len(list(layout.networks.glob("*/addresses/*"))),
        "elements": subprocess.run(table, capture_output=True, text=True, check=True).stdout.count(" : "),
        "volumes": len(minidock("volume", "ls", "-q", check=True).stdout.split()),
        "containers": len(minidock("ps", "-aq", check=True).stdout.split()),
        "cgroups": len(list(CGROUPS.glob(f"**{layout.cgroup_parent}/**/"))),
    }
