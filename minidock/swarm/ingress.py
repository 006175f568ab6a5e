"""Published ports of the swarm on this node: connections are passed on to the tasks behind them, each in turn.

    client ──▶ node:8080 (every address) ──▶ task 1:80 │ task 2:80 │ …        TCP, UDP (an answer goes back for a while)

Tasks of this node are told by their stories, those of other nodes by the managers (mesh.py); both are reached on the
network `ingress`. A listener opens with the first task and closes with the last; connections that are open live as long
as the task does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from minidock.errors import Conflict

log = logging.getLogger("minidock.swarm")
CHUNK = 64 * 1024
Port = tuple[str, int]
"""Protocol and published number."""
Target = tuple[str, int]
UDP_PATIENCE = 60.0
"""Seconds without a packet after which a client of UDP is forgotten."""


class Ingress:
    """One node's. All methods are the loop's."""

    def __init__(self) -> None:
        self._targets: dict[Port, dict[str, Target]] = {}
        self._elsewhere: dict[Port, dict[str, Target]] = {}
        self._turn: dict[Port, int] = {}
        self._open: dict[Port, Listener] = {}
        self._one = asyncio.Lock()

    async def publish(self, task_id: str, address: str, ports: Iterable[tuple[Port, int]]) -> None:
        """`ports`: what is published, and the port in the container. Raises Conflict for one that somebody has."""
        async with self._one:
            for port, inside in ports:
                self._targets.setdefault(port, {})[task_id] = (address, inside)
                if port not in self._open:
                    try:
                        self._open[port] = await _listen(self, port)
                    except OSError as error:
                        del self._targets[port][task_id]
                        reason = (error.strerror or str(error)).lower()
                        raise Conflict(f"port {port[1]}/{port[0]} can't be published: {reason}") from None

    async def withdraw(self, task_id: str) -> None:
        async with self._one:
            for port, targets in list(self._targets.items()):
                targets.pop(task_id, None)
                if not targets:
                    del self._targets[port]
            self._close_unused()

    async def learn(self, elsewhere: dict[Port, dict[str, Target]]) -> None:
        """All tasks of other nodes. Raises Conflict for a port that somebody has here; the others are open then."""
        async with self._one:
            self._elsewhere = {port: targets for port, targets in elsewhere.items() if targets}
            self._close_unused()
            refused = []
            for port in self._elsewhere.keys() - self._open.keys():
                try:
                    self._open[port] = await _listen(self, port)
                except OSError as error:
                    refused.append(f"port {port[1]}/{port[0]}: {(error.strerror or str(error)).lower()}")
            if refused:
                raise Conflict(f"can't be published here: {', '.join(sorted(refused))}")

    def _close_unused(self) -> None:
        for port in self._open.keys() - self._targets.keys() - self._elsewhere.keys():
            self._open.pop(port).close()

    async def close(self) -> None:
        async with self._one:
            for listener in self._open.values():
                listener.close()
            self._open.clear()
            self._targets.clear()
            self._elsewhere.clear()

    def next(self, port: Port) -> list[Target]:
        """All targets, beginning with the one whose turn it is: when it doesn't answer, the others may."""
        targets = list({**self._elsewhere.get(port, {}), **self._targets.get(port, {})}.values())
        if not targets:
            return []
        turn = self._turn.get(port, 0) % len(targets)
        self._turn[port] = turn + 1
        return targets[turn:] + targets[:turn]


class Listener:
    """What was opened for one port."""

    def __init__(self, servers: list[asyncio.Server], datagrams: list[asyncio.DatagramTransport]) -> None:
        self._servers, self._datagrams = servers, datagrams

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for transport in self._datagrams:
            transport.close()


async def _listen(ingress: Ingress, port: Port) -> Listener:
    protocol, number = port
    if protocol == "udp":
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(ingress, port), ("0.0.0.0", number))  # noqa: S104
        return Listener([], [transport])
    if protocol != "tcp":
        raise OSError(None, f"{protocol} isn't passed on, only tcp and udp")

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _carry(ingress, port, reader, writer)

    return Listener([await asyncio.start_server(passed_on, None, number)], [])


async def _carry(ingress: Ingress, port: Port, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.closing(writer):
        for address, inside in ingress.next(port):
            try:
                there, back = await asyncio.open_connection(address, inside)
            except OSError:
                continue
            with contextlib.closing(back):
                await asyncio.gather(_pour(reader, back), _pour(there, writer))
            return


async def _pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the end of it, which is passed on, too."""
    with contextlib.suppress(ConnectionError, OSError):
        while piece := await source.read(CHUNK):
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()


class Datagrams(asyncio.DatagramProtocol):
    """A socket for each client towards the task, so that answers find their way."""

    def __init__(self, ingress: Ingress, port: Port) -> None:
        self.ingress, self.port = ingress, port
        self.clients: dict[Target, Client] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Target) -> None:
        client = self.clients.get(addr)
        if client is None:
            targets = self.ingress.next(self.port)
            if not targets:
                return
            client = self.clients[addr] = Client(self, addr)
            client.task = asyncio.get_running_loop().create_task(client.open(targets[0]))
        client.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        for client in list(self.clients.values()):
            client.close()


class Client(asyncio.DatagramProtocol):
    def __init__(self, front: Datagrams, addr: Target) -> None:
        self.front, self.addr = front, addr
        self.waiting: list[bytes] = []
        self.transport: asyncio.DatagramTransport | None = None
        self.task: asyncio.Task[None] | None = None
        self._expires: asyncio.TimerHandle | None = None

    async def open(self, target: Target) -> None:
        loop = asyncio.get_running_loop()
        try:
            self.transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=target)
        except OSError:
            self.close()
            return
        for data in self.waiting:
            self.transport.sendto(data)
        self.waiting.clear()

    def send(self, data: bytes) -> None:
        self._wait_anew()
        if self.transport is None:
            self.waiting.append(data)
        else:
            self.transport.sendto(data)

    def datagram_received(self, data: bytes, addr: Target) -> None:
        self._wait_anew()
        if isinstance(self.front.transport, asyncio.DatagramTransport):
            self.front.transport.sendto(data, self.addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there: the next packet asks another task."""
        self.close()

    def _wait_anew(self) -> None:
        if self._expires is not None:
            self._expires.cancel()
        self._expires = asyncio.get_running_loop().call_later(UDP_PATIENCE, self.close)

    def close(self) -> None:
        self.front.clients.pop(self.addr, None)
        if self._expires is not None:
            self._expires.cancel()
        if self.transport is not None:
            self.transport.close()
