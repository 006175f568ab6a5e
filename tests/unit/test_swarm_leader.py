"""Who leads, with an etcd that only remembers: when a manager claims the rule, and when it lets it go."""

from __future__ import annotations

import time
from typing import Any

import pytest

from minidock.swarm import leader
from minidock.swarm.etcd import Unavailable
from minidock.swarm.leader import Leadership
from minidock.swarm.node import Node

NODE = Node("n", "c", "manager", "127.0.0.1:1", "127.0.0.1:1", "", "", [])


class Etcd:
    """One lease, and a key on it; `away`: nobody answers, after as long as one is ready to wait."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.ruler: bytes | None = None
        self.away = False
        self.waits: list[float] = []

    def value(self, key: str) -> bytes | None:
        return self.ruler

    def grant(self, seconds: int) -> str:
        self.log.append("grant")
        return "1"

    def claim(self, key: str, value: bytes, lease: str) -> bool:
        self.ruler = value
        return True

    def keep_alive(self, lease: str, *, timeout: float) -> bool:
        self.waits.append(timeout)
        if self.away:
            time.sleep(timeout)
            raise Unavailable("gone")
        return True

    def revoke(self, lease: str) -> None:
        self.log.append("revoke")


class Store:
    def __init__(self, etcd: Etcd) -> None:
        self.etcd = etcd


def campaigner(etcd: Etcd) -> Leadership:
    store: Any = Store(etcd)
    return Leadership(store, NODE, lambda store, now: None, lambda: None)


def test_while_another_one_leads_nothing_is_written() -> None:
    etcd = Etcd()
    etcd.ruler = b"another"
    campaigner(etcd)._term()
    assert etcd.log == []


def test_who_is_cut_off_steps_down_before_his_lease_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "TTL", 1.0)
    monkeypatch.setattr(leader, "BEAT", 0.1)
    monkeypatch.setattr(leader, "MARGIN", 0.3)
    etcd = Etcd()
    etcd.away = True
    begun = time.monotonic()
    mine = campaigner(etcd)
    mine._term()
    assert time.monotonic() - begun >= 0.6 and max(etcd.waits) <= 0.6
    assert not mine.leads.is_set() and etcd.log == ["grant", "revoke"]
