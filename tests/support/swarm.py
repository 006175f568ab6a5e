"""Daemons that form swarms: each with a root, a socket and ports of its own on the loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from minidock.paths import Layout
from tests.support.api import Daemon
from tests.support.instance import SLOWNESS, Minidock

PATIENCE = 60 * SLOWNESS
PEER_STEP = 3
REPOSITORY = Path(__file__).resolve().parents[2]


class Member(Daemon):
    """A daemon that may be a node. `address` is where it listens for other nodes."""

    def __init__(self, box: Minidock, directory: Path) -> None:
        super().__init__(box, directory)
        self.address = f"127.0.0.1:{_free_pair()}"
        self.inside: list[str] = []

    def settle(self, space: str, address: str) -> None:
        """All that it does from now on happens in that network namespace. Only that is another one: with `ip netns
        exec` mounts would be others, too, and what is done for a container would not be seen from here."""
        self.address = address
        self.inside = ["nsenter", f"--net=/run/netns/{space}"]
        self.box.command = [*self.inside, *self.box.command]

    def there(self, *words: str) -> str:
        """What a command says in its network namespace."""
        done = subprocess.run([*self.inside, *words], capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout + done.stderr

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON."""
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        with contextlib.closing(connection):
            connection.sock.connect(str(self.socket))
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/v1.41{path}", sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            return answer.status, json.loads(said) if said.strip() else None

    def told(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of what must work."""
        status, said = self.ask(method, path, body)
        assert status < 400, said
        return said

    def init(self, **more: object) -> str:
        """→ the node's id."""
        return str(self.told("POST", "/swarm/init", {"ListenAddr": self.address, **more}))

    def join(self, manager: Member, role: str) -> None:
        token = manager.told("GET", "/swarm")["JoinTokens"][role.capitalize()]
        body = {"ListenAddr": self.address, "RemoteAddrs": [manager.address], "JoinToken": token}
        self.told("POST", "/swarm/join", body)

    def cli(self, *words: str, input: str = "") -> str:
        """What minidock's own client says, driving this daemon; stderr when it fails."""
        command = [sys.executable, "-m", "minidock", "-H", self.url, *words]
        done = subprocess.run(
            command, input=input, capture_output=True, text=True, env=self.environment, cwd=REPOSITORY, timeout=PATIENCE
        )
        return done.stdout if done.returncode == 0 else done.stderr

    def info(self) -> Any:
        return self.told("GET", "/info")["Swarm"]

    def node(self, id: str) -> Any:
        return self.told("GET", f"/nodes/{id}")

    def update_node(self, id: str, **spec: object) -> None:
        node = self.node(id)
        self.told("POST", f"/nodes/{id}/update?version={node['Version']['Index']}", {**node["Spec"], **spec})

    def kill(self) -> None:
        """As kill -9 does: its etcd lives on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def kill_etcd(self) -> None:
        """What a machine that loses its power does to it."""
        pid = int((self.box.layout.run / "swarm" / "etcd.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        until(
            lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes(),
            "its end",
        )


def until(true: Callable[[], object], what: str) -> None:
    """Wait for a condition. A member that is just starting or leaving may refuse to answer: that is a no."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(AssertionError, OSError, KeyError):
            if true():
                return
        assert time.monotonic() < deadline, f"it took too long: {what}"
        time.sleep(0.05)


@contextlib.contextmanager
def members(count: int) -> Iterator[list[Member]]:
    """Daemons in no swarm yet. Afterwards they leave whatever they are in, and may leave nothing."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        made = [stack.enter_context(_member()) for _ in range(count)]
        for _ in pool.map(Member.start, made):
            pass
        yield made
        for _ in pool.map(_leaves_nothing, made):
            pass


@contextlib.contextmanager
def apart() -> Iterator[list[Member]]:
    """Two members, each in a network namespace of its own with a cable between: as two machines, one netns each.

    They listen at 192.0.2.1 and 192.0.2.2 (RFC 5737); `where` is the namespace's file. Otherwise as `members`.
    """
    with contextlib.ExitStack() as stack:
        spaces = [stack.enter_context(_namespace()) for _ in range(2)]
        cable = ["ip", "link", "add", "wire", "netns", spaces[0], "type", "veth", "peer", "wire", "netns", spaces[1]]
        subprocess.run(cable, check=True)
        made = []
        for number, space in enumerate(spaces, 1):
            for line in (f"addr add 192.0.2.{number}/24 dev wire", "link set wire up", "link set lo up"):
                subprocess.run(["ip", "-n", space, *line.split()], check=True)
            member = stack.enter_context(_member())
            member.settle(space, f"192.0.2.{number}:2377")
            made.append(member)
        for member in made:
            member.start()
        yield made
        for member in made:
            _leaves_nothing(member)


@contextlib.contextmanager
def _namespace() -> Iterator[str]:
    name = f"mdt-{os.urandom(3).hex()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@contextlib.contextmanager
def _member() -> Iterator[Member]:
    directory = Path(tempfile.mkdtemp(prefix="mdt-sw-"))  # short: a socket's path has at most 107 bytes
    box = Minidock(Layout(directory / "root"))
    member = Member(box, directory)
    try:
        yield member
    finally:
        member.stop()
        box.close()
        shutil.rmtree(directory, ignore_errors=True)


def _leaves_nothing(member: Member) -> None:
    if member.process is None or member.process.poll() is not None:
        member.start()
    member.ask("POST", "/swarm/leave?force=1")
    assert not (member.box.layout.root / "swarm").exists()
    told = member.log.read_text()
    assert "Traceback" not in told, told


def _free_pair() -> int:
    """A port that is free, and so is the one that etcd takes beside it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first, contextlib.suppress(OSError, OverflowError):
            port: int = first.getsockname()[1]
            with socket.create_server(("127.0.0.1", port + PEER_STEP)):
                return port
