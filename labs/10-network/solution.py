"""Lab 10: a cable into the container, a bridge on the host, and two rules that let packets out and in.

python lab10_network.py HOST_PORT:PORT COMMAND [ARGUMENT...]
"""

import os
import sys

from lab01_process import exit_code
from lab02_namespaces import init, spawn

from minidock.kernel import address, bridge, link, nft, route, veth
from minidock.steps import Live

KINDS = ["uts", "ipc", "pid", "mount", "network"]
BRIDGE, GATEWAY, SUBNET = "mini0", "10.88.0.1", "10.88.0.0/24"
CONTAINER = "10.88.0.2"


def prepare_host() -> None:
    """The host's side, once: a bridge with an address, and a host that passes packets on."""
    live = Live()
    # lab: begin  CreateBridge (mac 02:42:0a:58:00:01, mtu 1500), its address GATEWAY/24, LinkUp
    bridge.CreateBridge(BRIDGE, "02:42:0a:58:00:01", 1500).apply(live)
    address.AddAddress(BRIDGE, f"{GATEWAY}/24", shared=True).apply(live)
    link.LinkUp(BRIDGE).apply(live)
    # lab: end
    # lab: begin  make the host a router: write 1 to /proc/sys/net/ipv4/ip_forward
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("1")
    # lab: end


def rules(host_port: int, port: int) -> str:
    """The table `mini` for nft: what leaves SUBNET for elsewhere gets the host's address, host_port leads inside."""
    # lab: begin  a line `masquerade` in postrouting and one `dnat to` in prerouting
    leave = f'ip saddr {SUBNET} oifname != "{BRIDGE}" masquerade'
    enter = f"fib daddr type local tcp dport {host_port} dnat to {CONTAINER}:{port}"
    # lab: end
    return f"""
        table ip mini {{
            chain leave {{ type nat hook postrouting priority srcnat; {leave}; }}
            chain enter {{ type nat hook prerouting priority dstnat; {enter}; }}
        }}
    """


def connect(pid: int) -> None:
    """On the host, for a child that waits: a cable between the bridge and the child's network namespace."""
    # lab: begin  CreateVeth: mini-host here, eth0 there (mac 02:42:0a:58:00:02, mtu 1500); it needs Live(pid)
    veth.CreateVeth("mini-host", "eth0", BRIDGE, "02:42:0a:58:00:02", 1500).apply(Live(pid))
    # lab: end


def set_up_inside() -> None:
    """In the child, once the cable is there: interfaces up, an address, a way out."""
    # lab: begin  LinkUp lo and eth0, AddAddress CONTAINER/24, AddDefaultRoute
    for name in ("lo", "eth0"):
        link.LinkUp(name).apply(Live())
    address.AddAddress("eth0", f"{CONTAINER}/24").apply(Live())
    route.AddDefaultRoute(GATEWAY).apply(Live())
    # lab: end


def run(host_port: int, port: int, command: list[str]) -> int:
    """Run the command with a network of its own."""
    ready, go = os.pipe()

    def child() -> None:
        os.close(go)
        os.read(ready, 1)
        set_up_inside()
        init(command)

    prepare_host()
    nft.run(rules(host_port, port))
    pid = spawn(KINDS, child)
    connect(pid)
    os.close(go)
    try:
        return exit_code(os.waitpid(pid, 0)[1])
    finally:
        nft.run("delete table ip mini\n")


if __name__ == "__main__":
    outer, inner = (int(word) for word in sys.argv[1].split(":"))
    sys.exit(run(outer, inner, sys.argv[2:]))
