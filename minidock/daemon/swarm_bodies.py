"""The bodies that the swarm's routes take: which members, of which types. What is anything else is refused with 400."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from minidock.daemon import query
from minidock.daemon.verbs.common import members
from minidock.daemon.workers import Refused
from minidock.errors import MinidockError

Labels = dict[str, str]


class Orchestration(msgspec.Struct, rename="pascal", omit_defaults=True):
    task_history_retention_limit: int | None = None


class Raft(msgspec.Struct, rename="pascal", omit_defaults=True):
    snapshot_interval: int = 0
    keep_old_snapshots: int = 0
    log_entries_for_slow_followers: int = 0
    election_tick: int = 0
    heartbeat_tick: int = 0


class Dispatching(msgspec.Struct, rename="pascal", omit_defaults=True):
    heartbeat_period: int = 0


class CAConfig(msgspec.Struct, omit_defaults=True):
    NodeCertExpiry: int = 0
    ExternalCAs: list[dict[str, Any]] = []
    SigningCACert: str = ""
    SigningCAKey: str = ""
    ForceRotate: int = 0


class Encryption(msgspec.Struct, rename="pascal", omit_defaults=True):
    auto_lock_managers: bool = False


class Spec(msgspec.Struct, omit_defaults=True):
    """API `SwarmSpec`."""

    Name: str = ""
    Labels: Labels = {}
    Orchestration: Orchestration | None = None
    Raft: Raft | None = None
    Dispatcher: Dispatching | None = None
    CAConfig: CAConfig | None = None
    TaskDefaults: dict[str, Any] = {}
    EncryptionConfig: Encryption | None = None


class Init(msgspec.Struct, rename="pascal", omit_defaults=True):
    listen_addr: str = ""
    advertise_addr: str = ""
    data_path_addr: str = ""
    data_path_port: int = 0
    default_addr_pool: list[str] | None = None
    subnet_size: int = 0
    force_new_cluster: bool = False
    auto_lock_managers: bool = False
    availability: str = ""
    spec: Spec | None = None


class Join(msgspec.Struct, rename="pascal", omit_defaults=True):
    listen_addr: str = ""
    advertise_addr: str = ""
    data_path_addr: str = ""
    remote_addrs: list[str] = []
    join_token: str = ""
    availability: str = ""


class Unlock(msgspec.Struct, rename="pascal", omit_defaults=True):
    unlock_key: str = ""


class NodeSpec(msgspec.Struct, rename="pascal", omit_defaults=True):
    name: str = ""
    labels: Labels = {}
    role: str = ""
    availability: str = ""


class KeptSpec(msgspec.Struct, rename="pascal", omit_defaults=True):
    """API `SecretSpec`, `ConfigSpec`."""

    name: str = ""
    labels: Labels = {}
    data: str = ""
    driver: dict[str, Any] | None = None
    templating: dict[str, Any] | None = None


async def given(request: web.Request, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The request's body, as it was said, without what has no meaning here. Raises Refused."""
    try:
        shaped = msgspec.convert(members(await query.body(request), kind), kind)
    except (msgspec.ValidationError, MinidockError) as error:
        raise Refused(400, f"invalid JSON: {error}") from None
    found: dict[str, Any] = msgspec.to_builtins(shaped)
    return found
