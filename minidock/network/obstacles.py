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
    """By `family table chain`: the hooks of base chains, the rules of all, in order; by `family table` its sets."""

    hooks: dict[str, str]
    rules: dict[str, list[dict[str, Any]]]
    sets: dict[str, dict[str, list[Any]]]


def listed(nft: str) -> Rules:
    """The kernel's rules. Raises OSError, ValueError when nft can't tell them in JSON."""
    done = subprocess.run([nft, "-j", "list", "ruleset"], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(done.returncode, done.stderr.strip())
    return parse(json.loads(done.stdout)["nftables"])


def parse(objects: list[dict[str, Any]]) -> Rules:
    hooks: dict[str, str] = {}
    rules: dict[str, list[dict[str, Any]]] = {}
    sets: dict[str, dict[str, list[Any]]] = {}
    for kind, found in (pair for row in objects for pair in row.items()):
        if kind == "chain" and found.get("hook") in HOOKS:
            hooks[f"{found['family']} {found['table']} {found['name']}"] = found["hook"]
        elif kind == "rule":
            rules.setdefault(f"{found['family']} {found['table']} {found['chain']}", []).append(found)
        elif kind == "set":
            sets.setdefault(f"{found['family']} {found['table']}", {})[found["name"]] = found.get("elem", [])
    return Rules(hooks, rules, sets)


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
    table = chain.rpartition(" ")[0]
    for rule in rules.rules.get(chain, []):
        applies = _applies(rule["expr"], packet, rules.sets.get(table, {}))
        for verdict, target in _verdicts(rule["expr"]) if applies is not False else ():
            sure = certain and applies is True
            if verdict in ("drop", "reject"):
                found.append(Obstacle(chain, int(rule["handle"]), sure))
                if applies:
                    return "drop"
            elif verdict in ("jump", "goto") and depth < 16:  # the kernel's own limit
                ended = _walk(rules, f"{table} {target}", packet, found, certain=sure, depth=depth + 1)
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


def _applies(expressions: list[dict[str, Any]], packet: Packet, sets: dict[str, list[Any]]) -> bool | None:
    """Whether the rule is for the packet; None when that can't be judged here."""
    judged: bool | None = True
    for expression in expressions:
        word, value = next(iter(expression.items()))
        if word == "match":
            one = _matches(value, packet, sets)
        else:
            known = word in SIDE_EFFECTS or any(True for _ in _verdicts([expression]))
            one = True if known else None
        if one is False:
            return False
        judged = judged and one
    return judged


def _matches(match: dict[str, Any], packet: Packet, sets: dict[str, list[Any]]) -> bool | None:
    left, same = match["left"], match["op"] in ("==", "in")
    if not isinstance(left, dict) or match["op"] not in ("==", "in", "!="):
        return None
    words = _words(match["right"], sets)
    name = left.get("meta", {}).get("key", "")
    if words is None:
        return None
    if name in ("iifname", "oifname") and getattr(packet, name):
        return any(fnmatch.fnmatchcase(getattr(packet, name), word) for word in words) == same
    if left.get("ct", {}).get("key") == "state":
        return ("new" in words) == same
    return None


def _words(right: object, sets: dict[str, list[Any]]) -> list[str] | None:
    """What stands on the right of a comparison, when it is one word, several, or a set of such; else None."""
    if isinstance(right, str) and right.startswith("@"):
        right = sets.get(right[1:])
    elif isinstance(right, dict):
        right = right.get("set")
    rows = right if isinstance(right, list) else [right]
    words = [row for row in rows if isinstance(row, str)]
    return words if len(words) == len(rows) else None
