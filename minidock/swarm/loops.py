"""One pass of everything that the leader does, in the order in which a task comes to be.

The leader calls it at every change of the store and once a second, for what is due by the clock. From a service's
creation to tasks that have a node takes one pass.
"""

from __future__ import annotations

from collections.abc import Callable

from minidock.swarm import (
    allocator,
    enforcer,
    gateways,
    globals,
    jobs,
    mesh,
    reaper,
    replicated,
    restarts,
    scheduler,
    subnets,
)
from minidock.swarm.board import Board
from minidock.swarm.store import Store

LOOPS: tuple[Callable[[Board], None], ...] = (
    mesh.reconcile,
    subnets.reconcile,
    enforcer.reconcile,
    replicated.reconcile,
    globals.reconcile,
    jobs.reconcile,
    restarts.reconcile,
    allocator.reconcile,
    scheduler.reconcile,
    gateways.reconcile,
    reaper.reconcile,
)


def reconcile(store: Store, now: float) -> None:
    """`now` in Unix seconds. What was written to meanwhile by others is left to the next pass."""
    board = Board(store, now)
    for loop in LOOPS:
        loop(board)
