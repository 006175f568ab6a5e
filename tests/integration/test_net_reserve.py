"""Reserved ports: taken for the whole host, named when somebody else has them, refused when they can't be."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock import network
from minidock.errors import MinidockError, PortInUse, UsageError
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.network import addresses
from minidock.paths import Layout
from tests.support.needs import require_root, require_tool
from tests.support.netlab import Lab, ask, listen


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_root()
    require_tool("nft")
    made = Lab()
    yield made
    made.close()


def test_a_reserved_port_is_taken_for_the_whole_host(lab: Lab, layout: Layout) -> None:
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")], "53/udp": [PortBinding("", "5353")]})
    for kind, number in ((socket.SOCK_STREAM, 8080), (socket.SOCK_DGRAM, 5353)):
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            with socket.socket(family, kind) as rival, pytest.raises(OSError) as refused:
                rival.bind((address, number))
            assert refused.value.errno == errno.EADDRINUSE
    assert all(not os.get_inheritable(held.fileno()) for held in one.sockets)
    # Whoever comes past the rules is refused, and not kept waiting.
    with socket.socket(socket.AF_INET6) as client, pytest.raises(ConnectionRefusedError):
        client.connect(("::1", 8080))
    one.die()
    with socket.socket() as rival:
        rival.bind(("0.0.0.0", 8080))


def test_the_holder_of_a_port_is_named(lab: Lab, layout: Layout, tmp_path: Path) -> None:
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")]})
    layout.container(one.id).mkdir(parents=True)
    (layout.container(one.id) / "container.json").write_text('{"id": "1", "name": "web", "layers": []}')
    with pytest.raises(PortInUse, match=r"Bind for 0\.0\.0\.0:8080 failed: port is already allocated, .*container web"):
        plan(layout, 2, {"80/tcp": [PortBinding("", "8080")]})
    assert [claim.container for claim in addresses.peek(layout, "bridge")] == [one.id]
    (layout.container_run(one.id)).mkdir(parents=True)
    (layout.container_run(one.id) / "journal.json").write_text("[]")
    other = "import sys; from pathlib import Path; from minidock import network; from minidock.paths import Layout\n"
    other += "network.reserve_ports([('tcp', '0.0.0.0', 8080)])"  # another instance, another process
    result = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True)
    assert "held by container web" in result.stderr
    server = "import socket, sys; s = socket.socket(); s.bind(('', 9090)); s.listen(); print(1, flush=True)"
    server += "; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", server], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(PortInUse, match=rf"0\.0\.0\.0:9090 failed: .*held by python.* \(pid {process.pid}\)"):
            network.reserve_ports([("tcp", "0.0.0.0", 7070), ("tcp", "0.0.0.0", 9090)])
        network.reserve_ports([("tcp", "0.0.0.0", 7070)])  # what was taken before the failure is free again
        process.communicate()


def test_connections_in_time_wait_do_not_hold_a_port(lab: Lab) -> None:
    server = listen(0, "tcp", 8080)
    client = socket.create_connection(("127.0.0.1", 8080))
    accepted, _ = server.accept()
    accepted.close()  # the server's side closes first, and has to wait
    assert client.recv(1) == b""
    client.close()
    server.close()
    assert ":1F90 " in Path("/proc/thread-self/net/tcp").read_text()
    first = network.reserve_ports([("tcp", "0.0.0.0", 8080)])
    with pytest.raises(PortInUse):
        network.reserve_ports([("tcp", "0.0.0.0", 8080)])
    with socket.socket() as rival, pytest.raises(OSError):
        rival.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rival.bind(("0.0.0.0", 8080))
        rival.listen()
    for held in first:
        held.close()


def test_an_address_that_is_not_the_hosts_is_refused(lab: Lab) -> None:
    with pytest.raises(MinidockError, match="cannot assign requested address"):
        network.reserve_ports([("tcp", "203.0.113.7", 8080)])


def test_any_port_and_ranges_find_a_free_one(lab: Lab, layout: Layout) -> None:
    lab.start(layout, 1, {"80/tcp": [PortBinding("", "8000")]})
    two = lab.start(layout, 2, {"80/tcp": [PortBinding("", "8000-8003")], "81/tcp": [PortBinding()]})
    with listen(0, "tcp", 8002):
        three = lab.start(layout, 3, {"80/tcp": [PortBinding("", "8000-8003")]})
    assert two.plan.hold[0] == ("tcp", "0.0.0.0", 8001)
    assert three.plan.hold == [("tcp", "0.0.0.0", 8003), ("tcp", "::", 8003)]
    low, high = (int(word) for word in Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert low <= two.plan.hold[2][2] <= high
    shown = two.plan.ports["81/tcp"]
    assert shown is not None
    with listen(two.live.pid, "tcp", 81) as server:
        assert ask(0, "tcp", "127.0.0.1", int(shown[0].host_port), server)
    with pytest.raises(PortInUse):
        plan(layout, 4, {"80/tcp": [PortBinding("", "8000-8001")]})


@pytest.mark.parametrize(
    ("ports", "kind", "words"),
    [
        ({"80/tcp": [PortBinding("", "70000")]}, UsageError, "invalid port: 70000"),
        ({"80/tcp": [PortBinding("", "9-8")]}, UsageError, "invalid port: 9-8"),
        ({"80/tcp": [PortBinding("", "http")]}, UsageError, "invalid port: http"),
        ({"80/icmp": [PortBinding("", "80")]}, UsageError, "invalid proto: icmp"),
        ({"80/tcp": [PortBinding("1.2.3", "80")]}, UsageError, "invalid IP address: 1.2.3"),
        ({"80/tcp": [PortBinding("::x", "80")]}, UsageError, "invalid IP address: ::x"),
    ],
)
def test_what_cannot_be_published_is_refused_and_holds_nothing(
    lab: Lab, layout: Layout, ports: dict[str, list[PortBinding]], kind: type[MinidockError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        plan(layout, 1, ports)
    assert addresses.peek(layout, "bridge") == []


# helpers


def plan(layout: Layout, number: int, ports: dict[str, list[PortBinding]]) -> network.Attachment:
    return network.plan(layout, f"{number:064x}"[::-1], ContainerConfig(), HostConfig(port_bindings=ports), {})
