"""What an instance has on the host, in numbers: after many runs there must be as much as after the first."""

from __future__ import annotations

import os
import subprocess

from tests.support.instance import CGROUPS, Minidock, settled

ON = ("--network", "many", "-p", "80", "-p", "81/udp", "-v", "/data", "busybox")
"""A container with something of each kind: an address, a cable, two ports in both families, a volume."""


def cables(minidock: Minidock) -> list[str]:
    """Ports of the instance's bridges: the kernel removes one some time after its namespace."""
    bridges = [name for name in os.listdir("/sys/class/net") if name.startswith(minidock.layout.bridge)]
    return [port for name in bridges for port in os.listdir(f"/sys/class/net/{name}/brif")]


def counts(minidock: Minidock) -> dict[str, int]:
    layout = minidock.layout
    table = ["nft", "list", "table", "inet", layout.nft_table]
    rules = subprocess.run(table, capture_output=True, text=True, check=True).stdout
    return {
        "addresses": len(list(layout.networks.glob("*/addresses/*"))),
        "cables": len(cables(minidock)),
        "entries of the maps": rules.count(" : "),
        "lines of rules": len(rules.splitlines()),
        "volumes": len(minidock("volume", "ls", "-q", check=True).stdout.split()),
        "containers": len(minidock("ps", "-aq", check=True).stdout.split()),
        "cgroups": sum(layout.cgroup_parent in path for path, _, _ in os.walk(CGROUPS)),  # passes over what just goes
        "mounts": sum(f"{layout.root}/" in line for line in open("/proc/self/mountinfo", encoding="utf-8")),
    }


def through(minidock: Minidock, runs: int) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """The counts after a first run, while a container is there, and after so many more runs."""
    minidock("network", "create", "many", check=True)
    minidock("run", "--rm", *ON, "true", check=True)
    assert not settled(lambda: cables(minidock))
    first = counts(minidock)
    minidock("run", "-d", "--name", "one", *ON, "sleep", "1000", check=True)
    meanwhile = counts(minidock)
    minidock("rm", "-f", "-v", "one", check=True)
    for _ in range(runs):
        minidock("run", "--rm", *ON, "true", check=True)
    assert not settled(lambda: cables(minidock))
    last = counts(minidock)
    minidock("network", "rm", "many", check=True)
    return first, meanwhile, last
