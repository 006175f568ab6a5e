"""etcd, by its JSON gateway: requests, watches, leases, members.

The gateway speaks etcd's gRPC API as HTTP: POST /v3/kv/txn with a JSON body whose keys and values are base64, numbers
are strings; a watch is an answer that doesn't end, one JSON object a line. Each manager asks its own etcd, through a
unix socket that only root can reach. Reference: etcd's Documentation, dev-guide/api_grpc_gateway.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minidock.errors import MinidockError

Json = Any
PATIENCE = 6.0
"""Seconds for an answer. Without a quorum there is none, and etcd itself gives up a little later."""


class Unavailable(MinidockError):
    """etcd doesn't answer, or has no quorum."""

    def __init__(self, why: str) -> None:
        super().__init__(
            "The swarm does not have a leader. It's possible that too few managers are online. "
            "Make sure more than half of the managers are online.",
            hint=why,
        )


class EtcdError(MinidockError):
    """etcd says no; `code` is gRPC's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(f"etcd: {message}")
        self.code = code


UNAVAILABLE = (4, 14)
"""DEADLINE_EXCEEDED, UNAVAILABLE."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self.path))
        except OSError:
            self.sock.close()
            raise


class Etcd:
    """One member. A connection per request: on a unix socket that costs nothing, and threads share nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def call(self, method: str, body: Json, *, timeout: float = PATIENCE) -> Json:
        """The answer. Raises Unavailable, EtcdError."""
        with contextlib.closing(_Connection(self.path, timeout)) as connection:
            try:
                answer = _asked(connection, method, body)
                said = json.loads(answer.read() or b"{}")
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Unavailable(f"etcd at {self.path} doesn't answer: {error}") from error
        if answer.status >= 400:
            raise _refusal(said)
        return said

    def stream(self, method: str, body: Json, *, idle: float | None) -> Iterator[Json]:
        """The objects of an answer that goes on, until nothing has come for `idle` seconds."""
        with contextlib.closing(_Connection(self.path, idle)) as connection:
            try:
                answer = _asked(connection, method, body)
                while line := answer.readline():
                    said = json.loads(line)
                    if "error" in said:
                        raise _refusal(said["error"])
                    yield said["result"]
            except TimeoutError:
                return
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Unavailable(f"etcd at {self.path} doesn't answer: {error}") from error
        raise Unavailable(f"etcd at {self.path} has ended the stream")

    # members

    def members(self) -> list[Json]:
        """Each with ID, name (empty before it has started) and peerURLs."""
        found: list[Json] = self.call("cluster/member/list", {}).get("members", [])
        return found

    def add_learner(self, peer_url: str) -> None:
        """A member without a vote: with one, a cluster of two would stand still until the second is up."""
        self.call("cluster/member/add", {"peerURLs": [peer_url], "isLearner": True})

    def promote(self, id: str) -> None:
        """Give a learner its vote. Raises EtcdError while it hasn't yet read all that the others know."""
        self.call("cluster/member/promote", {"ID": id})

    def remove_member(self, id: str) -> None:
        self.call("cluster/member/remove", {"ID": id})

    # leases

    def grant(self, seconds: int) -> str:
        return str(self.call("lease/grant", {"TTL": str(seconds)})["ID"])

    def keep_alive(self, lease: str, *, timeout: float) -> bool:
        """Whether the lease still holds."""
        said = self.call("lease/keepalive", {"ID": lease}, timeout=timeout)
        return int(said.get("result", {}).get("TTL", 0)) > 0

    def revoke(self, lease: str) -> None:
        self.call("kv/lease/revoke", {"ID": lease})

    def claim(self, key: str, value: bytes, lease: str) -> bool:
        """Make the key, for as long as the lease holds; False when somebody has it."""
        put = {"request_put": {"key": b64(key), "value": b64(value), "lease": lease}}
        absent = {"key": b64(key), "target": "CREATE", "create_revision": "0"}
        return bool(self.call("kv/txn", {"compare": [absent], "success": [put]}).get("succeeded"))

    def delete(self, key: str) -> None:
        self.call("kv/deleterange", {"key": b64(key)})

    def value(self, key: str) -> bytes | None:
        found = self.call("kv/range", {"key": b64(key)}).get("kvs", [])
        return base64.b64decode(found[0].get("value", "")) if found else None


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def unb64(text: str) -> str:
    return base64.b64decode(text).decode()


def after(prefix: str) -> str:
    """The first key behind all those with the prefix: etcd's `range_end`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _asked(connection: http.client.HTTPConnection, method: str, body: Json) -> http.client.HTTPResponse:
    connection.request("POST", f"/v3/{method}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    return connection.getresponse()


def _refusal(said: Json) -> MinidockError:
    message, code = str(said.get("message") or said.get("error") or said), int(said.get("code") or 0)
    code = code or int(said.get("grpc_code") or 0)
    if code in UNAVAILABLE or "no leader" in message:
        return Unavailable(f"etcd: {message}")
    return EtcdError(message, code)
