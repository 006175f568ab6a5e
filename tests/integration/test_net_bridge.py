"""A container on the default bridge: what is made, what it sees, whom it reaches, and that nothing stays."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidock import files, network
from minidock.kernel import link, netns, nft, veth
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.model.network import NetworkRequest
from minidock.network import addresses, endpoint, nat, store, subnets
from minidock.network.teardown import remove as remove_network
from minidock.paths import Layout
from minidock.steps import Live, Step, apply_all, from_journal, to_journal
from tests.support.needs import require_root, require_tool
from tests.support.netlab import HOST, Container, Lab, ask, eventually, facts, in_processes, listen, sh


@pytest.fixture
def lab() -> Iterator[Lab]:
    require_root()
    require_tool("nft")
    made = Lab()
    yield made
    made.close()


def test_a_container_has_eth0_with_an_address_a_route_and_nothing_more(lab: Lab, layout: Layout) -> None:
    one = lab.start(layout, 1)
    links = {found["ifname"]: found for found in facts("ip -j -d addr", one.live.pid)}
    assert set(links) == {"lo", "eth0"}
    assert "UP" in links["lo"]["flags"]
    assert links["eth0"]["address"] == "02:42:ac:12:00:02"
    assert links["eth0"]["operstate"] == "UP"
    [address] = links["eth0"]["addr_info"]  # no IPv6 address
    assert (address["local"], address["prefixlen"], address["broadcast"]) == ("172.18.0.2", 16, "172.18.255.255")
    routes = facts("ip -j route", one.live.pid)
    assert [(route["dst"], route.get("gateway")) for route in routes] == [
        ("default", "172.18.0.1"),
        ("172.18.0.0/16", None),
    ]
    endpoint = one.plan.endpoints["bridge"]
    assert (endpoint.ip_address, endpoint.ip_prefix_len, endpoint.gateway) == ("172.18.0.2", 16, "172.18.0.1")
    assert endpoint.mac_address == "02:42:ac:12:00:02"


def test_the_host_has_a_bridge_with_the_cable_in_it(lab: Lab, layout: Layout) -> None:
    one = lab.start(layout, 1)
    [bridge] = facts(f"ip -j -d addr show {layout.bridge}")
    assert [found["local"] for found in bridge["addr_info"] if found["family"] == "inet"] == ["172.18.0.1"]
    assert bridge["address"] == "02:42:ac:12:00:01"
    [cable] = facts(f"ip -j -d link show master {layout.bridge}")
    assert cable["ifname"] == veth_name(one)
    assert cable["linkinfo"]["info_slave_data"]["hairpin"] is True


def test_network_none_is_a_localhost_and_host_and_container_are_nothing(lab: Lab, layout: Layout) -> None:
    alone = lab.start(layout, 1, mode="none")
    [lo] = facts("ip -j addr", alone.live.pid)
    assert (lo["ifname"], "UP" in lo["flags"]) == ("lo", True)
    for mode in ("host", f"container:{alone.id}"):
        plan = network.plan(layout, "f" * 64, ContainerConfig(), HostConfig(network_mode=mode), {})
        assert not (plan.before or plan.joined or plan.child or plan.hosts_address)
    assert not link.index_of(layout.bridge)


def test_containers_reach_each_other_and_the_outside(lab: Lab, layout: Layout) -> None:
    outside = lab.outside()
    one, two = lab.start(layout, 1), lab.start(layout, 2)
    with listen(two.live.pid, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", two.address, 80, server) == one.address
        assert ask(0, "tcp", two.address, 80, server) == "172.18.0.1"
    with listen(outside, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", "192.0.2.9", 80, server) == HOST  # masqueraded
    with listen(outside, "udp", 53) as server:
        assert ask(one.live.pid, "udp", "192.0.2.9", 53, server) == HOST
    with listen(0, "tcp", 80) as server:
        assert ask(one.live.pid, "tcp", "172.18.0.1", 80, server) == one.address


def test_when_containers_and_instance_go_nothing_stays(lab: Lab, layout: Layout) -> None:
    before = state(layout)
    bindings = {"80/tcp": [PortBinding("", "8080")], "53/udp": [PortBinding("127.0.0.1", "5353")]}
    one, two = lab.start(layout, 1, bindings), lab.start(layout, 2)
    for container in (one, two):
        container.die()
        assert container.undo() == []
        assert container.undo() == []
    assert eventually(lambda: facts(f"ip -j link show master {layout.bridge}") == [])
    assert addresses.peek(layout, "bridge") == []
    assert published(layout) == ""
    network.teardown(layout)
    network.teardown(layout)
    assert eventually(lambda: state(layout) == before), state(layout)


def test_forwarding_of_ipv6_goes_back_too(lab: Lab, layout: Layout) -> None:
    switch = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    switch.write_text("0")
    made = store.create(layout, NetworkRequest("six", enable_ipv6=True))
    apply_all(endpoint.shared(layout, made), Live())
    assert switch.read_text() == "1\n"
    network.teardown(layout)
    assert switch.read_text() == "0\n"
    remove_network(layout, made)


def test_a_held_namespace_loses_its_cable_at_once(lab: Lab, layout: Layout) -> None:
    one = lab.start(layout, 1)
    joined = os.open(f"/proc/{one.live.pid}/ns/net", os.O_RDONLY)  # as a container with --network container:ID would
    try:
        one.die()
        assert one.undo() == []
        assert not link.index_of(veth_name(one))
    finally:
        os.close(joined)


def test_a_container_can_start_again_at_once(lab: Lab, layout: Layout) -> None:
    for _ in range(3):
        one = lab.start(layout, 1)
        one.die()
        one.undo()
        assert one.address == "172.18.0.2"


def test_a_failure_at_any_step_leaves_no_claim_no_cable_and_no_port(lab: Lab, layout: Layout) -> None:
    lab.start(layout, 9)
    count = len(plan(layout, 1).before)
    for index in range(count):
        made = plan(layout, 1)
        live = Live()
        for step in made.before[: index + 1]:
            step.apply(live)
        for step in reversed(made.before[: index + 1]):
            step.undo(live)
        network.release(layout, f"{1:064x}"[::-1])
        assert [claim.container for claim in addresses.peek(layout, "bridge")] == [f"{9:064x}"[::-1]]
        assert "8080" not in sh("nft list ruleset")
    assert len(facts(f"ip -j link show master {layout.bridge}")) == 1


def test_a_journal_undoes_what_a_killed_command_left(lab: Lab, layout: Layout) -> None:
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")]})
    journal = to_journal([*one.plan.before, *one.plan.joined])
    one.die()
    for step in reversed(from_journal(journal)):
        step.undo(Live())
    assert addresses.peek(layout, "bridge") == []
    assert "8080" not in sh("nft list ruleset")
    assert eventually(lambda: not link.index_of(veth_name(one)))


def test_half_a_claim_of_a_killed_command_goes_with_the_next_plan(lab: Lab, layout: Layout) -> None:
    lab.start(layout, 1)
    left = files.aside(addresses.path_of(layout, "bridge", "172.18.0.9"))
    left.write_text('{"address": "172.18')
    plan(layout, 2)
    assert not left.exists()


def test_flushed_rules_come_back_with_the_ports_of_running_containers(lab: Lab, layout: Layout) -> None:
    one = lab.start(layout, 1, {"80/tcp": [PortBinding("", "8080")]})
    sh("nft flush ruleset")
    lab.start(layout, 2)
    with listen(one.live.pid, "tcp", 80) as server:
        assert ask(0, "tcp", "127.0.0.1", 8080, server)
    sh(f"nft flush chain inet {layout.nft_table} postrouting")
    lab.start(layout, 3)
    with listen(one.live.pid, "tcp", 80) as server:
        assert ask(0, "tcp", "127.0.0.1", 8080, server)


def test_an_unchanged_rule_set_is_not_written_again(lab: Lab, layout: Layout) -> None:
    lab.start(layout, 1)
    before = nft.generation()
    lab.start(layout, 2)
    assert nft.generation() == before
    assert nat.is_current(layout)
    sh("nft add table ip somebody")
    assert not nat.is_current(layout)


def test_claims_of_killed_commands_are_taken_over(lab: Lab, layout: Layout) -> None:
    def claim(number: int) -> Callable[[int], str]:
        return lambda _: plan(layout, number).hosts_address

    got = [in_processes(claim(number), 1)[0] for number in (3, 2, 1)]
    assert got == ["172.18.0.2"] * 3  # each had died when the next came
    journal = layout.container_run(f"{1:064x}"[::-1]) / "journal.json"
    journal.parent.mkdir(parents=True)
    journal.write_text("[]")  # now it counts as a container that has been started
    assert plan(layout, 5, {}).hosts_address == "172.18.0.3"


def test_24_parallel_plans_get_24_addresses_and_ports(lab: Lab, layout: Layout) -> None:
    def one(number: int) -> str:
        made = plan(layout, number, {"80/tcp": [PortBinding()]})
        return f"{made.hosts_address} {made.hold[0][2]}"

    pairs = [pair.split() for pair in in_processes(one, 24)]
    assert len({address for address, _ in pairs}) == 24
    assert len({port for _, port in pairs}) == 24


def test_the_first_containers_may_come_all_at_once(lab: Lab, layout: Layout) -> None:
    def one(number: int) -> str:
        made = plan(layout, number, {"80/tcp": [PortBinding("", str(9000 + number))]})
        apply_all(made.before, Live())
        return "applied"

    lab.forget_at_end(layout)
    sh("nft add table ip f; nft add chain ip f forward '{ type filter hook forward priority 0; policy drop; }'")
    assert in_processes(one, 8) == ["applied"] * 8
    rules = sh(f"nft list table inet {layout.nft_table}")
    assert len(nft.rules(layout.nft_table)) == nat.RULES
    assert len(nft.rules("f")) == 6  # asked for once
    assert [number for number in range(8) if f"tcp . {9000 + number} : 172.18." not in rules] == []


def test_instances_made_at_the_same_moment_get_different_subnets(lab: Lab, tmp_path: Path) -> None:
    roots = [Layout(tmp_path / f"root{number}") for number in range(8)]
    found = in_processes(lambda number: plan(roots[number], 1).gateway, 8)
    assert len(set(found)) == 8
    assert len({layout.bridge for layout in roots}) == 8
    for layout in roots:
        shutil.rmtree(layout.run)


def test_a_subnet_that_came_into_use_is_left(lab: Lab, layout: Layout) -> None:
    first = subnets.default_network(layout)
    sh("ip link add vpn type bridge; ip addr add 172.18.77.1/24 dev vpn; ip link set vpn up")
    assert first.subnet == "172.18.0.0/16"
    assert subnets.default_network(layout).subnet == "172.19.0.0/16"
    sh("ip link delete vpn")


@pytest.mark.parametrize("bridge_exists", [False, True])
def test_the_shell_lines_make_the_same(lab: Lab, layout: Layout, bridge_exists: bool) -> None:
    if bridge_exists:
        lab.start(layout, 1)
    else:
        require_tool("iptables")
        sh("iptables -P FORWARD DROP; iptables -N OTHER; iptables -A FORWARD -j OTHER")
    made = plan(layout, 2, {"80/tcp": [PortBinding("", "8080")]})
    pid = lab.namespace()
    sh(script(made.before))
    sh(script(made.before))
    sh(f"PID={pid}\n{script(made.joined)}")
    (layout.root / "child.sh").write_text(script(made.child))
    sh(f"nsenter -t {pid} -n sh -e {layout.root}/child.sh")
    deadline = time.monotonic() + 5
    while "NO-CARRIER" in str(by_hand := inside_facts(pid)) and time.monotonic() < deadline:
        time.sleep(0.02)
    with listen(pid, "tcp", 80) as server:
        assert ask(0, "tcp", "127.0.0.1", 8080, server)
    rules = without_elements(sh("nft list ruleset"))
    sh("\n".join(step.undo_shell() for step in made.before))
    assert published(layout) == ""
    assert facts(f"ip -j -d link show master {layout.bridge}")[-1]["linkinfo"]["info_slave_data"]["hairpin"] is True
    address = made.hosts_address
    network.release(layout, f"{2:064x}"[::-1])
    network.teardown(layout)
    by_steps = lab.start(layout, 2, {"80/tcp": [PortBinding("", "8080")]})
    if by_steps.address == address:
        deadline = time.monotonic() + 5  # the bridge takes a moment to give the cable its carrier
        while inside_facts(by_steps.live.pid) != by_hand and time.monotonic() < deadline:
            time.sleep(0.02)
        assert inside_facts(by_steps.live.pid) == by_hand
    assert without_elements(sh("nft list ruleset")) == rules


def test_every_step_of_the_plan_can_be_told(layout: Layout) -> None:
    made = plan(layout, 1, {"80/tcp": [PortBinding("", "8080")]}, dry_run=True)
    for step in [*made.before, *made.joined, *made.child]:
        assert re.fullmatch(r"[a-z0-9][^\n]*[^.]", step.describe())
        assert step.shell().strip()
        assert re.fullmatch(r"[a-z_-]+\(\d\)", step.man)
    assert not layout.root.exists()


# helpers


def plan(
    layout: Layout, number: int, ports: dict[str, list[PortBinding]] | None = None, *, dry_run: bool = False
) -> network.Attachment:
    bindings = HostConfig(port_bindings=ports if ports is not None else {"80/tcp": [PortBinding("", "8080")]})
    return network.plan(layout, f"{number:064x}"[::-1], ContainerConfig(), bindings, {}, dry_run=dry_run)


def script(steps: list[Step]) -> str:
    return "\n".join(["set -e", *(step.shell() for step in steps)]) + "\n"


def published(layout: Layout) -> str:
    """What is in the table's maps."""
    return "".join(
        found[1]
        for name in ("published", "published_at", "published6", "published6_at")
        if (found := re.search("elements = (.*)", sh(f"nft list map inet {layout.nft_table} {name}")))
    )


def veth_name(container: Container) -> str:
    [cable] = container.plan.joined
    assert isinstance(cable, veth.CreateVeth)
    return cable.name


def state(layout: Layout) -> object:
    """What teardown must bring back."""
    registered = [entry for entry in subnets.registered() if entry]
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    links = sorted(found["ifname"] for found in facts("ip -j link"))
    return links, sh("nft list ruleset"), forwarding, registered, addresses.peek(layout, "bridge"), netns.identity()


def inside_facts(pid: int) -> object:
    links = facts("ip -j -d addr", pid)
    return [
        (found["ifname"], found["flags"], found.get("mtu"), found["address"], found["addr_info"]) for found in links
    ], facts("ip -j route", pid)


def without_elements(ruleset: str) -> str:
    """The rules, without which ports are open now and how many packets have come by."""
    return re.sub(r"\t\telements = .*\n|packets \d+ bytes \d+", "", ruleset)
