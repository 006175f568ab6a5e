"""Where a swarm's objects are kept: the shape of such a place, what it refuses, and one in memory.

Every write says which revision it was made from, so that of two writers who have read the same the second one is
refused, and reads again (optimistic locking). That, and a stream of changes, is all that the loops of the swarm need;
etcd gives both (etcd.py), and so does a dictionary with a lock, which is what the tests of the loops use.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from minidock.errors import Conflict, MinidockError, NotFound
from minidock.swarm.objects import Body, Change, Kind, Stored


class OutOfSequence(MinidockError):
    """Somebody has written the object since it was read."""

    def __init__(self) -> None:
        super().__init__("update out of sequence")


class NameTaken(Conflict):
    """Another object of the kind has the name."""

    def __init__(self, kind: Kind, name: str) -> None:
        super().__init__("name conflicts with an existing object")
        self.kind = kind
        self.name = name


class Missing(NotFound):
    """No such object."""

    def __init__(self, kind: Kind, id: str) -> None:
        super().__init__(f"{kind} {id} not found")
        self.kind = kind
        self.id = id


class Outdated(MinidockError):
    """The changes after the revision asked for aren't kept any more: read everything again, and watch from there."""


class Store(Protocol):
    """Bodies that come out belong to who asked: to change one changes nothing here."""

    def get(self, kind: Kind, id: str) -> Stored | None: ...

    def by_name(self, kind: Kind, name: str) -> Stored | None: ...

    def all(self, kind: Kind) -> list[Stored]:
        """In order of their making."""
        ...

    def create(self, kind: Kind, id: str, body: Body, *, name: str | None = None) -> Stored:
        """Raises NameTaken; OutOfSequence when the id is taken."""
        ...

    def update(self, kind: Kind, id: str, body: Body, revision: int) -> Stored:
        """The name stays. Raises OutOfSequence, Missing."""
        ...

    def delete(self, kind: Kind, id: str, revision: int | None = None) -> None:
        """Whatever its revision when none is given. Raises OutOfSequence, Missing."""
        ...

    def revision(self) -> int:
        """That of the last write to any object: what is read after it is at least as new."""
        ...

    def watch(self, after: int | None = None, *, idle: float | None = None) -> Iterator[Change]:
        """What happens after that revision (from now on, when None), in order. Raises Outdated.

        Ends when nothing has happened for `idle` seconds; never, when that is None.
        """
        ...


class MemoryStore:
    """A store of this process alone."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._objects: dict[tuple[Kind, str], Stored] = {}
        self._names: dict[tuple[Kind, str], str] = {}
        self._changes: list[Change] = []
        self._revision = 0
        self._changed = threading.Condition()

    def get(self, kind: Kind, id: str) -> Stored | None:
        with self._changed:
            return copy.deepcopy(self._objects.get((kind, id)))

    def by_name(self, kind: Kind, name: str) -> Stored | None:
        with self._changed:
            id = self._names.get((kind, name))
        return None if id is None else self.get(kind, id)

    def all(self, kind: Kind) -> list[Stored]:
        with self._changed:
            return [copy.deepcopy(stored) for (its, _), stored in self._objects.items() if its == kind]

    def create(self, kind: Kind, id: str, body: Body, *, name: str | None = None) -> Stored:
        with self._changed:
            if name is not None and (kind, name) in self._names:
                raise NameTaken(kind, name)
            if (kind, id) in self._objects:
                raise OutOfSequence
            now = self._clock()
            if name is not None:
                self._names[kind, name] = id
            return self._put(Stored(id, kind, self._revision + 1, now, now, copy.deepcopy(body), name))

    def update(self, kind: Kind, id: str, body: Body, revision: int) -> Stored:
        with self._changed:
            old = self._at(kind, id, revision)
            new = Stored(id, kind, self._revision + 1, old.created, self._clock(), copy.deepcopy(body), old.name)
            return self._put(new)

    def delete(self, kind: Kind, id: str, revision: int | None = None) -> None:
        with self._changed:
            old = self._at(kind, id, revision)
            del self._objects[kind, id]
            if old.name is not None:
                del self._names[kind, old.name]
            self._tell(Change(kind, id, None, self._revision + 1))

    def revision(self) -> int:
        with self._changed:
            return self._revision

    def watch(self, after: int | None = None, *, idle: float | None = None) -> Iterator[Change]:
        seen = self.revision() if after is None else after
        return self._watched(seen, idle)

    def _watched(self, seen: int, idle: float | None) -> Iterator[Change]:
        # Revisions count changes, so the first one not seen stands at that index.
        while (change := self._awaited(seen, idle)) is not None:
            seen = change.revision
            yield copy.deepcopy(change)

    def _awaited(self, seen: int, idle: float | None) -> Change | None:
        with self._changed:
            return self._changes[seen] if self._changed.wait_for(lambda: self._revision > seen, idle) else None

    def _at(self, kind: Kind, id: str, revision: int | None) -> Stored:
        old = self._objects.get((kind, id))
        if old is None:
            raise Missing(kind, id)
        if revision is not None and old.revision != revision:
            raise OutOfSequence
        return old

    def _put(self, stored: Stored) -> Stored:
        self._objects[stored.kind, stored.id] = stored
        self._tell(Change(stored.kind, stored.id, stored, stored.revision))
        return copy.deepcopy(stored)

    def _tell(self, change: Change) -> None:
        self._revision = change.revision
        self._changes.append(change)
        self._changed.notify_all()
