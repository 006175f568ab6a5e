"""Tools that stand on Docker's API in their main workflows: docker-compose, python-on-whales, testcontainers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import require_tool
from tests.support.api import Daemon

COMPOSE = """
version: "3.7"
services:
  web:
    build: web
    image: mdt-web
    command: ["sh", "-c", "echo serving; exec httpd -f -p 80 -h /data"]
    volumes: ["content:/data"]
    depends_on: [store]
  store:
    image: busybox
    command: ["sleep", "1000"]
    environment: {WHO: me}
    healthcheck: {test: ["CMD", "true"], interval: 1s}
volumes: {content: {}}
"""


def test_compose_builds_brings_up_looks_executes_and_takes_down(daemon: Daemon, tmp_path: Path) -> None:
    program = require_tool("docker-compose")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text("FROM busybox\nRUN mkdir /data && echo page >/data/index.html\n")
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)

    def compose(*words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, "-p", "lab", *words],
            cwd=tmp_path, env={**daemon.environment, "COMPOSE_INTERACTIVE_NO_CLI": "1"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    assert "Successfully built" in compose("build").stdout
    compose("up", "-d")
    assert "lab_web_1" in (listed := compose("ps").stdout) and "Up" in listed
    assert "serving" in compose("logs", "--no-color", "web").stdout
    assert compose("exec", "-T", "store", "wget", "-qO-", "http://web/").stdout == "page\n"
    assert compose("exec", "-T", "store", "sh", "-c", "echo $WHO").stdout == "me\n"
    compose("up", "-d", "--scale", "store=2")
    assert len(compose("ps", "-q", "store").stdout.split()) == 2
    assert compose("run", "--rm", "-T", "store", "echo", "once").stdout == "once\n"
    assert "sleep 1000" in compose("top", "store").stdout
    compose("restart", "-t", "0", "web")
    compose("down", "-v", "-t", "0")
    assert daemon.docker("ps", "-aq").stdout == ""
    assert daemon.docker("network", "ls", "-q", "--filter", "name=lab").stdout == ""
    assert daemon.docker("volume", "ls", "-q").stdout == ""


def test_python_on_whales_runs_copies_lists_and_removes(daemon: Daemon, tmp_path: Path) -> None:
    whales = pytest.importorskip("python_on_whales")
    client = whales.DockerClient(host=daemon.url, client_call=[require_tool("docker")])
    assert client.run("busybox", ["echo", "hello"], remove=True) == "hello"
    container = client.run("busybox", ["sleep", "1000"], detach=True, name="one", labels={"a": "b"})
    assert container.execute(["echo", "inside"]) == "inside"
    (tmp_path / "file").write_text("copied")
    client.copy(tmp_path / "file", (container, "/tmp/file"))
    assert container.execute(["cat", "/tmp/file"]) == "copied"
    assert [found.name for found in client.container.list(filters=[("label", "a=b")])] == ["one"]
    assert container.state.running and container.network_settings.networks["bridge"].ip_address
    assert client.container.stats()[0].container_name == "one"
    volume, network = client.volume.create("data"), client.network.create("lab")
    assert {found.name for found in client.network.list()} >= {"lab", "bridge"}
    with pytest.raises(whales.exceptions.DockerException):
        client.run("busybox", ["false"], remove=True)
    container.remove(force=True)
    volume.remove()
    network.remove()
    assert client.system.info().driver == "overlay2"


def test_testcontainers_waits_for_a_line_of_the_log(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its reaper: that is an image from Docker Hub."""
    monkeypatch.setenv("DOCKER_HOST", daemon.url)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    pytest.importorskip("testcontainers")
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    testcontainers_config.ryuk_disabled = True
    script = "echo page >/index.html; echo ready; exec httpd -f -p 80 -h /"
    wanted = DockerContainer("busybox").with_command(["sh", "-c", script]).with_exposed_ports(80)
    with wanted.waiting_for(LogMessageWaitStrategy("ready")) as container:
        code, output = container.exec(["wget", "-qO-", "http://localhost/"])
        assert (code, output) == (0, b"page\n")
        assert int(container.get_exposed_port(80)) > 0
    assert daemon.docker("ps", "-aq").stdout == ""
