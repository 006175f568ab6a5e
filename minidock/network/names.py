"""Names inside a network: who is called what, and how a container's questions get an answer.

In a network that somebody made, containers find each other by name. The name server at 127.0.0.11 that their
resolv.conf speaks of is the container's own shim (native/shim_dns.c): no further process. Three things make it work.

    networks/NAME/hosts          who is called what, as lines of hosts(5): written whenever an address is taken or given
    run/containers/ID/dns.conf   what this container's shim needs: its networks, its links, the servers to pass on to
    two sockets                  opened in the container's network namespace before its first process goes on, or when
                                 it is connected to such a network, on a port drawn by lot, so that a container may have
                                 a name server of its own at port 53

docs/networking.md tells why it is done this way.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import ClassVar

import msgspec

from minidock import files
from minidock.kernel import netns, nft
from minidock.kernel.link import LinkUp
from minidock.network import overlay
from minidock.steps import Live, Step

SERVER = "127.0.0.11"
PORTS = range(32768, 61000)

RULES = """\
add table ip minidock_names
flush table ip minidock_names
table ip minidock_names {{
	chain output {{
		type nat hook output priority -100; policy accept;
		ip daddr {server} udp dport 53 dnat to {server}:{port}
		ip daddr {server} tcp dport 53 dnat to {server}:{port}
	}}
}}
"""


class AnswerNames(Step, frozen=True):
    """In the container's network namespace: what is sent to 127.0.0.11:53 goes to the shim's sockets instead."""

    port: int
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        return f"lead the container's questions for names ({SERVER}:53) to its shim, which listens at port {self.port}"

    def rules(self) -> str:
        return RULES.format(server=SERVER, port=self.port)

    def shell(self) -> str:
        told = "# nobody answers there without minidock's shim: give the servers to ask in /etc/resolv.conf"
        return f"{told}\nnsenter -t $PID -n nft -f - <<'EOF'\n{self.rules()}EOF"

    def apply(self, live: Live) -> None:
        with netns.entered(live.pid):
            nft.run(self.rules())


def draw_port() -> int:
    """Where inside a container its shim may listen: in the range of ports that the kernel gives to clients."""
    return PORTS[int.from_bytes(os.urandom(4), "big") % len(PORTS)]


def open_sockets(pid: int, port: int) -> list[socket.socket]:
    """The UDP and the listening TCP socket at 127.0.0.11:port, in the network namespace of the process.

    Its loopback comes up for that: without the address in place the kernel would choose another one for answers.
    """
    with netns.entered(pid):
        LinkUp("lo").apply(Live())
        made = [socket.socket(socket.AF_INET, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
    for one in made:
        one.bind((SERVER, port))
    made[1].listen(16)
    return made


class _Named(msgspec.Struct, frozen=True):
    """What of a claim (network/addresses.py) is needed here."""

    address: str
    names: list[str] = []
    address6: str = ""


def write(directory: Path) -> None:
    """Write the network's hosts file anew, from the claims that there are."""
    if not (directory / "addresses").is_dir() or directory.name == "bridge":
        return
    with files.locked(directory / "hosts.lock"):
        claims = []
        for path in sorted((directory / "addresses").iterdir()):
            if not path.name.startswith("."):
                try:
                    claims.append(files.read_json(path, _Named))
                except FileNotFoundError:
                    continue
        rows = [(address, claim.names) for claim in claims for address in (claim.address, claim.address6) if address]
        said = overlay.read(directory / overlay.FILE).names  # of a swarm's network, what its managers say
        rows += [(address, [name]) for name, addresses in said.items() for address in addresses]
        text = "".join(f"{address} {' '.join(names)}\n" for address, names in rows if names)
        files.write_atomic(directory / "hosts", text.encode(), durable=False)


def config(port: int, networks: dict[str, Path], links: list[str], servers: list[str]) -> str:
    """dns.conf: `networks` are the hosts files by the network's name, `links` as in `--link NAME:ALIAS`."""
    lines = [f"port {port}"]
    lines += [f"network {_one_line(name)}\t{path}" for name, path in networks.items()]
    lines += [f"link {name} {alias or name}" for name, _, alias in (link.partition(":") for link in links)]
    lines += [f"server {server}" for server in servers]
    return "\n".join(lines) + "\n"


def _one_line(name: str) -> str:
    """A network may have a space in its name, and a tab: nobody can ask for the latter."""
    return "".join(letter if letter >= " " else "?" for letter in name)
