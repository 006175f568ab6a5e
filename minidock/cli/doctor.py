"""doctor: what on this host is in the way of minidock. It looks, and changes nothing."""

from __future__ import annotations

import click

from . import context
from .commands import Entry, Noun, verb
from .flags import many, text

doctor = Noun(
    "doctor",
    "Find out what on this host is in the way",
    {
        "gpu": Entry("doctor:gpu", "Drivers, nodes, libraries, CDI files, the device filter"),
        "network": Entry("doctor:network", "Forwarding, firewalls, modules, resolvers, subnets"),
    },
    usage="COMMAND",
)

MARKS = {"ok": "  ok  ", "note": " note ", "bad": " BAD  "}


@verb(
    "network",
    "Find out what is in the way of containers' packets: forwarding, firewalls, modules, resolvers, subnets",
    "[OPTIONS]",
    flags=[text("format", "", "'json', or empty for text")],
    examples="sudo minidock doctor network",
)
def network(format: str) -> None:
    """Exit code 1 when something is in the way, so that scripts can ask."""
    show(context.engine().examine_network(), format)


@verb(
    "gpu",
    "Find out what is between containers and GPUs: drivers, nodes, libraries, CDI files, the device filter",
    "[OPTIONS]",
    flags=[
        many("cdi-spec-dir", "", "Look for CDI files here instead, lowest priority first"),
        text("format", "", "'json', or empty for text"),
    ],
    examples="sudo minidock doctor gpu",
)
def gpu(cdi_spec_dir: list[str], format: str) -> None:
    """Exit code 1 too where there is no GPU at all."""
    show(context.engine().examine_gpus(cdi_spec_dir or None), format)


def show(findings: list[dict[str, str]], format: str) -> None:
    if format == "json":
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(findings), indent=4).decode())
    else:
        for finding in findings:
            advice = f" ({finding['advice']})" if finding["advice"] else ""
            print(f"[{MARKS[finding['level']]}] {finding['about']}: {finding['text']}{advice}")
    if any(finding["level"] == "bad" for finding in findings):
        raise click.exceptions.Exit(1)
