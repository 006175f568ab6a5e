"""A container that says itself when it is ready: systemd's protocol, through us. sd_notify(3).

Whoever starts us with NOTIFY_SOCKET (systemd for a unit of Type=notify, conmon for `podman run --sdnotify=container`)
waits there for READY=1. The container can't reach that socket, and must not: everything else could be said there too.
So it gets a socket of its own in a directory that is bound into it, and of what comes there only READY=1 is passed on.

    systemd  <- READY=1, MAINPID=…, BARRIER=1 -  minidock-oci  <- READY=1 -  the container

`start`, and `run --detach`, last until the container is ready or has ended, as with runc and crun.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from minidock import spec

if TYPE_CHECKING:
    import threading

DIRECTORY = "notify"
"""Below the container's own directory of --root: what the container sees."""
ABSTRACT = "/run/notify"
"""Where the container finds it when the one outside has no path: an abstract name starts with @ (unix(7))."""
OPTIONS = ["bind", "nosuid", "noexec", "nodev", "ro"]
BARRIER_SECONDS = 5.0


def address() -> str:
    """Who waits to be told; empty for nobody."""
    return os.environ.get("NOTIFY_SOCKET", "")


def bound(config: spec.Spec, directory: Path) -> spec.Spec:
    """The container finds its socket where ours is, as crun has it: a directory of that name, with `notify` in it."""
    inside = address() if address().startswith("/") else ABSTRACT
    (directory / DIRECTORY).mkdir(mode=0o755)
    mount = spec.Mount(destination=inside, type="bind", source=str(directory / DIRECTORY), options=OPTIONS)
    process = config.process or spec.Process(cwd="/")
    process = msgspec.structs.replace(process, env=[*process.env, f"NOTIFY_SOCKET={inside}/notify"])
    return msgspec.structs.replace(config, process=process, mounts=[*config.mounts, mount])


class Notifier:
    """The container's socket, listened to from before its command runs."""

    def __init__(self, directory: Path) -> None:
        path = directory / DIRECTORY / "notify"
        path.unlink(missing_ok=True)  # `create` had it before `start`
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind(str(path))
        path.chmod(0o777)  # whoever the command is run as

    def forward(self, pid: int) -> None:
        """Until the container is ready, or process `pid` has ended. Raises OSError when nobody listens outside."""
        with self.socket:
            if any(b"READY=1" in message.split(b"\n") for message in self._messages(pid)):
                _tell(pid)

    def _messages(self, pid: int) -> Iterator[bytes]:
        """What comes in while the process lives, and what it left behind."""
        try:
            ended = os.pidfd_open(pid)
        except ProcessLookupError:
            ended = -1
        try:
            watched = [self.socket.fileno(), *([ended] if ended >= 0 else [])]
            while self.socket.fileno() in select.select(watched, [], [], None if ended >= 0 else 0)[0]:
                yield self.socket.recv(4096)
        finally:
            if ended >= 0:
                os.close(ended)

    def forward_meanwhile(self, pid: int, warn: Callable[[str], None]) -> threading.Thread:
        """The same beside `run`, which waits for the command itself. To be called with signals blocked: they are for
        the main thread, which would sleep on in waitpid(2) if this one took them."""
        import threading

        def forward() -> None:
            try:
                self.forward(pid)
            except OSError as error:  # the container runs; whoever wanted to be told can't be
                warn(f"can't say at {address()} that the container is ready: {error.strerror}")

        thread = threading.Thread(target=forward)
        thread.start()
        return thread


def _tell(pid: int) -> None:
    """Whoever waits, that the container is ready, and who it is now. Raises OSError."""
    outside = address()
    where = f"\0{outside[1:]}" if outside.startswith("@") else outside
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
        told.connect(where)
        told.send(b"READY=1")
        told.send(f"MAINPID={pid}".encode())
        # systemd asks the kernel who sent this, and we may be gone by then: it closes the pipe once it has read all
        # (sd_notify_barrier(3)). Who isn't systemd may never do so.
        ours, theirs = os.pipe()
        socket.send_fds(told, [b"BARRIER=1"], [theirs])
        os.close(theirs)
        select.select([ours], [], [], BARRIER_SECONDS)
        os.close(ours)
