"""testcontainers, for tests that need a service: without its reaper, which is an image from Docker Hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.interop.clients import HEALTHY, Client
from tests.support.api import Daemon

PYTHON = "by docker-py, which it gives out"


class Testcontainers(Client):
    NAME = "testcontainers 4"
    LACKS = {"events": PYTHON, "stats": PYTHON}
    __test__ = False  # no class of tests, whatever its name

    def __init__(self, daemon: Daemon, place: Path) -> None:
        super().__init__(daemon, place)
        pytest.importorskip("testcontainers")
        from testcontainers.core.config import testcontainers_config

        self._host = mock.patch.dict(os.environ, {"DOCKER_HOST": daemon.url})
        self._host.start()
        testcontainers_config.ryuk_disabled = True

    def close(self) -> None:
        self._host.stop()

    def container(self, *command: str, image: str = "busybox", **options: Any) -> Any:
        from testcontainers.core.container import DockerContainer

        return DockerContainer(image, **options).with_command(list(command or ("sleep", "100")))

    def run(self) -> None:
        """Until a line of its log; a published port is found."""
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        script = "echo page >/index.html; echo ready; exec httpd -f -p 80 -h /"
        wanted = self.container("sh", "-c", script).with_exposed_ports(80).with_env("A", "b")
        with wanted.waiting_for(LogMessageWaitStrategy("ready")) as one:
            assert one.exec(["wget", "-qO-", "http://localhost/"]) == (0, b"page\n")
            assert int(one.get_exposed_port(80)) > 0
            assert one.get_wrapped_container().attrs["Config"]["Env"][0] == "A=b"

    def exec(self) -> None:
        with self.container() as one:
            code, output = one.exec(["sh", "-c", "echo inside; exit 5"])
            assert (code, output) == (5, b"inside\n")

    def logs(self) -> None:
        with self.container("sh", "-c", "echo out; echo err >&2") as one:
            one.get_wrapped_container().wait()
            assert one.get_logs() == (b"out\n", b"err\n")

    def build(self) -> None:
        from testcontainers.core.image import DockerImage

        with (
            DockerImage(self.place / "context", tag="mdt-tc", buildargs={"GREETING": "hi"}) as image,
            self.container("sh", "-c", "cat /data/page; sleep 100", image=str(image)) as one,
        ):
            assert one.exec(["cat", "/data/page"]) == (0, b"page\nhi\n")

    def networks(self) -> None:
        from testcontainers.core.network import Network

        with (
            Network() as network,
            self.container().with_network(network).with_network_aliases("al"),
            self.container().with_network(network) as one,
        ):
            assert b"1 packets received" in one.exec(["ping", "-c1", "al"])[1]

    def volumes(self) -> None:
        """What it maps are directories of the host."""
        kept = self.place / "kept"
        kept.mkdir()
        with self.container("sh", "-c", "echo kept >/data/file").with_volume_mapping(kept, "/data", "rw") as one:
            assert one.get_wrapped_container().wait()["StatusCode"] == 0
        assert (kept / "file").read_text() == "kept\n"

    def cp(self) -> None:
        out = self.place / "out"
        with self.container().with_copy_into_container(self.place / "context" / "page", "/tmp/page") as one:
            one.copy_into_container(b"bytes", "/tmp/bytes")
            assert one.exec(["cat", "/tmp/page", "/tmp/bytes"]) == (0, b"page\nbytes")
            one.copy_from_container("/tmp/page", out)
            assert out.read_text() == "page\n"

    def health(self) -> None:
        from testcontainers.core.wait_strategies import HealthcheckWaitStrategy

        check = {"test": ["CMD-SHELL", HEALTHY], "interval": 500_000_000}
        with self.container().with_kwargs(healthcheck=check).waiting_for(HealthcheckWaitStrategy()) as one:
            assert one.get_wrapped_container().health == "healthy"
