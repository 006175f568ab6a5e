"""Help as Docker prints it: usage, one sentence, aliases, options in columns, examples."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from .flags import Flag

if TYPE_CHECKING:
    from .commands import Noun, Verb

SECTIONS = ("Common Commands", "Management Commands", "Commands")


def width() -> int:
    """Columns to fill: the terminal's, or 80 when stdout is not one."""
    try:
        return max(40, os.get_terminal_size(1).columns)
    except OSError:
        return 80


def verb_help(verb: Verb, ctx: click.Context) -> str:
    parts = [f"Usage:  {verb.usage_line(ctx)}", verb.brief]
    if verb.aliases:
        parts.append("Aliases:\n  " + ", ".join(verb.aliases))
    shown = [flag for flag in verb.flags if not flag.hidden]
    if shown:
        parts.append("Options:\n" + options(shown))
    if verb.examples:
        parts.append("Examples:\n" + textwrap.indent(textwrap.dedent(verb.examples).strip("\n"), "  "))
    return "\n\n".join(parts)


def noun_help(noun: Noun, ctx: click.Context) -> str:
    top = ctx.parent is None
    wants = "[OPTIONS] COMMAND" if noun.flags else "COMMAND"
    parts = [f"Usage:  {ctx.command_path} {wants}", noun.brief]
    for section in SECTIONS:
        rows = [(name, entry.brief) for name, entry in noun.table.items() if entry.section == section]
        if rows:
            # At the top, the order of the first section is that of first steps; the others are looked up.
            rows = rows if section == SECTIONS[0] else sorted(rows)
            parts.append(f"{section}:\n" + columns(rows, gap=2))
    if noun.flags:
        parts.append("Global Options:\n" + options([flag for flag in noun.flags if not flag.hidden]))
    if top:
        parts.append("Examples:\n  minidock run hello-world\n  minidock run -it debian bash\n  minidock ps -a")
    parts.append(f"Run '{ctx.command_path} COMMAND --help' for more information on a command.")
    return "\n\n".join(parts)


def options(flags: Sequence[Flag]) -> str:
    rows = []
    for flag in sorted(flags, key=lambda flag: flag.name):
        short = f"-{flag.short}, " if flag.short else "    "
        rows.append((f"{short}--{flag.name} {flag.kind}".rstrip(), flag.help + default_of(flag)))
    return columns(rows, gap=3)


def default_of(flag: Flag) -> str:
    if flag.repeats or flag.default in (None, "", False, 0):
        return ""
    shown = f'"{flag.default}"' if isinstance(flag.default, str) else str(flag.default).lower()
    return f" (default {shown})"


def columns(rows: Iterable[tuple[str, str]], *, gap: int) -> str:
    """Two columns, indented by two; the second is wrapped to the terminal."""
    rows = list(rows)
    left = max(len(first) for first, _ in rows) + gap
    lines = []
    for first, second in rows:
        room = max(20, width() - left - 2)
        wrapped = [line for text in second.split("\n") for line in textwrap.wrap(text, room) or [""]]
        lines.append(f"  {first:<{left}}{wrapped[0]}".rstrip())
        lines += [" " * (left + 2) + line for line in wrapped[1:]]
    return "\n".join(lines)
