"""docker-compose, the first (in Python, by docker-py) and the second (in Go)."""

from __future__ import annotations

import abc
import json
import os
import select
import subprocess
from pathlib import Path
from typing import ClassVar

import pytest

from tests.interop.clients import HEALTHY, Client
from tests.support.api import Daemon
from tests.support.instance import SLOWNESS

FILE = f"""
services:
  web:
    build: {{context: context, args: {{GREETING: hi}}}}
    image: mdt-NAME
    command: ["sh", "-c", "echo serving; exec httpd -f -p 80 -h /data"]
    volumes: ["content:/kept"]
    depends_on: {{store: {{condition: service_healthy}}}}
    networks: [front, back]
    stop_signal: SIGKILL
  store:
    image: busybox
    command: ["sleep", "1000"]
    environment: {{WHO: me}}
    healthcheck: {{test: ["CMD-SHELL", "{HEALTHY}"], interval: 1s}}
    networks: {{back: {{aliases: [shelf]}}}}
    stop_signal: SIGKILL
volumes: {{content: {{}}}}
networks: {{front: {{}}, back: {{internal: true}}}}
"""


class Compose(Client, abc.ABC):
    """One project is up for all its workflows."""

    PROJECT: ClassVar[str]
    DASH: ClassVar[str]

    def __init__(self, daemon: Daemon, place: Path) -> None:
        super().__init__(daemon, place)
        self.program = self.found()
        (place / "docker-compose.yml").write_text(FILE.replace("NAME", self.PROJECT))
        self.built = self("build")
        self("up", "-d")

    @abc.abstractmethod
    def found(self) -> str:
        """The program."""

    def close(self) -> None:
        self("down", "-v", "--rmi", "all")

    def popen(self, *words: str) -> subprocess.Popen[str]:
        mode = {"DOCKER_BUILDKIT": "0", "COMPOSE_INTERACTIVE_NO_CLI": "1"}
        return subprocess.Popen(
            [self.program, "-p", self.PROJECT, *words],
            cwd=self.place, env={**self.daemon.environment, **mode}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *words: str, code: int = 0) -> str:
        done = self.popen(*words)
        try:
            stdout, stderr = done.communicate(timeout=120 * SLOWNESS)
        finally:
            done.kill()
        assert done.returncode == code, (words, stdout, stderr)
        return stdout

    def inspected(self, service: str, template: str) -> str:
        return self.daemon.docker("inspect", "-f", template, self.named(service)).stdout.strip()

    def named(self, service: str) -> str:
        return f"{self.PROJECT}{self.DASH}{service}{self.DASH}1"

    def run(self) -> None:
        assert self.named("web") in self("ps")
        # The first attaches only after the start: what is said at once is lost to it, with dockerd too.
        script = "sleep 0.7; echo $WHO; exit 3"
        assert self("run", "--rm", "-T", "--no-deps", "store", "sh", "-c", script, code=3) == "me\n"
        assert "sleep 1000" in self("top", "store")
        self("restart", "-t", "0", "web")

    def exec(self) -> None:
        assert self("exec", "-T", "store", "sh", "-c", "echo $WHO; exit 5", code=5) == "me\n"

    def logs(self) -> None:
        assert "serving" in self("logs", "--no-color", "--tail", "1", "web")

    def build(self) -> None:
        assert self("exec", "-T", "web", "cat", "/data/page") == "page\nhi\n"
        assert self.inspected("web", "{{.Config.Labels.made}}") == "here"

    def networks(self) -> None:
        assert self("exec", "-T", "store", "wget", "-qO-", "http://web/page") == "page\nhi\n"
        assert "1 packets received" in self("exec", "-T", "web", "ping", "-c1", "shelf")
        self("exec", "-T", "store", "ping", "-c1", "-W1", "192.0.2.1", code=1)  # back is internal

    def volumes(self) -> None:
        self("exec", "-T", "web", "sh", "-c", "echo kept >/kept/file")
        self("up", "-d", "--force-recreate", "--no-deps", "web")
        assert self("exec", "-T", "web", "cat", "/kept/file") == "kept\n"

    def events(self) -> None:
        with self.popen("events", "--json", "web") as listening:
            assert listening.stdout is not None
            try:
                while not select.select([listening.stdout], [], [], 0.5)[0]:  # until it listens
                    self.daemon.docker("kill", "-s", "CONT", self.named("web"))
                self.daemon.docker("kill", "-s", "CONT", self.named("web"))  # that was perhaps an earlier exec
                told = json.loads(listening.stdout.readline())
                while told["action"] != "kill":  # the end of an earlier exec is told, too
                    told = json.loads(listening.stdout.readline())
                assert told["service"] == "web"
            finally:
                listening.kill()

    def health(self) -> None:
        assert self.inspected("store", "{{.State.Health.Status}}") == "healthy"
        made = [self.inspected(service, "{{.State.StartedAt}}") for service in ("store", "web")]
        first = self.inspected("store", "{{(index .State.Health.Log 0).ExitCode}}")
        assert made == sorted(made) and first in ("0", "1")


class Compose1(Compose):
    NAME = "docker-compose 1.29"
    PROJECT, DASH = "mdtone", "_"
    LACKS = {"cp": "no such command", "stats": "no such command"}

    def found(self) -> str:
        """Debian's. What stands first in a PATH may be the second."""
        for directory in (*os.environ["PATH"].split(":"), "/usr/bin"):
            program = f"{directory}/docker-compose"
            if os.access(program, os.X_OK):
                version = subprocess.run([program, "version", "--short"], capture_output=True, text=True).stdout
                if version.startswith("1."):
                    return program
        pytest.skip("needs the tool docker-compose: sudo scripts/setup test installs it")


class Compose2(Compose):
    NAME = "docker-compose 2.40"
    PROJECT, DASH = "mdttwo", "-"

    def found(self) -> str:
        return str(Path(pytest.importorskip("compose").__file__).parent / "docker-compose")

    def cp(self) -> None:
        self("cp", "context/page", "store:/tmp/page")
        self("cp", "store:/tmp/page", "out")
        assert (self.place / "out").read_text() == "page\n"

    def stats(self) -> None:
        told = [json.loads(line) for line in self("stats", "--no-stream", "--format", "json", "store").splitlines()]
        assert [row["Name"] for row in told] == [self.named("store")] and int(told[0]["PIDs"]) >= 1
