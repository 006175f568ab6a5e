"""macvlan: an interface of the container's own on the host's wire, and what is said where that can't be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from minidock import network
from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.model.network import IpamPool, NetworkRequest
from minidock.network import store
from minidock.network.endpoint import shared
from minidock.network.subnets import Network
from minidock.network.teardown import remove
from minidock.paths import Layout
from minidock.steps import Live, apply_all
from tests.support.needs import has_feature, require_feature, require_root, require_tool
from tests.support.netlab import Container, Lab, ask, facts, listen, sh


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_root()
    require_tool("nft")
    made = Lab()
    yield made
    made.close()


def wired(driver: str = "macvlan", **options: str) -> NetworkRequest:
    pool = IpamPool("192.0.2.0/24", gateway="192.0.2.1", ip_range="192.0.2.128/25")
    return NetworkRequest("wire", driver=driver, pools=[pool], options={"parent": "uplink", **options})


def test_a_container_is_on_the_hosts_wire(lab: Lab, layout: Layout) -> None:
    outside = lab.outside()
    try:
        wire = store.create(layout, wired())
    except Unsupported as error:
        pytest.skip(f"this kernel has no macvlan: {error}")
    asked = HostConfig(network_mode="wire", port_bindings={"80/tcp": [PortBinding("", "8080")]})
    plan = network.plan(layout, "c" * 64, ContainerConfig(exposed_ports={"80/tcp": {}}), asked, {}, name="web")
    assert (plan.ports, plan.hold) == ({}, [])  # nothing is published there, as Docker does it
    assert plan.hosts_address == "192.0.2.128"  # the range's first that isn't somebody else's
    one = Container(plan, "c" * 64)
    lab._pids.append(one.live.pid)
    one.join()
    [eth0] = [found for found in facts("ip -j -d addr", one.live.pid) if found["ifname"] == "eth0"]
    assert eth0["linkinfo"]["info_kind"] == "macvlan"
    with listen(outside, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", "192.0.2.9", 80, server) == "192.0.2.128"  # seen as itself
    assert facts("ip -j link show type bridge") == []  # no bridge, and no rules
    one.die()
    assert one.undo() == []
    remove(layout, wire)
    assert not (layout.networks / "wire").exists()


def joined(lab: Lab, layout: Layout, digit: str) -> Container:
    plan = network.plan(layout, digit * 64, ContainerConfig(), HostConfig(network_mode="wire"), {})
    made = Container(plan, digit * 64)
    lab._pids.append(made.live.pid)
    return made.join()


def made_wire(lab: Lab, layout: Layout, request: NetworkRequest) -> Network:
    """As `network create` makes it: with its parent."""
    lab.forget_at_end(layout)
    wire = store.create(layout, request)
    apply_all(shared(layout, wire), Live())
    return wire


@pytest.mark.vm
@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_a_parent_with_a_vlan_tag_is_made_and_removed(lab: Lab, layout: Layout, driver: str) -> None:
    require_feature("dummy-link")
    outside = lab.outside()
    sh(
        f"n='nsenter -t {outside} -n'; $n ip link add link eth0 name eth0.50 type vlan id 50;"
        f"$n ip addr add 198.51.100.9/24 dev eth0.50; $n ip link set eth0.50 up"
    )
    tagged = IpamPool("198.51.100.0/24", gateway="198.51.100.9")
    wire = made_wire(
        lab, layout, NetworkRequest("wire", driver=driver, pools=[tagged], options={"parent": "uplink.50"})
    )
    [parent] = facts("ip -j -d link show uplink.50")
    assert parent["linkinfo"] == {
        "info_kind": "vlan",
        "info_data": {"protocol": "802.1Q", "id": 50, "flags": ["REORDER_HDR"]},
    }
    assert "UP" in parent["flags"]
    one = joined(lab, layout, "c")
    with listen(outside, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", "198.51.100.9", 80, server) == one.address == "198.51.100.1"
        assert ask(one.live.pid, "tcp", "192.0.2.9", 80, server) == one.address  # by the default route
    again = NetworkRequest("again", driver=driver, pools=[IpamPool("203.0.113.0/24")], options={"parent": "uplink.50"})
    second = store.create(layout, again)  # on the same wire
    one.die()
    remove(layout, wire)
    assert facts("ip -j link show uplink.50") != []  # the second hangs on it
    remove(layout, second)
    assert "uplink.50" not in sh("ip link")


@pytest.mark.vm
@pytest.mark.parametrize(
    ("driver", "mode"), [("macvlan", "bridge"), ("ipvlan", "l2"), ("ipvlan", "l3"), ("ipvlan", "l3s")]
)
def test_without_a_parent_containers_reach_each_other_and_nobody_else(
    lab: Lab, layout: Layout, driver: str, mode: str
) -> None:
    require_feature("dummy-link")
    outside = lab.outside()
    wire = made_wire(lab, layout, NetworkRequest("wire", driver=driver, options={f"{driver}_mode": mode}))
    assert wire.parent == f"dm-{wire.id[:12]}"
    one, two = joined(lab, layout, "c"), joined(lab, layout, "d")
    assert facts("ip -j route show default", one.live.pid) == []
    with listen(two.live.pid, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", two.address, 80, server) == one.address
    with listen(outside, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", "192.0.2.9", 80, server, wait=0.2) == ""
    [eth0] = [found for found in facts("ip -j -d addr", one.live.pid) if found["ifname"] == "eth0"]
    assert eth0["linkinfo"]["info_data"]["mode"] == mode
    for each in (one, two):
        each.die()
    remove(layout, wire)
    assert "dm-" not in sh("ip link")


def test_a_parent_that_cannot_be_made_is_refused_by_name(lab: Lab, layout: Layout) -> None:
    lab.outside()
    for parent, words in {
        "uplink.5000": "vlan id must be between 1-4094, received: 5000",
        "uplink.0": "vlan id must be between 1-4094, received: 0",
        "uplink.x": "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)",
        "a.b.5": "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, received: a.b.5",
        "nosuch.50": "-o parent interface was not found on the host: nosuch",
    }.items():
        with pytest.raises(MinidockError) as refused:
            store.create(layout, wired(parent=parent))
        assert str(refused.value) == words
    if not has_feature("dummy-link"):
        with pytest.raises(Unsupported, match=r"this kernel has no dummy links, and dm-[0-9a-f]{12} is not here"):
            store.create(layout, NetworkRequest("wire", driver="macvlan"))
        with pytest.raises(Unsupported, match=r"this kernel has no vlan links, and uplink\.50 is not here"):
            store.create(layout, wired(parent="uplink.50"))
    assert store.ls(layout)[0].name == "bridge" and len(store.ls(layout)) == 3


def test_what_cannot_be_is_refused_by_name(lab: Lab, layout: Layout) -> None:
    lab.outside()
    with pytest.raises(UsageError, match="requested macvlan mode 'sideways' is not valid"):
        store.create(layout, wired(macvlan_mode="sideways"))
    with pytest.raises(MinidockError, match="parent interface nosuch is not here"):
        store.create(layout, wired(parent="nosuch"))
    try:
        store.create(layout, wired(driver="ipvlan"))
    except Unsupported as error:
        assert str(error) == "this kernel has no ipvlan links"
    assert [found.name for found in store.ls(layout) if found.driver == "macvlan"] == []
