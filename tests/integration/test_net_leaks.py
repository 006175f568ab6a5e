"""After many runs there is as much of everything as after the first: addresses, ports, cables, rules, volumes."""

from __future__ import annotations

from pathlib import Path

from tests.support import leaks
from tests.support.instance import Minidock
from tests.support.needs import require_root, require_tool

RUNS = 12
"""`scripts/load --runs 1000` does a thousand; docs/networking.md has its figures."""


def test_runs_leave_as_much_as_the_first_left(minidock: Minidock, busybox_image: Path) -> None:
    require_root()
    require_tool("nft")
    minidock("load", "-i", str(busybox_image), check=True)
    first, meanwhile, last = leaks.through(minidock, RUNS)
    assert last == first
    # Else the counts would prove nothing. A running container's own mounts are in its namespace, none on the host.
    grows = set(first) - {"mounts", "lines of rules"}
    assert all(meanwhile[what] > first[what] for what in grows), (meanwhile, first)
