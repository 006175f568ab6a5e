"""Placement constraints: `node.role == worker`, `node.labels.disk != ssd`. Of several, all must hold.

Known keys: node.id, node.hostname, node.ip (an address or a subnet), node.role, node.platform.os, node.platform.arch,
node.labels.NAME, engine.labels.NAME. Values are compared without regard to case (moby/swarmkit manager/constraint).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import msgspec

from minidock.errors import UsageError
from minidock.swarm.objects import Body, Stored

OPERATORS = ("==", "!=")
KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE)
VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE)


class Constraint(msgspec.Struct, frozen=True):
    key: str
    equal: bool
    value: str

    def allows(self, *found: str) -> bool:
        return any(self.value.lower() == each.lower() for each in found) is self.equal


def parsed(texts: Sequence[str]) -> list[Constraint]:
    """Raises UsageError in Docker's words."""
    return [_parsed(text) for text in texts]


def _parsed(text: str) -> Constraint:
    operator = next((operator for operator in OPERATORS if operator in text), None)
    if operator is None:
        raise UsageError(f"constraint expected one operator from {', '.join(OPERATORS)}")
    key, value = (part.strip() for part in text.split(operator, 1))
    if not KEY.fullmatch(key):
        raise UsageError(f"key '{key}' is invalid")
    if not VALUE.fullmatch(value):
        raise UsageError(f"value '{value}' is invalid")
    return Constraint(key, operator == "==", value)


def meets(node: Stored, texts: Sequence[str]) -> bool:
    """Whether all hold on the node. Of a key that nobody knows none does."""
    return all(_holds(node, each) for each in parsed(texts))


def _holds(node: Stored, rule: Constraint) -> bool:
    key = rule.key.lower()
    if key == "node.ip":
        return _within(str((node.body.get("Status") or {}).get("Addr", "")), rule)
    for prefix, labels in (("node.labels.", node_labels(node)), ("engine.labels.", engine_labels(node))):
        if key.startswith(prefix) and len(key) > len(prefix):
            return rule.allows(labels.get(rule.key[len(prefix) :], ""))  # a label itself is case-sensitive
    facts = _facts(node)
    return key in facts and rule.allows(facts[key])


def _facts(node: Stored) -> dict[str, str]:
    description = node.body.get("Description") or {}
    platform = description.get("Platform") or {}
    return {
        "node.id": node.id,
        "node.hostname": description.get("Hostname", ""),
        "node.role": (node.body.get("Spec") or {}).get("Role", ""),
        "node.platform.os": platform.get("OS", ""),
        "node.platform.arch": platform.get("Architecture", ""),
    }


def _within(address: str, rule: Constraint) -> bool:
    try:
        return (ipaddress.ip_address(address) in ipaddress.ip_network(rule.value, strict=False)) is rule.equal
    except ValueError:
        return False


def node_labels(node: Stored) -> dict[str, str]:
    return (node.body.get("Spec") or {}).get("Labels") or {}


def engine_labels(node: Stored) -> dict[str, str]:
    engine: Body = (node.body.get("Description") or {}).get("Engine") or {}
    return engine.get("Labels") or {}
