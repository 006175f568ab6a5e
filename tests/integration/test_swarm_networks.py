"""Networks of a swarm on two nodes, each a daemon in a network namespace of its own: what lies between is real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.conftest import require_root, require_tool
from tests.support.swarm import Member, apart, until

SERVE = "mkdir /w; hostname > /w/index.html; dd if=/dev/zero of=/w/big bs=1M count=3; exec httpd -f -p 80 -h /w"
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Member]]:
    require_root()
    require_tool("etcd")
    with apart() as (manager, worker):
        manager.init()
        worker.join(manager, "worker")
        yield [manager, worker]


def create(member: Member, name: str, command: str, mode: dict[str, Any], *, network: str = "", **more: Any) -> None:
    container = {"Image": "busybox", "Command": ["sh", "-c", command], "StopGracePeriod": 0}
    template = {"ContainerSpec": container, "RestartPolicy": {"Delay": 0}}
    template |= {"Networks": [{"Target": network}]} if network else {}
    member.told("POST", "/services/create", {"Name": name, "TaskTemplate": template, "Mode": mode, **more})


def running(manager: Member, name: str, number: int) -> dict[str, dict[str, Any]]:
    """By node."""
    found: list[dict[str, Any]] = []

    def all_run() -> bool:
        tasks = manager.told("GET", f'/tasks?filters={{"service":["{name}"],"desired-state":["running"]}}')
        found[:] = [task for task in tasks if task["Status"]["State"] == "running"]
        return len(found) == number

    until(all_run, f"{number} tasks of {name} to run")
    return {task["NodeID"]: task for task in found}


def container(task: dict[str, Any]) -> str:
    return str(task["Status"]["ContainerStatus"]["ContainerID"])


def address(task: dict[str, Any]) -> str:
    return str(task["NetworksAttachments"][0]["Addresses"][0]).partition("/")[0]


def links(member: Member, kind: str) -> list[dict[str, Any]]:
    said = member.there("ip", "-d", "-j", "link", "show", "type", kind).strip()
    return [found for found in json.loads(said or "[]") if found]


class Inside(NamedTuple):
    """A container, and what commands say in it."""

    member: Member
    id: str

    def said(self, command: str) -> str:
        return self.member.box("exec", self.id, "sh", "-c", command).stdout

    def comes(self, command: str, wanted: str) -> None:
        until(lambda: wanted in self.said(command), f"{wanted} from {command}")


def look_around(client: Inside, near: dict[str, Any], far: dict[str, Any]) -> None:
    """By name and by address, on this node and on the other one."""
    for task in (near, far):
        client.comes("nslookup tasks.web", address(task))
        client.comes(f"wget -qO- http://web.{task['Slot']}.{task['ID']}/", container(task)[:12])
    assert "1 packets received" in client.said(f"ping -c 1 -w 5 {address(far)}")
    assert client.said(f"wget -qO- http://{address(far)}/big | wc -c") == f"{3 << 20}\n", "packets as big as they get"
    ids = sorted(2 * [container(task)[:12] for task in (near, far)])
    four = "for turn in 1 2 3 4; do wget -qO- http://web/; done"
    until(lambda: sorted(client.said(four).split()) == ids, "each in turn")
    assert "mtu 1450" in client.said("ip link show eth0")


def test_tasks_on_two_nodes_are_on_one_network_and_nothing_of_it_stays(pair: list[Member]) -> None:
    manager, worker = pair
    manager.told("POST", "/networks/create", {"Name": "back", "Driver": "overlay"})
    create(manager, "web", SERVE, {"Replicated": {"Replicas": 2}}, network="back")
    create(manager, "client", "sleep 999", {"Global": {}}, network="back")
    web, clients = running(manager, "web", 2), running(manager, "client", 2)
    assert set(web) == set(clients), "one on each node"
    for member in pair:
        me = member.info()["NodeID"]
        (other,) = set(web) - {me}
        look_around(Inside(member, container(clients[me])), web[me], web[other])
        (cable,) = links(member, "vxlan")
        assert (cable["mtu"], cable["linkinfo"]["info_data"]["id"]) == (1450, 4097)
    manager.told("DELETE", "/services/web")
    worker.kill()
    manager.told("DELETE", "/services/client")
    worker.start()
    for member in pair:
        until(lambda at=member: not links(at, "vxlan"), "the cable to go")  # type: ignore[misc]
        until(lambda at=member: "back" not in at.box("network", "ls").stdout, "the bridge to go")  # type: ignore[misc]
    manager.told("DELETE", "/networks/back")


def test_a_published_port_answers_on_every_node(pair: list[Member]) -> None:
    manager, worker = pair
    published = {"Ports": [{"TargetPort": 80, "PublishedPort": 8080}, {"TargetPort": 81, "Protocol": "udp"}]}
    create(manager, "page", SERVE, {"Replicated": {"Replicas": 2}}, EndpointSpec=published)
    page = running(manager, "page", 2)
    ids = sorted(container(task)[:12] for task in page.values())
    ports = manager.told("GET", "/services/page")["Endpoint"]["Ports"]
    assert 30000 <= ports[1]["PublishedPort"] <= 32767

    def asked(member: Member, address: str) -> str:
        return member.there("curl", "-sS", "--max-time", "5", f"http://{address}:8080/")

    for member, own in ((manager, "192.0.2.1"), (worker, "192.0.2.2"), (manager, "192.0.2.2"), (worker, "127.0.0.1")):
        until(lambda at=member, to=own: {asked(at, to).strip() for _ in ids} == set(ids), "both")  # type: ignore[misc]
        four = [asked(member, own).strip() for _ in range(4)]
        assert sorted(four) == sorted(2 * ids), "each in turn"
    constraint = {"Constraints": [f"node.id == {manager.info()['NodeID']}"]}
    service = manager.told("GET", "/services/page")
    service["Spec"]["TaskTemplate"]["Placement"] = constraint
    service["Spec"]["Mode"] = {"Replicated": {"Replicas": 1}}
    manager.told("POST", f"/services/page/update?version={service['Version']['Index']}", service["Spec"])
    until(lambda: worker.box("ps", "-q").stdout == "", "the worker to have no task")
    (task,) = running(manager, "page", 1).values()
    for _ in range(3):
        assert asked(worker, "192.0.2.2").strip() == container(task)[:12], "the node without a task passes it on"
    manager.told("DELETE", "/services/page")
    for member in pair:
        until(lambda at=member: not links(at, "vxlan"), "the cable to go")  # type: ignore[misc]
        until(lambda at=member: "curl: (7)" in asked(at, "127.0.0.1"), "the port to close")  # type: ignore[misc]
