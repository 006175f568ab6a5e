"""Questions to a container's name server, asked from its network namespace; and a server that answers for others."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.support.netlab import inside

A, PTR, MX, AAAA = 1, 12, 15, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
SERVER = ("127.0.0.11", 53)


def question(name: str, kind: int = A, number: int = 4711) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


def ask(pid: int, message: bytes, *, tcp: bool = False, wait: float = 5) -> bytes:
    """The answer's bytes; raises TimeoutError when there is none. Over UDP things get lost, so it asks again."""
    with inside(pid):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    client.settimeout(wait)
    with client:
        client.connect(SERVER)
        if not tcp:
            client.settimeout(wait / 2)
            for _ in range(3):
                client.send(message)
                with suppress(TimeoutError):
                    return client.recv(65535)
            raise TimeoutError("no answer")
        client.sendall(struct.pack(">H", len(message)) + message)
        stream = client.makefile("rb")
        (length,) = struct.unpack(">H", stream.read(2))
        return stream.read(length)


def lookup(pid: int, name: str, kind: int = A, *, tcp: bool = False) -> tuple[int, list[str]]:
    """(response code, the answers as text: addresses, or names)."""
    asked = question(name, kind)
    answer = ask(pid, asked, tcp=tcp)
    number, flags, questions, count, _, _ = struct.unpack_from(">6H", answer)
    assert (number, questions, flags >> 15) == (4711, 1, 1)
    at, found = len(asked), []
    for _ in range(count):
        _, record, _, _, length = struct.unpack_from(">HHHIH", answer, at)
        at += 12
        found.append(_text(record, answer[at : at + length]))
        at += length
    assert at == len(answer)
    return flags & 0xF, sorted(found)


def _text(kind: int, raw: bytes) -> str:
    if kind == A:
        return socket.inet_ntoa(raw)
    if kind == AAAA:
        return socket.inet_ntop(socket.AF_INET6, raw)
    labels, at = [], 0
    while raw[at]:
        labels.append(raw[at + 1 : at + 1 + raw[at]].decode())
        at += 1 + raw[at]
    return ".".join(labels)


@contextmanager
def server(address: str, reply: str, *, code: int = NOERROR, only: str = "") -> Iterator[list[str]]:
    """A name server at that address, port 53, that gives `reply` for every name, or for one alone, which has no address
    of the other family; the list has who was asked for."""
    seen: list[str] = []
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    tcp = socket.socket()
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for one in (udp, tcp):
        one.bind((address, 53))
    tcp.listen()

    def answer(asked: bytes) -> bytes:
        seen.append(_text(PTR, asked[12:]))
        end = asked.index(b"\0", 12) + 5
        said = NXDOMAIN if only and seen[-1] != only else code
        (kind,) = struct.unpack_from(">H", asked, end - 4)
        count = 1 if said == NOERROR and not (only and kind != A) else 0
        head = asked[:2] + struct.pack(">5H", 0x8180 | said, 1, count, 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, A, 1, 60, 4) + socket.inet_aton(reply or "0.0.0.0")
        return head + asked[12:end] + (record if count else b"")

    def serve_udp() -> None:
        while True:
            asked, who = udp.recvfrom(4096)
            if not asked:
                return
            udp.sendto(answer(asked), who)

    def serve_tcp() -> None:
        while True:
            client, _ = tcp.accept()
            with client:
                head = client.recv(2)
                if len(head) < 2:
                    return
                given = answer(client.recv(struct.unpack(">H", head)[0]))
                client.sendall(struct.pack(">H", len(given)) + given)

    threads = [threading.Thread(target=target, daemon=True) for target in (serve_udp, serve_tcp)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", (address, 53))
        socket.create_connection((address, 53)).close()
        for thread in threads:
            thread.join()
        udp.close()
        tcp.close()


@contextmanager
def silent(address: str) -> Iterator[None]:
    """A machine that takes questions and never says anything: its queue of connections is full, so the kernel drops
    those who knock."""
    with ExitStack() as held:
        udp = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind((address, 53))
        tcp = held.enter_context(socket.socket())
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, 53))
        tcp.listen(0)
        held.enter_context(socket.create_connection((address, 53)))
        yield
