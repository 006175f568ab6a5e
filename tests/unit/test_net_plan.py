"""Planning without root: which subnet, which ports, which steps; and that looking changes nothing."""

from __future__ import annotations

import errno
import itertools
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock import network
from minidock.errors import Conflict, MinidockError, NetworkNotFound, PortInUse, Unsupported, UsageError
from minidock.kernel.link import mac_bytes
from minidock.kernel.netlink import NLA_F_NESTED, attribute, attributes, nested
from minidock.kernel.nft import HOOK_FORWARD, Chain
from minidock.model.container import ContainerConfig
from minidock.model.host import HostConfig, PortBinding
from minidock.model.network import EndpointSettings, IpamPool
from minidock.network import endpoint, firewall, ipam, nat, ports, reserve, subnets
from minidock.network.addresses import Claim, Published, free_address
from minidock.network.arithmetic import overlap, span
from minidock.network.subnets import Network
from minidock.paths import Layout

CONTAINER = "c" * 64
NETWORK = Network("bridge", "172.18.0.0/16", "172.18.0.1", "md0")


def planned(layout: Layout, **host: object) -> network.Attachment:
    return network.plan(layout, CONTAINER, ContainerConfig(), HostConfig(**host), {}, dry_run=True)  # type: ignore[arg-type]


def test_looking_changes_nothing(layout: Layout) -> None:
    made = planned(layout, port_bindings={"80/tcp": [PortBinding("", "8080")]})
    assert made.hosts_address == made.endpoints["bridge"].ip_address
    assert made.hold == [("tcp", "0.0.0.0", 8080), ("tcp", "::", 8080)]
    assert made.ports == {"80/tcp": [PortBinding("0.0.0.0", "8080"), PortBinding("::", "8080")]}
    assert not layout.root.exists()
    assert not layout.run.exists()


def test_modes_without_a_network_of_their_own(layout: Layout) -> None:
    assert [step.shell() for step in planned(layout, network_mode="none").child] == ["ip link set lo up"]
    assert list(planned(layout, network_mode="none").endpoints) == ["none"]
    assert list(planned(layout, network_mode="host").endpoints) == ["host"]
    assert planned(layout, network_mode=f"container:{CONTAINER}") == network.Attachment()
    disabled = network.plan(layout, CONTAINER, ContainerConfig(network_disabled=True), HostConfig(), {}, dry_run=True)
    assert list(disabled.endpoints) == ["none"]


@pytest.mark.parametrize(
    ("subnet", "pool", "gateway"),
    [
        ("10.1.0.0/24", IpamPool(), "10.1.0.1"),
        ("10.1.0.0/24", IpamPool(gateway="10.1.0.9"), "10.1.0.9"),
        ("10.1.0.0/24", IpamPool(ip_range="10.1.0.64/26"), "10.1.0.64"),
        ("10.1.0.0/24", IpamPool(ip_range="10.1.0.0/26"), "10.1.0.1"),
        ("10.1.0.0/24", IpamPool(ip_range="10.1.0.0/16"), "10.1.0.1"),
        ("fd00:1::/64", IpamPool(ip_range="fd00:1::100/120"), "fd00:1::100"),
        ("10.1.0.0/30", IpamPool(gateway="10.1.0.3"), None),  # the broadcast
        ("10.1.0.0/24", IpamPool(gateway="10.1.0.0"), None),  # the subnet itself
        ("10.1.0.0/31", IpamPool(), None),
        ("fd00:1::/64", IpamPool(gateway="fd00:1::"), None),
    ],
)
def test_a_networks_own_address(subnet: str, pool: IpamPool, gateway: str | None) -> None:
    if gateway is not None:
        assert ipam.gateway(subnet, pool) == gateway
        return
    with pytest.raises(Conflict, match="failed to allocate gateway"):
        ipam.gateway(subnet, pool)


@pytest.mark.parametrize("pool", [
    IpamPool("10.1.0.0/24", gateway="10.2.0.1"),
    IpamPool("10.1.0.0/24", gateway="nonsense"),
    IpamPool("10.1.0.0/24", ip_range="nonsense"),
    IpamPool("10.1.0.0/24", ip_range="10.2.0.0/24"),
    IpamPool("10.1.0.0/24", auxiliary_addresses={"a": "fd00::1"}),
])  # fmt: skip
def test_pools_that_a_client_of_the_api_can_send(pool: IpamPool) -> None:
    with pytest.raises(UsageError, match="no matching subnet for"):
        ipam.checked(pool)


def test_what_cannot_be_is_refused(layout: Layout) -> None:
    with pytest.raises(NetworkNotFound, match="network shop not found"):
        planned(layout, network_mode="shop")
    with pytest.raises(UsageError, match="port publishing and the container type network mode"):
        planned(layout, network_mode="container:x", port_bindings={"80/tcp": [PortBinding()]})
    asked = {"bridge": EndpointSettings(ipam_config={"IPv4Address": "172.18.0.9"})}
    with pytest.raises(UsageError, match="user specified IP address is supported on user defined networks only"):
        network.plan(layout, CONTAINER, ContainerConfig(), HostConfig(), asked, dry_run=True)


def test_the_hardware_address_follows_the_ip_address_or_what_was_asked(layout: Layout) -> None:
    assert endpoint.mac_of("172.18.0.2") == "02:42:ac:12:00:02"
    config = ContainerConfig(mac_address="02:00:00:00:00:07")
    made = network.plan(layout, CONTAINER, config, HostConfig(), {}, dry_run=True)
    assert made.endpoints["bridge"].mac_address == "02:00:00:00:00:07"
    assert "address 02:00:00:00:00:07" in made.joined[0].shell()


def test_the_cable_exists_before_the_child_configures_it(layout: Layout) -> None:
    made = planned(layout)
    assert [type(step).__name__ for step in made.joined] == ["CreateVeth"]
    assert [type(step).__name__ for step in made.child] == [
        "LinkUp",
        "SetInterfaceSysctl",
        "AddAddress",
        "LinkUp",
        "AddDefaultRoute",
    ]
    names = [type(step).__name__ for step in made.before]
    assert names.index("SetUpNat") < names.index("LinkUp"), (
        "route_localnet without its guard opens the host's localhost"
    )


# ports


def chosen(asked: HostConfig, claims: list[Claim] | None = None, config: ContainerConfig | None = None) -> list[str]:
    wanted = ports.wanted(config or ContainerConfig(), asked)
    layout = Layout(Path("/nonexistent"))
    found = ports.choose(layout, wanted, "172.18.0.2", claims or [], dry_run=True)
    # What is open on all addresses is so for both families, and shown here once.
    twins = {(entry.host_port, entry.port, entry.protocol) for entry in found if entry.host_ip == "::"}
    rows = [entry for entry in found if entry.host_ip != "::"]
    assert {(e.host_port, e.port, e.protocol) for e in rows if e.host_ip == "0.0.0.0"} == twins
    return [f"{entry.host_ip}:{entry.host_port}->{entry.port}/{entry.protocol}" for entry in rows]


def test_every_binding_gets_its_number() -> None:
    asked = {"80/tcp": [PortBinding("", "8080"), PortBinding("127.0.0.1", "9090")], "53/udp": [PortBinding("", "53")]}
    assert chosen(HostConfig(port_bindings=asked)) == [
        "0.0.0.0:8080->80/tcp",
        "127.0.0.1:9090->80/tcp",
        "0.0.0.0:53->53/udp",
    ]


def test_the_same_binding_twice_is_one() -> None:
    asked = {"80/tcp": [PortBinding("", "8080"), PortBinding("", "8080")]}
    assert chosen(HostConfig(port_bindings=asked)) == ["0.0.0.0:8080->80/tcp"]


def test_two_container_ports_share_a_range_without_meeting() -> None:
    asked = {"80/tcp": [PortBinding("", "8000-8001")], "81/tcp": [PortBinding("", "8000-8001")]}
    assert chosen(HostConfig(port_bindings=asked)) == ["0.0.0.0:8000->80/tcp", "0.0.0.0:8001->81/tcp"]


def test_publish_all_takes_exposed_ports_that_are_not_bound() -> None:
    config = ContainerConfig(exposed_ports={"443/tcp": {}, "80/tcp": {}, "7000-7001/udp": {}})
    asked = HostConfig(publish_all_ports=True, port_bindings={"80/tcp": [PortBinding("", "8080")]})
    found = [entry.partition("->")[2] for entry in chosen(asked, config=config)]
    assert found == ["80/tcp", "443/tcp", "7000/udp", "7001/udp"]


def test_exposed_ports_are_shown_without_a_binding() -> None:
    config = ContainerConfig(exposed_ports={"443/tcp": {}, "80/tcp": {}})
    shown = ports.shown(config, [Published("tcp", "0.0.0.0", 8080, "172.18.0.2", 80)])
    assert shown == {"443/tcp": None, "80/tcp": [PortBinding("0.0.0.0", "8080")]}


def test_a_port_of_another_container_is_taken_on_that_address_only() -> None:
    other = Claim("172.18.0.3", "d" * 64, 1, 1, [Published("tcp", "127.0.0.1", 8080, "172.18.0.3", 80)])
    assert chosen(HostConfig(port_bindings={"80/tcp": [PortBinding("10.0.0.1", "8080")]}), [other])
    assert chosen(HostConfig(port_bindings={"80/udp": [PortBinding("127.0.0.1", "8080")]}), [other])
    for address in ("", "0.0.0.0", "127.0.0.1"):
        with pytest.raises(PortInUse, match="held by container dddddddddddd"):
            chosen(HostConfig(port_bindings={"80/tcp": [PortBinding(address, "8080")]}), [other])


# subnets and addresses


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("172.18.0.0/16", "172.18.77.0/24", True),
        ("172.18.77.0/24", "172.18.0.0/16", True),
        ("172.18.0.0/16", "172.19.0.0/16", False),
        ("172.18.0.0/16", "172.16.0.0/12", True),
        ("192.168.0.0/20", "192.168.15.255/32", True),
        ("192.168.0.0/20", "192.168.16.0/32", False),
    ],
)
def test_subnets_overlap_when_they_have_an_address_in_common(one: str, other: str, meet: bool) -> None:
    assert overlap(one, other) is meet


def test_candidates_are_apart_and_leave_dockers_alone() -> None:
    assert not any(overlap("172.17.0.0/16", candidate) for candidate in subnets.CANDIDATES)
    spans = sorted(span(candidate) for candidate in subnets.CANDIDATES)
    assert all(first + size <= following for (first, size), (following, _) in itertools.pairwise(spans))


def test_routed_and_registered_subnets_are_passed_over(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subnets, "_routed", lambda: ["172.16.0.0/12", "192.168.0.0/24"])
    monkeypatch.setattr(subnets, "registered", list)
    assert planned(layout).gateway == "192.168.16.1"


def test_the_lowest_address_without_gateway_and_broadcast() -> None:
    assert free_address(NETWORK, []) == "172.18.0.2"
    assert free_address(NETWORK, [Claim("172.18.0.2", "", 0, 0), Claim("172.18.0.4", "", 0, 0)]) == "172.18.0.3"
    small = Network("bridge", "10.0.0.0/30", "10.0.0.1", "md0")
    with pytest.raises(MinidockError, match="no available IPv4 addresses"):
        free_address(small, [Claim("10.0.0.2", "", 0, 0)])


# rules


def test_the_number_of_rules_is_that_of_the_text() -> None:
    """SetUpNat takes a table with as many rules for untouched: counted here in another way than there."""
    rules = nat.SetUpNat("/r", "t", "md0", "172.18.0.0/16").rules()
    verdicts = ("jump publish", " masquerade", " accept comment", " drop comment", "dnat ip to", "dnat ip6 to")
    assert nat.RULES == sum(rules.count(verdict) for verdict in verdicts) == 20


def test_only_what_drops_forwarded_packets_by_policy_is_in_the_way() -> None:
    forward = Chain("ip", "filter", "FORWARD", HOOK_FORWARD, drops=True)
    user = Chain("ip", "filter", "DOCKER-USER", -1, drops=False)
    other = Chain("inet", "strict", "fwd", HOOK_FORWARD, drops=True)
    harmless = Chain("inet", "open", "fwd", HOOK_FORWARD, drops=False)
    input_only = Chain("inet", "in", "input", 1, drops=True)
    assert firewall.dropping([forward, user, other, harmless, input_only]) == ["ip filter FORWARD", "inet strict fwd"]


# netlink's bytes


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=300)), max_size=8))
def test_attributes_are_read_as_they_were_written(pairs: list[tuple[int, bytes]]) -> None:
    raw = b"".join(attribute(kind, value) for kind, value in pairs)
    assert len(raw) % 4 == 0
    assert list(attributes(raw)) == pairs
    [(kind, inside)] = attributes(nested(7, raw))
    assert (kind, list(attributes(inside))) == (7, pairs)
    assert int.from_bytes(nested(7, raw)[2:4], "little") == 7 | NLA_F_NESTED


@given(st.binary(max_size=200))
def test_damaged_attributes_end_the_list(raw: bytes) -> None:
    assert sum(len(value) for _, value in attributes(raw)) <= len(raw)


def test_strings_and_numbers_have_the_kernels_form() -> None:
    assert attribute(3, "lo") == b"\x07\x00\x03\x00lo\x00\x00"
    assert attribute(4, 1500) == b"\x08\x00\x04\x00\xdc\x05\x00\x00"
    assert mac_bytes("02:42:ac:12:00:02") == b"\x02\x42\xac\x12\x00\x02"
    with pytest.raises(ValueError, match="02:42"):
        mac_bytes("02:42")


def test_a_protocol_that_the_kernel_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object) -> socket.socket:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(socket, "socket", lacking)
    with pytest.raises(Unsupported, match="can't publish sctp port 3868: protocol not supported by this kernel"):
        reserve.reserve_ports([("sctp", "0.0.0.0", 3868)])
