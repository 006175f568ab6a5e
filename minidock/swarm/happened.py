"""A change of the store → what Docker's events tell of it. Each manager tells its own listeners.

What an object was before is remembered here, since a change says only what it is now, and nothing when it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from minidock.swarm.nodes import hostname
from minidock.swarm.objects import Body, Change, Kind, Stored

TOLD: tuple[Kind, ...] = ("node", "service", "secret", "config", "network")


class Happening(msgspec.Struct, frozen=True):
    type: Kind
    action: str
    id: str
    attributes: dict[str, str]


class Memory:
    """What every object was when it was last heard of."""

    def __init__(self) -> None:
        self._known: dict[str, Stored] = {}

    def learn(self, stored: Stored) -> None:
        if stored.kind in TOLD:
            self._known[stored.id] = stored

    def told(self, change: Change) -> Iterator[Happening]:
        if change.kind not in TOLD:
            return
        before = self._known.get(change.id)
        if change.stored is None:
            if before is not None:
                del self._known[change.id]
                yield Happening(change.kind, "remove", change.id, {"name": _name(before)})
            return
        self._known[change.id] = change.stored
        if before is None:
            yield Happening(change.kind, "create", change.id, {"name": _name(change.stored)})
        elif change.kind != "node" or _visible(before.body) != _visible(change.stored.body):
            attributes = {"name": _name(change.stored), **_differences(before, change.stored)}
            yield Happening(change.kind, "update", change.id, attributes)


def _name(stored: Stored) -> str:
    return hostname(stored) if stored.kind == "node" else str(stored.body["Spec"].get("Name", ""))


def _visible(body: Body) -> tuple[object, object]:
    """What of a node is worth telling: its description changes at each of its starts."""
    return body.get("Spec"), (body.get("Status") or {}).get("State")


def _differences(before: Stored, after: Stored) -> dict[str, str]:
    found: dict[str, str] = {}
    if after.kind == "node":
        pairs = {
            "state": (before.body["Status"]["State"], after.body["Status"]["State"]),
            "availability": (before.body["Spec"]["Availability"], after.body["Spec"]["Availability"]),
            "role": (before.body["Spec"]["Role"], after.body["Spec"]["Role"]),
        }
        for name, (old, new) in pairs.items():
            if old != new:
                found |= {f"{name}.old": old, f"{name}.new": new}
    return found
