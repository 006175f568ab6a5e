"""inspect --kernel: the kernel's side of containers, for people; as JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click
import msgspec

from ..errors import MinidockError
from ..model.facts import KernelSection
from . import context
from .commands import Complaint, told


def show(names: list[str], form: str) -> None:
    """Each container in turn; those that can't be told are told about, and the exit code is 1."""
    if form not in ("", "json"):
        raise Complaint("inspect --kernel: --format can only be json", 1)
    engine = context.engine()
    failed = False
    for name in names:
        try:
            sections = engine.kernel_side(name)
        except MinidockError as error:
            sys.stdout.flush()
            context.say(told(error))
            failed = True
            continue
        if form:
            print(msgspec.json.encode(sections).decode())
        else:
            print("\n".join(lines(sections)))
    if failed:
        raise click.exceptions.Exit(1)


def lines(sections: list[KernelSection]) -> Iterator[str]:
    """A title with the man page and our source, then names, values, and on its own line the command."""
    for section in sections:
        yield f"{section.title}   (man: {section.man}, code: {section.source})"
        width = max(len(fact.name) for fact in section.facts)
        shown = ""
        for fact in section.facts:
            if fact.command != shown:
                shown = fact.command
                yield f"  $ {shown}"
            yield f"    {fact.name:<{width}}  {fact.value}"
        yield ""
