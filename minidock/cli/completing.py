"""What can stand next on a command line: asked by the shells' scripts (completion.py) at each press of the tab key.

    minidock __complete -- WORD... BEGUN        a line for each candidate: the word, a tab, what it is
                                                 and last `:files` when names of files fit, too, else `:end`

The words are walked as they would be to run them, but nothing is imported except the one command's flags: the briefs
stand in the tables. Names are the engine's, of this host or of the daemon that the words before name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click
import msgspec

from ..errors import MinidockError, UsageError
from . import completing_names as names
from .commands import UNLIMITED, Noun, Verb, verb
from .flags import Flag, parse


class Answer(NamedTuple):
    found: list[tuple[str, str]]
    files: bool = False


@verb("__complete", "Tell what can stand next on a command line", "-- WORD...", least=1, most=UNLIMITED, hidden=True,
      examples="minidock __complete -- container insp")  # fmt: skip
def complete(arguments: list[str]) -> None:
    from . import app

    *words, begun = arguments
    answer = Answer([])
    # Nobody at a half-written line wants to hear of an unreachable daemon, or of a missing right.
    with contextlib.suppress(MinidockError, OSError, click.ClickException):
        answer = answers(app, words, begun)
    for word, brief in answer.found:
        print(f"{word}\t{brief.partition(chr(10))[0]}")
    print(":files" if answer.files else ":end")


def answers(top: Noun, words: Sequence[str], begun: str) -> Answer:
    """The candidates that begin with `begun`, in the order of help."""
    root = click.get_current_context().find_root()
    path: list[str] = []
    node: click.Command | None = top
    rest = list(words)
    while isinstance(node, Noun):
        line = _read(node.flags, rest, interspersed=False)
        if line.waiting or not line.given:
            rows = [(name, entry.brief) for name, entry in node.table.items() if entry.section]
            return _flag_or_value(node.flags, line, begun) or _beginning(begun, rows)
        if node is top:  # -H, --root and --context say whose names the candidates are
            values, _ = parse(node.flags, rest, interspersed=False)
            node.settle(root, values | {"version": False})
        name, *rest = line.given
        path.append(node.also.get(name, name))
        node = node.get_command(root, name)
    if not isinstance(node, Verb):
        return Answer([])
    line = _read(node.flags, rest, interspersed=node.interspersed)
    return _flag_or_value(node.flags, line, begun) or _argument(node, path, line.given, begun)


class Line(NamedTuple):
    """How far a command's words have come."""

    given: list[str]
    """What isn't a flag."""
    waiting: Flag | None
    """The flag whose value comes next."""
    flags: bool
    """Whether the next word may be a flag: not behind `--`, nor behind the image of `run`."""


def _read(flags: Sequence[Flag], words: list[str], *, interspersed: bool) -> Line:
    """Read as parse() reads, whatever the values are: they may be half a line's. Raises UsageError: no such flag."""
    lenient = [msgspec.structs.replace(flag, parse=str) for flag in flags]
    try:
        _, given = parse(lenient, words, interspersed=interspersed)
    except UsageError:
        last = next((flag for flag in flags if words[-1] == f"--{flag.name}" or _ends_in(flag, words[-1])), None)
        if last is None or not last.kind:
            raise
        return Line([], last, False)
    values, _ = parse(lenient, [*words, "--help"], interspersed=interspersed)
    return Line(given, None, values["help"] is True)


def _ends_in(flag: Flag, word: str) -> bool:
    return bool(flag.short) and not word.startswith("--") and word.endswith(flag.short)


def _flag_or_value(flags: Sequence[Flag], line: Line, begun: str) -> Answer | None:
    """None when it is neither a flag nor a flag's value that stands next."""
    if line.waiting:
        return _value(line.waiting, begun)
    if not line.flags or not begun.startswith("-"):
        return None
    name, equals, value = begun.partition("=")
    flag = next((flag for flag in flags if f"--{flag.name}" == name), None)
    if equals and flag is not None:
        found, files = _value(flag, value)
        return Answer([(f"{name}={word}", brief) for word, brief in found], files)
    return _beginning(begun, [*((f"--{one.name}", one.help) for one in flags if not one.hidden), HELP])


HELP = ("--help", "Print usage")


def _value(flag: Flag, begun: str) -> Answer:
    known = names.of_flag(flag.name)
    return Answer([], files=True) if known is None else _beginning(begun, known)


def _argument(command: Verb, path: list[str], given: list[str], begun: str) -> Answer:
    if len(given) >= command.most:
        return Answer([])
    known = names.of_argument(path, len(given))
    if known is None:
        return Answer([], files=True)
    return _beginning(begun, [(word, brief) for word, brief in known if word not in given])


def _beginning(begun: str, rows: Iterable[tuple[str, str]]) -> Answer:
    kept: dict[str, str] = {}
    for word, brief in rows:
        if word.startswith(begun):
            kept.setdefault(word, brief)
    return Answer(list(kept.items()))
