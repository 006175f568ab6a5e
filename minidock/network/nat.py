"""The instance's own nftables table: how a packet gets out of a container, and who may get in.

One table for all networks of the instance: a network is an entry in its sets, a published port one in its maps
(`publish.py`). So a container that comes or goes changes an entry and no rule, and `nft list table inet minidock` shows
at one glance what is open. docs/networking.md follows packets through it.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import msgspec

from minidock import files
from minidock.kernel import link, netns, nft
from minidock.network import publish, subnets
from minidock.network.addresses import networks, peek
from minidock.network.subnets import Network
from minidock.paths import Layout
from minidock.steps import Live, Step

TABLE = """\
add table inet {table}
flush table inet {table}
table inet {table} {{
	set bridges {{
		type ifname
	}}
	set closed {{
		type ifname
	}}
	set within {{
		type ifname . ifname
	}}
	set subnets {{
		type ipv4_addr
		flags interval
	}}
	set subnets6 {{
		type ipv6_addr
		flags interval
	}}
	map published {{
		type inet_proto . inet_service : ipv4_addr . inet_service
	}}
	map published_at {{
		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
	}}
	map published6 {{
		type inet_proto . inet_service : ipv6_addr . inet_service
	}}
	map published6_at {{
		type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service
	}}
	chain publish {{
		meta nfproto ipv4 dnat ip to ip daddr . meta l4proto . th dport map @published_at
		meta nfproto ipv4 dnat ip to meta l4proto . th dport map @published
		meta nfproto ipv6 dnat ip6 to ip6 daddr . meta l4proto . th dport map @published6_at
		meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @published6
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr != 127.0.0.0/8 fib daddr type local jump publish comment "from outside and from containers"
		ip6 daddr != ::1 fib daddr type local jump publish comment "the same over IPv6"
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
		meta nfproto ipv4 fib daddr type local jump publish comment "from this host, 127.0.0.1 too"
		ip6 daddr != ::1 fib daddr type local jump publish comment "::1 can't be rewritten: the shim passes it on"
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @subnets oifname != @bridges masquerade comment "containers leave with the host's address"
		ip6 saddr @subnets6 oifname != @bridges masquerade comment "the same over IPv6"
		ip saddr 127.0.0.0/8 oifname @bridges masquerade comment "no container could answer to 127.0.0.1"
		ip saddr @subnets oifname @bridges ct status dnat masquerade comment "the answer must come back this way"
		ip6 saddr @subnets6 oifname @bridges ct status dnat masquerade comment "the same over IPv6"
	}}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		ct state established,related oifname @bridges accept comment "answers, and all but the first packet"
		iifname . oifname @within accept comment "containers of one network among themselves"
		iifname @closed drop comment "internal networks: nothing gets out"
		oifname @closed drop comment "and nothing in"
		oifname @bridges ct status dnat accept comment "published ports"
		oifname @bridges drop comment "nothing else gets in, from other networks neither"
	}}
	chain guard {{
		type filter hook prerouting priority raw; policy accept;
		ip daddr 127.0.0.0/8 iifname @bridges drop comment "the host's localhost is no container's business"
	}}
}}
"""
RULES = sum(line.startswith("\t\t") and line.split()[0] not in ("type", "flags") for line in TABLE.splitlines())
"""How many rules the table has when nobody has touched it."""


class Marker(msgspec.Struct, frozen=True):
    """nat-BRIDGE.json in the instance's run directory: which state of the kernel's rules was seen to be right."""

    namespace: int
    generation: int
    bridge: int


class SetUpNat(Step, frozen=True):
    """Make the table, or put it right when somebody has flushed it, and have the bridge in its sets. `root` is the
    instance's."""

    root: str
    table: str
    bridge: str
    subnet: str
    subnet6: str = ""
    closed: bool = False
    icc: bool = True
    masquerade: bool = True
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        if self.closed:
            return f"let nothing of {self.subnet} out, and nothing in (table {self.table})"
        return f"let {self.subnet} out under the host's address, and only what is published in (table {self.table})"

    def rules(self) -> str:
        """The table, and what is this network's in it."""
        return TABLE.format(table=self.table) + self.members("add")

    def members(self, verb: str) -> str:
        """The network's elements of the table's sets."""
        name = f'"{self.bridge}"'
        rows = [("bridges", name, True), ("closed", name, self.closed), ("within", f"{name} . {name}", self.icc)]
        leaves = self.masquerade and not self.closed
        rows += [("subnets", self.subnet, leaves), ("subnets6", self.subnet6, leaves and bool(self.subnet6))]
        return "".join(
            f"{verb} element inet {self.table} {where} {{ {what} }}\n" for where, what, is_in in rows if is_in
        )

    def shell(self) -> str:
        return (
            f"case $(nft list table inet {self.table} 2>/dev/null) in\n*'\"{self.bridge}\"'*) ;;\n"
            f"*) nft -f - <<'EOF'\n{self.rules()}EOF\n;;\nesac"
        )

    def apply(self, live: Live) -> None:
        layout = Layout(Path(self.root))
        if is_current(layout, self.bridge) or is_whole(self.table, self.bridge):
            return
        nft.run(self.rules() + _others(layout, self.bridge) + _retire(self.table))


def set_up(layout: Layout, network: Network) -> SetUpNat:
    """The step for a network."""
    return SetUpNat(
        str(layout.root),
        layout.nft_table,
        network.bridge,
        network.subnet,
        network.subnet6,
        closed=network.internal,
        icc=network.switched_on("bridge.enable_icc"),
        masquerade=network.switched_on("bridge.enable_ip_masquerade"),
    )


def _others(layout: Layout, bridge: str) -> str:
    """A flush took the elements too: those of other networks that are up, and of running containers, come back."""
    up = [other for other in subnets.everything(layout) if other.bridge != bridge and link.index_of(other.bridge)]
    running = [port for name in networks(layout) for claim in peek(layout, name) for port in claim.ports]
    return "".join(set_up(layout, other).members("add") for other in up) + publish.elements(
        "add", layout.nft_table, running
    )


def _retire(table: str) -> str:
    """Until it spoke IPv6, minidock had its table in the family ip."""
    old = any(chain.family == "ip" and chain.table == table for chain in nft.chains())
    return f"delete table ip {table}\n" if old else ""


def take_down(layout: Layout, network: Network) -> None:
    """Take a network out of the table's sets."""
    nft.attempt(set_up(layout, network).members("delete"))
    _marker(layout, network.bridge).unlink(missing_ok=True)


def is_current(layout: Layout, bridge: str = "") -> bool:
    """Whether no rule of the host has changed since the table was last seen to be right: one question of 20 µs."""
    bridge = bridge or layout.bridge
    return _seen(layout, bridge) == state(bridge)


def is_whole(table: str, bridge: str) -> bool:
    """Whether the table has all its rules, and knows the bridge: other questions, of 200 µs."""
    return len(nft.rules(table)) == RULES and bridge.encode() in (
        name.rstrip(b"\0") for name in nft.elements(table, "bridges")
    )


def remember(layout: Layout, bridge: str, seen: Marker) -> None:
    """Note in which state the rules were seen to be right."""
    layout.run.mkdir(parents=True, exist_ok=True)
    files.write_json(_marker(layout, bridge), seen, durable=False)


def state(bridge: str) -> Marker:
    """By what a change of the rules, or another network namespace, would be noticed."""
    return Marker(netns.identity(), nft.generation(), link.index_of(bridge))


def _seen(layout: Layout, bridge: str) -> Marker | None:
    try:
        return files.read_json(_marker(layout, bridge), Marker)
    except FileNotFoundError:
        return None


def _marker(layout: Layout, bridge: str) -> Path:
    return layout.run / f"nat-{bridge}.json"


def tear_down(layout: Layout) -> None:
    """Remove the table with all that is in it."""
    nft.attempt(f"delete table inet {layout.nft_table}\n")
    nft.attempt(f"delete table ip {layout.nft_table}\n")
    for marker in layout.run.glob("nat*.json"):
        marker.unlink(missing_ok=True)
