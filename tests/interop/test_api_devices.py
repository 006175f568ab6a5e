"""DeviceRequests over the API: docker-py and the docker command ask for CDI devices and GPUs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import docker
import pytest

from tests.support.api import Daemon


@pytest.fixture
def offered(daemon: Daemon, tmp_path: Path) -> Path:
    """A directory of CDI files, which the daemon was told of by its flag: two devices of a made-up vendor."""
    devices = [{"name": str(n), "containerEdits": {"env": [f"ACC_{n}=yes"]}} for n in (0, 1)]
    spec = {"cdiVersion": "0.7.0", "kind": "nvidia.com/gpu", "devices": devices}
    (tmp_path / "acc.json").write_text(json.dumps(spec))
    daemon.stop()
    daemon.words = ["--cdi-spec-dir", str(tmp_path)]
    daemon.start()
    return tmp_path


def test_device_requests_of_docker_py_and_of_dockers_command(daemon: Daemon, offered: Path) -> None:
    client = docker.DockerClient(base_url=daemon.url)
    request = docker.types.DeviceRequest
    for asked, seen in (
        (request(count=-1, capabilities=[["gpu"]]), "yes yes 0,1"),
        (request(device_ids=["1"], capabilities=[["gpu"]]), " yes 1"),
        (request(driver="cdi", device_ids=["nvidia.com/gpu=0"]), "yes  "),
    ):
        command = ["sh", "-c", 'echo "$ACC_0 $ACC_1 $NVIDIA_VISIBLE_DEVICES"']
        said = client.containers.run("busybox", command, device_requests=[asked], remove=True)
        assert said.decode().rstrip("\n") == seen
    told = client.info()
    assert told["CDISpecDirs"] == [str(offered)]
    assert [device["ID"] for device in told["DiscoveredDevices"]] == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    made = client.containers.create("busybox", "true", device_requests=[request(count=1, capabilities=[["gpu"]])])
    kept = client.api.inspect_container(made.id)["HostConfig"]["DeviceRequests"]
    assert kept == [{"Driver": "", "Count": 1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]
    made.remove()
    client.close()
    ran = daemon.docker("run", "--rm", "--gpus", "device=1", "busybox", "sh", "-c", "echo $ACC_1")
    assert ran.stdout == "yes\n", ran.stderr


def test_what_is_not_offered_is_an_error_that_says_what_is(daemon: Daemon, offered: Path) -> None:
    client = docker.DockerClient(base_url=daemon.url)
    asked = docker.types.DeviceRequest(driver="cdi", device_ids=["acme.com/x=0"])
    with pytest.raises(docker.errors.APIError) as caught:
        client.containers.run("busybox", "true", device_requests=[asked], remove=True)
    client.close()
    told = str(caught.value)
    for words in ("unresolvable CDI devices acme.com/x=0", f"{offered}/acc.json", "nvidia.com/gpu=0, nvidia.com/gpu=1"):
        assert words in told


COMPOSE = """
services:
  reserves: &service
    image: busybox
    command: ["sh", "-c", "echo $$ACC_0 $$ACC_1 $$NVIDIA_VISIBLE_DEVICES"]
    deploy: {resources: {reservations: {devices: [{driver: nvidia, device_ids: ["1"], capabilities: [gpu]}]}}}
  counts:
    <<: *service
    deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}
  runtime:
    <<: *service
    deploy: {}
    runtime: nvidia
    environment: {NVIDIA_VISIBLE_DEVICES: "0"}
  short:
    <<: *service
    deploy: {}
    gpus: all
  named:
    <<: *service
    deploy: {}
    devices: ["nvidia.com/gpu=0"]
"""


def test_every_way_of_a_compose_file(daemon: Daemon, offered: Path, tmp_path: Path) -> None:
    program = Path(pytest.importorskip("compose").__file__).parent / "docker-compose"
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "compose.yaml").write_text(COMPOSE)
    words = [str(program), "--project-directory", str(tmp_path / "project"), "-p", "gpus"]
    env = os.environ | {"DOCKER_HOST": daemon.url}
    ran = subprocess.run([*words, "up", "--no-color"], env=env, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    rows = (line.partition("|") for line in ran.stdout.splitlines())
    said = {name.strip().removesuffix("-1"): text.strip() for name, _, text in rows if text.strip()}
    subprocess.run([*words, "down"], env=env, capture_output=True, check=True, timeout=120)
    assert said == {
        "reserves": "yes 1", "counts": "yes yes 0,1", "runtime": "yes 0", "short": "yes yes 0,1", "named": "yes",
    }  # fmt: skip
