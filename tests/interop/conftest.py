"""What the tests with real clients of the API share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.conftest import Minidock, require_root, require_tool
from tests.support.api import Daemon, free_port, serving


@pytest.fixture
def daemon(minidock: Minidock, busybox_image: Path) -> Iterator[Daemon]:
    """minidock's daemon, with the image busybox."""
    require_root()
    require_tool("docker")
    minidock("load", "-i", str(busybox_image), check=True)
    with serving(minidock) as running:
        yield running


@pytest.fixture
def listening(minidock: Minidock, busybox_image: Path) -> Iterator[Daemon]:
    """A daemon that listens on the loopback too: some things can't be said over a unix socket."""
    require_root()
    require_tool("docker")
    minidock("load", "-i", str(busybox_image), check=True)
    with serving(minidock, also=free_port()) as running:
        yield running


@pytest.fixture
def client(daemon: Daemon) -> Iterator[docker.DockerClient]:
    made = docker.DockerClient(base_url=daemon.url, version="auto", timeout=30)
    yield made
    made.close()
