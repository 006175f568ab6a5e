"""Real clients make networks and volumes, and use them."""

from __future__ import annotations

import docker
import pytest

from tests.support.api import Daemon


def test_the_command_makes_connects_inspects_and_removes_networks(daemon: Daemon) -> None:
    made = daemon.docker("network", "create", "--subnet", "10.231.7.0/24", "--label", "a=b", "lab").stdout.strip()
    assert len(made) == 64
    assert (
        daemon.docker("network", "ls", "--filter", "label=a=b", "--format", "{{.Name}} {{.Driver}}").stdout
        == "lab bridge\n"
    )
    daemon.docker("run", "-d", "--name", "one", "--network", "lab", "busybox", "sleep", "1000")
    ran = daemon.docker("run", "--rm", "--network", "lab", "busybox", "ping", "-c", "1", "-W", "5", "one")
    assert ran.returncode == 0, ran
    where = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}"
    assert daemon.docker("network", "inspect", "-f", where, "lab").stdout.startswith("one 10.231.7.")
    busy = daemon.docker("network", "rm", "lab")
    assert busy.returncode == 1 and "has active endpoints" in busy.stderr
    assert daemon.docker("network", "disconnect", "lab", "one").returncode == 0
    assert daemon.docker("network", "connect", "--alias", "uno", "lab", "one").returncode == 0
    assert daemon.docker("network", "disconnect", "-f", "lab", "one").returncode == 0
    assert daemon.docker("network", "rm", "lab").stdout == "lab\n"
    assert "network lab not found" in daemon.docker("network", "inspect", "lab").stderr
    daemon.docker("network", "create", "idle")
    assert "idle" in daemon.docker("network", "prune", "-f").stdout


def test_the_command_makes_uses_and_prunes_volumes(daemon: Daemon) -> None:
    assert daemon.docker("volume", "create", "--label", "a=b", "data").stdout == "data\n"
    daemon.docker("run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo kept >/data/file")
    assert daemon.docker("run", "--rm", "-v", "data:/data:ro", "busybox", "cat", "/data/file").stdout == "kept\n"
    assert daemon.docker("volume", "ls", "-q", "--filter", "label=a=b").stdout == "data\n"
    assert daemon.docker("volume", "inspect", "-f", "{{.Driver}} {{.Labels.a}}", "data").stdout == "local b\n"
    assert "data" in daemon.docker("system", "df", "-v").stdout
    assert "data" not in daemon.docker("volume", "prune", "-f").stdout
    assert "data" in daemon.docker("volume", "prune", "-af").stdout
    assert "no such volume" in daemon.docker("volume", "inspect", "data").stderr.lower()


def test_docker_py_makes_networks_and_volumes(client: docker.DockerClient) -> None:
    pool = docker.types.IPAMPool(subnet="10.231.8.0/24", gateway="10.231.8.9")
    network = client.networks.create("py", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"x": "y"})
    assert network.attrs["IPAM"]["Config"] == [{"Subnet": "10.231.8.0/24", "Gateway": "10.231.8.9"}]
    assert network.attrs["IPAM"]["Options"] is None, "nobody gave any"
    assert [found.name for found in client.networks.list(filters={"type": "custom"})] == ["py"]
    container = client.containers.create("busybox", ["sleep", "1000"])
    network.connect(container, ipv4_address="10.231.8.50", aliases=["there"])
    container.start()
    container.reload()
    assert container.attrs["NetworkSettings"]["Networks"]["py"]["IPAddress"] == "10.231.8.50"
    network.disconnect(container)
    container.remove(force=True)
    network.remove()
    with pytest.raises(docker.errors.NotFound):
        client.networks.get("py")
    volume = client.volumes.create(labels={"x": "y"})
    assert volume.id in [found.id for found in client.volumes.list(filters={"label": "x"})]
    volume.remove()
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(volume.id)


def test_an_older_client_may_join_ipc_and_ask_for_an_address_that_is_not_given(daemon: Daemon) -> None:
    """Two things that docker-compose 1.29 does: it speaks 1.38, and says enable_ipv6 where nobody looks."""
    client = docker.APIClient(base_url=daemon.url, version="1.38", timeout=30)
    made = client.create_container("busybox", "true", name="one")["Id"]
    assert client.inspect_container(made)["HostConfig"]["IpcMode"] == "shareable"
    pools = [docker.types.IPAMPool(subnet=subnet) for subnet in ("10.231.8.0/24", "fd00:7::/64")]
    client.create_network("both", ipam=docker.types.IPAMConfig(pool_configs=pools))
    asked = client.create_endpoint_config(ipv4_address="10.231.8.77", ipv6_address="fd00:7::77")
    client.connect_container_to_network(made, "both", "10.231.8.77", "fd00:7::77")
    client.start(made)
    found = client.inspect_container(made)["NetworkSettings"]["Networks"]["both"]
    assert found["IPAMConfig"] == asked["IPAMConfig"]
    client.wait(made)
    client.remove_container(made)
    client.remove_network("both")
    client.close()
