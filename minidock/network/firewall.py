"""Other people's firewalls: getting our containers' packets past a rule set that drops what it doesn't know.

Docker gives the chain FORWARD of the table `ip filter` the policy drop, and ufw does too. An accept in a table of our
own doesn't help: each base chain at the hook is asked, and one drop is final. So rules that accept our bridge's
packets are put at the *end* of that chain: whatever its owner says in rules comes first, and only the policy, which
is for what nobody has an opinion about, is overruled. They carry our table's and bridge's names as their comment, by
which they are found and taken out again.

What may go in to us is still decided by our own table (nat.py, chain forward); and what lies behind other engines'
bridges stays closed to our containers. A Docker that starts after us finds forwarding switched on, and then leaves
the policy alone; where it doesn't, the next container that starts notices.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from minidock import files
from minidock.kernel import nft
from minidock.kernel.nft import Chain, Rule
from minidock.network import nat
from minidock.paths import Layout
from minidock.steps import Live, Step

STRANGERS = ("docker*", "br-*", "podman*", "virbr*")
"""Bridges of Docker, Podman and libvirt: what is behind them is published by their owners, or not at all."""


class PassFirewalls(Step, frozen=True):
    """Accept the bridge's packets in every chain that drops forwarded packets by policy. `root` is the instance's."""

    root: str
    table: str
    bridge: str
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        return f"ask firewalls that drop forwarded packets by policy (Docker's, ufw's) to let {self.bridge} pass"

    def shell(self) -> str:
        rules = "".join(f"add rule ip filter FORWARD {words}\n" for words in self.rules())
        return (
            "case $(nft list chain ip filter FORWARD 2>/dev/null) in\n"
            f"*'\"{self.bridge}\"'*) ;;\n"
            f"*'policy drop'*) nft -f - <<'EOF'\n{rules}EOF\n;;\nesac"
        )

    def rules(self) -> list[str]:
        """In words that iptables understands as well: it refuses to list, and Docker to change, what it can't."""
        end = f'comment "{self.table} {self.bridge}"'
        closed = [f'iifname "{self.bridge}" oifname "{name}" counter return {end}' for name in STRANGERS]
        return [
            f'oifname "{self.bridge}" counter accept {end}',
            *closed,
            f'iifname "{self.bridge}" counter accept {end}',
        ]

    def apply(self, live: Live) -> None:
        layout = Layout(Path(self.root))
        if nat.is_current(layout, self.bridge):
            return
        with files.locked(layout.lock("firewalls")):
            # Looked at first: what is found right below was right in this state of the rules, or a later one.
            state = nat.state(self.bridge)
            missing = _missing(f"{self.table} {self.bridge}")
            if missing:
                nft.run("".join(f"add rule {where} {words}\n" for where in missing for words in self.rules()))
            elif nat.is_whole(self.table, self.bridge):
                nat.remember(layout, self.bridge, state)


def tear_down(layout: Layout, bridge: str = "") -> None:
    """Take our rules out of other people's chains: those of one bridge, or all."""
    table = layout.nft_table
    marks = {f"{table} {bridge}"} if bridge else {rule.comment.decode(errors="replace") for rule in nft.rules()}
    marks = {mark for mark in marks if mark.partition(" ")[0] == table}
    ours = [rule for rule in nft.rules() if rule.table != table and any(_is_ours(rule, mark) for mark in marks)]
    for rule in ours:
        nft.run(f"delete rule {rule.family} {rule.table} {rule.chain} handle {rule.handle}\n")


def dropping(chains: list[Chain]) -> list[str]:
    """The chains that drop forwarded packets by policy, as `family table chain`."""
    return [f"{c.family} {c.table} {c.name}" for c in chains if c.hook == nft.HOOK_FORWARD and c.drops]


def _missing(mark: str) -> list[str]:
    places = dropping(nft.chains())
    if not places:
        return []
    have = {f"{rule.family} {rule.table} {rule.chain}" for rule in nft.rules() if _is_ours(rule, mark)}
    return [place for place in places if place not in have]


def _is_ours(rule: Rule, mark: str) -> bool:
    return rule.comment == mark.encode()
