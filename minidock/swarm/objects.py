"""The nouns of a swarm: what a store keeps of a node, a service or a task, and the states that a task goes through.

A body is the object as the Engine API shows it (Docker's field names), without ID, Version, CreatedAt and UpdatedAt:
those are the store's to say.
"""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Literal, get_args

import msgspec

Kind = Literal["cluster", "node", "service", "task", "network", "secret", "config"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Body = dict[str, Any]
DIGITS = string.digits + string.ascii_lowercase


class Stored(msgspec.Struct, frozen=True):
    """One object at one revision. `name` is what the store holds unique within the kind, None where nothing is."""

    id: str
    kind: Kind
    revision: int
    created: float
    updated: float
    body: Body
    name: str | None = None

    def shown(self) -> Body:
        """As the API answers it."""
        return {
            "ID": self.id,
            "Version": {"Index": self.revision},
            "CreatedAt": stamp(self.created),
            "UpdatedAt": stamp(self.updated),
            **self.body,
        }


class Change(msgspec.Struct, frozen=True):
    """What has happened to one object; `stored` is None when it is gone."""

    kind: Kind
    id: str
    stored: Stored | None
    revision: int


class TaskState(IntEnum):
    """How far a task has come. It only ever grows: who reads a smaller one than he has seen, reads old news.

    The orchestrator makes a task NEW, the allocator PENDING, the scheduler ASSIGNED; the node's agent says the rest.
    Managers say only what is wanted (DesiredState). Numbers: moby/swarmkit api/types.proto.
    """

    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    ORPHANED = 832

    def shown(self) -> str:
        """As the API spells it: `running`."""
        return self.name.lower()

    @classmethod
    def of(cls, shown: str) -> TaskState:
        return cls[shown.upper()]

    @property
    def ended(self) -> bool:
        return self > TaskState.RUNNING


def new_id() -> str:
    """25 characters of base 36, as swarmkit's: what sorts and reads well, and 128 bits of chance."""
    return based36(secrets.randbits(128), 25)


def based36(number: int, width: int) -> str:
    """In base 36, with zeros in front up to `width`."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = DIGITS[digit] + digits
    return digits.rjust(width, "0")


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC, as Go writes it: with a fraction, and a Z at the end."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(stamped: str) -> float:
    """The other way. Go writes up to nine digits of a fraction; Python reads six."""
    head, _, rest = stamped.partition(".")
    fraction = rest.rstrip("Z")
    whole = datetime.fromisoformat(head.rstrip("Z") + "+00:00").timestamp()
    return whole + (float(f"0.{fraction}") if fraction else 0.0)
