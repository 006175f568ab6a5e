"""Compose v2 at its daily work. It is a program of its own here, as no client's plugin is needed to speak the API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.api import Daemon
from tests.support.instance import SLOWNESS

FILE = """
services:
  web:
    build: web
    image: mdt-web
    command: ["sh", "-c", "echo serving; exec httpd -f -p 80 -h /data"]
    volumes: ["content:/data"]
    depends_on: {store: {condition: service_healthy}, setup: {condition: service_completed_successfully}}
    networks: [front, back]
    stop_signal: SIGKILL
  store:
    image: busybox
    command: ["sleep", "1000"]
    environment: {WHO: me}
    healthcheck: {test: ["CMD", "true"], interval: 1s}
    networks: {back: {aliases: [shelf]}}
    stop_signal: SIGKILL
  setup:
    image: busybox
    command: ["true"]
    networks: [back]
volumes: {content: {}}
networks: {front: {}, back: {internal: true}}
"""
Compose = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compose(daemon: Daemon, tmp_path: Path) -> Compose:
    """`compose("up", "-d")` in a project of two services that stay and one that ends."""
    program = Path(pytest.importorskip("compose").__file__).parent / "docker-compose"
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text("FROM busybox\nRUN mkdir /data && echo page >/data/index.html\n")
    (tmp_path / "compose.yaml").write_text(FILE)

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, "-p", "lab", *words],
            cwd=tmp_path, env={**daemon.environment, "DOCKER_BUILDKIT": "0"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOWNESS,
        )  # fmt: skip
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done

    return run


def test_compose_2_brings_up_looks_executes_and_takes_down(compose: Compose, daemon: Daemon) -> None:
    compose("up", "-d", "--wait", "web")
    assert _listed(compose) == {"lab-web-1": ("running", ""), "lab-store-1": ("running", "healthy")}
    assert "lab-setup-1" in compose("ps", "-a", "--format", "{{.Name}} {{.ExitCode}}", "setup").stdout
    assert compose("logs", "--no-color", "--no-log-prefix", "web").stdout == "serving\n"
    assert compose("exec", "-T", "store", "wget", "-qO-", "http://web/").stdout == "page\n"
    assert compose("exec", "-T", "web", "ping", "-c1", "shelf").stdout
    assert compose("exec", "-T", "store", "sh", "-c", "echo $WHO; exit 3", code=3).stdout == "me\n"
    assert compose("run", "--rm", "-T", "--no-deps", "store", "echo", "once").stdout == "once\n"
    compose("up", "-d", "--no-recreate", "--scale", "store=2")
    assert len(compose("ps", "-q", "store").stdout.split()) == 2
    compose("restart", "web")
    compose("stop", "web")
    assert set(_listed(compose)) == {"lab-store-1", "lab-store-2"}
    compose("down", "-v")
    for words in (("ps", "-aq"), ("network", "ls", "-qf", "name=lab"), ("volume", "ls", "-q")):
        assert daemon.docker(*words).stdout == "", words


def test_compose_2_is_told_what_cannot_be(compose: Compose, daemon: Daemon) -> None:
    assert 'service "web" is not running' in compose("exec", "-T", "web", "true", code=1).stderr
    failed = compose("run", "--rm", "-T", "--no-deps", "store", "/nope", code=1)
    assert "/nope" in failed.stderr and "no such file or directory" in failed.stderr
    compose("down")
    assert daemon.docker("ps", "-aq").stdout == ""


def _listed(compose: Compose) -> dict[str, tuple[str, str]]:
    """State and health by name of what runs."""
    found = [json.loads(line) for line in compose("ps", "--format", "json").stdout.splitlines()]
    return {one["Name"]: (one["State"], one["Health"]) for one in found}
