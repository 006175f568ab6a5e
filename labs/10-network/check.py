"""Lab 10: the cable, the addresses, and packets that really come back.

The small host gets an uplink to a "world": a network namespace with one machine, 203.0.113.2, that knows the small
host's address 203.0.113.1 and nothing else. It tells everybody who connects to port 7 from where he came.
"""

import os
import socket
import subprocess
import sys
import time

from minidock.kernel import address, link, netns, route, syscalls
from minidock.kernel.namespaces import KINDS
from minidock.labs.bench import Host

WORLD, HOST = "203.0.113.2", "203.0.113.1"
SERVER = """
import socket
server = socket.create_server(("", {port}))
while True:
    client, peer = server.accept()
    client.sendall(f"you are {{peer[0]}}".encode())
    client.close()
"""


def check(host: Host) -> None:
    world = _world(host)
    command = [sys.executable, "-I", "-S", "-c", SERVER.format(port=80)]
    with host.running("8080:80", command=command) as it:
        host.fact(
            "the network namespace is its own",
            it.namespace("network") != host.namespace("network"),
            look=f"readlink /proc/{it.pid}/ns/net",
            man="network_namespaces(7)",
        )
        inside = {found.name: found for found in link.read(it.pid)}
        for name in ("lo", "eth0"):
            host.fact(
                f"{name} is there and up",
                name in inside and inside[name].up,
                found={one.name: "up" if one.up else "down" for one in inside.values()},
                look=f"nsenter --target {it.pid} --net ip link",
                man="ip-link(8)",
                hint=(
                    "a new namespace has lo alone, and that is down; eth0 is the far end of a veth pair. "
                    "Both need LinkUp, inside"
                ),
            )
        found = [f"{one.address}/{one.prefix}" for one in address.read(it.pid) if one.index == inside["eth0"].index]
        host.fact("eth0 has 10.88.0.2/24", found == ["10.88.0.2/24"], found=found, man="ip-address(8)")
        near, bridge = link.get("mini-host"), link.get("mini0")
        host.fact(
            "the other end hangs on the bridge mini0",
            near is not None and bridge is not None and near.master == bridge.index and near.up and bridge.up,
            look="ip link show master mini0",
            man="veth(4)",
            hint="CreateVeth plugs mini-host into the bridge; and the bridge itself must be up",
        )
        gateways = [one.gateway for one in route.read(it.pid) if one.prefix == 0]
        host.fact(
            "what isn't local goes to the bridge",
            gateways == ["10.88.0.1"],
            found=gateways or "no default route",
            look=f"nsenter --target {it.pid} --net ip route",
            man="ip-route(8)",
            hint="AddDefaultRoute(GATEWAY), inside, after eth0 is up",
        )
        _packets(host, it.pid, world)
    left = [name for name in ("mini-host",) if link.index_of(name)]
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    host.fact(
        "afterwards neither cable nor table is left",
        not left and "table ip mini" not in tables,
        found=f"{left} {tables}",
        look="ip link; nft list tables",
        hint="a veth goes with its namespace; a table stays until somebody deletes it, also when the command failed",
    )


def _packets(host: Host, pid: int, world: int) -> None:
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as file:
        forward = file.read().strip()
    host.fact(
        "the host passes packets on",
        forward == "1",
        found=f"ip_forward is {forward}",
        look="cat /proc/sys/net/ipv4/ip_forward",
        man="ip(7)",
        hint="a host that is no router drops what isn't for itself",
    )
    said = _ask(pid, WORLD, 7)
    rules = subprocess.run(["nft", "list", "table", "ip", "mini"], capture_output=True, text=True, check=False).stdout
    host.fact(
        "the world answers, and sees the host's address",
        said == f"you are {HOST}",
        found=f"{said or 'no answer'}\n{rules}",
        look="nft list ruleset; conntrack -L",
        man="nft(8)",
        hint="nobody out there knows 10.88.0.2: without masquerade the answer finds no way back",
    )
    said = _ask(world, HOST, 8080)
    host.fact(
        "the world reaches port 8080",
        said == f"you are {WORLD}",
        found=f"{said or 'no answer'}\n{rules}",
        look="nft list ruleset",
        man="nft(8)",
        hint="dnat in prerouting, before the kernel looks for a route: to the container's address and *its* port",
    )


def _ask(pid: int, where: str, port: int, seconds: float = 5) -> str:
    """Connect from the network namespace of a process; empty when nobody answers."""
    deadline = time.monotonic() + seconds
    with netns.entered(pid):
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((where, port), timeout=seconds) as connection:
                    return connection.recv(100).decode()
            except OSError:
                time.sleep(0.01)  # refused: the server is about to listen
    return ""


def _world(host: Host) -> int:
    """A process in a network namespace that is everything outside; returns its pid."""
    pid = syscalls.clone3(KINDS["network"].flag)
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", SERVER.format(port=7)])
    lines = f"""
        ip link add uplink type veth peer name eth0 netns {pid}
        ip addr add {HOST}/24 dev uplink
        ip link set uplink up
        nsenter --target {pid} --net ip addr add {WORLD}/24 dev eth0
        nsenter --target {pid} --net ip link set eth0 up
        nsenter --target {pid} --net ip link set lo up
    """
    subprocess.run(["sh", "-ec", lines], check=True)
    host.keep(pid)
    _ask(0, WORLD, 7)
    return pid
