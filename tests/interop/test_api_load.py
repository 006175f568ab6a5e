"""Many clients at once: everybody is served, and afterwards nothing is left open. scripts/load does it for minutes."""

from __future__ import annotations

from tests.support import load
from tests.support.api import Daemon

CLIENTS, STREAMS, SECONDS = 16, 40, 8
GROWTH = 40.0
"""MiB: what sixteen connections and their buffers leave in an interpreter that never had so many."""


def test_clients_and_streams_leave_no_descriptor_no_thread_and_no_process(daemon: Daemon) -> None:
    load.clients(daemon, 1, 0.1)
    before = load.held(daemon.pid)
    with load.streaming(daemon, STREAMS) as streams:
        assert load.held(daemon.pid).descriptors >= before.descriptors + STREAMS
        assert load.clients(daemon, CLIENTS, SECONDS) >= CLIENTS
        assert streams.ended == 0 and streams.heard > 0
    after = load.settled(daemon, before)
    assert not after.more_than(before), (before, after)
    assert after.memory < before.memory + GROWTH
    assert daemon.docker("ps", "-aq").stdout == ""
