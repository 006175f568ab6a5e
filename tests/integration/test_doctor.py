"""doctor network: it finds what is in the way, and says what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock import network
from minidock.model import NetworkRequest
from minidock.network import doctor, store
from minidock.paths import Layout
from tests.support.needs import require_root, require_tool
from tests.support.netlab import Lab, sh


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_root()
    require_tool("nft")
    made = Lab()
    yield made
    made.close()


def found(layout: Layout, about: str) -> list[str]:
    return [f"{one.level}: {one.text} {one.advice}" for one in doctor.examine(layout) if one.about == about]


def test_a_bare_host(lab: Lab, layout: Layout) -> None:
    assert found(layout, "forwarding")[0].startswith("note: net.ipv4.ip_forward is 0")
    assert found(layout, "way out")[0].startswith("note: the host has no default route")
    assert found(layout, "firewalls") == ["ok: nobody drops forwarded packets by policy "]
    assert found(layout, "subnets") == ["ok: no network meets a route of the host "]
    assert not layout.root.exists()


def test_firewalls_that_drop_are_named_and_whether_they_are_passed(lab: Lab, layout: Layout) -> None:
    sh("nft add table inet strict; nft add chain inet strict f '{ type filter hook forward priority 0; policy drop; }'")
    assert "gets rules" in found(layout, "firewalls")[0]
    lab.start(layout, 1)
    assert "chain inet strict f drops" in found(layout, "firewalls")[0]
    assert "has our rules" in found(layout, "firewalls")[0]
    network.teardown(layout)


def test_a_route_that_meets_a_network_is_bad(lab: Lab, layout: Layout) -> None:
    store.create(layout, NetworkRequest("shop"))
    sh("ip link add vpn type bridge; ip addr add 172.18.77.1/24 dev vpn; ip link set vpn up")
    [told] = found(layout, "subnets")
    assert told.startswith("bad: network shop (172.18.0.0/16) meets the route to 172.18.77.0/24 by vpn")
    sh("ip link delete vpn")


def test_a_small_way_out_is_told(lab: Lab, layout: Layout) -> None:
    lab.outside()
    sh("ip link set uplink mtu 1300; ip route add default via 192.0.2.9")
    assert found(layout, "way out")[0] == "ok: uplink by 192.0.2.9, MTU 1300 "
    assert "carries 1300 bytes" in found(layout, "way out")[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nameserver 10.0.0.53\n", "ok: name servers: 10.0.0.53"),
        ("nameserver 127.0.0.1\n", "note: 127.0.0.1 on the host's loopback"),
        ("", "note: the host has no name server"),
    ],
)
def test_resolvers(
    lab: Lab, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setattr("minidock.network.resolv.host_text", lambda: text)
    assert found(layout, "names")[0].startswith(said)
