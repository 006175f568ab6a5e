"""Beside a real Docker on the same host: its FORWARD policy is drop, and both engines' containers work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock import network
from minidock.errors import PortInUse
from minidock.model import PortBinding
from minidock.paths import Layout
from tests.support.dockerd import Docker
from tests.support.netlab import OUTSIDE, Lab, ask, listen, sh


@pytest.fixture
def lab(docker: Docker) -> Iterator[Lab]:
    """The laboratory's host is Docker's."""
    made = Lab(host=docker.pid)
    policy = sh("iptables -S FORWARD | head -n 1 | sed 's/^-P FORWARD //'")
    yield made
    sh(f"iptables -P FORWARD {policy}")
    made.close()


def test_both_work_side_by_side(lab: Lab, docker: Docker, layout: Layout, busybox_image: Path) -> None:
    docker("load", "-i", str(busybox_image), check=True)
    sh("iptables -P FORWARD DROP")  # as Docker does where it has to switch forwarding on
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
    with socket.create_connection(("127.0.0.1", 18080), timeout=5) as client:  # Docker's still works
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.")
    docker("run", "--rm", "-p", "18082:80", "busybox", "true", check=True)  # and can still change its rules
    network.teardown(layout)
    assert sh("iptables -S") == running
    docker("rm", "-f", theirs, check=True)
    assert sh("iptables -S") == before


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
