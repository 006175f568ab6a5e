"""Requests to a daemon and its answers: the version both speak, JSON, errors, streams of either kind."""

from __future__ import annotations

import http.client
import os
import select
import socket
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import msgspec

from minidock.daemon.client import dial, failures
from minidock.daemon.client.endpoint import Endpoint
from minidock.errors import MinidockError, NoDaemon, UsageError

NEWEST, OLDEST = (1, 44), (1, 24)
CHUNK = 64 * 1024
Query = Mapping[str, object]
Json = Any
"""What a caller knows the shape of."""


class Connection(http.client.HTTPConnection):
    """http.client's, over what we have dialled."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__("docker", blocksize=CHUNK)
        self.endpoint = endpoint
        self.answer: http.client.HTTPResponse | None = None

    def connect(self) -> None:
        self.sock = dial.dial(self.endpoint)

    def getresponse(self) -> http.client.HTTPResponse:
        self.answer = super().getresponse()
        return self.answer

    def usable(self) -> bool:
        """Whether its answer has been read, and nobody has closed it since: then there is nothing to read."""
        read = self.answer is not None and self.answer.isclosed()
        return read and self.sock is not None and not select.select([self.sock], [], [], 0)[0]


class Unbuffered(http.client.HTTPResponse):
    """Reads no byte too many: what follows the header may be the container's, and isn't HTTP any more."""

    def __init__(self, sock: socket.socket, *rest: Json, **named: Json) -> None:
        super().__init__(sock, *rest, **named)
        self.fp.close()
        self.fp = sock.makefile("rb", 0)  # type: ignore[assignment]  # typeshed wants a buffered one


class Api:
    """One daemon. The first request asks which version it speaks, as every client of Docker does."""

    def __init__(self, endpoint: Endpoint, version: str = "") -> None:
        self.endpoint = endpoint
        self._idle: Connection | None = None
        self._version = version

    # asking

    def json(self, method: str, path: str, query: Query | None = None, body: object = None, **more: Json) -> Json:
        """The answer's JSON; None when it has no body."""
        said = self.whole(self.open(method, path, query, body, **more))
        try:
            return msgspec.json.decode(said) if said.strip() else None
        except msgspec.DecodeError as error:
            raise NoDaemon(f"{self.endpoint.host} is no Docker daemon: its answer is not JSON") from error

    def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: object = None,
        *,
        upload: BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
        starting: bool = False,
    ) -> http.client.HTTPResponse:
        """An answer whose body is still to be read. `body` is sent as JSON, `upload` as it is, in chunks.

        Raises what the daemon says went wrong; NoDaemon when it says nothing.
        """
        connection = self._connection()
        answer = self._exchange(connection, method, self.path(path, query), body, upload, dict(headers or {}))
        if answer.status >= 400:
            raise failures.of_answer(answer.status, self.whole(answer), starting=starting)
        return answer

    def messages(self, answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
        """The objects of a stream of JSON, one a line; raises the failure that is told in it after the status was."""
        try:
            while line := answer.readline():
                if not line.strip():
                    continue
                found = msgspec.json.decode(line, type=dict[str, Any])
                if wrong := found.get("error"):
                    error = failures.said(MinidockError, str(wrong))
                    error.lead = ""
                    raise error
                yield found
        except (http.client.HTTPException, OSError) as lost:
            raise self._lost() from lost

    def pieces(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        """The body, as it comes."""
        try:
            while piece := answer.read1(CHUNK):
                yield piece
            if answer.length:  # it has promised more; http.client doesn't mind
                raise http.client.IncompleteRead(b"", answer.length)
        except (http.client.HTTPException, OSError) as error:
            raise self._lost() from error

    def whole(self, answer: http.client.HTTPResponse) -> bytes:
        return b"".join(self.pieces(answer))

    def hijack(self, path: str, query: Query | None = None, body: object = None) -> socket.socket:
        """The connection itself, which carries a container's streams from the end of the answer's header on."""
        connection = Connection(self.endpoint)
        connection.response_class = Unbuffered
        url = self.path(path, query)
        connection.connect()
        stream = connection.sock.dup()
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        answer = self._exchange(connection, "POST", url, body, None, headers)
        if answer.status not in (101, 200):
            stream.close()
            raise failures.of_answer(answer.status, self.whole(answer))
        return stream

    # versions

    def path(self, path: str, query: Query | None = None) -> str:
        return f"/v{self.version()}{path}{encoded(query)}"

    def version(self) -> str:
        """The newest that both speak, or DOCKER_API_VERSION. Raises NoDaemon for a daemon that is too old."""
        if not self._version:
            self._version = os.environ.get("DOCKER_API_VERSION", "").removeprefix("v") or self._negotiated()
        return self._version

    def at_least(self, major: int, minor: int) -> bool:
        return _numbers(self.version()) >= (major, minor)

    def _negotiated(self) -> str:
        answer = self._exchange(self._connection(), "HEAD", "/_ping", None, None, {})
        answer.read()
        theirs = _numbers(answer.headers.get("Api-Version", "1.24"))
        if theirs < OLDEST:
            told = f"{theirs[0]}.{theirs[1]}"
            raise NoDaemon(
                f"the daemon at {self.endpoint.host} speaks version {told} of the API, we need 1.24 at least"
            )
        return "{}.{}".format(*min(theirs, NEWEST))

    # exchanging

    def _connection(self) -> Connection:
        """The last one, when its answer has been read to the end; else a new one."""
        if self._idle is None or not self._idle.usable():
            self._idle = Connection(self.endpoint)
        return self._idle

    def _exchange(
        self,
        connection: Connection,
        method: str,
        url: str,
        body: object,
        upload: BinaryIO | None,
        headers: dict[str, str],
    ) -> http.client.HTTPResponse:
        headers.setdefault("User-Agent", "minidock")
        sent: Any = None
        if upload is not None:
            sent = upload
            headers |= {"Transfer-Encoding": "chunked"}
            headers.setdefault("Content-Type", "application/x-tar")
        elif body is not None:
            sent = encoded_body(body)
            headers["Content-Type"] = "application/json"
        try:
            try:
                connection.request(method, url, sent, headers, encode_chunked=upload is not None)
            except (BrokenPipeError, ConnectionResetError):
                if upload is None:
                    raise  # else it has stopped listening, and may have said why
            return connection.getresponse()
        except (http.client.HTTPException, OSError) as error:
            # A broken pipe as a cause means elsewhere that nobody reads our stdout; this one is the daemon's.
            raise self._lost() from (None if isinstance(error, BrokenPipeError) else error)

    def _lost(self) -> NoDaemon:
        if self._version:
            return NoDaemon(f"lost the connection to the daemon at {self.endpoint.host}")
        if self.endpoint.kind == "tcp":  # somebody is there: dialling would have failed otherwise
            hint = "it may not trust our certificate" if self.endpoint.tls else "it may ask for TLS: --tlsverify"
            return NoDaemon(f"error during connect: {self.endpoint.host} has hung up without an answer", hint=hint)
        return dial.nobody(self.endpoint)


def encoded(query: Query | None) -> str:
    """Switches as 1, lists as the name repeated, filters as JSON; what is empty is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in (query or {}).items():
        if isinstance(value, bool):
            pairs += [(name, "1")] if value else []
        elif isinstance(value, dict):
            filters = {key: dict.fromkeys(values, True) for key, values in value.items()}
            pairs += [(name, msgspec.json.encode(filters).decode())] if filters else []
        elif isinstance(value, list):
            pairs += [(name, str(each)) for each in value]
        elif value not in (None, ""):
            pairs.append((name, str(value)))
    return f"?{urlencode(pairs)}" if pairs else ""


def encoded_body(body: object) -> bytes:
    """JSON is UTF-8; bytes of the command line that aren't have no place in it."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        word = os.fsencode(error.object).decode(errors="backslashreplace")
        raise UsageError(f"not valid UTF-8: {word}") from None


def quoted(ref: str) -> str:
    """A name in a path. Those of images keep their slashes and colons."""
    return quote(ref, safe="/:@")


def without_nulls(value: Json) -> Json:
    """Go sends null for what is empty, where our structs have an empty list."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else OLDEST
