"""A small world for network tests: a host, a machine outside, containers; each a network namespace of its own.

The test process itself moves into the host's namespace for the test, so nothing here touches the real host. Sockets
are opened inside a namespace and used from the test (a socket stays where it was opened), so one thread can be
server and client at once: connect() succeeds from the listen queue before accept() is called.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minidock import network
from minidock.kernel import link, netns, syscalls
from minidock.kernel.netlink import CLONE_NEWNET
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.network import Attachment, subnets
from minidock.paths import Layout
from minidock.steps import Live, apply_all, undo_all

HOST = "192.0.2.1"
OUTSIDE = "192.0.2.9"
WAIT = 3.0


class Container:
    """A process in its own network namespace, connected by the steps of a plan."""

    def __init__(self, plan: Attachment, number: str) -> None:
        self.plan = plan
        self.id = number
        self.address = plan.hosts_address
        self.live = Live()
        self.sockets = network.reserve_ports(plan.hold)
        apply_all(plan.before, self.live)
        go, self._go = os.pipe()
        self.told, tell = os.pipe()
        self.live.pid = syscalls.clone3(CLONE_NEWNET)
        if self.live.pid == 0:
            _child(plan, go, tell, self._go)
        os.close(go)
        os.close(tell)

    def join(self) -> Container:
        """The joined and the child's steps; raises what went wrong in the child."""
        apply_all(self.plan.joined, self.live)
        os.close(self._go)
        told = os.read(self.told, 1 << 16).decode()
        os.close(self.told)
        assert told == "ready", told
        network.settle(self.plan)
        return self

    def die(self) -> None:
        os.kill(self.live.pid, signal.SIGKILL)
        os.waitpid(self.live.pid, 0)
        for held in self.sockets:
            held.close()

    def undo(self) -> list[str]:
        return undo_all([*self.plan.before, *self.plan.joined], Live())


def _child(plan: Attachment, go: int, tell: int, other: int) -> None:
    """The container's process: waits for the cable, applies the child's steps, then sleeps until it is killed."""
    try:
        os.close(other)
        os.read(go, 1)
        apply_all(plan.child, Live())
        os.write(tell, b"ready")
    except BaseException as error:  # noqa: BLE001 - it is passed on
        os.write(tell, repr(error).encode())
    os.close(tell)
    while True:
        signal.pause()


class Lab:
    """The host's namespace, entered on creation and left by close()."""

    def __init__(self, host: int = 0) -> None:
        """With `host` the namespace of that process is the laboratory's host, instead of a new one."""
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._pids: list[int] = []
        self._layouts: list[Layout] = []
        if host:
            there = os.open(f"/proc/{host}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            syscalls.setns(there, CLONE_NEWNET)
            os.close(there)
            return
        syscalls.unshare(CLONE_NEWNET)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
        sh("ip link set lo up")

    def close(self) -> None:
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        try:
            for layout in self._layouts:
                network.teardown(layout)
                shutil.rmtree(layout.run, ignore_errors=True)
        finally:
            for entry in subnets.REGISTRY.glob(f"{netns.identity()}-*"):
                entry.unlink()
            syscalls.setns(self._home, CLONE_NEWNET)
            os.close(self._home)

    def forget_at_end(self, layout: Layout) -> None:
        """close() removes all that the instance has."""
        self._layouts.append(layout)

    def namespace(self) -> int:
        """The pid of a sleeping process in a new network namespace."""
        pid = syscalls.clone3(CLONE_NEWNET)
        if pid == 0:
            while True:
                signal.pause()
        self._pids.append(pid)
        return pid

    def outside(self) -> int:
        """A machine on the host's wire, that sends everything it has no route for to the host."""
        pid = self.namespace()
        sh(
            f"ip link add uplink type veth peer name eth0 netns {pid}; ip addr add {HOST}/24 dev uplink;"
            f"ip link set uplink up; n='nsenter -t {pid} -n'; $n ip addr add {OUTSIDE}/24 dev eth0;"
            f"$n ip link set eth0 up; $n ip link set lo up; $n ip route add default via {HOST}"
        )
        link.settle("uplink")
        return pid

    def start(
        self, layout: Layout, number: int, ports: dict[str, list[PortBinding]] | None = None, mode: str = "default"
    ) -> Container:
        """Plan and connect a container; its id is the number's digits."""
        container = f"{number:064x}"[::-1]
        self._layouts.append(layout)
        config = HostConfig(port_bindings=ports or {}, network_mode=mode)
        plan = network.plan(layout, container, ContainerConfig(), config, {})
        made = Container(plan, container)
        self._pids.append(made.live.pid)
        return made.join()


def sh(script: str) -> str:
    """The script's output; a failing line fails the test."""
    result = subprocess.run(["sh", "-ec", script], capture_output=True, text=True)
    assert result.returncode == 0, f"{script}\n{result.stdout}{result.stderr}"
    return result.stdout


def facts(command: str, pid: int = 0) -> Any:
    """The JSON of an iproute2 command, in the namespace of the process."""
    return json.loads(sh((f"nsenter -t {pid} -n " if pid else "") + command) or "[]")


@contextlib.contextmanager
def inside(pid: int) -> Iterator[None]:
    """For a moment this thread is in the process's network namespace; 0 is where we are."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if pid:
            there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            syscalls.setns(there, CLONE_NEWNET)
            os.close(there)
        yield
    finally:
        syscalls.setns(here, CLONE_NEWNET)
        os.close(here)


def listen(pid: int, protocol: str, port: int, address: str = "0.0.0.0") -> socket.socket:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with inside(pid):
        server = socket.socket(socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.settimeout(WAIT)
    if protocol == "tcp":
        server.listen(8)
    return server


def ask(pid: int, protocol: str, address: str, port: int, server: socket.socket, *, wait: float = WAIT) -> str:
    """Send from the namespace to the address; returns whom the server saw, or "" when nothing got through."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with inside(pid):
        client = socket.socket(socket.AF_INET, kind)
    client.settimeout(wait)
    try:
        client.connect((address, port))
        if protocol == "udp":
            client.send(b"question")
            server.settimeout(wait)
            _, seen = server.recvfrom(100)
            server.sendto(b"answer", seen)
            assert client.recv(100) == b"answer"
            return str(seen[0])
        server.settimeout(wait)
        accepted, seen = server.accept()
        with accepted:
            accepted.sendall(b"answer")
            assert client.recv(100) == b"answer"
        return str(seen[0])
    except (TimeoutError, ConnectionRefusedError, OSError) as error:
        assert isinstance(error, TimeoutError | ConnectionRefusedError) or error.errno in (101, 113, 22, 1), error
        return ""
    finally:
        client.close()


def eventually(condition: Any) -> bool:
    """Whether it becomes true within WAIT seconds: the kernel tears dead namespaces down in its own time."""
    deadline = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def in_processes(function: Callable[[int], object], count: int) -> list[str]:
    """The results of function(0…count-1), each in a process of its own, that waits for the others before it ends."""
    parents, children = zip(*(socket.socketpair() for _ in range(count)), strict=True)
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                children[number].sendall(str(function(number)).encode())
            except BaseException as error:  # noqa: BLE001 - it is passed on
                children[number].sendall(repr(error).encode())
            children[number].recv(1)
            os._exit(0)
        pids.append(pid)
    results = [parent.recv(1000).decode() for parent in parents]
    for parent in parents:
        parent.sendall(b".")
    for pid in pids:
        os.waitpid(pid, 0)
    for end in (*parents, *children):
        end.close()
    return results
