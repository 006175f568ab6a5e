"""Our streams as those of a container or an exec elsewhere. The loop is runtime.session's; to it we look like a shim.

shim's wire          Docker's API
STDIN, bytes         bytes on the connection that was taken over
CLOSE_STDIN          the end of our sending half
RESIZE               a request of its own
STDOUT, STDERR       the same frames (without a terminal), or bytes alone (with one)
EXIT                 the connection's end, and then the answer to another request: `wait`, or the exec's inspect
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

import msgspec

from minidock.daemon.client.api import Api, quoted
from minidock.engine import wire
from minidock.errors import Conflict, ContainerNotFound, MinidockError, NoDaemon, NotFound, NotRunning

CHUNK = 64 * 1024
RESIZE_TRIES, RESIZE_PAUSE = 10, 0.02
"""As Docker's client: the size is sent when the container may not run quite yet."""


class Wishes(msgspec.Struct, frozen=True):
    """What of ours is to be connected, and what ends it. `sig_proxy`: signals go to the container."""

    stdin: bool
    stdout: bool = True
    stderr: bool = True
    detach_keys: str = ""
    sig_proxy: bool = True


class Stream:
    """What runtime.session takes for the connection to a shim."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        raw: bool,
        resize: Callable[[int, int], None],
        ended: Callable[[], int | None],
    ) -> None:
        self.connection = connection
        self.raw = raw
        self.resize = resize
        self.ended = ended
        self.told = False
        self.unsent = 0
        """Bytes of the frame that is being sent."""

    def fileno(self) -> int:
        return self.connection.fileno()

    def setblocking(self, flag: bool, /) -> None:
        self.connection.setblocking(flag)

    def recv(self, size: int, /) -> bytes:
        if self.told:
            return b""
        chunk = self.connection.recv(CHUNK)
        if chunk:
            return wire.frame(wire.STDOUT, chunk) if self.raw else chunk
        self.told = True
        code = self.ended()
        return b"" if code is None else wire.frame(wire.EXIT, struct.pack(">i", code))

    def send(self, data: bytearray, /) -> int:
        """How much of `data` is done: at most to the end of the frame that it begins with, or is in the middle of."""
        if self.unsent:
            done = self.connection.send(memoryview(data)[: self.unsent])
            self.unsent -= done
            return done
        kind, length = wire.HEADER.unpack_from(data)
        if kind == wire.STDIN:
            self.unsent = length
            return wire.HEADER.size
        if kind == wire.CLOSE_STDIN:
            self.connection.shutdown(socket.SHUT_WR)
        elif kind == wire.RESIZE:
            self.resize(*struct.unpack_from(">HH", data, wire.HEADER.size))
        return wire.HEADER.size + int(length)


# Containers


def start(api: Api, ref: str, wishes: Wishes) -> int:
    """Attach, ask for the end, then start: nothing that it says is missed. 0 when the user has detached."""
    facts = api.json("GET", f"/containers/{quoted(ref)}/json")
    connection = _attach(api, facts, wishes)
    condition = "removed" if facts["HostConfig"].get("AutoRemove") else "next-exit"
    coming = _asked_for_end(api, facts["Id"], condition)
    try:
        if not facts["State"]["Running"]:
            api.json("POST", f"/containers/{facts['Id']}/start", starting=True)
    except BaseException:
        connection.close()
        raise
    outcome = _session(api, facts, wishes, connection, coming)
    if outcome.detached:
        return 0
    return _code(api, outcome)


def attach(api: Api, ref: str, wishes: Wishes) -> int | None:
    """None when the user has detached."""
    facts = api.json("GET", f"/containers/{quoted(ref)}/json")
    if not facts["State"]["Running"]:
        raise NotRunning(facts["Id"])
    coming = _asked_for_end(api, facts["Id"], "not-running")
    outcome = _session(api, facts, wishes, _attach(api, facts, wishes), coming, redraw=True)
    return None if outcome.detached else _code(api, outcome)


def _code(api: Api, outcome: wire.Outcome) -> int:
    if outcome.exit_code is None:
        raise NoDaemon(f"lost the connection to the daemon at {api.endpoint.host}", hint="the container may run on")
    return outcome.exit_code


def _attach(api: Api, facts: dict[str, Any], wishes: Wishes) -> socket.socket:
    query: dict[str, object] = {
        "stream": True,
        "stdin": wishes.stdin,
        "stdout": wishes.stdout,
        "stderr": wishes.stderr,
        "detachKeys": wishes.detach_keys,
    }
    return api.hijack(f"/containers/{facts['Id']}/attach", query)


def wait(api: Api, ref: str) -> int:
    """Sleep until it has ended; its exit code."""
    code = exit_code(api, api.open("POST", f"/containers/{quoted(ref)}/wait"))
    return _code(api, wire.Outcome(code))


def _asked_for_end(api: Api, container_id: str, condition: str) -> HTTPResponse:
    """The daemon has answered that it will tell; how it ended is still to be read. A connection of its own."""
    own = Api(api.endpoint, api.version())
    return own.open("POST", f"/containers/{container_id}/wait", {"condition": condition})


def exit_code(api: Api, answer: HTTPResponse) -> int | None:
    """None when the daemon hung up on us. Raises what it says went wrong."""
    try:
        told = msgspec.json.decode(api.whole(answer))
    except (NoDaemon, msgspec.DecodeError):
        return None
    if problem := (told.get("Error") or {}).get("Message"):
        raise MinidockError(problem)
    return int(told["StatusCode"])


def _session(
    api: Api,
    facts: dict[str, Any],
    wishes: Wishes,
    connection: socket.socket,
    coming: HTTPResponse,
    redraw: bool = False,
) -> wire.Outcome:
    container_id, config = facts["Id"], facts["Config"]

    def pass_on(number: int) -> None:
        with contextlib.suppress(Conflict, ContainerNotFound):  # it has just ended
            api.json("POST", f"/containers/{container_id}/kill", {"signal": number})

    stream = Stream(
        connection,
        raw=config["Tty"],
        resize=lambda rows, columns: resize(api, f"/containers/{container_id}", rows, columns),
        ended=lambda: exit_code(api, coming),
    )
    with connection:
        return wire.stream(
            stream,
            stdin=wishes.stdin,
            tty=config["Tty"],
            stdout=wishes.stdout,
            stderr=wishes.stderr,
            detach_keys=wire.parse_detach_keys(wishes.detach_keys),
            on_signal=pass_on if wishes.sig_proxy else None,
            redraw=redraw,
            close_stdin=True,
        )


# Execs


def execute(api: Api, ref: str, body: dict[str, Any]) -> int | None:
    """Its exit code; 0 when it is left to run by itself, None when the user has detached."""
    exec_id = api.json("POST", f"/containers/{quoted(ref)}/exec", None, body)["Id"]
    path, tty = f"/exec/{exec_id}", body["Tty"]
    start = {"Detach": body["Detach"], "Tty": tty}
    if body["Detach"]:
        api.json("POST", f"{path}/start", None, start, starting=True)
        return 0
    if tty and (size := wire.size(0, 1, 2)):
        start["ConsoleSize"] = list(size)
    stream = Stream(
        api.hijack(f"{path}/start", None, start),
        raw=tty,
        resize=lambda rows, columns: resize(api, path, rows, columns),
        ended=lambda: _exec_code(api, path),
    )
    with stream.connection:
        outcome = wire.stream(
            stream, stdin=body["AttachStdin"], tty=tty, detach_keys=wire.parse_detach_keys(body["DetachKeys"])
        )
    return None if outcome.detached else outcome.exit_code


def _exec_code(api: Api, path: str) -> int | None:
    """The streams may end a moment before the daemon knows of it; and without an end, when it has seen our keys."""
    for _ in range(50):
        facts = api.json("GET", f"{path}/json")
        if not facts["Running"]:
            return int(facts["ExitCode"] or 0)
        time.sleep(0.02)
    return None


def resize(api: Api, path: str, rows: int, columns: int) -> None:
    """Try for a moment, then leave it: a wrong size is no reason to end."""
    for _ in range(RESIZE_TRIES):
        try:
            api.json("POST", f"{path}/resize", {"h": rows, "w": columns})
        except NotFound:
            return
        except NoDaemon:
            raise
        except MinidockError:
            time.sleep(RESIZE_PAUSE)
        else:
            return
