"""Beside a real Docker on the same host: its FORWARD policy is drop, and both engines' containers work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock import network
from minidock.errors import PortInUse
from minidock.model.host import PortBinding
from minidock.paths import Layout
from tests.support.dockerd import Docker
from tests.support.netlab import OUTSIDE, Lab, ask, inside, listen, sh


@pytest.fixture
def lab(docker: Docker) -> Iterator[Lab]:
    """The laboratory's host is Docker's."""
    made = Lab(host=docker.pid)
    yield made
    sh("iptables -P FORWARD ACCEPT")
    made.close()


def test_both_work_side_by_side(lab: Lab, docker: Docker, layout: Layout, busybox_image: Path) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    assert sh("iptables -S FORWARD").startswith("-P FORWARD ACCEPT")  # forwarding was on when this Docker started
    sh("iptables -P FORWARD DROP")  # what it does where it has to switch forwarding on
    before = sh("iptables -S")
    theirs = docker("run", "-d", "-p", "18080:80", "busybox", "httpd", "-f", "-p", "80", check=True).stdout.strip()
    running = sh("iptables -S")
    outside = lab.outside()
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "18081")]})
    assert one.plan.gateway != docker("inspect", "-f", "{{.NetworkSettings.Gateway}}", theirs).stdout.strip()
    with listen(one.live.pid, "tcp", 80) as server:
        assert ask(outside, "tcp", "192.0.2.1", 18081, server) == OUTSIDE
        assert ask(0, "tcp", "127.0.0.1", 18081, server)
    with listen(outside, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", OUTSIDE, 80, server) == "192.0.2.1"
    closed = docker("run", "-d", "busybox", "httpd", "-f", "-p", "80", check=True).stdout.strip()
    address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", closed).stdout.strip()
    assert gets(0, address, 80)
    assert not gets(one.live.pid, address, 80)  # not published: closed to our containers too
    assert gets(one.live.pid, "192.0.2.1", 18080)
    with socket.create_connection(("127.0.0.1", 18080), timeout=5) as client:  # Docker's still works
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.")
    docker("run", "--rm", "-p", "18082:80", "busybox", "true", check=True)  # and can still change its rules
    network.teardown(layout)
    assert sh("iptables -S") == running
    docker("rm", "-f", theirs, closed, check=True)
    assert sh("iptables -S") == before


def gets(pid: int, address: str, port: int) -> bool:
    """Whether somebody in the namespace reaches the web server."""
    with inside(pid):
        client = socket.socket()
    client.settimeout(1)
    with client:
        try:
            client.connect((address, port))
        except TimeoutError:
            return False
    return True


def test_a_port_that_docker_has_is_told_with_its_holder(lab: Lab, docker: Docker, busybox_image: Path) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    theirs = docker("run", "-d", "-p", "18083:80", "busybox", "sleep", "100", check=True).stdout.strip()
    with pytest.raises(PortInUse, match=r"0\.0\.0\.0:18083 failed: .*held by docker-proxy \(pid \d+\)"):
        network.reserve_ports([("tcp", "0.0.0.0", 18083)])
    docker("rm", "-f", theirs, check=True)


def test_dockers_client_sees_that_we_have_a_port(lab: Lab, docker: Docker, layout: Layout, busybox_image: Path) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    lab.start(layout, 1, {"80/tcp": [PortBinding("", "18084")]})
    refused = docker("run", "--rm", "-p", "18084:80", "busybox", "true")
    assert refused.returncode == 125
    assert "address already in use" in refused.stderr
