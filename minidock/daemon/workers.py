"""The daemon's side of the spawner: a call of the engine that can be awaited."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec

from minidock.daemon.spawner import MOST_DESCRIPTORS, Answer, Call
from minidock.paths import Layout

CHUNK = 64 * 1024


class Refused(Exception):
    """The engine said no: `status` as in HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Result(msgspec.Struct, frozen=True):
    """The body is JSON as the worker wrote it; most routes pass it on unread."""

    body: bytes
    descriptors: list[int]

    def value(self) -> object:
        return msgspec.json.decode(self.body)


class Workers:
    """Owns the spawner, and starts another one should it be killed."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._requests: socket.socket | None = None
        self._spawner: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-I", "-m", "minidock.daemon.spawner", str(self.layout.root)]
        self._spawner = subprocess.Popen(
            [*command, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        self._requests = ours

    def close(self) -> None:
        """The spawner sees the end of its socket, and goes; workers finish what they do."""
        if self._requests is not None and self._spawner is not None:
            self._requests.close()
            self._spawner.wait()

    async def call(
        self, verb: str, arguments: Mapping[str, object] | None = None, *, give: Sequence[int] = ()
    ) -> Result:
        """One verb, done. `give` are descriptors for it; they stay ours. Raises Refused."""
        async with self.asked(verb, arguments, give=give) as result:
            return result

    @contextlib.asynccontextmanager
    async def asked(
        self, verb: str, arguments: Mapping[str, object] | None = None, *, give: Sequence[int] = ()
    ) -> AsyncIterator[Result]:
        """The answer, and within the block the worker may go on (Reply.begin); after it nobody wants more."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:
            with theirs:
                self._send(Call(verb, dict(arguments or {})), [theirs.fileno(), *give])
            ours.setblocking(False)
            yield _understood(*await _receive(ours))

    def _send(self, call: Call, descriptors: Sequence[int]) -> None:
        arguments = os.memfd_create("call", os.MFD_CLOEXEC)
        try:
            os.write(arguments, msgspec.json.encode(call))
            for attempt in (1, 2):
                assert self._requests is not None
                try:
                    socket.send_fds(self._requests, [b"!"], [arguments, *descriptors])
                    return
                except (BrokenPipeError, ConnectionResetError):
                    if attempt == 2:
                        raise
                    self._requests.close()
                    self.start()
        finally:
            os.close(arguments)


async def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """All bytes until the end, and the descriptors that came with them."""
    loop = asyncio.get_running_loop()
    data, descriptors = bytearray(), []
    while True:
        try:
            piece, more, *_ = socket.recv_fds(sock, CHUNK, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            await _readable(loop, sock)
            continue
        descriptors += more
        if not piece:
            return bytes(data), descriptors
        data += piece


async def _readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, wake)
    try:
        await ready
    finally:
        loop.remove_reader(sock)


def _understood(data: bytes, descriptors: list[int]) -> Result:
    line, newline, body = data.partition(b"\n")
    if not newline:
        raise Refused(500, "the worker of this call was killed")
    answer = msgspec.json.decode(line, type=Answer)
    if answer.status >= 400:
        raise Refused(answer.status, answer.message)
    return Result(body, descriptors)
