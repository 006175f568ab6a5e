"""Who rules: of all managers the one that holds a key in etcd, for as long as it says again and again that it lives.

The key hangs on a lease: a manager that is killed, or cut off from most of the others, loses it after TTL seconds, and
another one takes it. Only the leader runs the loops that make and move tasks, and only it listens to heartbeats.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

import msgspec

from minidock.errors import MinidockError
from minidock.swarm.etcd import EtcdError, Unavailable
from minidock.swarm.etcd_store import LEADER, EtcdStore
from minidock.swarm.node import Node
from minidock.swarm.store import Store

TTL, BEAT, MARGIN = 6, 1.5, 0.5
"""Seconds. Who hasn't renewed his lease steps down this much before it ends: the next one leads from then on."""
Reconcile = Callable[[Store, float], None]
log = logging.getLogger("minidock.swarm")


class Ruler(msgspec.Struct, frozen=True):
    """Who leads, as the key has it."""

    id: str
    address: str


def ruler(store: EtcdStore) -> Ruler | None:
    found = store.etcd.value(LEADER)
    return msgspec.json.decode(found, type=Ruler) if found else None


class Leadership:
    """Two threads of a manager: one campaigns and keeps the lease, one runs the loops while we lead.

    `reconcile` are the loops; `on_rise` is told, in the first thread, when the rule has come to us.
    """

    def __init__(self, store: EtcdStore, node: Node, reconcile: Reconcile, on_rise: Callable[[], None]) -> None:
        self.store = store
        self.me = Ruler(node.id, node.advertise)
        self.leads = threading.Event()
        self._reconcile = reconcile
        self._on_rise = on_rise
        self._ended = threading.Event()
        self._may = threading.Event()
        self._may.set()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._campaign, self._rule)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float | None = None) -> None:
        """Give the rule back, so that the next one needn't wait for the lease; for as long as that may take."""
        self._ended.set()
        for thread in self._threads:
            thread.join(patience)

    def resign(self) -> None:
        """Never again: the manager is about to be one no more."""
        self._may.clear()

    def _campaign(self) -> None:
        while not self._ended.is_set():
            try:
                if self._may.is_set():
                    self._term()
            except (Unavailable, EtcdError) as error:
                log.warning("the campaign for the swarm's leadership: %s", error.hint or error.message)
            except Exception:  # a mistake in one term must not leave the swarm without a leader for good
                log.exception("the campaign for the swarm's leadership")
            self.leads.clear()
            self._ended.wait(1)

    def _term(self) -> None:
        """From the claim until the lease is lost, or we stop. Without success it is over at once."""
        etcd = self.store.etcd
        if etcd.value(LEADER) is not None:
            return  # a lease for each try would be a write on the disk of every manager, once a second
        heard = time.monotonic()
        lease = etcd.grant(TTL)
        try:
            if not etcd.claim(LEADER, msgspec.json.encode(self.me), lease):
                return
            self._on_rise()
            self.leads.set()
            while self._may.is_set() and not self._ended.wait(BEAT):
                asked = time.monotonic()  # the lease is counted from some moment after this one
                left = heard + TTL - MARGIN - asked
                if left <= 0:
                    return
                with contextlib.suppress(Unavailable):
                    if not etcd.keep_alive(lease, timeout=left):
                        return
                    heard = asked
        finally:
            self.leads.clear()
            with contextlib.suppress(Unavailable, EtcdError):
                etcd.revoke(lease)

    def _rule(self) -> None:
        """The loops: at every change, and once a second for what is due by the clock."""
        while not self._ended.is_set():
            if not self.leads.wait(1):
                continue
            try:
                revision = self.store.revision()
                self._reconcile(self.store, time.time())
                # What the pass itself has written is a change, too: the next pass finds nothing left to do.
                next(iter(self.store.watch(revision, idle=1)), None)
            except MinidockError as error:
                log.warning("the swarm's loops: %s", error.hint or error.message)
                self._ended.wait(1)
            except Exception:  # a mistake in one pass must not end the rule for good
                log.exception("the swarm's loops")
                self._ended.wait(1)
