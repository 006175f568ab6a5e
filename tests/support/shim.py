"""The real shim beside a plain child process: no namespaces, no root, started as the runtime's process B does it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from minidock.kernel import pty
from minidock.runtime import attach, shim
from minidock.steps import Live

TIMEOUT = 60.0


class Shim:
    """A shell command under a shim. `client` is the first client, connected before the command started."""

    def __init__(
        self,
        directory: Path,
        command: str,
        *,
        terminal: bool = False,
        size: tuple[int, int] = (0, 0),
        stdin: bool = True,
        stdin_once: bool = False,
        first_client: bool = True,
        owner: bool = False,
        log: shim.LogFile | None = None,
        probe: shim.Probe | None = None,
        view: shim.View | None = None,
        cleanup: Sequence[str] | None = None,
    ) -> None:
        self.dir = directory / "run"
        self.dir.mkdir(exist_ok=True)
        self.log = log or shim.LogFile(directory / "c-json.log")
        self.probe, self.view = probe, view
        self.cleaned = directory / "cleaned"
        self.client: socket.socket | None = None
        theirs: socket.socket | None = None
        if first_client:
            self.client, theirs = socket.socketpair()
            self.client.settimeout(TIMEOUT)
            if owner:  # before anything runs, as the engine does: a short command would else be over and cleaned up
                self.send(attach.OWNER, b"\1")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(shim.attach_socket(self.dir)))
        listener.listen(16)
        arguments = ["/bin/sh", "-c", f"echo $$ $PPID >> {self.cleaned}"] if cleanup is None else list(cleanup)
        self.pid = os.fork()
        if self.pid == 0:
            self._become_shim(command, terminal, size, stdin, stdin_once, listener, theirs, arguments)
        listener.close()
        if theirs is not None:
            theirs.close()

    def _become_shim(
        self,
        command: str,
        terminal: bool,
        size: tuple[int, int],
        stdin: bool,
        stdin_once: bool,
        listener: socket.socket,
        theirs: socket.socket | None,
        cleanup: list[str],
    ) -> None:
        """As B: the child first, then execv with the other ends."""
        try:
            os.setsid()
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and so would the command
            stdio: shim.Pipes | shim.Console
            if terminal:
                ours, console = socket.socketpair()
                child = os.fork()
                if child == 0:
                    live = Live()
                    live.fds["console"] = console.detach()
                    pty.OpenTerminal(*size).apply(live)
                    os.execv("/bin/sh", ["sh", "-c", command])
                stdio = shim.Console(ours.detach())
                keep = [stdio.socket]
            else:
                reading, writing = os.pipe() if stdin else (os.open("/dev/null", os.O_RDONLY), -1)
                (out, out_child), (err, err_child) = os.pipe(), os.pipe()
                child = os.fork()
                if child == 0:
                    for number, fd in enumerate((reading, out_child, err_child)):
                        os.dup2(fd, number)
                    os.execv("/bin/sh", ["sh", "-c", command])
                stdio = shim.Pipes(out, err, writing if stdin else None)
                keep = [out, err, writing]
            keep += [listener.fileno(), -1 if theirs is None else theirs.fileno()]
            for fd in keep:
                if fd >= 0:
                    os.set_inheritable(fd, True)
            arguments = shim.argv(
                "0123456789ab",
                child,
                self.dir,
                stdio,
                log=self.log,
                listen_fd=listener.fileno(),
                client_fd=None if theirs is None else theirs.fileno(),
                stdin_once=stdin_once,
                probe=self.probe,
                view=self.view,
                cleanup=cleanup,
            )
            os.execv(arguments[0], arguments)
        finally:
            os._exit(99)

    def connect(self) -> socket.socket:
        client = attach.connect(shim.attach_socket(self.dir))
        client.settimeout(TIMEOUT)
        return client

    def wait_for_clients(self, count: int) -> None:
        """Until the shim has accepted so many, the first one included."""

        def accepted() -> bool:
            if Path(f"/proc/{self.pid}/comm").read_text().strip() != shim.NAME:
                return False  # still Python, with descriptors that come and go
            targets = [_target(fd) for fd in Path(f"/proc/{self.pid}/fd").iterdir()]
            return sum(target.startswith("socket:") for target in targets) == count + 1

        wait_for(accepted)

    def send(self, kind: int, payload: bytes = b"") -> None:
        assert self.client is not None
        self.client.sendall(attach.frame(kind, payload))

    def output(self, client: socket.socket | None = None) -> tuple[bytes, bytes, int | None]:
        """Everything on stdout and on stderr until the exit, and the exit code."""
        client = client or self.client
        assert client is not None
        streams = {attach.STDOUT: bytearray(), attach.STDERR: bytearray()}
        for kind, payload in attach.frames(client):
            if kind == attach.EXIT:
                return bytes(streams[1]), bytes(streams[2]), int.from_bytes(payload, "big", signed=True)
            streams[kind] += payload
        return bytes(streams[1]), bytes(streams[2]), None

    def until(self, marker: bytes, client: socket.socket | None = None) -> bytes:
        """What comes on stdout until the marker has come."""
        client = client or self.client
        assert client is not None
        seen = bytearray()
        for kind, payload in attach.frames(client):
            assert kind == attach.STDOUT, f"frame {kind} before {marker!r}; so far: {bytes(seen)!r}"
            seen += payload
            if marker in seen:
                return bytes(seen)
        raise AssertionError(f"the shim closed before {marker!r}; so far: {bytes(seen)!r}")

    def resize(self, rows: int, columns: int) -> None:
        self.send(attach.RESIZE, struct.pack(">HH", rows, columns))

    def exit(self) -> shim.Exit:
        wait_for(lambda: shim.exit_file(self.dir).exists())
        found = shim.read_exit(self.dir)
        assert found is not None
        return found

    def records(self) -> list[dict[str, str]]:
        if not self.log.path.exists():
            return []
        return [msgspec.json.decode(line) for line in self.log.path.read_bytes().splitlines()]

    def wait(self) -> int:
        """The shim itself (or what it became) has ended: its exit code."""
        wait_for(self.ended)
        return self.code

    def ended(self) -> bool:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
            self.pid = 0
        return bool(pid)

    def close(self) -> None:
        if self.client is not None:
            self.client.close()
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                for child in children(self.pid):
                    os.kill(child, signal.SIGKILL)
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:  # closed since it was listed
        return ""


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: object, timeout: float = TIMEOUT) -> None:
    """Poll until the condition holds; fails the test after the timeout."""
    assert callable(condition)
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
