"""The swarm itself as an object of its store: its settings, its authority, its secrets; and how it is shown.

Aside from what the API shows, the body has `Private`: the CA's key, the secrets of the join tokens, the unlock key.
The store keeps this kind sealed.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from typing import Any

from minidock.errors import MinidockError, UsageError
from minidock.swarm import ca, sealing, tokens
from minidock.swarm.objects import Body, Stored
from minidock.swarm.store import OutOfSequence, Store

SECOND = 1_000_000_000
DATA_PATH_PORT = 4789
POOL = "10.0.0.0/8"
"""For who says nothing; the docker client says that there is none, and is shown that."""
SEQUENCE = "rpc error: code = Unknown desc = update out of sequence"


def invalid(text: str) -> UsageError:
    return UsageError(f"rpc error: code = InvalidArgument desc = {text}")


def new(spec: Body, *, pools: list[str] | None, subnet: int, data_path_port: int) -> Body:
    """A cluster that is made now, with an authority of its own. Raises UsageError."""
    authority = ca.new_authority()
    body: Body = {
        "Spec": checked(spec),
        "TLSInfo": ca.tls_info(authority.certificate),
        "RootRotationInProgress": False,
        "DefaultAddrPool": [POOL] if pools is None else pools or None,
        "SubnetSize": subnet or 24,
        "DataPathPort": data_path_port or DATA_PATH_PORT,
        "Private": {
            "CAKey": authority.key,
            "Worker": tokens.new_secret(),
            "Manager": tokens.new_secret(),
            "Unlock": "",
        },
    }
    return _with_lock(body)


def only(store: Store) -> Stored:
    """The one there is."""
    return store.all("cluster")[0]


def shown(stored: Stored, *, tokens_too: bool = True) -> Body:
    """API `Swarm`; `info` shows it without the tokens."""
    body = stored.shown()
    private = body.pop("Private")
    if tokens_too:
        root = body["TLSInfo"]["TrustRoot"]
        body["JoinTokens"] = {role: tokens.token(root, private[role]) for role in ("Worker", "Manager")}
    return body


def update(store: Store, version: int, spec: Body, rotate: Mapping[str, bool]) -> Stored:
    """`rotate` has Worker, Manager, Unlock. Raises UsageError, MinidockError."""
    if (spec.get("Name") or "default") != "default":
        raise UsageError('swarm spec must be named "default"')
    old = only(store)
    if old.revision != version:
        raise MinidockError(SEQUENCE)
    body = {**copy.deepcopy(old.body), "Spec": checked(spec)}
    forced = [(each.get("CAConfig") or {}).get("ForceRotate") or 0 for each in (spec, old.body["Spec"])]
    if forced[0] not in (0, forced[1]):
        raise UsageError("minidock's swarm keeps the root certificate that it began with: it can't be rotated")
    private = body["Private"]
    for role in ("Worker", "Manager"):
        if rotate.get(role):
            private[role] = tokens.new_secret()
    if rotate.get("Unlock"):
        private["Unlock"] = ""
    try:
        return store.update("cluster", old.id, _with_lock(body), version)
    except OutOfSequence:
        raise MinidockError(SEQUENCE) from None


def _with_lock(body: Body) -> Body:
    """An unlock key is there exactly when managers are to be locked."""
    private = body["Private"]
    if not body["Spec"]["EncryptionConfig"]["AutoLockManagers"]:
        private["Unlock"] = ""
    elif not private["Unlock"]:
        private["Unlock"] = base64.b64encode(sealing.new_key()).decode()
    return body


def unlock_key(stored: Stored) -> bytes | None:
    text = stored.body["Private"]["Unlock"]
    return base64.b64decode(text) if text else None


def authority(stored: Stored) -> ca.Authority:
    return ca.Authority(stored.body["TLSInfo"]["TrustRoot"], stored.body["Private"]["CAKey"])


def role_of(stored: Stored, secret: str) -> str:
    """As what the bearer may join, or an empty word."""
    for role in ("Worker", "Manager"):
        if tokens.same(secret, stored.body["Private"][role]):
            return role.lower()
    return ""


def heartbeat(stored: Stored) -> float:
    """Seconds between two of a node's signs of life."""
    return float(stored.body["Spec"]["Dispatcher"]["HeartbeatPeriod"]) / SECOND


def expiry(stored: Stored) -> float:
    """Seconds that a node's certificate is good for."""
    return float(stored.body["Spec"]["CAConfig"]["NodeCertExpiry"]) / SECOND


# What is set


def checked(given: Body) -> Body:
    """With Docker's defaults for what isn't said. Raises UsageError."""
    raft, dispatcher, authority = (given.get(name) or {} for name in ("Raft", "Dispatcher", "CAConfig"))
    if authority.get("ExternalCAs"):
        raise UsageError("minidock's swarm signs its certificates itself: --external-ca is not supported")
    if authority.get("SigningCACert") or authority.get("SigningCAKey"):
        raise UsageError("minidock's swarm makes its own root certificate: it takes none from outside")
    _check_raft(raft)
    period = _whole(dispatcher, "HeartbeatPeriod", 5 * SECOND)
    cert = _whole(authority, "NodeCertExpiry", ca.NODE_EXPIRY * SECOND)
    if cert < 3600 * SECOND:
        raise invalid("minimum certificate expiry time is: 1h0m0s")
    config: dict[str, Any] = {"NodeCertExpiry": cert}
    if authority.get("ForceRotate"):
        config["ForceRotate"] = int(authority["ForceRotate"])
    limit = (given.get("Orchestration") or {}).get("TaskHistoryRetentionLimit")
    return {
        "Name": "default",
        "Labels": given.get("Labels") or {},
        "Orchestration": {"TaskHistoryRetentionLimit": 5 if limit is None else int(limit)},
        "Raft": {
            "SnapshotInterval": _whole(raft, "SnapshotInterval", 10_000),
            "KeepOldSnapshots": int(raft.get("KeepOldSnapshots") or 0),
            "LogEntriesForSlowFollowers": _whole(raft, "LogEntriesForSlowFollowers", 500),
            "ElectionTick": 10,
            "HeartbeatTick": 1,
        },
        "Dispatcher": {"HeartbeatPeriod": period},
        "CAConfig": config,
        "TaskDefaults": given.get("TaskDefaults") or {},
        "EncryptionConfig": {"AutoLockManagers": bool((given.get("EncryptionConfig") or {}).get("AutoLockManagers"))},
    }


def _check_raft(raft: Body) -> None:
    """Docker lets nobody change these on a running cluster either."""
    for name, fixed in (("ElectionTick", 10), ("HeartbeatTick", 1)):
        said = int(raft.get(name) or 0)
        if said < 0:
            raise invalid(f"invalid {name}: it can't be negative")
        if said not in (0, fixed):
            raise invalid(f"{name} can't be changed: etcd keeps the swarm, by a clock of its own")


def _whole(given: Body, name: str, default: int) -> int:
    found = given.get(name)
    if found in (None, 0):
        return default
    if not isinstance(found, int) or found < 0:
        raise UsageError(f"invalid {name}: {found}")
    return found
