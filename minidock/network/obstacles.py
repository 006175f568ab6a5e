"""Which rule of somebody else's firewall drops our containers' packets: two packets are led through it on paper.

One leaves a container, one comes to it, both first ones of their flows. What a rule asks for may be known of them (the
interfaces, the state) or not; so a rule that drops is in their way, or may be. `nft -j` has the rules:
libnftables-json(5).
"""

from __future__ import annotations

import fnmatch
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec

HOOKS = ("prerouting", "forward", "postrouting")
FAMILIES = ("inet", "ip")
SIDE_EFFECTS = ("counter", "log", "meter", "mangle", "notrack")
"""What a rule does beside its verdict, and what doesn't keep a packet from it."""


class Packet(msgspec.Struct, frozen=True):
    """The first of a flow. At prerouting nobody knows yet where it goes out."""

    iifname: str
    oifname: str


class Obstacle(msgspec.Struct, frozen=True):
    """`where` is `family table chain`; not `certain`: only for some packets, by what isn't judged here."""

    where: str
    handle: int
    certain: bool


class Rules(msgspec.Struct, frozen=True):
    """By `family table chain`: the hooks of base chains, and the rules of all, in order."""

    hooks: dict[str, str]
    rules: dict[str, list[dict[str, Any]]]


def listed(nft: str) -> Rules:
    """The kernel's rules. Raises OSError, ValueError when nft can't tell them in JSON."""
    done = subprocess.run([nft, "-j", "list", "ruleset"], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(done.returncode, done.stderr.strip())
    return parse(json.loads(done.stdout)["nftables"])


def parse(objects: list[dict[str, Any]]) -> Rules:
    hooks: dict[str, str] = {}
    rules: dict[str, list[dict[str, Any]]] = {}
    for kind, found in (pair for row in objects for pair in row.items()):
        if kind == "chain" and found.get("hook") in HOOKS:
            hooks[f"{found['family']} {found['table']} {found['name']}"] = found["hook"]
        elif kind == "rule":
            rules.setdefault(f"{found['family']} {found['table']} {found['chain']}", []).append(found)
    return Rules(hooks, rules)


def in_the_way(rules: Rules, packet: Packet, *, ours: str) -> list[Obstacle]:
    """What drops the packet, or may. `ours` is our own table, which is left out."""
    found: list[Obstacle] = []
    for base, hook in rules.hooks.items():
        family, table, _ = base.split(" ", 2)
        if family in FAMILIES and table != ours:
            seen = packet if hook != "prerouting" else Packet(packet.iifname, "")
            _walk(rules, base, seen, found, certain=True, depth=0)
    return found


def _walk(rules: Rules, chain: str, packet: Packet, found: list[Obstacle], *, certain: bool, depth: int) -> str:
    """Lead the packet along the chain; what became of it for certain: `accept`, `drop`, or empty: it goes on."""
    for rule in rules.rules.get(chain, []):
        applies = _applies(rule["expr"], packet)
        for verdict, target in _verdicts(rule["expr"]) if applies is not False else ():
            sure = certain and applies is True
            if verdict in ("drop", "reject"):
                found.append(Obstacle(chain, int(rule["handle"]), sure))
                if applies:
                    return "drop"
            elif verdict in ("jump", "goto") and depth < 16:  # the kernel's own limit
                below = f"{chain.rpartition(' ')[0]} {target}"
                ended = _walk(rules, below, packet, found, certain=sure, depth=depth + 1)
                if applies and (ended or verdict == "goto"):
                    return ended
            elif applies and verdict in ("accept", "return"):
                return "accept" if verdict == "accept" else ""
    return ""


def _verdicts(expressions: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for expression in expressions:
        for word, value in expression.items():
            if word in ("accept", "drop", "reject", "return", "jump", "goto"):
                yield word, value["target"] if word in ("jump", "goto") else ""
            elif word == "xt" and "REJECT" in str(value):
                yield "reject", ""


def _applies(expressions: list[dict[str, Any]], packet: Packet) -> bool | None:
    """Whether the rule is for the packet; None when that can't be judged here."""
    judged: bool | None = True
    for expression in expressions:
        word, value = next(iter(expression.items()))
        if word == "match":
            one = _matches(value, packet)
        else:
            known = word in SIDE_EFFECTS or any(True for _ in _verdicts([expression]))
            one = True if known else None
        if one is False:
            return False
        judged = judged and one
    return judged


def _matches(match: dict[str, Any], packet: Packet) -> bool | None:
    left, right, same = match["left"], match["right"], match["op"] in ("==", "in")
    if not isinstance(left, dict) or match["op"] not in ("==", "in", "!="):
        return None
    wanted = _words(right)
    name = left.get("meta", {}).get("key", "")
    if name in ("iifname", "oifname") and getattr(packet, name) and wanted:
        return any(fnmatch.fnmatchcase(getattr(packet, name), word) for word in wanted) == same
    if left.get("ct", {}).get("key") == "state" and wanted:
        return ("new" in wanted) == same
    return None


def _words(right: object) -> list[str]:
    """The plain words on the right of a comparison; none when there is anything else."""
    rows = right.get("set", []) if isinstance(right, dict) else right if isinstance(right, list) else [right]
    rows = rows if isinstance(rows, list) else [rows]
    words = [row for row in rows if isinstance(row, str) and not row.startswith("@")]
    return words if len(words) == len(rows) else []
