"""The socket of RUN --mount=type=ssh: a process that passes on what the RUN asks of an agent.

    program in the RUN ── socket with the mount's mode and owner ── relay ── the agent's own socket

An agent answers only its own user and root, by the credentials of the peer (unix(7), SO_PEERCRED). The user of a RUN
may be anybody, but who connects is the relay.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from minidock.errors import MinidockError
from minidock.kernel import syscalls

PR_SET_PDEATHSIG = 1  # linux/prctl.h
NAME = "agent"
CHUNK = 1 << 16


@contextlib.contextmanager
def relay(agent: str, place: Path, *, mode: int, owner: tuple[int, int]) -> Iterator[Path]:
    """A socket in the directory, for as long as it is needed. Raises MinidockError when it can't be made."""
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _serve(agent, place / NAME, mode, owner, writing, parent)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as ready:
            if not ready.read(1):
                raise MinidockError(f"the ssh agent's socket {agent} can't be passed on")
        yield place / NAME
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def _serve(agent: str, path: Path, mode: int, owner: tuple[int, int], ready: int, parent: int) -> NoReturn:
    """Never returns into the parent's stack. Ends by a signal."""
    try:
        # Ctrl-C ends the RUN, and then we are told; until then what the RUN does to end must not lose its agent.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        syscalls.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.closerange(3, ready)  # the stage's pipe above all: its reader waits for the last writer
        os.closerange(ready + 1, 1 << 16)
        if os.getppid() == parent:
            _pass_on(agent, path, mode, owner, ready)
    finally:
        os._exit(1)


def _pass_on(agent: str, path: Path, mode: int, owner: tuple[int, int], ready: int) -> None:
    listener = socket.socket(socket.AF_UNIX)
    with _short(path) as address:
        listener.bind(address)
    os.chown(path, *owner)
    path.chmod(mode)
    listener.listen()
    os.write(ready, b"1")
    os.close(ready)
    other: dict[socket.socket, socket.socket] = {}
    while True:
        for each in select.select([listener, *other], [], [])[0]:
            if each is listener:
                other |= _connected(listener, agent)
            elif each in other and not _moved(each, other[each]):
                for end in (other.pop(each), each):
                    other.pop(end, None)
                    end.close()


def _connected(listener: socket.socket, agent: str) -> dict[socket.socket, socket.socket]:
    """Both ends, each by the other. An agent that has gone is nothing but a closed connection, as without us."""
    client, _ = listener.accept()
    server = socket.socket(socket.AF_UNIX)
    try:
        with _short(Path(agent)) as address:
            server.connect(address)
    except OSError:
        client.close()
        server.close()
        return {}
    return {client: server, server: client}


def _moved(source: socket.socket, target: socket.socket) -> bool:
    """False at the end of either."""
    try:
        data = source.recv(CHUNK)
        target.sendall(data)
    except OSError:
        return False
    return bool(data)


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """An address of a socket has at most 107 bytes (unix(7)): the directory is named by a descriptor."""
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}/{path.name}"
    finally:
        os.close(fd)
