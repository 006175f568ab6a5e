"""doctor network: it finds what is in the way, and says what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock import network
from minidock.model.network import NetworkRequest
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
    assert found(layout, "firewalls") == ["ok: nobody drops our containers' packets "]
    assert found(layout, "subnets") == ["ok: no network meets a route of the host "]
    assert not layout.root.exists()


def test_firewalls_that_drop_are_named_and_whether_they_are_passed(lab: Lab, layout: Layout) -> None:
    sh("nft add table inet strict; nft add chain inet strict f '{ type filter hook forward priority 0; policy drop; }'")
    assert "gets rules" in found(layout, "firewalls")[0]
    lab.start(layout, 1)
    assert "chain inet strict f drops" in found(layout, "firewalls")[0]
    assert "has our rules" in found(layout, "firewalls")[0]
    network.teardown(layout)


STRICT = "inet strict f '{ type filter hook forward priority 0; policy accept; }'"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([""], []),
        (["ct state invalid drop", 'iifname "docker0" drop', "ct state established,related accept"], []),
        (["drop"], ["bad out", "bad in"]),
        (["counter reject"], ["bad out", "bad in"]),
        (['iifname "BRIDGE" counter drop'], ["bad out"]),
        (['oifname "BRI*" log prefix "x" drop'], ["bad in"]),
        (['iifname { "eth7", "BRIDGE" } drop'], ["bad out"]),
        (['iifname != "lo" drop'], ["bad out", "bad in"]),
        (['iifname "BRIDGE" accept', "drop"], ["bad in"]),
        (['iifname "BRIDGE" accept', 'oifname "BRIDGE" accept', "drop"], []),
        (["tcp dport 25 drop"], ["note out", "note in"]),
        (["oifname @empty drop", "iifname @theirs drop", "ip daddr 127.0.0.0/8 iifname @theirs drop"], []),
        (["iifname @bridges drop"], ["bad out"]),
        (["tcp dport 25 drop", "udp dport 53 drop", 'iifname "BRIDGE" drop'], ["bad out", "note in"]),
        (["jump deeper"], ["bad out"]),
        (['iifname "eth7" goto deeper', "drop"], ["bad out", "bad in"]),
    ],
)
def test_rules_that_drop_are_found(lab: Lab, layout: Layout, rules: list[str], said: list[str]) -> None:
    lab.outside()
    sh("ip route add default via 192.0.2.9")
    lab.start(layout, 1)
    sh(f"nft add table inet strict; nft add chain inet strict deeper; nft add chain {STRICT}")
    sh("nft 'add set inet strict empty { type ifname; }'")
    sh("""nft 'add set inet strict theirs { type ifname; elements = { "docker0" }; }'""")
    sh(f"""nft 'add set inet strict bridges {{ type ifname; elements = {{ "eth7", "{layout.bridge}" }}; }}'""")
    sh(f"""nft 'add rule inet strict deeper iifname "{layout.bridge}" drop'""")
    for rule in filter(None, rules):
        words = rule.replace("BRIDGE", layout.bridge).replace("BRI*", layout.bridge[:3] + "*")
        sh(f"nft 'add rule inet strict f {words}'")
    told = [one for one in found(layout, "firewalls") if "handle" in one]
    assert [f"{one[: one.index(':')]} {'out' if 'goes out' in one else 'in'}" for one in told] == said
    network.teardown(layout)


def test_iptables_rules_are_found_too(lab: Lab, layout: Layout) -> None:
    """Behind Docker's policy our rules stand at the end; a rule of its owner stands before them."""
    require_tool("iptables")
    lab.start(layout, 1)
    sh(f"iptables -A FORWARD -i {layout.bridge} -j REJECT; iptables -P FORWARD DROP")
    lab.start(layout, 2)
    told = found(layout, "firewalls")
    assert any("chain ip filter FORWARD drops forwarded packets by policy; it has our rules" in one for one in told)
    assert any(one.startswith("bad: a rule of chain ip filter FORWARD") and "goes out" in one for one in told), told
    sh("iptables -F FORWARD; iptables -P FORWARD ACCEPT")
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
