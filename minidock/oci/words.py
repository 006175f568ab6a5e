"""The words of a command line, read as runc reads them: urfave/cli's rules, in a table and two loops.

`--flag value`, `--flag=value` and one dash instead of two are the same; short flags don't cluster. Flags may stand
behind the container's id too, but for `exec` and `ps`: there everything behind it belongs to the program. (The engine's
command line uses click; this one is started for every step of a container's life, and click takes 25 ms to load.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from minidock.errors import UsageError


class Flag(msgspec.Struct, frozen=True):
    """`names` as written with dashes, the first long; `kind` is `yes`, `text`, `number` or `list`."""

    names: str
    help: str
    kind: str = "text"
    default: str = ""

    @property
    def key(self) -> str:
        """How code asks for it: `pid_file`."""
        return self.names.split(", ")[0].lstrip("-").replace("-", "_")


class Command(msgspec.Struct, frozen=True):
    """One command. `at_least` and `at_most` count its arguments; `rest` says that what follows the id isn't ours."""

    name: str
    usage: str
    help: str
    flags: list[Flag]
    run: Callable[[Words], int]
    at_least: int = 1
    at_most: int | None = 1
    rest: bool = False
    failure: int = 1
    """The exit code when it fails."""


class Words(msgspec.Struct):
    """What was written: values by key, arguments in order, and the values of the global flags."""

    values: dict[str, Any]
    arguments: list[str]
    globals: dict[str, Any] = {}

    def text(self, key: str) -> str:
        """A flag's value, empty when it wasn't given."""
        return str(self.values.get(key, ""))

    def number(self, key: str) -> int:
        return int(self.values.get(key, 0))

    def yes(self, key: str) -> bool:
        return bool(self.values.get(key, False))

    def given(self, key: str) -> bool:
        """Whether a flag of `yes` was written at all: `--flag=false` is."""
        return self.values.get(key) is not None

    def several(self, key: str) -> list[str]:
        return list(self.values.get(key, []))


def read(flags: Sequence[Flag], words: Sequence[str], *, stop: bool) -> tuple[dict[str, Any], list[str]]:
    """Values and arguments. With `stop` the first argument ends the flags. Raises UsageError in Go's words."""
    table = {name: flag for flag in flags for name in flag.names.split(", ")}
    values: dict[str, Any] = {flag.key: _empty(flag) for flag in flags}
    arguments: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return values, arguments + left
        if word == "-" or not word.startswith("-"):
            arguments.append(word)
            if stop:
                return values, arguments + left
            continue
        name, equals, value = word.partition("=")
        flag = table.get(name) or table.get(f"-{name}") or table.get(name[1:])
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{name.lstrip('-')}")
        if not equals and flag.kind != "yes":
            if not left:
                raise UsageError(f"flag needs an argument: -{name.lstrip('-')}")
            value = left.pop(0)
        _store(values, flag, value if equals or flag.kind != "yes" else "true")
    return values, arguments


def _empty(flag: Flag) -> object:
    return {"yes": None, "list": [], "number": 0}.get(flag.kind, flag.default)


def _store(values: dict[str, Any], flag: Flag, value: str) -> None:
    if flag.kind == "list":
        values[flag.key] = [*values[flag.key], value]
    elif flag.kind == "yes":
        if value.lower() not in ("true", "false", "1", "0", "t", "f"):
            raise UsageError(f'invalid boolean value "{value}" for -{flag.key.replace("_", "-")}: parse error')
        values[flag.key] = value.lower() in ("true", "1", "t")
    elif flag.kind == "number":
        try:
            values[flag.key] = int(value, 10)
        except ValueError:
            raise UsageError(f'invalid value "{value}" for flag -{flag.key.replace("_", "-")}: parse error') from None
    else:
        values[flag.key] = value


def check_count(command: Command, count: int) -> None:
    """Raises UsageError with runc's text for too few or too many arguments."""
    if command.at_most == command.at_least != count:
        raise UsageError(f'minidock-oci: "{command.name}" requires exactly {command.at_least} argument(s)')
    if count < command.at_least:
        raise UsageError(f'minidock-oci: "{command.name}" requires a minimum of {command.at_least} argument(s)')
    if command.at_most is not None and count > command.at_most:
        raise UsageError(f'minidock-oci: "{command.name}" requires a maximum of {command.at_most} argument(s)')


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Two columns, for help."""
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"   {left:{width}}  {right}".rstrip() for left, right in rows)


def flag_rows(flags: Sequence[Flag]) -> list[tuple[str, str]]:
    shown = []
    for flag in flags:
        value = {"yes": "", "number": " N"}.get(flag.kind, " value")
        default = f" (default: {flag.default})" if flag.default else ""
        shown.append((flag.names + value, flag.help + default))
    return shown
