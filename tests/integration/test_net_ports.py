"""Published ports: from everywhere they should be reached, from nowhere else, and never taken twice."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock import network
from minidock.model.host import PortBinding
from minidock.network.addresses import Published
from minidock.network.publish import PublishPorts
from minidock.paths import Layout
from minidock.steps import Live
from tests.support.needs import require_root, require_tool
from tests.support.netlab import HOST, OUTSIDE, Lab, ask, inside, listen, sh

BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
QUICK = 0.3


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_root()
    require_tool("nft")
    made = Lab()
    yield made
    made.close()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("bridge_filter", ["0", "1"])
def test_a_published_port_is_reached_from_everywhere(
    lab: Lab, layout: Layout, protocol: str, bridge_filter: str
) -> None:
    """With br_netfilter (any host where Docker runs) the bridge itself rewrites addresses: hairpin needs both ways."""
    if BRIDGE_FILTER.exists():
        BRIDGE_FILTER.write_text(bridge_filter)
    outside = lab.outside()
    one = lab.start(layout, 1, {f"80/{protocol}": [PortBinding("", "8080")]})
    two = lab.start(layout, 2)
    gateway = one.plan.gateway
    with listen(one.live.pid, protocol, 80) as server:
        seen = {
            "localhost": ask(0, protocol, "127.0.0.1", 8080, server),
            "localhost by another name": ask(0, protocol, "127.1.2.3", 8080, server),
            "the host by its address": ask(0, protocol, HOST, 8080, server),
            "the host by the bridge": ask(0, protocol, gateway, 8080, server),
            "outside": ask(outside, protocol, HOST, 8080, server),
            "another container": ask(two.live.pid, protocol, HOST, 8080, server),
            "another container by the bridge": ask(two.live.pid, protocol, gateway, 8080, server),
            "itself": ask(one.live.pid, protocol, HOST, 8080, server),
            "itself by the bridge": ask(one.live.pid, protocol, gateway, 8080, server),
        }
    assert all(seen.values()), seen
    assert seen["outside"] == OUTSIDE  # the container sees who asks


def test_the_first_packet_gets_through(lab: Lab, layout: Layout) -> None:
    """Whatever else the kernel is busy with: a lost packet is sent again only after a second."""
    outside = lab.outside()
    for _ in range(8):  # the namespace of the one before is being torn down meanwhile
        one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")]})
        with listen(one.live.pid, "tcp", 80) as server:
            begun = time.monotonic()
            assert ask(outside, "tcp", HOST, 8080, server)
            assert time.monotonic() - begun < 0.9
        one.die()
        one.undo()


def test_sctp_has_its_entry_too(lab: Lab, layout: Layout) -> None:
    """The rules know SCTP even where the kernel has no such sockets (there `reserve` refuses it)."""
    one = lab.start(layout, 1)
    step = PublishPorts(layout.nft_table, [Published("sctp", "0.0.0.0", 3868, one.address, 3868)])
    entry = f"sctp . 3868 : {one.address} . 3868"
    step.apply(Live())
    assert entry in sh(f"nft list table inet {layout.nft_table}")
    step.undo(Live())
    assert entry not in sh(f"nft list table inet {layout.nft_table}")


def test_what_is_published_on_localhost_is_for_the_host_alone(lab: Lab, layout: Layout) -> None:
    outside = lab.outside()
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("127.0.0.1", "8080")]})
    two = lab.start(layout, 2)
    with listen(one.live.pid, "tcp", 80) as server:
        assert ask(0, "tcp", "127.0.0.1", 8080, server)
        assert not ask(0, "tcp", HOST, 8080, server, wait=QUICK)
        assert not ask(outside, "tcp", HOST, 8080, server, wait=QUICK)
        assert not ask(two.live.pid, "tcp", one.plan.gateway, 8080, server, wait=QUICK)
        # Machines on the wire can address packets to 127.0.0.1, and to the container itself by way of the host.
        send_localhost_to(outside, HOST)
        assert not ask(outside, "tcp", "127.0.0.1", 8080, server, wait=QUICK)
        assert not ask(outside, "tcp", one.address, 80, server, wait=QUICK)


def test_what_is_published_on_one_address_is_not_on_others(lab: Lab, layout: Layout) -> None:
    outside = lab.outside()
    one = lab.start(layout, 1, {"80/tcp": [PortBinding(HOST, "8080")]})
    with listen(one.live.pid, "tcp", 80) as server:
        assert ask(outside, "tcp", HOST, 8080, server) == OUTSIDE
        assert not ask(0, "tcp", "127.0.0.1", 8080, server, wait=QUICK)


def test_two_addresses_of_the_host_may_lead_to_two_containers(lab: Lab, layout: Layout) -> None:
    lab.outside()
    one = lab.start(layout, 1, {"80/tcp": [PortBinding(HOST, "8080")]})
    two = lab.start(layout, 2, {"80/tcp": [PortBinding("127.0.0.1", "8080")]})
    with listen(one.live.pid, "tcp", 80) as server:
        assert ask(0, "tcp", HOST, 8080, server)
    with listen(two.live.pid, "tcp", 80) as server:
        assert ask(0, "tcp", "127.0.0.1", 8080, server)


def test_a_container_cannot_reach_the_hosts_localhost(lab: Lab, layout: Layout) -> None:
    """route_localnet on the bridge would let it in: the table's first chain keeps it out."""
    one = lab.start(layout, 1)
    send_localhost_to(one.live.pid, one.plan.gateway)
    with listen(0, "udp", 7777, "127.0.0.1") as server:
        assert not arrives(one.live.pid, server)
        sh(f"nft flush chain inet {layout.nft_table} guard")
        assert arrives(one.live.pid, server)  # it was the chain that kept it out


def test_what_is_not_published_is_not_reached_by_way_of_the_host(lab: Lab, layout: Layout) -> None:
    outside = lab.outside()
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")]})
    with listen(one.live.pid, "tcp", 81) as server:
        assert not ask(outside, "tcp", one.address, 81, server, wait=QUICK)
    with listen(one.live.pid, "tcp", 80) as server:
        assert not ask(outside, "tcp", one.address, 80, server, wait=QUICK)


def test_a_firewall_that_drops_by_policy_is_passed_and_left_as_it_was(lab: Lab, layout: Layout) -> None:
    require_tool("iptables")
    sh("iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A DOCKER-USER -j RETURN")
    sh("iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -d 192.0.2.77 -j REJECT")
    before = sh("iptables -S")
    outside = lab.outside()
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")]})
    two = lab.start(layout, 2)
    with listen(one.live.pid, "tcp", 80) as server:
        assert ask(outside, "tcp", HOST, 8080, server) == OUTSIDE
        assert ask(two.live.pid, "tcp", one.address, 80, server) == two.address
        assert not ask(outside, "tcp", one.address, 80, server, wait=QUICK)
    with listen(outside, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", OUTSIDE, 80, server) == HOST
    rules = sh("iptables -S FORWARD").splitlines()
    assert "192.0.2.77" in rules[2]  # what the owner has said comes before what we ask for
    assert f"-i {layout.bridge}" in rules[-1] and "ACCEPT" in rules[-1]
    network.teardown(layout)
    assert sh("iptables -S") == before


def test_a_firewall_that_comes_later_is_passed_by_the_next_container(lab: Lab, layout: Layout) -> None:
    outside = lab.outside()
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")]})
    sh("nft add table inet strict; nft add chain inet strict f '{ type filter hook forward priority 0; policy drop; }'")
    with listen(one.live.pid, "tcp", 80) as server:
        assert not ask(outside, "tcp", HOST, 8080, server, wait=QUICK)
        lab.start(layout, 2)
        assert ask(outside, "tcp", HOST, 8080, server) == OUTSIDE
    network.teardown(layout)
    assert layout.bridge not in sh("nft list ruleset")


def test_udp_clients_that_never_pause_follow_the_port(lab: Lab, layout: Layout) -> None:
    """The kernel remembers a flow's way as long as it goes on: it must be made to forget."""
    outside = lab.outside()
    with inside(outside):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind(("", 40000))

    def arrives_at(server: socket.socket) -> bool:
        client.sendto(b"question", (HOST, 5353))
        server.settimeout(QUICK)
        try:
            return server.recv(100) == b"question"
        except TimeoutError:
            return False

    with listen(0, "udp", 5353) as server:
        assert arrives_at(server)
    one = lab.start(layout, 1, {"53/udp": [PortBinding("", "5353")]})
    with listen(one.live.pid, "udp", 53) as server:
        assert arrives_at(server)
    one.die()
    one.undo()
    lab.start(layout, 8)  # takes the first one's address
    two = lab.start(layout, 2, {"54/udp": [PortBinding("", "5353")]})
    with listen(two.live.pid, "udp", 54) as server:
        assert arrives_at(server)
    client.close()


def test_undo_leaves_a_port_that_is_the_next_containers(lab: Lab, layout: Layout) -> None:
    bindings = {"80/tcp": [PortBinding("", "8080")], "81/tcp": [PortBinding("", "8081")]}
    one = lab.start(layout, 1, bindings)
    one.die()
    network.release(layout, one.id)  # a crash: the claim is gone, the table's entries are not
    lab.start(layout, 9)
    two = lab.start(layout, 2, {"80/tcp": [PortBinding("", "8080")]})
    assert two.address != one.address
    assert one.undo() == []
    rules = sh("nft list ruleset")
    assert f"tcp . 8080 : {two.address} . 80" in rules
    assert "8081" not in rules


# helpers


def arrives(pid: int, server: socket.socket) -> bool:
    """Whether a datagram that is sent from the namespace to 127.0.0.1 reaches the host's server."""
    with inside(pid):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.sendto(b"question", ("127.0.0.1", server.getsockname()[1]))
    server.settimeout(QUICK)
    try:
        return server.recv(100) == b"question"
    except TimeoutError:
        return False


def send_localhost_to(pid: int, gateway: str) -> None:
    """Make the namespace send packets for 127.0.0.1 out to the gateway, as a hostile neighbour can."""
    with inside(pid):
        sh(
            "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; ip route del local 127.0.0.0/8 dev lo table local;"
            f"ip route del local 127.0.0.1 dev lo table local; ip route add 127.0.0.0/8 via {gateway} dev eth0"
        )
