"""Networks that somebody made: who reaches whom, by which address and name, and that nothing of them stays."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidock.network import subnets
from tests.support import dns
from tests.support.dns import AAAA, MX, NOERROR, NXDOMAIN, PTR, SERVFAIL, lookup
from tests.support.instance import Minidock, settled
from tests.support.needs import require_feature, require_root, require_tool
from tests.support.netlab import inside

SLEEP = ("busybox", "sleep", "1000")
LISTEN = ("busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello")


@pytest.fixture
def loaded(minidock: Minidock, busybox_image: Path) -> Iterator[Minidock]:
    require_root()
    require_tool("nft")
    minidock("load", "-i", str(busybox_image), check=True)
    yield minidock
    if listed := minidock("ps", "-aq", check=True).stdout.split():
        minidock("rm", "-f", *listed, check=True)
    minidock("network", "prune", "-f", check=True)
    left = settled(lambda: traces(minidock))
    assert not left, left


def traces(minidock: Minidock) -> list[str]:
    """Links, rules, claims and registered subnets that are the instance's."""
    layout = minidock.layout
    links = [name for name in os.listdir("/sys/class/net") if name.startswith(layout.bridge)]
    rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    claims = [str(path) for path in layout.networks.glob("*/addresses/*")]
    taken = [subnet for subnet in subnets.registered() if subnets._taken_by(subnet) == str(layout.root)]
    return [*links, *(["rules"] if layout.nft_table in rules else []), *claims, *taken]


def start(minidock: Minidock, name: str, *options: str, command: tuple[str, ...] = SLEEP) -> int:
    """The pid of a container that runs in the background."""
    minidock("run", "-d", "--name", name, *options, *command, check=True)
    return int(minidock("inspect", "-f", "{{.State.Pid}}", name, check=True).stdout)


def address(minidock: Minidock, name: str, network: str, field: str = "IPAddress") -> str:
    template = f'{{{{(index .NetworkSettings.Networks "{network}").{field}}}}}'
    return minidock("inspect", "-f", template, name, check=True).stdout.strip()


def says_hello(pid: int, where: str, port: int = 80, *, wait: float = 3) -> bool:
    """Whether the server is reached from the process's network namespace; 0 is the host."""
    with inside(pid):
        client = socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET)
    client.settimeout(wait)
    with client:
        try:
            client.connect((where, port))
            return client.recv(100) == b"hello\n"
        except OSError:
            return False


def eventually_says_hello(pid: int, where: str, port: int = 80) -> bool:
    """The server may need a moment until it listens."""
    return not settled(lambda: [] if says_hello(pid, where, port) else ["silent"], 10)


# who reaches whom


def test_networks_are_closed_to_each_other(loaded: Minidock) -> None:
    loaded("network", "create", "one", check=True)
    loaded("network", "create", "two", check=True)
    server = start(loaded, "server", "--network", "one", "-p", "127.0.0.1::80", command=LISTEN)
    friend = start(loaded, "friend", "--network", "one")
    stranger = start(loaded, "stranger", "--network", "two")
    other = start(loaded, "other")
    where = address(loaded, "server", "one")
    assert eventually_says_hello(friend, where)
    assert says_hello(0, where)
    for pid in (stranger, other):
        assert not says_hello(pid, where, wait=0.4)
    loaded("network", "connect", "one", "stranger", check=True)
    assert says_hello(stranger, where)
    loaded("network", "disconnect", "one", "stranger", check=True)
    assert not says_hello(stranger, where, wait=0.4)
    assert server


def test_an_internal_network_has_no_way_out_and_none_in(loaded: Minidock) -> None:
    loaded("network", "create", "--internal", "back", check=True)
    server = start(loaded, "server", "--network", "back", command=LISTEN)
    resolver = f"127.{os.getpid() % 250 + 1}.4.53"
    friend = start(loaded, "friend", "--network", "back", "--dns", resolver)
    assert eventually_says_hello(friend, address(loaded, "server", "back"))
    assert loaded("exec", "friend", "ip", "route", check=True).stdout.count("default") == 0
    # Nor are questions for foreign names passed on: they would be a way out (CVE-2024-29018).
    with dns.server(resolver, "203.0.113.7") as asked:
        assert lookup(friend, "example.org") == (SERVFAIL, [])
    assert asked == []
    assert lookup(friend, "server") == (NOERROR, [address(loaded, "server", "back")])
    assert server


def test_a_container_on_several_networks(loaded: Minidock) -> None:
    loaded("network", "create", "--subnet", "10.201.77.0/24", "bb", check=True)
    loaded("network", "create", "aa", check=True)
    long = "name=bb,alias=x,alias=y,ip=10.201.77.9,mac-address=02:00:00:00:00:07"
    pid = start(loaded, "both", "--network", "aa", "--network", long)
    friend = start(loaded, "friend", "--network", "bb")
    links = loaded("exec", "both", "ip", "-o", "addr").stdout
    assert "eth0" in links and "inet 10.201.77.9/24" in links
    assert loaded("exec", "both", "cat", "/sys/class/net/eth1/address").stdout == "02:00:00:00:00:07\n"
    assert loaded("exec", "both", "ip", "route").stdout.startswith(
        "default via " + address(loaded, "both", "aa", "Gateway")
    )
    assert lookup(friend, "y") == (NOERROR, ["10.201.77.9"])
    assert lookup(friend, "10.77.201.10.in-addr.arpa", PTR)[0] != SERVFAIL
    loaded("network", "disconnect", "aa", "both", check=True)  # it had the way out
    assert loaded("exec", "both", "ip", "route").stdout.startswith("default via 10.201.77.1")
    assert pid


def test_the_highest_priority_gives_the_way_out(loaded: Minidock) -> None:
    loaded("network", "create", "aa", check=True)
    loaded("network", "create", "zz", check=True)
    start(loaded, "both", "--network", "aa", "--network", "name=zz,gw-priority=1")
    gateway = address(loaded, "both", "zz", "Gateway")
    assert loaded("exec", "both", "ip", "route").stdout.startswith(f"default via {gateway}")


def test_settings_of_one_interface(loaded: Minidock) -> None:
    """At the start and at a connect, whatever the interface is called by then."""
    loaded("network", "create", "aa", check=True)
    loaded("network", "create", "zz", check=True)
    option = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.arp_ignore=2"
    start(loaded, "both", "--network", f'name=aa,"driver-opt={option}"')
    loaded("network", "connect", "--driver-opt", option, "zz", "both", check=True)
    read = ["cat", *(f"/proc/sys/net/ipv4/conf/eth{n}/{key}" for n in (0, 1) for key in ("log_martians", "arp_ignore"))]
    assert loaded("exec", "both", *read, check=True).stdout.split() == ["1", "2", "1", "2"]
    for wrong, why in (
        (
            "net.ipv4.conf.eth0.arp_ignore=2",
            "expected sysctl 'net.ipv4.conf.eth0.arp_ignore' to have format net.X.Y.IF",
        ),
        ("net.ipv4.conf.IFNAME.arp_ignore", "'net.ipv4.conf.IFNAME.arp_ignore' to have format name=value"),
        ("net.ipv4.conf.IFNAME.nosuch=1", "net.ipv4.conf.eth0.nosuch=1: No such file or directory"),
    ):
        asked = f"name=aa,driver-opt=com.docker.network.endpoint.sysctls={wrong}"
        refused = loaded("run", "--rm", "--network", asked, "busybox", "true")
        assert refused.returncode == 125 and why in refused.stderr, refused.stderr


def test_a_network_of_both_families_is_the_way_out_before_one_of_one(loaded: Minidock) -> None:
    """Else the container had addresses of IPv6, and no way for them."""
    loaded("network", "create", "aa", check=True)
    loaded("network", "create", "--ipv6", "zz", check=True)
    start(loaded, "both", "--network", "zz")
    gateways = [address(loaded, "both", "zz", family) for family in ("Gateway", "IPv6Gateway")]
    for change in ((), ("network", "connect", "aa", "both")):
        assert not change or loaded(*change, check=True)
        four, six = (loaded("exec", "both", "ip", family, "route", check=True).stdout for family in ("-4", "-6"))
        assert f"default via {gateways[0]} " in four and f"default via {gateways[1]} " in six, (change, four, six)


def test_ports_follow_when_the_network_that_had_them_is_left(loaded: Minidock) -> None:
    loaded("network", "create", "aa", check=True)
    loaded("network", "create", "bb", check=True)
    start(loaded, "server", "--network", "aa", "-p", "127.0.0.1::80", "-p", "[::1]::80", command=LISTEN)
    told = loaded("port", "server", "80", check=True).stdout.split()
    port, six = (int(line.rpartition(":")[2]) for line in sorted(told))
    assert eventually_says_hello(0, "127.0.0.1", port)
    loaded("network", "connect", "bb", "server", check=True)
    loaded("network", "disconnect", "aa", "server", check=True)
    assert says_hello(0, "127.0.0.1", port)
    assert says_hello(0, "::1", six)  # what the shim passes on by hand, it passes to the new address
    with pytest.raises(OSError, match="Address already in use"):
        socket.create_server(("127.0.0.1", port))
    loaded("rm", "-f", "server", check=True)
    assert not says_hello(0, "127.0.0.1", port)


def test_ports_are_published_when_the_first_way_out_comes(loaded: Minidock) -> None:
    """As Docker's: an internal network publishes nothing, and a later one that isn't gets what was asked for."""
    loaded("network", "create", "--internal", "closed", check=True)
    loaded("network", "create", "open", check=True)
    pid = start(loaded, "web", "--network", "closed", "-p", "80", "-p", "127.0.0.1::81", command=LISTEN)
    assert loaded("port", "web", check=True).stdout == ""
    loaded("network", "connect", "open", "web", check=True)
    told = loaded("port", "web", "80", check=True).stdout.split()
    ports = {line.rpartition(":")[0]: int(line.rpartition(":")[2]) for line in told}
    assert set(ports) == {"0.0.0.0", "[::]"}
    number = ports["0.0.0.0"]
    with pytest.raises(OSError, match="Address already in use"):  # the shim holds it
        socket.create_server(("0.0.0.0", number))
    for where in ("127.0.0.1", "::1"):
        assert eventually_says_hello(0, where, number), where
    refused = loaded("run", "--rm", "-p", f"{number}:80", "busybox", "true")
    assert refused.returncode == 125 and "container web" in refused.stderr
    loaded("network", "disconnect", "open", "web", check=True)
    assert not says_hello(0, "127.0.0.1", number, wait=0.3)
    assert Path(f"/proc/{pid}").exists()
    assert loaded("port", "web", check=True).stdout == ""
    socket.create_server(("0.0.0.0", number)).close()  # the host's again, though the container runs
    loaded("run", "--rm", "-p", f"{number}:80", "busybox", "true", check=True)


def test_ipv6(loaded: Minidock) -> None:
    loaded("network", "create", "--ipv6", "six", check=True)
    server = start(loaded, "server", "--network", "six", command=LISTEN)
    friend = start(loaded, "friend", "--network", "six")
    where = address(loaded, "server", "six", "GlobalIPv6Address")
    assert where.startswith("fd")
    assert eventually_says_hello(friend, where)
    assert lookup(friend, "server", AAAA) == (NOERROR, [where])
    digits = socket.inet_pton(socket.AF_INET6, where).hex()
    assert lookup(friend, ".".join(reversed(digits)) + ".ip6.arpa", PTR) == (NOERROR, ["server.six"])
    assert "default via" in loaded("exec", "friend", "ip", "-6", "route").stdout
    assert server


# names


def test_who_is_called_what(loaded: Minidock) -> None:
    loaded("network", "create", "shop", check=True)
    start(loaded, "web", "--network", "shop", "--network-alias", "www", "--network-alias", "all")
    start(loaded, "db", "--network", "shop", "--network-alias", "all")
    pid = start(loaded, "client", "--network", "shop", "--link", "web:shopfront")
    web, db = address(loaded, "web", "shop"), address(loaded, "db", "shop")
    short = loaded("ps", "-q", "--filter", "name=web", check=True).stdout.strip()
    for tcp in (False, True):
        for name in ("web", "WEB", "www", short, "web.shop", "shopfront"):
            assert lookup(pid, name, tcp=tcp) == (NOERROR, [web]), name
        assert lookup(pid, "all", tcp=tcp) == (NOERROR, sorted([web, db]))
        assert lookup(pid, "web", AAAA, tcp=tcp) == (NOERROR, [])
        assert lookup(pid, "web", MX, tcp=tcp) == (NOERROR, [])
        back = ".".join(reversed(web.split("."))) + ".in-addr.arpa"
        assert lookup(pid, back, PTR, tcp=tcp) == (NOERROR, ["web.shop"])
    loaded("rename", "web", "site", check=True)
    assert lookup(pid, "site") == (NOERROR, [web])
    assert lookup(pid, "web")[1] == []
    loaded("rm", "-f", "db", check=True)
    assert lookup(pid, "all") == (NOERROR, [web])
    text = loaded("exec", "client", "cat", "/etc/resolv.conf", check=True).stdout
    assert "nameserver 127.0.0.11\n" in text and "ndots:0" in text


def bound_in(pid: int) -> list[str]:
    """The sockets in the process's network namespace that are bound to 127.0.0.11."""
    rows = [row.split() for kind in ("udp", "tcp") for row in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()]
    return [row[1] for row in rows if row[1].startswith("0B00007F:")]


@pytest.mark.parametrize("network", ["bridge", "none"])
def test_names_are_answered_from_the_first_network_with_names_on(loaded: Minidock, network: str) -> None:
    """Before, nobody in there asks 127.0.0.11: and a bound socket keeps a namespace for 15 ms at its end."""
    loaded("network", "create", "shop", check=True)
    start(loaded, "web", "--network", "shop")
    pid = start(loaded, "client", "--network", network)
    assert bound_in(pid) == []
    if network == "none":
        loaded("network", "disconnect", "none", "client", check=True)
    loaded("network", "connect", "shop", "client", check=True)
    assert len(bound_in(pid)) == 2
    for tcp in (False, True):
        assert lookup(pid, "web", tcp=tcp) == (NOERROR, [address(loaded, "web", "shop")])
    loaded("network", "disconnect", "shop", "client", check=True)
    loaded("network", "connect", "shop", "client", check=True)
    assert len(bound_in(pid)) == 2
    assert lookup(pid, "client") == (NOERROR, [address(loaded, "client", "shop")])


def test_without_its_shim_a_container_is_not_connected_where_names_are(loaded: Minidock) -> None:
    loaded("network", "create", "shop", check=True)
    pid = start(loaded, "client")
    os.kill(int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1]), signal.SIGKILL)
    refused = loaded("network", "connect", "shop", "client")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "Error: nobody would answer for names in the container: its shim was killed\n"
    assert loaded("network", "inspect", "-f", "{{len .Containers}}", "shop", check=True).stdout == "0\n"


def test_foreign_names_are_asked_of_the_servers_in_turn(loaded: Minidock) -> None:
    """Servers on the host's own loopback, as stubs are (127.0.0.53), can be asked: the shim is on the host."""
    loaded("network", "create", "shop", check=True)
    dead, broken, good = (f"127.{os.getpid() % 250 + 1}.{number}.53" for number in (1, 2, 3))
    servers = ("--dns", dead, "--dns", broken, "--dns", good)
    pid = start(loaded, "client", "--network", "shop", *servers)
    with dns.server(broken, "", code=SERVFAIL) as refused, dns.server(good, "203.0.113.7") as asked:
        assert lookup(pid, "example.org") == (NOERROR, ["203.0.113.7"])
        assert (refused, asked) == (["example.org"], ["example.org"])
        assert lookup(pid, "client") == (NOERROR, [address(loaded, "client", "shop")])
        assert asked == ["example.org"]  # our own names are nobody else's business
    direct = start(loaded, "direct", "--network", "shop", "--dns", good)
    with dns.server(good, "203.0.113.7"):
        assert lookup(direct, "example.org", tcp=True) == (NOERROR, ["203.0.113.7"])
    second = start(loaded, "second", "--network", "shop", "--dns", dead, "--dns", dead, "--dns", good)
    with dns.server(good, "203.0.113.7"):
        assert lookup(second, "example.org", tcp=True) == (NOERROR, ["203.0.113.7"])
    with dns.server(good, "", code=NXDOMAIN):
        assert lookup(direct, "nosuch.example") == (NXDOMAIN, [])
    assert lookup(direct, "example.org") == (SERVFAIL, [])  # nobody is there any more


def test_a_silent_server_delays_its_own_questions_only_and_the_next_is_asked(loaded: Minidock) -> None:
    loaded("network", "create", "shop", check=True)
    mute, good = (f"127.{os.getpid() % 250 + 1}.{number}.53" for number in (5, 6))
    pid = start(loaded, "client", "--network", "shop", "--dns", mute, "--dns", good)
    own = (NOERROR, [address(loaded, "client", "shop")])
    with dns.silent(mute), dns.server(good, "203.0.113.7"), ThreadPoolExecutor(2) as others:
        begun = time.monotonic()
        asked = [others.submit(lookup, pid, "example.org", tcp=tcp) for tcp in (False, True)]
        assert [lookup(pid, "client", tcp=tcp) for tcp in (False, True)] == [own, own]
        assert not any(each.done() for each in asked), "the first server is silent: this took two seconds at least"
        assert [each.result() for each in asked] == [(NOERROR, ["203.0.113.7"])] * 2
        assert time.monotonic() - begun < 8
    with dns.server(mute, "", code=NXDOMAIN), dns.server(good, "203.0.113.7") as second:
        assert lookup(pid, "nosuch.example") == (NXDOMAIN, [])  # that is an answer: nobody else is asked
        assert second == []


def test_a_name_without_a_dot_is_looked_for_in_the_search_domains(loaded: Minidock) -> None:
    loaded("network", "create", "shop", check=True)
    server = f"127.{os.getpid() % 250 + 1}.4.53"
    start(
        loaded,
        "client",
        "--network",
        "shop",
        "--dns",
        server,
        "--dns-search",
        "corp.test",
        "--dns-search",
        "example.org",
    )
    with dns.server(server, "203.0.113.7", only="printer.example.org") as asked:
        ping = loaded("exec", "client", "ping", "-c", "1", "-W", "1", "printer")
        assert "PING printer (203.0.113.7)" in ping.stdout
        assert {"printer.corp.test", "printer.example.org"} <= set(asked)


def test_hostile_questions_do_no_harm(loaded: Minidock) -> None:
    loaded("network", "create", "shop", check=True)
    pid = start(loaded, "client", "--network", "shop", "--dns", "127.0.0.254")
    chance = random.Random(7)
    with inside(pid):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    good = dns.question("client")
    for _ in range(500):
        raw = bytearray(good if chance.random() < 0.7 else chance.randbytes(chance.randrange(1, 600)))
        for _ in range(chance.randrange(4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        client.sendto(raw[: chance.randrange(1, len(raw) + 1)], dns.SERVER)
    client.close()
    for raw in (b"\0", b"\xff\xff" + b"x" * 4000, b"\0\0", b"\0\x05hello"):
        with inside(pid):
            stream = socket.create_connection(dns.SERVER, timeout=5)
        stream.sendall(raw)
        stream.close()
    assert lookup(pid, "client") == (NOERROR, [address(loaded, "client", "shop")])
    assert loaded("inspect", "-f", "{{.State.Status}}", "client", check=True).stdout == "running\n"


# ports over IPv6, by way of the shim


@contextlib.contextmanager
def echoing(pid: int) -> Iterator[None]:
    """In the process's network namespace somebody listens at port 80, and sends back what he gets, to all at once."""
    with inside(pid):
        server = socket.create_server(("0.0.0.0", 80), backlog=512)

    def serve(client: socket.socket) -> None:
        with client:
            while data := client.recv(1 << 16):
                client.sendall(data)

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return  # closed
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_what_goes_over_the_ipv6_loopback_arrives_whole(loaded: Minidock) -> None:
    data = random.Random(1).randbytes(3_000_000)
    pid = start(loaded, "echo", "-p", "[::1]::80")
    template = '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}'
    port = int(loaded("inspect", "-f", template, "echo", check=True).stdout)
    with echoing(pid):
        client = socket.create_connection(("::1", port), timeout=20)

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        with client, client.makefile("rb") as stream:
            assert stream.read() == data
        sender.join()
        clients = [
            socket.create_connection(("::1", port), timeout=20) for _ in range(200)
        ]  # more than it links at once
        for one in clients:
            one.sendall(b"x")
        for one in clients:
            one.shutdown(socket.SHUT_WR)
            assert one.recv(1) == b"x"
            one.close()
    with socket.create_connection(("::1", port), timeout=5) as client:  # nobody listens inside
        assert client.recv(1) == b""
    loaded("rm", "-f", "echo", check=True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", port), timeout=5)


def test_connections_of_before_do_not_hold_the_port_at_the_next_start(loaded: Minidock) -> None:
    with socket.socket(socket.AF_INET6) as chosen:
        chosen.bind(("::1", 0))
        port = chosen.getsockname()[1]
    pid = start(loaded, "echo", "-p", f"[::1]:{port}:80")
    with echoing(pid), socket.create_connection(("::1", port), timeout=20) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        loaded("kill", "echo", check=True)  # so the shim's side ends first, and what is left of it is on this port
        assert client.recv(1) == b""
        settled(lambda: loaded("ps", "-q").stdout.split())
        loaded("start", "echo", check=True)  # in FIN_WAIT2
        loaded("kill", "echo", check=True)
    loaded("start", "echo", check=True)  # in TIME_WAIT


# what is left


def test_a_connection_that_fails_leaves_nothing(loaded: Minidock) -> None:
    loaded("network", "create", "--subnet", "10.202.77.0/24", "net", check=True)
    start(loaded, "first", "--network", "net", "--ip", "10.202.77.9")
    start(loaded, "second")
    before = sorted(os.listdir("/sys/class/net"))
    for wanted, said in (("10.202.77.9", "already in use"), ("10.9.9.9", "does not belong"), ("x", "invalid IPv4")):
        refused = loaded("network", "connect", "--ip", wanted, "net", "second")
        assert refused.returncode == 1 and said in refused.stderr
    [claim] = (loaded.layout.networks / "net" / "addresses").iterdir()
    assert claim.name == "10.202.77.9"
    ours = [
        name for name in os.listdir("/sys/class/net") if name not in before and name.startswith(loaded.layout.bridge)
    ]
    assert ours == []


def test_after_a_kill_the_next_command_takes_all_networks_back(loaded: Minidock) -> None:
    loaded("network", "create", "net", check=True)
    pid = start(loaded, "one", "-p", "127.0.0.1::80")
    loaded("network", "connect", "net", "one", check=True)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    assert not settled(lambda: ["alive"] if loaded("ps", "-q", check=True).stdout else [])
    assert list(loaded.layout.networks.glob("*/addresses/*")) == []
    ports = subprocess.run(
        ["nft", "list", "map", "inet", loaded.layout.nft_table, "published_at"], capture_output=True, text=True
    )
    assert "elements" not in ports.stdout
    loaded("network", "rm", "net", check=True)


def test_the_hosts_counts_are_the_same_before_and_after(loaded: Minidock) -> None:
    loaded("network", "create", "net", check=True)
    loaded("run", "--rm", "--network", "net", "-p", "127.0.0.1::80", "busybox", "true", check=True)

    def count() -> tuple[int, int]:
        rules = subprocess.run(
            ["nft", "list", "table", "inet", loaded.layout.nft_table], capture_output=True, text=True, check=True
        )
        bridge = json.loads(loaded("network", "inspect", "net", check=True).stdout)[0]["Id"]
        ports = [path for path in Path("/sys/class/net").glob("*/master") if path.resolve().name == bridge]
        return len(ports), rules.stdout.count("\n")

    before = count()
    for _ in range(5):
        loaded("run", "--rm", "--network", "net", "-p", "127.0.0.1::80", "busybox", "true", check=True)
    assert not settled(lambda: [] if count() == before else ["more"])


def test_prune_gives_the_host_back_what_it_was(loaded: Minidock) -> None:
    loaded("run", "--rm", "busybox", "true", check=True)
    assert traces(loaded)
    loaded("network", "prune", "-f", check=True)
    assert traces(loaded) == []
    loaded("run", "--rm", "busybox", "true", check=True)  # and it all comes back when it is needed


def test_an_older_table_of_the_instance_goes_when_the_new_one_comes(loaded: Minidock) -> None:
    table = loaded.layout.nft_table
    subprocess.run(
        ["nft", f"add table ip {table}; add chain ip {table} old {{ type filter hook input priority 0; }}"], check=True
    )
    loaded("run", "--rm", "busybox", "true", check=True)
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    assert f"table ip {table}\n" not in tables
    assert f"table inet {table}\n" in tables


@contextlib.contextmanager
def answering_datagrams(pid: int) -> Iterator[None]:
    """In the container, over UDP and IPv4 alone: the answer is the length of what came."""
    with inside(pid):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", 53))
    server.settimeout(0.1)
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                asked, whom = server.recvfrom(65536)
                server.sendto(str(len(asked)).encode(), whom)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.close()


def test_datagrams_over_ipv6_reach_a_container_that_has_only_ipv4(loaded: Minidock) -> None:
    pid = start(loaded, "names", "-p", "[::1]::53/udp")
    template = '{{(index (index .NetworkSettings.Ports "53/udp") 0).HostPort}}'
    port = int(loaded("inspect", "-f", template, "names", check=True).stdout)
    clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(200)]  # more than it keeps at once
    for client in clients:
        client.settimeout(10)
        client.connect(("::1", port))  # so that an answer from elsewhere than ::1 doesn't count
    early = clients.pop()
    early.send(b"nobody listens yet")  # what the container says to that must not end the flow
    early.settimeout(0.3)
    with pytest.raises(TimeoutError):
        early.recv(100)
    early.settimeout(10)
    with answering_datagrams(pid):
        for number, client in enumerate(clients):
            client.send(bytes(number + 1))
            assert client.recv(100) == str(number + 1).encode()
        early.send(b"now")
        assert early.recv(100) == b"3"
        clients[0].send(bytes(40000))  # its turn was forgotten meanwhile, and starts anew
        assert clients[0].recv(100) == b"40000"
    for client in [*clients, early]:
        client.close()


@pytest.mark.vm
def test_associations_of_sctp_reach_a_published_port(loaded: Minidock) -> None:
    require_feature("sctp")
    pid = start(loaded, "server", "-p", "127.0.0.1::7000/sctp", "-p", "7001/sctp")
    own, everywhere = (loaded("port", "server", f"{port}/sctp", check=True).stdout.split()[0] for port in (7000, 7001))
    outside = address(loaded, "server", "bridge", "Gateway")
    for port, told, where in ((7000, own, "127.0.0.1"), (7001, everywhere, outside)):
        with inside(pid):
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
        with server, ThreadPoolExecutor(1) as pool:
            server.bind(("0.0.0.0", port))
            server.listen()
            server.settimeout(30)
            client = pool.submit(sctp_client, where, int(told.rpartition(":")[2]))
            connection, _ = server.accept()
            connection.sendall(b"hello")
            assert client.result(30) == b"hello"
            connection.close()
    refused = loaded("run", "--rm", "-p", f"{own}:7000/sctp", "busybox", "true")
    assert refused.returncode == 125 and "container server" in refused.stderr


def sctp_client(where: str, port: int) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as client:
        client.settimeout(30)
        client.connect((where, port))
        return client.recv(5)
