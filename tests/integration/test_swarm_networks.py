"""Networks of a swarm on two nodes, each a daemon in a network namespace of its own: what lies between is real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

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


def test_tasks_on_two_nodes_are_on_one_network_and_nothing_of_it_stays(pair: list[Member]) -> None:
    manager, worker = pair
    manager.told("POST", "/networks/create", {"Name": "back", "Driver": "overlay"})
    create(manager, "web", SERVE, {"Replicated": {"Replicas": 2}}, network="back")
    create(manager, "client", "sleep 999", {"Global": {}}, network="back")
    web, clients = running(manager, "web", 2), running(manager, "client", 2)
    assert set(web) == set(clients), "one on each node"
    ids = {node: container(task)[:12] for node, task in web.items()}
    for member in pair:
        me = member.info()["NodeID"]
        (other,) = set(web) - {me}

        def said(command: str, at: Member = member, id: str = container(clients[me])) -> str:
            return at.box("exec", id, "sh", "-c", command).stdout

        until(lambda ask=said: "tasks.web" in ask("nslookup tasks.web"), "names")  # type: ignore[misc]
        far = address(web[other])
        until(lambda ask=said, far=far: far in ask("nslookup tasks.web"), "the far task's name")  # type: ignore[misc]
        assert "1 packets received" in said(f"ping -c 1 -w 5 {far}")
        name = f"web.{web[other]['Slot']}.{web[other]['ID']}"
        assert said(f"wget -qO- http://{name}/") == ids[other] + "\n"
        assert said(f"wget -qO- http://{name}/big | wc -c") == f"{3 << 20}\n", "packets as big as they get"
        four = said("for turn in 1 2 3 4; do wget -qO- http://web/; done").split()
        assert sorted(four) == sorted(2 * list(ids.values())), "each in turn"
        assert "mtu 1450" in said("ip link show eth0")
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
