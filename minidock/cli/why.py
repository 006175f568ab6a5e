"""explain: why something failed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from . import context
from .commands import UNLIMITED, verb
from .flags import boolean

if TYPE_CHECKING:
    from ..model.facts import Diagnosis

WIDTH = 100


@verb(
    "explain",
    "Tell why something failed, from the kernel's facts",
    "[OPTIONS] CONTAINER|ERROR...",
    flags=[boolean("json", "", "As JSON, for programs")],
    least=1,
    most=UNLIMITED,
    interspersed=False,
    examples="""
        minidock explain web
        minidock explain exec format error
        minidock explain EROFS
        minidock explain 137
    """,
)
def explain(arguments: list[str], json: bool) -> None:
    found = context.engine().explain(" ".join(arguments))
    if json:
        print(msgspec.json.encode(found).decode())
    elif not found:
        print("nothing has failed: it runs, or it ended with exit code 0")
    else:
        print("\n\n".join("\n".join(lines(one)) for one in found))


def lines(one: Diagnosis) -> Iterator[str]:
    """Title and man page, the meaning, each fact above the command that shows it, what else to look at, what to do."""
    yield f"{one.title}   (man: {one.man})"
    yield from textwrap.wrap(one.meaning, WIDTH, initial_indent="  ", subsequent_indent="  ")
    for fact in one.facts:
        yield f"  {fact.name}: {fact.value}"
        yield f"    $ {fact.command}"
    yield "  look at:"
    yield from (f"    $ {command}" for command in one.look)
    yield from textwrap.wrap(f"try: {one.remedy}", WIDTH, initial_indent="  ", subsequent_indent="       ")
