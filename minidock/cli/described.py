"""Every command of the command line as data: what the man pages and the reference are made of.

python -m minidock.cli.described man DIRECTORY      minidock.1, minidock-run.1, …, a page a command
python -m minidock.cli.described reference          docs/reference.md, on stdout
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from .. import __version__
from . import app
from .commands import Noun, Verb
from .flags import Flag
from .help import default_of


class Row(NamedTuple):
    """A command in a noun's table, and the path under which it is described: `container ls` is `ps`."""

    name: str
    brief: str
    path: str


class Page(msgspec.Struct, frozen=True):
    """One command. `path` is how it is called, `rows` the commands below it, of a noun."""

    path: str
    brief: str
    usage: str
    aliases: list[str]
    flags: list[Flag]
    examples: str
    rows: list[Row]


def pages() -> list[Page]:
    """All that help shows, each once, under the shortest name that it has; by path."""
    found: dict[int, tuple[click.Command, click.Context]] = {}
    queue: list[tuple[click.Command, click.Context]] = [(app, click.Context(app, info_name="minidock"))]
    while queue:  # level by level: what stands at the top is met there first
        command, ctx = queue.pop(0)
        if id(command) in found:
            continue
        found[id(command)] = command, ctx
        queue += [(inner, click.Context(inner, info_name=name, parent=ctx)) for name, inner in _below(command, ctx)]
    return sorted((_page(command, ctx, found) for command, ctx in found.values()), key=lambda page: page.path)


def _below(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, Noun):
        return
    for name, entry in command.table.items():
        inner = command.get_command(ctx, name)
        if entry.section and inner is not None:
            yield name, inner


def _page(command: click.Command, ctx: click.Context, found: dict[int, tuple[click.Command, click.Context]]) -> Page:
    path = ctx.command_path
    if isinstance(command, Verb):
        flags = sorted((flag for flag in command.flags if not flag.hidden), key=lambda flag: flag.name)
        examples = textwrap.dedent(command.examples).strip("\n")
        return Page(path, command.brief, command.usage_line(ctx), command.aliases, flags, examples, [])
    assert isinstance(command, Noun)
    flags = sorted((flag for flag in command.flags if not flag.hidden), key=lambda flag: flag.name)
    usage = f"{path} {'[OPTIONS] ' if flags else ''}COMMAND"
    rows = [
        Row(name, command.table[name].brief, found[id(inner)][1].command_path) for name, inner in _below(command, ctx)
    ]
    return Page(path, command.brief, usage, [], flags, "", sorted(rows))


# The reference: Markdown.


def reference() -> str:
    """docs/reference.md."""
    found = pages()
    lines = [
        "# All commands",
        "",
        "Made from the command line's own tables by `scripts/docs`; a test fails when it is not current. What differs",
        "from Docker is in [differences from Docker](parity.md).",
        "",
        *(f"- [`{page.path}`](#{_anchor(page.path)}): {_plain(page.brief)}" for page in found),
    ]
    for page in found:
        lines += ["", f"## {page.path}", "", _plain(page.brief) + ".", "", "```", page.usage, "```"]
        if page.aliases:
            lines += ["", "Also: " + ", ".join(f"`{alias}`" for alias in page.aliases)]
        if page.rows:
            lines += ["", "| command | |", "|---|---|"]
            lines += [f"| [`{row.name}`](#{_anchor(row.path)}) | {_cell(row.brief)} |" for row in page.rows]
        if page.flags:
            lines += ["", "| flag | | |", "|---|---|---|"]
            lines += [
                f"| `{_spelt(flag)}` | {flag.kind} | {_cell(flag.help + default_of(flag))} |" for flag in page.flags
            ]
        if page.examples:
            lines += ["", "```sh", page.examples, "```"]
    return "\n".join(lines) + "\n"


def _anchor(path: str) -> str:
    return path.replace(" ", "-")


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;").rstrip(".")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("\n", "<br>")


def _spelt(flag: Flag) -> str:
    return f"-{flag.short}, --{flag.name}" if flag.short else f"--{flag.name}"


# Man pages: roff with the man(7) macros.


def manual(page: Page) -> str:
    """The page of section 1."""
    title = page.path.replace(" ", "-")
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))
    lines = [
        f'.TH "{_roff(title.upper())}" 1 "{date}" "minidock {__version__}" "minidock"',
        ".SH NAME",
        f"{_roff(title)} \\- {_roff(page.brief[:1].lower() + page.brief[1:])}",
        ".SH SYNOPSIS",
        f".B {_roff(page.path)}",
    ]
    rest = page.usage.removeprefix(page.path).strip()
    lines += [_roff(rest)] if rest else []
    lines += [".SH DESCRIPTION", _roff(page.brief.rstrip(".") + ".")]
    if page.aliases:
        lines += [".PP", "The same command: " + ", ".join(f"\\fB{_roff(alias)}\\fR" for alias in page.aliases) + "."]
    if page.rows:
        lines.append(".SH COMMANDS")
        for row in page.rows:
            lines += [".TP", f"\\fB{_roff(row.name)}\\fR", _roff(row.brief)]
    if page.flags:
        lines.append(".SH OPTIONS")
        for flag in page.flags:
            value = f" \\fI{_roff(flag.kind)}\\fR" if flag.kind else ""
            lines += [".TP", f"\\fB{_roff(_spelt(flag))}\\fR{value}", _roff(flag.help + default_of(flag))]
    if page.examples:
        lines += [".SH EXAMPLES", ".nf", *(_roff(line) for line in page.examples.splitlines()), ".fi"]
    return "\n".join([*lines, ".SH SEE ALSO", *_see_also(page)]) + "\n"


def _see_also(page: Page) -> list[str]:
    above = page.path.rpartition(" ")[0]
    near = [above] if above else []
    if page.rows:
        near += [row.path for row in page.rows]
    names = sorted({path.replace(" ", "-") for path in near}) or ["minidock"]
    return [f".BR {_roff(name)} (1){',' if name != names[-1] else ''}" for name in names]


def _roff(text: str) -> str:
    """Backslashes, hyphens that are typed as such, and lines that would be taken for a macro."""
    safe = text.expandtabs().replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in safe.splitlines() if line.strip())


def write_manuals(directory: Path) -> int:
    """All pages; returns how many."""
    directory.mkdir(parents=True, exist_ok=True)
    found = pages()
    for page in found:
        (directory / f"{page.path.replace(' ', '-')}.1").write_text(manual(page), encoding="utf-8")
    return len(found)


if __name__ == "__main__":
    if sys.argv[1:] == ["reference"]:
        sys.stdout.write(reference())
    elif sys.argv[1:2] == ["man"] and len(sys.argv) == 3:
        print(f"{write_manuals(Path(sys.argv[2]))} pages in {sys.argv[2]}")
    else:
        sys.exit("usage: python -m minidock.cli.described reference | man DIRECTORY")
