"""How fast packets get through, for the rows of scripts/bench: by published ports and between containers, in bulk and
in many short connections.

The same two programs serve and ask on either side, in the containers' network namespaces but not in the containers, so
that nothing is measured but the way. Each engine's "host" is a network namespace of its own: on the real host packets
would pass the rules of whoever else is there, and with br_netfilter those between containers, too.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from minidock.paths import Layout
from scripts.rows.engines import OURS, THEIRS, Bench, Samples, in_turn

BULK = 512 << 20
DATAGRAMS = 5000
SHORT = 500
"""Connections, one after the other, each with a hundred bytes."""
SERVE = """
import socket
server = socket.create_server(("", 80), backlog=512)
block = bytes(1 << 18)
while True:
    client, _ = server.accept()
    with client:
        left = int.from_bytes(client.recv(8), "big")
        while left > 0:
            left -= client.send(block[:left])
"""
ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 81))
while True:
    server.sendto(*server.recvfrom(2000))
"""
ASK = """
import socket, sys
where, port, times, size = sys.argv[1], *map(int, sys.argv[2:])
room = bytearray(1 << 18)
for _ in range(times):
    with socket.create_connection((where, port), timeout=60) as server:
        server.sendall(size.to_bytes(8, "big"))
        left = size
        while got := server.recv_into(room):
            left -= got
        if left:
            sys.exit("not all came")
"""
"""A client that takes what it has asked for, and fails when it isn't all."""
TALK = """
import socket, sys
where, port, times, size = sys.argv[1], *map(int, sys.argv[2:])
client = socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(60)
client.connect((where, port))
for number in range(times):
    asked = number.to_bytes(4, "big").ljust(size, b".")
    client.send(asked)
    if client.recv(2000) != asked:
        sys.exit("another answer came")
"""
"""Datagrams, each sent when the answer to the last one has come."""


class Side(NamedTuple):
    """One engine with a container that serves and one that asks; network namespaces are named by their processes."""

    host: int
    asking: int
    address: str
    gateway: str
    port: str
    udp_port: str


def _ask(pid: int, where: str, port: str, times: int, size: int, *, program: str = ASK) -> None:
    command = [sys.executable, "-c", program, where, port, str(times), str(size)]
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command], check=True)


@contextlib.contextmanager
def _host_of_ours(bench: Bench) -> Iterator[int]:
    """minidock's commands work in a network namespace of their own meanwhile, on a root of its own; its process."""
    script = "ip link set lo up; echo up; exec sleep 86400"
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE)
    plain, root = bench.prefix, bench.directory / "throughput"
    within = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", plain[OURS][0], f"--root={root}"]
    bench.prefix = {**plain, OURS: within}
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"up\n"
        bench.run(OURS, "load", "-i", str(bench.directory / "busybox.tar"))
        yield holder.pid
        bench.run(OURS, "network", "prune", "-f")
    finally:
        bench.prefix = plain
        holder.kill()
        holder.wait()
        shutil.rmtree(Layout(root).run, ignore_errors=True)


FACTS = """{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}
{{with index .NetworkSettings.Ports "80/tcp"}}{{(index . 0).HostPort}}{{end}}
{{with index .NetworkSettings.Ports "81/udp"}}{{(index . 0).HostPort}}{{end}}"""


@contextlib.contextmanager
def _sides(bench: Bench) -> Iterator[dict[str, Side]]:
    sides = {}
    with contextlib.ExitStack() as stack:
        hosts = {OURS: stack.enter_context(_host_of_ours(bench)), THEIRS: bench.docker.pid}
        stack.callback(bench.both, "rm", "-f", "server", "client")
        for who, host in hosts.items():
            bench.run(who, "run", "-d", "--name", "server", "-p", "80", "-p", "81/udp", "busybox", "sleep", "3600")
            bench.run(who, "run", "-d", "--name", "client", "busybox", "sleep", "3600")
            within = f"--net=/proc/{bench.pid(who, 'server')}/ns/net"
            for program in (SERVE, ECHO):
                server = subprocess.Popen(["nsenter", within, sys.executable, "-c", program])
                stack.callback(server.wait)
                stack.callback(server.kill)
            facts = bench.run(who, "inspect", "--format", FACTS, "server").split()
            sides[who] = Side(host, bench.pid(who, "client"), *facts)
        time.sleep(1)
        yield sides


def measured(way: Callable[[Side], None]) -> Callable[[Bench, int], Samples]:
    """Both engines in turn, on that way."""

    def take(bench: Bench, times: int) -> Samples:
        with _sides(bench) as sides:
            return in_turn(times, {who: lambda side=side: way(side) for who, side in sides.items()})  # type: ignore[misc]

    return take


published = measured(lambda side: _ask(side.host, side.gateway, side.port, 1, BULK))
"""By the bridge's address: there both engines have the kernel rewrite the packets."""
published_localhost = measured(lambda side: _ask(side.host, "127.0.0.1", side.port, 1, BULK))
"""Docker copies these in a process of its own."""
published_ipv6 = measured(lambda side: _ask(side.host, "::1", side.port, 1, BULK))
"""Both copy these, the container's shim and Docker's proxy."""
between = measured(lambda side: _ask(side.asking, side.address, "80", 1, BULK))
connections = measured(lambda side: _ask(side.host, side.gateway, side.port, SHORT, 100))
connections_localhost = measured(lambda side: _ask(side.host, "127.0.0.1", side.port, SHORT, 100))
connections_ipv6 = measured(lambda side: _ask(side.host, "::1", side.port, SHORT, 100))
datagrams = measured(lambda side: _ask(side.host, side.gateway, side.udp_port, DATAGRAMS, 100, program=TALK))
datagrams_localhost = measured(lambda side: _ask(side.host, "127.0.0.1", side.udp_port, DATAGRAMS, 100, program=TALK))
datagrams_ipv6 = measured(lambda side: _ask(side.host, "::1", side.udp_port, DATAGRAMS, 100, program=TALK))
