"""Real clients pull and push through the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.support import registry as registries
from tests.support.api import Daemon
from tests.support.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with registries.running(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Registry]:
    """Only bob may come in, with `secret`."""
    made = Registry(tmp_path / "guarded")
    made.start(auth=made.basic_auth())
    yield made
    made.stop()


def test_the_command_pushes_pulls_and_runs_what_is_not_here(daemon: Daemon, registry: Registry) -> None:
    name = f"{registry.address}/team/box:1"
    daemon.docker("tag", "busybox", name)
    pushed = daemon.docker("push", name)
    assert f"digest: {registry.digest('team/box', '1')}" in pushed.stdout, pushed
    daemon.docker("rmi", name)
    pulled = daemon.docker("pull", name)
    assert pulled.returncode == 0 and f"Status: Downloaded newer image for {name}" in pulled.stdout, pulled
    daemon.docker("rmi", name)
    ran = daemon.docker("run", "--rm", name, "echo", "from afar")
    assert ran.stdout == "from afar\n" and f"Unable to find image '{name}' locally" in ran.stderr
    missing = daemon.docker("pull", f"{registry.address}/team/nosuch")
    assert missing.returncode == 1 and "nosuch" in missing.stderr and "Traceback" not in missing.stderr


def test_docker_py_pushes_with_a_password_and_hears_of_wrong_ones(
    client: docker.DockerClient, guarded: Registry
) -> None:
    name = f"{guarded.address}/box"
    client.images.get("busybox").tag(name, "2")
    right = {"username": "bob", "password": "secret"}
    lines = list(client.images.push(name, tag="2", auth_config=right, stream=True, decode=True))
    assert [line["aux"]["Digest"] for line in lines if "aux" in line] == [
        client.images.get_registry_data(f"{name}:2", auth_config=right).id
    ]
    refused = list(
        client.images.push(name, tag="2", auth_config={"username": "bob", "password": "no"}, decode=True, stream=True)
    )
    assert "errorDetail" in refused[-1]
    client.images.remove(f"{name}:2")
    with pytest.raises(docker.errors.APIError):
        client.images.pull(name, tag="2", auth_config={"username": "bob", "password": "no"})
    assert client.images.pull(name, tag="2", auth_config=right).tags
    assert client.login("bob", "secret", registry=guarded.address)["Status"] == "Login Succeeded"
    with pytest.raises(docker.errors.APIError) as caught:
        client.api.login("bob", "wrong", registry=guarded.address, reauth=True)
    assert caught.value.status_code in (401, 500)
