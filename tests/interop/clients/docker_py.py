"""docker-py, the library that most others in Python stand on."""

from __future__ import annotations

import contextlib
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker

from tests.interop.clients import HEALTHY, Client
from tests.support.api import Daemon


class DockerPy(Client):
    NAME = "docker-py 7"

    def __init__(self, daemon: Daemon, place: Path) -> None:
        super().__init__(daemon, place)
        self.client = docker.DockerClient(base_url=daemon.url, version="auto", timeout=60)

    def close(self) -> None:
        self.client.close()

    @contextlib.contextmanager
    def container(self, command: Any = ("sleep", "100"), **options: Any) -> Iterator[Any]:
        made = self.client.containers.run("busybox", list(command), detach=True, **options)
        try:
            yield made
        finally:
            made.remove(force=True, v=True)

    def run(self) -> None:
        assert self.client.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"
        with self.container(["sh", "-c", "exit 3"]) as one:
            assert one.wait()["StatusCode"] == 3
        try:
            self.client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 4"], remove=True)
        except docker.errors.ContainerError as error:
            assert (error.exit_status, error.stderr) == (4, b"no\n")
        else:
            raise AssertionError("the code is lost")

    def exec(self) -> None:
        with self.container() as one:
            code, output = one.exec_run(["sh", "-c", "echo $A; pwd; echo err >&2; exit 5"], environment={"A": "b"},
                                        workdir="/tmp", demux=True)  # fmt: skip
            assert (code, output) == (5, (b"b\n/tmp\n", b"err\n"))

    def logs(self) -> None:
        with self.container(["sh", "-c", "echo one; echo two; echo three >&2"]) as one:
            assert b"".join(one.logs(stream=True, follow=True, stderr=False)) == b"one\ntwo\n"
            assert one.logs(tail=1) == b"three\n"

    def build(self) -> None:
        image, lines = self.client.images.build(
            path=str(self.place / "context"), tag="mdt-py", buildargs={"GREETING": "hi"}
        )
        try:
            assert any("Successfully built" in line.get("stream", "") for line in lines)
            assert image.labels == {"made": "here", "client": self.NAME}
            assert self.client.containers.run(image, remove=True) == b"page\nhi\n"
        finally:
            self.client.images.remove("mdt-py")

    def networks(self) -> None:
        pool = docker.types.IPAMPool(subnet="10.206.2.0/24")
        network = self.client.networks.create("mdt-py", ipam=docker.types.IPAMConfig(pool_configs=[pool]))
        with self.container() as one:
            network.connect(one, aliases=["al"], ipv4_address="10.206.2.77")
            ping = self.client.containers.run("busybox", ["ping", "-c1", "al"], network="mdt-py", remove=True)
            assert b"10.206.2.77" in ping
            network.reload()
            assert network.containers == [one]
            network.disconnect(one)
        network.remove()

    def volumes(self) -> None:
        volume = self.client.volumes.create("mdt-py", labels={"a": "b"})
        mount = docker.types.Mount("/data", "mdt-py")
        self.client.containers.run("busybox", ["sh", "-c", "echo kept >/data/file"], mounts=[mount], remove=True)
        read = self.client.containers.run("busybox", ["cat", "/data/file"], volumes=["mdt-py:/data:ro"], remove=True)
        assert read == b"kept\n" and self.client.volumes.list(filters={"label": "a=b"}) == [volume]
        volume.remove()

    def events(self) -> None:
        since = time.time()
        with self.container(["true"], labels={"told": "py"}) as one:
            one.wait()
        wanted = {"label": "told=py", "type": "container"}
        told = self.client.events(since=since, until=time.time(), filters=wanted, decode=True)
        assert [event["Action"] for event in told] == ["create", "start", "die", "destroy"]

    def cp(self) -> None:
        with self.container() as one:
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w") as tar:
                tar.add(self.place / "context" / "page", "page")
            assert one.put_archive("/tmp", packed.getvalue())
            pieces, status = one.get_archive("/tmp/page")
            with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
                member = tar.extractfile("page")
                assert member is not None and member.read() == b"page\n" and status["size"] == 5

    def stats(self) -> None:
        with self.container(mem_limit="64m") as one:
            told = one.stats(stream=False)
            assert told["memory_stats"]["limit"] == 64 << 20 and told["pids_stats"]["current"] == 1
            stream = one.stats(decode=True)
            assert next(stream)["id"] == next(stream)["id"] == one.id

    def health(self) -> None:
        check = {"test": ["CMD-SHELL", HEALTHY], "interval": 500_000_000}
        with self.container(healthcheck=check) as one:
            for event in self.client.events(decode=True, since=time.time() - 5, filters={"container": one.id}):
                if event["Action"] == "health_status: healthy":
                    break
            one.reload()
            assert one.health == "healthy"
