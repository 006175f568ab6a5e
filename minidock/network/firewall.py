"""Other people's firewalls: getting our containers' packets past a rule set that drops what it doesn't know.

Docker gives the chain FORWARD of the table `ip filter` the policy drop, and ufw does too. An accept in a table of our
own doesn't help: each base chain at the hook is asked, and one drop is final. So two accepting rules for our bridge
are put where that chain will meet them: into DOCKER-USER, which Docker keeps for its users, or else at the chain's
top. They carry our table's name as their comment, by which they are found and taken out again.

What may go in is still decided by our own table (nat.py, chain forward). A Docker that starts after us finds
forwarding switched on, and then leaves the policy alone; where it doesn't, the next container that starts notices.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from minidock.kernel import nft
from minidock.kernel.nft import Chain, Rule
from minidock.network import nat
from minidock.paths import Layout
from minidock.steps import Live, Step

DOCKER_USER = "DOCKER-USER"


class PassFirewalls(Step, frozen=True):
    """Accept the bridge's packets in every chain that drops forwarded packets by policy. `root` is the instance's."""

    root: str
    table: str
    bridge: str
    man: ClassVar[str] = "nft(8)"

    def describe(self) -> str:
        return f"ask firewalls that drop forwarded packets by policy (Docker's, ufw's) to let {self.bridge} pass"

    def shell(self) -> str:
        lines = [f"for chain in {DOCKER_USER} FORWARD; do"]
        lines += ["  nft list chain ip filter FORWARD 2>/dev/null | grep -q 'policy drop' || break"]
        lines += ["  nft list chain ip filter $chain >/dev/null 2>&1 || continue"]
        lines += [f"  nft list chain ip filter $chain | grep -q '\"{self.bridge}\"' && break"]
        lines += [f"  nft insert rule ip filter $chain {words}" for words in self._rules(quote="\\")]
        return "\n".join([*lines, "  break", "done"])

    def _rules(self, quote: str = "") -> list[str]:
        mark = quote + '"'
        rest = f"{mark}{self.bridge}{mark} counter accept comment {mark}{self.table}{mark}"
        return [f"iifname {rest}", f"oifname {rest}"]

    def apply(self, live: Live) -> None:
        layout = Layout(Path(self.root))
        if nat.is_current(layout):
            return
        missing = _missing(self.table)
        if missing:
            nft.run("".join(f"insert rule {where} {words}\n" for where in missing for words in self._rules()))
        nat.remember(layout)


def tear_down(layout: Layout) -> None:
    """Take our rules out of other people's chains."""
    ours = [rule for rule in nft.rules() if rule.table != layout.nft_table and _is_ours(rule, layout.nft_table)]
    for rule in ours:
        nft.run(f"delete rule {rule.family} {rule.table} {rule.chain} handle {rule.handle}\n")


def dropping(chains: list[Chain]) -> list[str]:
    """Where rules must go to get past all chains that drop by policy, as `family table chain`."""
    places = []
    for chain in chains:
        if chain.hook == nft.HOOK_FORWARD and chain.drops:
            has_user = any((c.family, c.table, c.name) == (chain.family, chain.table, DOCKER_USER) for c in chains)
            places.append(f"{chain.family} {chain.table} {DOCKER_USER if has_user else chain.name}")
    return places


def _missing(table: str) -> list[str]:
    places = dropping(nft.chains())
    if not places:
        return []
    have = {f"{rule.family} {rule.table} {rule.chain}" for rule in nft.rules() if _is_ours(rule, table)}
    return [place for place in places if place not in have]


def _is_ours(rule: Rule, table: str) -> bool:
    return rule.comment == table.encode()
