"""Networks of a swarm: what the leader gives away, what nodes are told of it, and the rules that come of that."""

from __future__ import annotations

import errno
from ipaddress import IPv4Network
from typing import Any

import pytest

from minidock.errors import Conflict, MinidockError, SystemCallFailed, Unsupported, UsageError
from minidock.kernel import vxlan
from minidock.network import balance
from minidock.steps import Live
from minidock.swarm import addressing, landscape, networks, services, subnets
from minidock.swarm.objects import Stored, TaskState
from tests.unit.test_swarm_loops import Swarm


@pytest.fixture(autouse=True)
def no_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine routes would decide which subnets are taken."""
    monkeypatch.setattr(subnets, "routed", lambda: iter([IPv4Network("10.0.1.0/24")]))


def made(swarm: Swarm, name: str, **more: Any) -> str:
    id = str(networks.create(swarm.store, {"Name": name, **more})["Id"])
    swarm.turn()
    return id


def on(*names: str) -> dict[str, Any]:
    return {"Networks": [{"Target": name} for name in names]}


def network(swarm: Swarm, id: str) -> Stored:
    found = swarm.store.get("network", id)
    assert found is not None
    return found


def endpoint(swarm: Swarm, id: str) -> dict[str, Any]:
    service = swarm.store.get("service", id)
    assert service is not None
    return dict(service.body["Endpoint"])


def addresses(tasks: list[Stored]) -> list[str]:
    return sorted(address for task in tasks for address in addressing.of_task(task).values())


def test_the_leader_gives_networks_a_subnet_that_is_not_routed_and_a_number() -> None:
    swarm = Swarm()
    asked = [{"Subnet": "10.0.3.0/24", "Gateway": "10.0.3.9", "IPRange": "10.0.3.128/25"}]
    ids = [made(swarm, "one"), made(swarm, "two"), made(swarm, "three", IPAM={"Config": asked}), made(swarm, "four")]
    found = [networks.shown(network(swarm, id)) for id in ids]
    pools = [each["IPAM"]["Config"] for each in found]
    assert [pool["Subnet"] for (pool,) in pools] == ["10.0.0.0/24", "10.0.2.0/24", "10.0.3.0/24", "10.0.4.0/24"]
    assert pools[0] == [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}] and pools[2] == asked
    assert [subnets.vni(network(swarm, id)) for id in ids] == [4097, 4098, 4099, 4100]
    assert networks.remove(swarm.store, "one") and "Aside" not in found[0]
    assert subnets.vni(network(swarm, made(swarm, "five"))) == 4097
    with pytest.raises(UsageError, match="Pool overlaps with other one"):
        made(swarm, "six", IPAM={"Config": [{"Subnet": "10.0.3.64/26"}]})
    with pytest.raises(UsageError, match="invalid subnet x"):
        made(swarm, "six", IPAM={"Config": [{"Subnet": "x"}]})


def test_a_service_has_a_virtual_address_and_each_task_its_own() -> None:
    swarm = Swarm()
    net = made(swarm, "net")
    service = swarm.service(replicas=2, template=on("net"))
    assert endpoint(swarm, service) == {
        "Spec": {"Mode": "vip"},
        "VirtualIPs": [{"NetworkID": net, "Addr": "10.0.0.2/24"}],
    }
    assert addresses(swarm.tasks()) == ["10.0.0.3/24", "10.0.0.4/24"]
    shown = swarm.tasks()[0].body["NetworksAttachments"][0]["Network"]
    assert (shown["ID"], shown["Spec"]["Name"]) == (net, "net")
    assert shown["DriverState"] == {"Name": "overlay", "Options": {subnets.VNI: "4097"}}
    assert shown["IPAMOptions"]["Configs"] == [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}]
    other = swarm.service(template=on("net"), EndpointSpec={"Mode": "dnsrr"})
    assert "VirtualIPs" not in endpoint(swarm, other)


def test_an_update_keeps_the_address_and_follows_the_networks() -> None:
    swarm = Swarm()
    one, two = made(swarm, "one"), made(swarm, "two")
    service = swarm.service(template=on("one"))
    before = endpoint(swarm, service)["VirtualIPs"]
    swarm.update(service, lambda spec: spec["TaskTemplate"].update(ForceUpdate=1))
    assert endpoint(swarm, service)["VirtualIPs"] == before
    swarm.update(service, lambda spec: spec["TaskTemplate"].update(on("one", "two")))
    assert [each["NetworkID"] for each in endpoint(swarm, service)["VirtualIPs"]] == [one, two]
    assert endpoint(swarm, service)["VirtualIPs"][0] == before[0]
    swarm.update(service, lambda spec: spec.update(EndpointSpec={"Mode": "dnsrr"}))
    assert "VirtualIPs" not in endpoint(swarm, service)


def test_an_address_that_was_left_is_the_last_to_be_given_again() -> None:
    swarm = Swarm()
    made(swarm, "net", IPAM={"Config": [{"Subnet": "10.5.0.0/29"}]})  # six addresses, one is the gateway's
    service = swarm.service(replicas=2, template={**on("net"), "RestartPolicy": {"Delay": 0}})
    swarm.settle()

    def kill() -> list[str]:
        swarm.say(swarm.tasks(TaskState.RUNNING)[0], TaskState.FAILED)
        swarm.settle()
        return addresses(swarm.tasks(TaskState.RUNNING))

    assert addresses(swarm.tasks(TaskState.RUNNING)) == ["10.5.0.3/29", "10.5.0.4/29"]
    assert kill() == ["10.5.0.4/29", "10.5.0.6/29"], "10.5.0.5 is the node's own"
    assert kill() == ["10.5.0.3/29", "10.5.0.6/29"]
    swarm.update(service, lambda spec: spec["Mode"]["Replicated"].update(Replicas=5))
    waiting = {task.body["Status"].get("Err") for task in swarm.tasks(TaskState.NEW)}
    assert waiting == {"no address is left on network net"}


def test_a_node_is_told_who_is_on_its_networks() -> None:
    swarm = Swarm()
    net = made(swarm, "net")
    swarm.service(replicas=2, template={"Networks": [{"Target": "net", "Aliases": ["alias"]}]})
    swarm.service(template=on("net"), EndpointSpec={"Mode": "dnsrr"})
    assert landscape.of(swarm.store, "n9") == {}
    told = landscape.of(swarm.store, "n0")[net]
    assert told["Here"] == ["10.0.0.3", "10.0.0.4", "10.0.0.6"], "10.0.0.5 is the node's own"
    assert told["Services"] == {"10.0.0.2": []} and "tasks.web0" not in told["Names"], "none runs yet"
    swarm.settle()
    told = landscape.of(swarm.store, "n0")[net]
    assert told["Services"] == {"10.0.0.2": ["10.0.0.3", "10.0.0.4"]}
    named = {name: found for name, found in told["Names"].items() if name.count(".") < 2}
    assert named == {
        "web0": ["10.0.0.2"],
        "alias": ["10.0.0.2"],
        "tasks.web0": ["10.0.0.3", "10.0.0.4"],
        "web1": ["10.0.0.6"],
        "tasks.web1": ["10.0.0.6"],
    }
    assert len(told["Names"]) == 5 + 3, "and each task by its own name"


PUBLISHED = {"Ports": [{"Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080}]}


def test_a_published_port_is_every_nodes_on_the_network_ingress() -> None:
    swarm = Swarm(nodes=3)
    net = made(swarm, "net")
    assert [each["Name"] for each in networks.all_shown(swarm.store)] == ["net"], "nobody publishes anything yet"
    service = swarm.service(replicas=2, template=on("net"), EndpointSpec=PUBLISHED)
    (ingress,) = [found for found in swarm.store.all("network") if found.body["Ingress"]]
    assert (ingress.body["Name"], subnets.vni(ingress)) == ("ingress", 4096)
    assert [each["NetworkID"] for each in endpoint(swarm, service)["VirtualIPs"]] == [ingress.id, net]
    assert set(addressing.of_nodes(ingress)) == {"n0", "n1", "n2"}
    assert all(list(addressing.of_task(task)) == [ingress.id, net] for task in swarm.tasks())
    swarm.settle()
    own = {task.id: addressing.plain(addressing.of_task(task)[ingress.id]) for task in swarm.tasks()}
    behind = {task.body["NodeID"]: {task.id: own[task.id]} for task in swarm.tasks()}
    told = {node: landscape.of(swarm.store, node) for node in swarm.nodes}
    assert set(told["n2"]) == {ingress.id} and set(told["n0"]) == {ingress.id, net}
    assert told["n2"][ingress.id]["Ports"][0]["Tasks"] == {**behind["n0"], **behind["n1"]}
    assert told["n0"][ingress.id]["Ports"][0]["Tasks"] == behind["n1"], "of its own a node knows"
    assert told["n0"][ingress.id]["Names"] == {}
    with pytest.raises(MinidockError, match=f"cannot be removed because service {service} depends on it"):
        networks.remove(swarm.store, "ingress")
    services.remove(swarm.store, service)
    swarm.settle()
    assert landscape.of(swarm.store, "n2") == {} and networks.remove(swarm.store, "ingress")
    with pytest.raises(Conflict, match="network with name ingress already exists"):
        made(swarm, "ingress")


@pytest.mark.parametrize(
    ("template", "port"),
    [({"Networks": [{"Target": "host"}]}, {}), ({}, {"PublishMode": "host"})],
)
def test_ports_of_a_node_alone_need_no_mesh(template: dict[str, Any], port: dict[str, Any]) -> None:
    swarm = Swarm()
    swarm.service(template=template, EndpointSpec={"Ports": [{**PUBLISHED["Ports"][0], **port}]})
    assert swarm.store.all("network") == [] and len(swarm.tasks(TaskState.ASSIGNED)) == 1


def test_a_kernel_without_vxlan_and_a_number_that_is_taken_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cable = vxlan.CreateTunnel("vx-none", "md-none", 4097, 4789, "192.0.2.1", "02:42:0a:00:00:05", 1450)
    assert "type vxlan id 4097 dstport 4789 local 192.0.2.1 nolearning proxy" in cable.shell()
    for number, kind, said in (
        (errno.EOPNOTSUPP, Unsupported, "this kernel has no vxlan links"),
        (errno.EEXIST, Conflict, "VNI 4097 at UDP port 4789 is somebody else's"),
    ):
        failure = SystemCallFailed("ip link add", number)
        monkeypatch.setattr(vxlan.link, "create", lambda *given, failure=failure, **named: _raise(failure))
        with pytest.raises(kind, match=said):
            cable.apply(Live())


def _raise(error: Exception) -> None:
    raise error


def test_connections_are_shared_out_in_turn_and_refused_where_nobody_is() -> None:
    told = balance.rules({"10.0.0.2": ["10.0.0.3", "10.0.0.4"], "10.0.0.5": ["10.0.0.6"], "10.0.0.7": []}, 1)
    assert "ip daddr 10.0.0.2 dnat to numgen inc mod 2 map { 0 : 10.0.0.4, 1 : 10.0.0.3 }\n" in told
    assert "ip daddr 10.0.0.5 dnat to 10.0.0.6\n" in told
    assert "ip daddr 10.0.0.7 reject\n" in told


def test_tasks_of_a_network_spread_and_each_node_is_told_where_the_others_are() -> None:
    swarm = Swarm(nodes=3)
    net = made(swarm, "net")
    swarm.change_node("n1", Status={"Addr": "192.0.2.1"})
    node = swarm.store.get("node", "n1")
    assert node is not None
    swarm.store.update("node", "n1", {**node.body, "Aside": {"DataPath": "198.51.100.1"}}, node.revision)
    swarm.service(replicas=2, template=on("net"))
    assert {task.body["NodeID"] for task in swarm.tasks(TaskState.ASSIGNED)} == {"n0", "n1"}
    own = addressing.of_nodes(network(swarm, net))
    assert own == {"n0": "10.0.0.5", "n1": "10.0.0.6"} and landscape.of(swarm.store, "n2") == {}
    here, there = (landscape.of(swarm.store, node)[net] for node in ("n0", "n1"))
    assert (here["Gateway"], here["Local"], here["VNI"], here["Port"]) == ("10.0.0.5", "10.0.0.1", 4097, 4789)
    assert here["Peers"] == dict.fromkeys([*there["Here"], "10.0.0.6"], "198.51.100.1")
    assert there["Peers"] == dict.fromkeys([*here["Here"], "10.0.0.5"], "10.0.0.1")
    swarm.store.delete("node", "n1")
    swarm.turn()
    assert set(addressing.of_nodes(network(swarm, net))) == {"n0", "n2"}
