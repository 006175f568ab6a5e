"""node inspect --pretty: a node for people to read, spaced as Docker's template spaces it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .units import human_size

Body = dict[str, Any]


def pretty(node: Body) -> str:
    return "".join(f"{line}\n" for line in _lines(node))


def stamp(written: str) -> str:
    """`2026-11-30T00:20:28.89Z` → `2026-11-30 00:20:28.89 +0000 utc`."""
    return written.replace("T", " ").removesuffix("Z") + " +0000 utc"


def _lines(node: Body) -> Iterator[str]:
    spec, facts, status = node["Spec"], node["Description"], node["Status"]
    yield f"ID:\t\t\t{node['ID']}"
    if spec.get("Name"):
        yield f"Name:\t\t\t{spec['Name']}"
    yield from labels(spec.get("Labels") or {})
    yield f"Hostname:              \t{facts.get('Hostname', '')}"
    yield f"Joined at:             \t{stamp(node['CreatedAt'])}"
    yield from ("Status:", f" State:\t\t\t{status['State'].capitalize()}")
    if status.get("Message"):
        yield f" Message:\t\t{status['Message'].capitalize()}"
    yield f" Availability:         \t{spec['Availability'].capitalize()}"
    if status.get("Addr"):
        yield f" Address:\t\t{status['Addr']}"
    if manager := node.get("ManagerStatus"):
        yield from ("Manager Status:", f" Address:\t\t{manager['Addr']}")
        yield f" Raft Status:\t\t{manager['Reachability'].capitalize()}"
        yield f" Leader:\t\t{'Yes' if manager.get('Leader') else 'No'}"
    if facts:
        yield from _machine(facts)


def labels(found: dict[str, str]) -> Iterator[str]:
    if found:
        yield "Labels:"
        yield from (f" - {key}{'=' if value else ''}{value}" for key, value in sorted(found.items()))


def _machine(facts: Body) -> Iterator[str]:
    platform, resources, engine = facts["Platform"], facts["Resources"], facts["Engine"]
    yield from ("Platform:", f" Operating System:\t{platform['OS']}", f" Architecture:\t\t{platform['Architecture']}")
    yield "Resources:"
    yield f" CPUs:\t\t\t{resources['NanoCPUs'] // 10**9}"
    yield f" Memory:\t\t{human_size(resources['MemoryBytes'], digits=4, binary=True)}"
    plugins: dict[str, list[str]] = {}
    for plugin in engine.get("Plugins") or []:
        plugins.setdefault(plugin["Type"], []).append(plugin["Name"])
    if plugins:
        yield "Plugins:"
        yield from (f" {kind}:\t\t{', '.join(names)}" for kind, names in sorted(plugins.items()))
    yield f"Engine Version:\t\t{engine['EngineVersion']}"
    if tls := facts.get("TLSInfo"):
        yield from ("TLS Info:", " TrustRoot:", tls["TrustRoot"])
        yield f" Issuer Subject:\t{tls['CertIssuerSubject']}"
        yield f" Issuer Public Key:\t{tls['CertIssuerPublicKey']}"
