"""Flags as Docker's command line takes them: rows of a table, parsed by the rules of Go's pflag.

click's own option parser differs from pflag where scripts notice: `--rm=false`, `-p=80:80`, the texts of errors, and
that a bad value is reported in the order of the command line. So a command here has a list of `Flag` rows, and click
keeps what it is good at: groups, contexts, tests.

    rows:   boolean("all", "a", "Show all containers"), text("name", "", "Assign a name"), many("env", "e", "…")
    parse:  (rows, ["-a", "--name=x", "busybox"]) → ({"all": True, "name": "x", "env": []}, ["busybox"])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ..errors import UsageError
from ..sizes import go_bool

FlagValue = Any
"""What a flag's `parse` gives: each row of a table knows, and the command that asks for it by key."""

Parse = Callable[[str], FlagValue]


class Flag(msgspec.Struct, frozen=True):
    """One flag. `kind` is the word that help shows for its value, empty for a switch."""

    name: str
    short: str
    help: str
    kind: str
    default: FlagValue
    parse: Parse | None
    repeats: bool = False
    """Values are gathered in a list."""
    refused: bool = False
    """Docker has it, this version of minidock can't honour it: it is refused by name, and not shown in help."""
    why: str = ""
    """The reason, where it is another one than that nobody has made it yet."""
    hidden: bool = False
    same_as: str = ""
    """Name of the flag that this one is another spelling of."""

    @property
    def key(self) -> str:
        """The parameter's name in Python: `no-trunc` is `no_trunc`."""
        return (self.same_as or self.name).replace("-", "_")

    @property
    def title(self) -> str:
        """As errors name it: `-m, --memory`."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


# The rows. Story: switches, single values, repeated values, and what is refused.


def boolean(name: str, short: str, help: str, *, default: bool | None = False) -> Flag:
    return Flag(name, short, help, "", default, go_bool)


def text(
    name: str, short: str, help: str, *, kind: str = "string", default: str | None = "", parse: Parse = str
) -> Flag:
    return Flag(name, short, help, kind, default, parse)


def value(name: str, short: str, help: str, kind: str, parse: Parse, *, default: object = None) -> Flag:
    """A single value that `parse` turns into what the command works with."""
    return Flag(name, short, help, kind, default, parse)


def number(name: str, short: str, help: str, *, default: int | None = 0) -> Flag:
    return Flag(name, short, help, "int", default, go_int)


def many(name: str, short: str, help: str, *, kind: str = "list", parse: Parse = str) -> Flag:
    return Flag(name, short, help, kind, None, parse, repeats=True)


def explain(help: str) -> Flag:
    """--explain, which may say in what form: `--explain=html:lecture.html`. Empty when nothing is to be told."""
    return Flag("explain", "", help, "", "", _explain_form)


def foretelling() -> list[Flag]:
    """What tells of the command instead of doing it."""
    return [
        boolean("dry-run", "", "List the steps without doing any of them"),
        boolean("as-shell", "", "Print a shell script that does the same by hand"),
    ]


def _explain_form(raw: str) -> str:
    form, colon, path = raw.partition(":")
    if form in ("json", "html") and bool(colon) == bool(path):
        return raw
    if raw == "text":
        return raw
    try:
        return "text" if go_bool(raw) else ""
    except UsageError:
        raise UsageError("the forms are text, json, html, json:FILE and html:FILE") from None


def spelling(name: str, flag: Flag) -> Flag:
    """Another, older name of a flag, not shown in help."""
    return msgspec.structs.replace(flag, name=name, short="", same_as=flag.name, hidden=True)


def refused(name: str, short: str = "", *, kind: str = "string", why: str = "") -> Flag:
    """A flag of Docker's that this version does not honour; `kind` empty for a switch."""
    return Flag(name, short, "", kind, None, None, refused=True, why=why, hidden=True)


# Values of the kinds that Go's strconv reads. Errors carry Go's words: they end up in Docker's messages.


def go_int(raw: str) -> int:
    """A number as strconv.ParseInt with base 0 reads it: 10, 0x0a, 0o12, 012, 1_000; 64 bits."""
    bare = raw[1:] if raw[:1] in ("+", "-") else raw
    octal = len(bare) > 1 and bare[0] == "0" and bare[1:].isdigit()
    try:
        if not bare or bare != bare.strip() or bare[0] in "+-":
            raise ValueError(raw)
        found = int(raw, 8 if octal else 0)
    except ValueError:
        raise UsageError(f'strconv.ParseInt: parsing "{raw}": invalid syntax') from None
    if not -(1 << 63) <= found < 1 << 63:
        raise UsageError(f'strconv.ParseInt: parsing "{raw}": value out of range')
    return found


def go_uint(raw: str, bits: int, base: int = 0) -> int:
    """strconv.ParseUint: as go_int, without a sign; with base 10 nothing but digits."""
    problem = "invalid syntax"
    try:
        if not raw.isascii() or raw[:1] in ("+", "-") or (base == 10 and not raw.isdecimal()):
            raise ValueError(raw)
        found = int(raw) if base == 10 else go_int(raw)
        if found < 1 << bits:
            return found
        problem = "value out of range"
    except (UsageError, ValueError):
        pass
    raise UsageError(f'strconv.ParseUint: parsing "{raw}": {problem}')


# The parser.


def parse(
    flags: Sequence[Flag], arguments: Sequence[str], *, interspersed: bool = True
) -> tuple[dict[str, FlagValue], list[str]]:
    """Values by key, and the positional arguments. Without `interspersed` flags end at the first of those.

    `values["help"]` is True when --help was there. Raises UsageError with Docker's text, and no usage line.
    """
    reader = _Reader(flags, arguments)
    positional: list[str] = []
    while reader.rest:
        word = reader.rest.pop(0)
        if word == "--":
            break
        if len(word) < 2 or word[0] != "-":
            positional.append(word)
            if not interspersed:
                break
        elif word.startswith("--"):
            reader.long(word)
        else:
            reader.shorts(word)
    return reader.values, positional + reader.rest


class _Reader:
    """The words that are left, and the values found so far."""

    def __init__(self, flags: Sequence[Flag], arguments: Sequence[str]) -> None:
        self.rest = list(arguments)
        self.by_name = {flag.name: flag for flag in flags}
        self.by_short = {flag.short: flag for flag in flags if flag.short}
        self.values: dict[str, FlagValue] = {
            flag.key: [] if flag.repeats else flag.default for flag in flags if not flag.refused
        }
        self.values["help"] = False

    def long(self, word: str) -> None:
        name, equals, raw = word[2:].partition("=")
        if not name or name[0] == "-":
            raise UsageError(f"bad flag syntax: {word}")
        if name == "help":
            self.values["help"] = go_bool(raw) if equals else True
            return
        flag = self.by_name.get(name)
        if flag is None:
            raise UsageError(f"unknown flag: --{name}")
        if equals:
            self.set(flag, raw)
        elif not flag.kind:
            self.set(flag, "true")
        elif self.rest:
            self.set(flag, self.rest.pop(0))
        else:
            raise UsageError(f"flag needs an argument: --{name}")

    def shorts(self, word: str) -> None:
        """`-it`, `-p80:80`, `-p=80:80`, `-d=false`: letters until one takes the rest of the word, or the next word."""
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self.by_short.get(letter)
            if flag is None and letter == "h":
                self.values["help"] = True
                continue
            if flag is None:
                raise UsageError(f"unknown shorthand flag: {_quoted_rune(letter)} in -{letter}{letters}")
            if len(letters) > 1 and letters[0] == "=":
                return self.set(flag, letters[1:])
            if not flag.kind:
                self.set(flag, "true")
            elif letters:
                return self.set(flag, letters)
            elif self.rest:
                return self.set(flag, self.rest.pop(0))
            else:
                raise UsageError(f"flag needs an argument: {_quoted_rune(letter)} in -{word[1:]}")
        return None

    def set(self, flag: Flag, raw: str) -> None:
        if flag.parse is None:
            raise UsageError(f"--{flag.name} {flag.why or 'is not supported by this version of minidock'}")
        try:
            found = flag.parse(raw)
        except UsageError as error:
            raise UsageError(f'invalid argument {go_quote(raw)} for "{flag.title}" flag: {error.message}') from None
        if flag.repeats:
            self.values[flag.key].append(found)
        else:
            self.values[flag.key] = found


def _quoted_rune(letter: str) -> str:
    return f"'{letter}'"


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b"}
_ESCAPES |= {"\f": "\\f", "\v": "\\v"}


def go_quote(raw: str) -> str:
    """The string as Go's %q writes it."""
    plain = (
        _ESCAPES.get(c, c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 0x80 else f"\\u{ord(c):04x}")
        for c in raw
    )
    return '"' + "".join(plain) + '"'
