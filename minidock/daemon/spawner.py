"""The spawner: a small process without threads, which forks one worker for each call of the engine.

    daemon (HTTP, asyncio) ── a datagram a call, with descriptors ──▶ spawner ── fork(2) ──▶ worker
           ◀──────────── the answer, on a socket of the call's own ─────────────────────────────┘

fork(2) copies only the thread that calls it: what other threads had locked stays locked for ever in the copy, and
setns(2) into a mount namespace is refused in a process that has more than one. So whoever makes containers must have
no threads, and can't be the process in which a web server lives. The spawner has all of the engine loaded already:
a worker starts in 2 ms, where a command takes 50.

A call's descriptors, in order: its arguments (a memfd with JSON), the socket for the answer, and whatever the verb
wants more. An answer is one line of JSON, then the body; descriptors that it carries come with its first byte.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from minidock.daemon.encoding import encoded
from minidock.engine import Engine
from minidock.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    DockerfileError,
    Forbidden,
    InvalidReference,
    MinidockError,
    NotFound,
    NotRunning,
    RegistryError,
    Unsupported,
    UsageError,
)
from minidock.paths import Layout

MOST_DESCRIPTORS = 8
STATUS = (
    (NotFound, 404),
    (NotRunning, 409),
    (Forbidden, 403),
    (Conflict, 409),
    (UsageError, 400),
    (DockerfileError, 400),
    (CommandNotFound, 400),
    (CommandNotExecutable, 400),
    (InvalidReference, 400),
    (Unsupported, 501),
    (MinidockError, 500),
)
"""The HTTP status that stands for an error of the tree; the first that fits."""


class Call(msgspec.Struct, frozen=True):
    verb: str
    arguments: dict[str, Any] = {}


class Answer(msgspec.Struct, frozen=True):
    """`status` as in HTTP; with 400 and more, `message` says what went wrong. The body follows it on the socket."""

    status: int = 200
    message: str = ""


class Reply:
    """The worker's way back: one answer, and for verbs that stream, what comes after it."""

    def __init__(self, sock: socket.socket, descriptors: Sequence[int]) -> None:
        self._socket = sock
        self.descriptors = list(descriptors)
        self.given = False

    def give(self, answer: Answer, body: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        self.given = True
        line = encoded(answer) + b"\n"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # whoever asked has gone: nobody wants it
            socket.send_fds(self._socket, [line], list(descriptors))
            self._socket.sendall(body)
            self._socket.shutdown(socket.SHUT_WR)

    def begin(self, value: object = None) -> None:
        """All is well, and the output follows. From here on the kernel ends us (SIGIO) when nobody wants it any more:
        who follows a silent log would not notice before the next line."""
        fcntl.fcntl(self._socket, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._socket, fcntl.F_SETFL, fcntl.fcntl(self._socket, fcntl.F_GETFL) | os.O_ASYNC)
        self.give(Answer(), encoded(value))


def serve(layout: Layout, requests: socket.socket) -> None:
    """Fork a worker for each datagram, until the daemon's end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the workers (sigaction(2), SA_NOCLDWAIT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-c at the daemon's terminal is the daemon's
    engine = Engine(layout)
    _load_what_starts_need()
    while True:
        asked, descriptors, *_ = socket.recv_fds(requests, 1, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        if not asked:
            return
        if os.fork() == 0:
            requests.close()
            _work(engine, descriptors)
        for fd in descriptors:
            os.close(fd)


def _load_what_starts_need() -> None:
    """Once, here; and out of the sight of the garbage collector, whose marks would copy every page in each worker."""
    import minidock.daemon.verbs
    import minidock.engine.execs
    import minidock.engine.finish
    import minidock.engine.inspect
    import minidock.engine.ps
    import minidock.engine.run  # noqa: F401

    gc.collect()
    gc.freeze()


def _work(engine: Engine, descriptors: list[int]) -> NoReturn:
    """We are a worker. Whatever happens, this never returns into the spawner's loop."""
    from minidock.daemon.verbs import VERBS

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with os.fdopen(descriptors[0], "rb") as file:
            file.seek(0)
            call = msgspec.json.decode(file.read(), type=Call)
        reply = Reply(socket.socket(fileno=descriptors[1]), descriptors[2:])
        try:
            if call.verb not in VERBS:
                raise Unsupported(f"{call.verb.replace('_', ' ')}: this daemon can't do that yet")
            value = VERBS[call.verb](engine, call.arguments, reply)
            if not reply.given:
                reply.give(Answer(), encoded(value))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            answer = refusal(error)  # and told to the log, when it is a mistake of ours: also in midst of a stream
            if not reply.given:
                reply.give(answer)
    except Exception:  # noqa: BLE001 - the client hears that its worker has died; why, only the daemon's log can say
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(0)


def refusal(error: Exception) -> Answer:
    """What the client is told. A mistake of our own is told in one line; the daemon's log has the traceback."""
    if isinstance(error, MinidockError):
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        if isinstance(error, RegistryError) and error.status in (401, 403, 404):
            status = error.status
        told = error.hint and not isinstance(error, NotFound | Conflict)  # their texts are Docker's: clients go by them
        return Answer(status, f"{error.message} ({error.hint})" if told else error.message)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        status = 400 if error.errno == errno.ENAMETOOLONG else 500  # a name that nothing can have
        return Answer(status, f"{where}{error.strerror.lower()}")
    if isinstance(error, msgspec.ValidationError):
        return Answer(400, f"invalid JSON: {error}")
    import traceback

    traceback.print_exc()
    return Answer(500, f"a mistake in minidock itself: {type(error).__name__}: {error}")


if __name__ == "__main__":
    serve(Layout(Path(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
