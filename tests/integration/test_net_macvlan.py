"""macvlan: an interface of the container's own on the host's wire, and what is said where that can't be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from minidock import network
from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig
from minidock.model.network import IpamPool, NetworkRequest
from minidock.network import store
from minidock.network.teardown import remove
from minidock.paths import Layout
from tests.support.needs import require_root, require_tool
from tests.support.netlab import Container, Lab, ask, facts, listen


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
    plan = network.plan(layout, "c" * 64, ContainerConfig(), HostConfig(network_mode="wire"), {}, name="web")
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


def test_what_cannot_be_is_refused_by_name(lab: Lab, layout: Layout) -> None:
    lab.outside()
    with pytest.raises(UsageError, match="needs a parent"):
        store.create(layout, NetworkRequest("wire", driver="macvlan"))
    with pytest.raises(UsageError, match="requested macvlan mode 'sideways' is not valid"):
        store.create(layout, wired(macvlan_mode="sideways"))
    with pytest.raises(MinidockError, match="parent interface nosuch is not here"):
        store.create(layout, wired(parent="nosuch"))
    try:
        store.create(layout, wired(driver="ipvlan"))
    except Unsupported as error:
        assert str(error) == "this kernel has no ipvlan links"
    assert [found.name for found in store.ls(layout) if found.driver == "macvlan"] == []
