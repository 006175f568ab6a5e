"""Secrets and configs: a name, some bytes, labels. They differ in how much they hold, and in who may read it back."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence

import msgspec

from minidock.errors import Conflict, MinidockError, NotFound, UsageError
from minidock.swarm.cluster import SEQUENCE, invalid
from minidock.swarm.nodes import labelled
from minidock.swarm.objects import Body, Kind, Stored, new_id
from minidock.swarm.store import NameTaken, OutOfSequence, Store

NAME = re.compile(r"[a-zA-Z0-9](?:[-_.a-zA-Z0-9]{0,62}[a-zA-Z0-9])?")


class Sort(msgspec.Struct, frozen=True):
    """What holds for one of the two. `limit` in bytes: moby/swarmkit api/validation."""

    kind: Kind
    limit: int
    filters: tuple[str, ...]
    secret: bool


SECRET = Sort("secret", 500 * 1024, ("id", "label", "name", "names"), True)
CONFIG = Sort("config", 1000 * 1024, ("id", "label", "name"), False)


def create(store: Store, sort: Sort, given: Body) -> Stored:
    """Raises UsageError, Conflict, MinidockError, in Docker's words."""
    name = str(given.get("Name") or "")
    _check_name(name)
    driver = given.get("Driver") or {}
    if driver and sort.secret:
        raise MinidockError(f'rpc error: code = Unknown desc = plugin "{driver.get("Name", "")}" not found')
    data = decoded(given.get("Data") or "")
    if not 0 < len(data) < sort.limit:
        raise invalid(f"{sort.kind} data must be larger than 0 and less than {sort.limit} bytes")
    spec: Body = {"Name": name, "Labels": given.get("Labels") or {}, "Data": base64.b64encode(data).decode()}
    if templating := given.get("Templating"):
        spec["Templating"] = _templating(templating)
    try:
        return store.create(sort.kind, new_id(), {"Spec": spec}, name=name)
    except NameTaken:
        raise Conflict(f"rpc error: code = AlreadyExists desc = {sort.kind} {name} already exists") from None


def _check_name(name: str) -> None:
    if not name:
        raise invalid("name must be provided")
    if not NAME.fullmatch(name):
        raise invalid(
            "invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, "
            "and the start and end character must be [a-zA-Z0-9]"
        )


def _templating(given: Body) -> Body:
    """Names in whatever case, as Go reads them: docker-py's users write `name`."""
    given = {name.capitalize(): value for name, value in given.items()}
    if given.get("Name") not in ("golang", ""):
        raise invalid(f"unsupported template driver: {given.get('Name')}")
    return {name: given[name] for name in ("Name", "Options") if given.get(name)}


def decoded(text: str) -> bytes:
    """Raises UsageError as Go's decoder words it; URL-safe alphabets count, too."""
    plain = text.replace("-", "+").replace("_", "/")
    bad = re.search(r"[^A-Za-z0-9+/=\r\n]", plain)
    try:
        if bad:
            raise binascii.Error
        return base64.b64decode(plain.replace("\n", "").replace("\r", ""), validate=True)
    except binascii.Error:
        place = bad.start() if bad else len(text)
        raise UsageError(f"illegal base64 data at input byte {place}") from None


def find(store: Store, sort: Sort, ref: str) -> Stored:
    """By id, name, or the beginning of an id. Raises NotFound, UsageError."""
    exact = store.get(sort.kind, ref) or store.by_name(sort.kind, ref)
    if exact is not None:
        return exact
    fitting = [stored for stored in store.all(sort.kind) if ref and stored.id.startswith(ref)]
    if len(fitting) > 1:
        raise UsageError(f"{sort.kind} {ref} is ambiguous ({len(fitting)} matches found)")
    if not fitting:
        raise NotFound(f"{sort.kind} {ref} not found")
    return fitting[0]


def shown(stored: Stored) -> Body:
    """API `Secret` or `Config`: what a secret holds is shown to nobody but the containers that use it."""
    body = stored.shown()
    spec = {name: value for name, value in body["Spec"].items() if stored.kind != "secret" or name != "Data"}
    return {**body, "Spec": spec}


def listed(store: Store, sort: Sort, filters: Mapping[str, Sequence[str]]) -> list[Body]:
    """Raises UsageError."""
    for name in filters:
        if name not in sort.filters:
            raise UsageError(f"Invalid filter '{name}'")
    return [shown(stored) for stored in store.all(sort.kind) if _fits(stored, filters)]


def _fits(stored: Stored, filters: Mapping[str, Sequence[str]]) -> bool:
    name = stored.body["Spec"]["Name"]
    words = {
        "id": any(stored.id.startswith(value) for value in filters.get("id", ())),
        "name": any(name.startswith(value) for value in filters.get("name", ())),
        "names": name in filters.get("names", ()),
        "label": labelled(stored.body["Spec"]["Labels"], filters.get("label", ())),
    }
    return all(words[name] for name, values in filters.items() if values)


def update(store: Store, sort: Sort, ref: str, version: int, given: Body) -> Stored:
    """Labels, and nothing else. Raises UsageError, NotFound, MinidockError."""
    old = find(store, sort, ref)
    spec = old.body["Spec"]
    data = decoded(given.get("Data") or "")
    if str(given.get("Name") or "") != spec["Name"] or (data and data != base64.b64decode(spec["Data"])):
        raise invalid("only updates to Labels are allowed")
    body = {**old.body, "Spec": {**spec, "Labels": given.get("Labels") or {}}}
    try:
        return store.update(sort.kind, old.id, body, version)
    except OutOfSequence:
        raise MinidockError(SEQUENCE) from None


def remove(store: Store, sort: Sort, ref: str) -> Stored:
    """Raises NotFound, UsageError while a service uses it."""
    stored = find(store, sort, ref)
    name, users = stored.body["Spec"]["Name"], _users(store, sort, stored.id)
    if users:
        plural = "s" if len(users) > 1 else ""
        raise invalid(f"{sort.kind} '{name}' is in use by the following service{plural}: {', '.join(users)}")
    store.delete(sort.kind, stored.id)
    return stored


def _users(store: Store, sort: Sort, id: str) -> list[str]:
    field = f"{sort.kind.capitalize()}s"
    names = []
    for service in store.all("service"):
        container = service.body["Spec"].get("TaskTemplate", {}).get("ContainerSpec") or {}
        if any(used.get(f"{sort.kind.capitalize()}ID") == id for used in container.get(field) or []):
            names.append(str(service.body["Spec"]["Name"]))
    return names
