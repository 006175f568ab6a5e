"""The instance's own nftables table: how a packet gets out of a container, and in through a published port.

One table, made when the bridge is made. Published ports are entries of its two maps, so that a container that comes
or goes changes one entry and no rule, and `nft list table ip minidock` shows at one glance what is open.
docs/networking.md follows packets through it.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import ClassVar

import msgspec

from minidock import files
from minidock.errors import MinidockError
from minidock.kernel import conntrack, link, netns, nft
from minidock.network.addresses import Published, living
from minidock.paths import Layout
from minidock.steps import Live, Step

ANY = "0.0.0.0"  # noqa: S104

TABLE = """\
add table ip {table}
flush table ip {table}
table ip {table} {{
	map published {{
		type inet_proto . inet_service : ipv4_addr . inet_service
	}}
	map published_at {{
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
	}}
	chain publish {{
		dnat ip to ip daddr . meta l4proto . th dport map @published_at
		dnat ip to meta l4proto . th dport map @published
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr != 127.0.0.0/8 fib daddr type local jump publish comment "from outside and from containers"
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
		fib daddr type local jump publish comment "from this host, 127.0.0.1 too"
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr {subnet} oifname != "{bridge}" masquerade comment "containers leave with the host's address"
		ip saddr 127.0.0.0/8 oifname "{bridge}" masquerade comment "no container could answer to 127.0.0.1"
		ip saddr {subnet} oifname "{bridge}" ct status dnat masquerade comment "the answer must come back this way"
	}}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		oifname "{bridge}" iifname "{bridge}" accept comment "containers among themselves"
		oifname "{bridge}" ct state established,related accept comment "answers"
		oifname "{bridge}" ct status dnat accept comment "published ports"
		oifname "{bridge}" drop comment "nothing else gets in"
	}}
	chain guard {{
		type filter hook prerouting priority raw; policy accept;
		iifname "{bridge}" ip daddr 127.0.0.0/8 drop comment "the host's localhost is no container's business"
	}}
}}
"""
RULES = sum(line.startswith("\t\t") and not line.strip().startswith("type ") for line in TABLE.splitlines())
"""How many rules the table has when nobody has touched it."""


class Marker(msgspec.Struct, frozen=True):
    """nat.json in the instance's run directory: which state of the kernel's rules was seen to be right."""

    namespace: int
    generation: int
    bridge: int


class SetUpNat(Step, frozen=True):
    """Make the table, or put it right when somebody has flushed it. `root` is the instance's."""

    root: str
    table: str
    bridge: str
    subnet: str
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        return f"let {self.subnet} out under the host's address, and only what is published in (table {self.table})"

    def rules(self) -> str:
        return TABLE.format(table=self.table, bridge=self.bridge, subnet=self.subnet)

    def shell(self) -> str:
        return f"nft list table ip {self.table} >/dev/null 2>&1 || nft -f - <<'EOF'\n{self.rules()}EOF"

    def apply(self, live: Live) -> None:
        layout = Layout(Path(self.root))
        if is_current(layout) or is_whole(self.table):
            return
        # A flush took the maps' entries too: those of running containers come back with the table.
        running = [port for claim in living(layout, "bridge") for port in claim.ports]
        nft.run(self.rules() + _elements("add", self.table, running))


class PublishPorts(Step, frozen=True):
    """Write the container's ports into the table's maps."""

    table: str
    ports: list[Published]
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        shown = (f"{p.host_ip}:{p.host_port}/{p.protocol} to {p.address}:{p.port}" for p in self.ports)
        return f"publish {', '.join(shown)}"

    def shell(self) -> str:
        lines = [f"nft -f - <<'EOF'\n{_elements('add', self.table, self.ports)}EOF"]
        udp = (port.host_port for port in self.ports if port.protocol == "udp")
        lines += [f"conntrack -D -p udp --orig-port-dst {number} >/dev/null 2>&1 || :" for number in udp]
        return "\n".join(lines)

    def undo_shell(self) -> str:
        entries = _elements("delete", self.table, self.ports).splitlines()
        return "\n".join(f"nft '{entry}' || :" for entry in entries)

    def apply(self, live: Live) -> None:
        try:
            nft.run(_elements("add", self.table, self.ports))
        except MinidockError:
            # An entry for the port is there, and leads elsewhere: left by a container that is gone, as the port's
            # socket and its claim are ours. Only then: one call of nft is the usual price.
            for port in self.ports:
                _try(f"delete element {_key(self.table, port)}")
            nft.run(_elements("add", self.table, self.ports))
        for port in self.ports:
            if port.protocol == "udp":
                conntrack.forget(socket.IPPROTO_UDP, port=port.host_port)

    def undo(self, live: Live) -> None:
        """Take out what leads to us. An entry with our port and another's address is the next container's."""
        # Adding what is there changes nothing, adding to a port that leads elsewhere fails: so nothing is deleted then.
        if not _try(_elements("add", self.table, self.ports) + _elements("delete", self.table, self.ports)):
            for port in self.ports:
                _try(_elements("add", self.table, [port]) + _elements("delete", self.table, [port]))
        for port in self.ports:
            if port.protocol == "udp":
                conntrack.forget(socket.IPPROTO_UDP, answers=port.address, answer_port=port.port)


def is_current(layout: Layout) -> bool:
    """Whether no rule of the host has changed since the table was last seen to be right: one question of 20 µs."""
    return _seen(layout) == state(layout)


def is_whole(table: str) -> bool:
    """Whether the table has all its rules: another question, of 200 µs."""
    return len(nft.rules(table)) == RULES


def remember(layout: Layout, seen: Marker) -> None:
    """Note in which state the rules were seen to be right."""
    layout.run.mkdir(parents=True, exist_ok=True)
    files.write_json(layout.run / "nat.json", seen, durable=False)


def state(layout: Layout) -> Marker:
    """By what a change of the rules, or another network namespace, would be noticed."""
    return Marker(netns.identity(), nft.generation(), link.index_of(layout.bridge))


def _seen(layout: Layout) -> Marker | None:
    try:
        return files.read_json(layout.run / "nat.json", Marker)
    except FileNotFoundError:
        return None


def tear_down(layout: Layout) -> None:
    """Remove the table with all that is in it."""
    _try(f"delete table ip {layout.nft_table}\n")
    (layout.run / "nat.json").unlink(missing_ok=True)


def _try(rules: str) -> bool:
    """Whether it worked. Everything else than "there is no such thing" shows when the table is next used."""
    try:
        nft.run(rules)
    except MinidockError:
        return False
    return True


def _elements(verb: str, table: str, ports: list[Published]) -> str:
    return "".join(f"{verb} element {_key(table, port, with_value=True)}\n" for port in ports)


def _key(table: str, port: Published, *, with_value: bool = False) -> str:
    value = f" : {port.address} . {port.port}" if with_value else ""
    if port.host_ip == ANY:
        return f"ip {table} published {{ {port.protocol} . {port.host_port}{value} }}"
    return f"ip {table} published_at {{ {port.host_ip} . {port.protocol} . {port.host_port}{value} }}"
