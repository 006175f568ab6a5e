"""python-on-whales: the docker command from Python."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.clients import HEALTHY, Client
from tests.support.api import Daemon
from tests.support.instance import SLOWNESS
from tests.support.needs import require_tool


class Whales(Client):
    NAME = "python-on-whales"

    def __init__(self, daemon: Daemon, place: Path) -> None:
        super().__init__(daemon, place)
        self.library = pytest.importorskip("python_on_whales")
        self.client = self.library.DockerClient(host=daemon.url, client_call=[require_tool("docker")])

    @contextlib.contextmanager
    def container(self, *command: str, **options: Any) -> Iterator[Any]:
        made = self.client.run("busybox", list(command or ("sleep", "100")), detach=True, **options)
        try:
            yield made
        finally:
            made.remove(force=True, volumes=True)

    def run(self) -> None:
        assert self.client.run("busybox", ["echo", "hello"], remove=True) == "hello"
        with pytest.raises(self.library.exceptions.DockerException):
            self.client.run("busybox", ["false"], remove=True)
        with self.container(labels={"a": "whales"}, name="whale") as one:
            assert [found.name for found in self.client.container.list(filters=[("label", "a=whales")])] == ["whale"]
            assert one.state.running and one.network_settings.networks["bridge"].ip_address
            assert self.client.system.info().driver == "overlay2"

    def exec(self) -> None:
        with self.container() as one:
            assert one.execute(["sh", "-c", "echo $A; pwd"], envs={"A": "b"}, workdir="/tmp") == "b\n/tmp"

    def logs(self) -> None:
        with self.container("sh", "-c", "echo one; echo two >&2") as one:
            self.client.wait(one)
            assert sorted(self.client.container.logs(one, stream=True)) == [("stderr", b"two\n"), ("stdout", b"one\n")]
            assert self.client.container.logs(one, tail=1).strip() in ("one", "two")

    def build(self) -> None:
        image = self.client.legacy_build(self.place / "context", tags="mdt-whales", build_args={"GREETING": "hi"})
        try:
            assert self.client.run("mdt-whales", remove=True) == "page\nhi" and image.config.labels["made"] == "here"
        finally:
            image.remove()

    def networks(self) -> None:
        with self.client.network.create("mdt-whales", subnet="10.206.3.0/24") as network, self.container() as one:
            self.client.network.connect(network, one, alias="al")
            told = self.client.run("busybox", ["ping", "-c1", "al"], networks=[network], remove=True)
            assert "(10.206.3." in told
            self.client.network.disconnect(network, one)

    def volumes(self) -> None:
        with self.client.volume.create("mdt-whales", labels={"a": "whales"}) as volume:
            with self.container("sh", "-c", "echo kept >/data/file", volumes=[(volume, "/data")]) as one:
                assert self.client.wait(one) == 0
            read = self.client.run("busybox", ["cat", "/data/file"], volumes=[(volume, "/data", "ro")], remove=True)
            assert read == "kept"
            assert self.client.volume.list(filters=[("label", "a=whales")]) == [volume]

    def events(self) -> None:
        since = datetime.datetime.now()
        with self.container("true", labels={"told": "whales"}) as one:
            self.client.wait(one)
        until = datetime.datetime.now()
        told = self.client.system.events(since=since, until=until, filters={"label": "told=whales"})
        assert [event.action for event in told] == ["create", "start", "die", "destroy"]

    def cp(self) -> None:
        with self.container() as one:
            self.client.copy(self.place / "context", (one, "/tmp/in"))
            assert one.execute(["cat", "/tmp/in/page"]) == "page"
            self.client.copy((one, "/tmp/in/page"), self.place / "out")
            assert (self.place / "out").read_text() == "page\n"

    def stats(self) -> None:
        with self.container(memory="64m", name="whale") as one:
            told = self.client.container.stats([one])[0]
            assert told.container_name == "whale" and told.memory_limit == 64 << 20

    def health(self) -> None:
        with self.container(health_cmd=HEALTHY, health_interval=1) as one:
            deadline = time.monotonic() + 20 * SLOWNESS
            while (status := one.state.health.status) != "healthy":
                assert status == "starting" and time.monotonic() < deadline
                time.sleep(0.1)
