"""A client of the shim: our standard streams become the container's (docs/architecture.md, "The wire").

`stream` is for a command with a terminal or pipes (its loop: runtime.session); `frames` and `wait` for the others.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from typing import Protocol

    class Wire(Protocol):
        """A connection that carries frames as a shim does: its socket, or what stands for one of another daemon."""

        def fileno(self) -> int: ...
        def recv(self, size: int, /) -> bytes: ...
        def send(self, data: bytearray, /) -> int: ...
        def setblocking(self, flag: bool, /) -> None: ...


HEADER = struct.Struct(">B3xI")
STDIN, STDOUT, STDERR, CLOSE_STDIN, RESIZE, OWNER, NAMES, PORT, NO_PORTS, EXIT = 0, 1, 2, 10, 11, 12, 13, 14, 15, 20

CHUNK = 256 * 1024
"""Bytes read from the socket at once."""
DETACH_KEYS = b"\x10\x11"
"""ctrl-p, ctrl-q: Docker's default."""


class Outcome(msgspec.Struct, frozen=True):
    """How it ended. Neither: the shim went without a word, and exit.json says what became of the container."""

    exit_code: int | None = None
    detached: bool = False


def connect(path: Path) -> socket.socket:
    """A connection to a shim. Raises OSError: FileNotFoundError, ConnectionRefusedError when it has gone."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # sun_path holds 108 bytes (unix(7)); by way of a descriptor of the directory, any path is short.
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        client.connect(f"/proc/self/fd/{directory}/{path.name}")
    except BaseException:
        client.close()
        raise
    finally:
        os.close(directory)
    return client


def frame(kind: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def own(shim: socket.socket, promise: bool = True) -> None:
    """Promise to clean up after the exit; or take it back, and the shim will."""
    shim.sendall(frame(OWNER, bytes([promise])))


def answer_names(shim: socket.socket, udp: socket.socket, tcp: socket.socket) -> None:
    """Two sockets in the container's network, at which the shim is to answer questions for names from now on."""
    socket.send_fds(shim, [frame(NAMES)], [udp.fileno(), tcp.fileno()])


def hold_port(shim: socket.socket, held: socket.socket, to: tuple[str, int] | None) -> None:
    """A port of the host that the shim is to hold from now on; `to`: the container's address and port to which it
    passes on by hand what comes in there, over TCP or UDP."""
    address, number = to or ("0.0.0.0", 0)  # noqa: S104 - nowhere
    how = 0 if to is None else 1 if held.type == socket.SOCK_STREAM else 2
    payload = struct.pack(">B4sH", how, socket.inet_aton(address), number)
    socket.send_fds(shim, [frame(PORT, payload)], [held.fileno()])


def drop_ports(shim: socket.socket) -> None:
    """Let it hold no port of the host any more."""
    shim.sendall(frame(NO_PORTS))


def resize(shim: socket.socket, rows: int, columns: int) -> None:
    shim.sendall(frame(RESIZE, struct.pack(">HH", rows, columns)))


def frames(shim: socket.socket) -> Iterator[tuple[int, bytes]]:
    """All frames until the shim closes; blocks. For whoever only waits or only copies."""
    decoder = Decoder()
    while chunk := shim.recv(CHUNK):
        yield from decoder.feed(chunk)


def wait(shim: socket.socket) -> int | None:
    """Wait for the container's end; None when the shim went without telling its exit code."""
    for kind, payload in frames(shim):
        if kind == EXIT:
            return int.from_bytes(payload, "big", signed=True)
    return None


class Decoder:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        self.rest += chunk
        start = 0
        while len(self.rest) - start >= HEADER.size:
            kind, length = HEADER.unpack_from(self.rest, start)
            end = start + HEADER.size + length
            if len(self.rest) < end:
                break
            yield kind, bytes(self.rest[start + HEADER.size : end])
            start = end
        del self.rest[:start]


def stream(
    shim: Wire,
    *,
    stdin: bool,
    tty: bool,
    stdout: bool = True,
    stderr: bool = True,
    detach_keys: bytes | None = DETACH_KEYS,
    on_signal: Callable[[int], None] | None = None,
    redraw: bool = False,
    close_stdin: bool = True,
) -> Outcome:
    """Connect our standard streams to the container's until it ends or the user detaches.

    With `tty` the terminal is raw meanwhile (when `stdin` is wanted and is one), its size is the container's, and
    `detach_keys` are looked for (None: never). Else each signal that reaches us goes to `on_signal`; without it, and
    with `tty`, a signal that would end us does so once the terminal is restored. `redraw` makes a full-screen program
    paint anew, by a change of size and back. Raises MinidockError with Docker's text when nobody reads our output.
    """
    from minidock.runtime import terminal
    from minidock.runtime.session import Session, signals_to

    sys.stdout.flush()
    sys.stderr.flush()
    outputs = ({STDOUT: 1} if stdout else {}) | ({STDERR: 2} if stderr else {})
    session = Session(
        shim,
        stdin=stdin,
        outputs=outputs,
        detach_keys=detach_keys if tty and stdin else None,
        on_signal=None if tty else on_signal,
        close_stdin=close_stdin,
    )
    raw = terminal.RawMode(0) if tty and stdin and os.isatty(0) else None

    def announce_size(more: int = 0) -> None:
        if tty and (size := terminal.size(0, 1, 2)):
            session.send(RESIZE, struct.pack(">HH", size[0] + more, size[1] + more))

    def window() -> None:  # SIGCONT too: whoever had the terminal while we were stopped has changed its mode
        if raw:
            raw.enter()
        announce_size()

    def stop() -> None:
        if raw:
            raw.leave()
        os.kill(os.getpid(), signal.SIGSTOP)

    with contextlib.ExitStack() as stack:
        wakeup = stack.enter_context(signals_to(session, tty))
        for sink in session.sinks.values():
            stack.callback(sink.close)
        shim.setblocking(False)
        stack.callback(shim.setblocking, True)
        if redraw:
            announce_size(1)
        announce_size()
        if raw:
            stack.enter_context(raw)
        outcome = session.run(wakeup, window, stop)
    if session.fatal:
        os.kill(os.getpid(), session.fatal)  # the handlers are the old ones again: we end as we would have
    return outcome
