"""A store in etcd: one key an object, one key a name, and etcd's revisions as versions.

    /minidock/objects/<kind>/<id>     the object: JSON that `etcdctl get` shows, but for what is secret in it
    /minidock/names/<kind>/<name>     the id of who has the name

Each write is one transaction that compares revisions first, so it happens whole or not at all, on most of the
managers' disks before it is answered.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any, cast

from minidock.swarm import sealing
from minidock.swarm.board import ASIDE
from minidock.swarm.etcd import Etcd, after, b64, unb64
from minidock.swarm.objects import Body, Change, Kind, Stored
from minidock.swarm.store import Missing, NameTaken, Outdated, OutOfSequence

ROOT = "/minidock/"
OBJECTS, NAMES, LEADER = f"{ROOT}objects/", f"{ROOT}names/", f"{ROOT}leader"
SEALED: tuple[Kind, ...] = ("cluster", "secret")
"""The kinds whose values are nobody's to read from a disk: the CA's key, join secrets, what secrets hold."""
LOGIN = "Auth"
"""Member of a service's and a task's notes: somebody's password at a registry. Of these it alone is sealed."""


class EtcdStore:
    """Of one manager; `key` is the cluster's."""

    def __init__(self, etcd: Etcd, key: bytes) -> None:
        self.etcd = etcd
        self._key = key

    @property
    def key(self) -> str:
        """The cluster's key, for another manager: base64."""
        return base64.b64encode(self._key).decode()

    def get(self, kind: Kind, id: str) -> Stored | None:
        found = self.etcd.call("kv/range", {"key": b64(_object(kind, id))}).get("kvs", [])
        return self._stored(found[0]) if found else None

    def by_name(self, kind: Kind, name: str) -> Stored | None:
        id = self.etcd.value(f"{NAMES}{kind}/{name}")
        return None if id is None else self.get(kind, id.decode())

    def all(self, kind: Kind) -> list[Stored]:
        prefix = f"{OBJECTS}{kind}/"
        asked = {"key": b64(prefix), "range_end": b64(after(prefix)), "sort_target": "CREATE", "sort_order": "ASCEND"}
        return [self._stored(found) for found in self.etcd.call("kv/range", asked).get("kvs", [])]

    def create(self, kind: Kind, id: str, body: Body, *, name: str | None = None) -> Stored:
        key, now = _object(kind, id), time.time()
        compare, puts = [_absent(key)], [_put(key, self._value(kind, now, now, name, body))]
        if name is not None:
            compare.append(_absent(f"{NAMES}{kind}/{name}"))
            puts.append(_put(f"{NAMES}{kind}/{name}", id.encode()))
        said = self.etcd.call("kv/txn", {"compare": compare, "success": puts})
        if not said.get("succeeded"):
            if name is not None and self.by_name(kind, name) is not None:
                raise NameTaken(kind, name)
            raise OutOfSequence
        return Stored(id, kind, int(said["header"]["revision"]), now, now, body, name)

    def update(self, kind: Kind, id: str, body: Body, revision: int) -> Stored:
        old = self._at(kind, id, revision)
        key, now = _object(kind, id), time.time()
        put = _put(key, self._value(kind, old.created, now, old.name, body))
        said = self.etcd.call("kv/txn", {"compare": [_unchanged(key, revision)], "success": [put]})
        if not said.get("succeeded"):
            raise self._why(kind, id)
        return Stored(id, kind, int(said["header"]["revision"]), old.created, now, body, old.name)

    def delete(self, kind: Kind, id: str, revision: int | None = None) -> None:
        old = self._at(kind, id, revision)
        key = _object(kind, id)
        gone = [{"request_delete_range": {"key": b64(key)}}]
        if old.name is not None:
            gone.append({"request_delete_range": {"key": b64(f"{NAMES}{kind}/{old.name}")}})
        expected = _unchanged(key, revision) if revision is not None else _present(key)
        if not self.etcd.call("kv/txn", {"compare": [expected], "success": gone}).get("succeeded"):
            raise self._why(kind, id)

    def revision(self) -> int:
        return int(self.etcd.call("kv/range", {"key": b64(ROOT), "count_only": True})["header"]["revision"])

    def watch(self, after: int | None = None, *, idle: float | None = None) -> Iterator[Change]:
        return self._watched(self.revision() if after is None else after, idle)

    def _watched(self, seen: int, idle: float | None) -> Iterator[Change]:
        wish = {"key": b64(OBJECTS), "range_end": b64(after(OBJECTS)), "start_revision": str(seen + 1)}
        for said in self.etcd.stream("watch", {"create_request": wish}, idle=idle):
            if said.get("canceled"):
                raise Outdated(said.get("cancel_reason") or "changes that old are forgotten")
            for event in said.get("events", []):
                yield self._change(event)

    def _change(self, event: dict[str, Any]) -> Change:
        found = event["kv"]
        kind, id = _named(found)
        gone = event.get("type") == "DELETE"
        return Change(kind, id, None if gone else self._stored(found), int(found["mod_revision"]))

    def _at(self, kind: Kind, id: str, revision: int | None) -> Stored:
        old = self.get(kind, id)
        if old is None:
            raise Missing(kind, id)
        if revision is not None and old.revision != revision:
            raise OutOfSequence
        return old

    def _why(self, kind: Kind, id: str) -> OutOfSequence | Missing:
        return Missing(kind, id) if self.get(kind, id) is None else OutOfSequence()

    def _value(self, kind: Kind, created: float, updated: float, name: str | None, body: Body) -> bytes:
        kept: Any = self._sealed(body) if kind in SEALED else body
        if kind not in SEALED and (login := (body.get(ASIDE) or {}).get(LOGIN)):
            kept = {**body, ASIDE: {**body[ASIDE], LOGIN: self._sealed(login)}}
        return json.dumps({"created": created, "updated": updated, "name": name, "body": kept}).encode()

    def _sealed(self, part: Body) -> str:
        return sealing.seal(self._key, json.dumps(part).encode())

    def _stored(self, found: dict[str, Any]) -> Stored:
        kind, id = _named(found)
        kept = json.loads(base64.b64decode(found["value"]))
        body = kept["body"]
        if kind in SEALED:
            body = json.loads(sealing.opened(self._key, body))
        elif login := (body.get(ASIDE) or {}).get(LOGIN):
            body[ASIDE][LOGIN] = json.loads(sealing.opened(self._key, login))
        return Stored(id, kind, int(found["mod_revision"]), kept["created"], kept["updated"], body, kept["name"])


def _object(kind: Kind, id: str) -> str:
    return f"{OBJECTS}{kind}/{id}"


def _named(found: dict[str, Any]) -> tuple[Kind, str]:
    kind, _, id = unb64(found["key"]).removeprefix(OBJECTS).partition("/")
    return cast("Kind", kind), id


def _put(key: str, value: bytes) -> dict[str, Any]:
    return {"request_put": {"key": b64(key), "value": b64(value)}}


def _absent(key: str) -> dict[str, Any]:
    return {"key": b64(key), "target": "CREATE", "create_revision": "0"}


def _present(key: str) -> dict[str, Any]:
    return {"key": b64(key), "target": "CREATE", "create_revision": "0", "result": "GREATER"}


def _unchanged(key: str, revision: int) -> dict[str, Any]:
    return {"key": b64(key), "target": "MOD", "mod_revision": str(revision)}
