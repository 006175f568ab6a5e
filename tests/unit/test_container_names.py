"""Ids of containers."""

from __future__ import annotations

import os

import pytest

from minidock.engine import names


def test_a_host_name_is_never_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hostname -i` in a container called 709413829520 said: unknown host."""
    drawn = iter([bytes.fromhex("709413829520" + "ab" * 26), bytes.fromhex("7094138295e0" + "00" * 26)])
    monkeypatch.setattr(os, "urandom", lambda count: next(drawn))
    assert names.new_id() == "7094138295e0" + "00" * 26
