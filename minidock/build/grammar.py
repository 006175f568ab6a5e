"""Logical lines → instructions: a keyword, flags, and the rest, each with its place.

dockerfile   = directives, { comment | instruction } ;
instruction  = keyword, { "--", name, [ "=", value ] }, arguments, { heredoc } ;
arguments    = a JSON list of strings | words | the rest of the line, as the keyword wants (commands.py) ;
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from minidock.errors import DockerfileError
from minidock.image.words import located_words

from . import lines
from .lines import Document, Heredoc, Logical, Source

KEYWORDS = (
    *("FROM", "RUN", "CMD", "LABEL", "MAINTAINER", "EXPOSE", "ENV", "ADD", "COPY", "ENTRYPOINT", "VOLUME", "USER"),
    *("WORKDIR", "ARG", "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL"),
)
FLAGS = {
    "FROM": {"platform": "text"},
    "RUN": {"mount": "list", "network": "text", "security": "text", "device": "list"},
    "COPY": {"from": "text", "chown": "text", "chmod": "text", "link": "bool", "parents": "bool", "exclude": "list"},
    "ADD": {"chown": "text", "chmod": "text", "link": "bool", "exclude": "list", "checksum": "text", "unpack": "bool"}
    | {"keep-git-dir": "bool"},
    "HEALTHCHECK": dict.fromkeys(("interval", "timeout", "start-period", "start-interval", "retries"), "text"),
}
"""Keyword → its flags, and what a flag takes: a text, a list of texts (it may be repeated), or true and false."""
FORMS = {
    "FROM": "FROM IMAGE [AS NAME]",
    "RUN": 'RUN COMMAND or RUN ["PROGRAM", "ARGUMENT"]',
    "CMD": 'CMD COMMAND or CMD ["PROGRAM", "ARGUMENT"]',
    "ENTRYPOINT": 'ENTRYPOINT ["PROGRAM", "ARGUMENT"]',
    "LABEL": "LABEL NAME=VALUE ...",
    "ENV": "ENV NAME=VALUE ...",
    "ARG": "ARG NAME[=DEFAULT]",
    "EXPOSE": "EXPOSE PORT[/PROTOCOL] ...",
    "ADD": "ADD SOURCE ... TARGET",
    "COPY": "COPY SOURCE ... TARGET",
    "VOLUME": "VOLUME PATH ...",
    "USER": "USER NAME[:GROUP]",
    "WORKDIR": "WORKDIR PATH",
    "STOPSIGNAL": "STOPSIGNAL SIGNAL",
    "MAINTAINER": "MAINTAINER NAME",
    "SHELL": 'SHELL ["/bin/sh", "-c"]',
    "HEALTHCHECK": "HEALTHCHECK [FLAGS] CMD COMMAND, or HEALTHCHECK NONE",
    "ONBUILD": "ONBUILD INSTRUCTION",
}
"""Keyword → how it is written: what an error says was expected when it knows nothing closer."""


class Word(msgspec.Struct, frozen=True):
    """A piece of a logical line."""

    text: str
    at: int


class Flag(msgspec.Struct, frozen=True):
    name: str
    value: str
    at: int


class Instruction(msgspec.Struct, frozen=True):
    """`written` is the keyword as it stands; `rest` what follows the flags, without spaces around it."""

    keyword: str
    written: str
    flags: list[Flag]
    rest: Word
    line: Logical
    source: Source
    escape: str

    @property
    def heredocs(self) -> list[Heredoc]:
        return self.line.heredocs

    @property
    def original(self) -> str:
        """The whole logical line."""
        return self.line.text.strip()

    def words(self) -> list[Word]:
        """The rest, split at spaces outside of quotes."""
        return [Word(word, self.rest.at + at) for at, word in located_words(self.rest.text, escape=self.escape)]

    def plain_words(self) -> list[Word]:
        """The rest, split at every space: what FROM, COPY and EXPOSE do."""
        return [Word(match[0], self.rest.at + match.start()) for match in re.finditer(r"\S+", self.rest.text)]

    def flag(self, name: str, default: str = "") -> str:
        return next((flag.value for flag in self.flags if flag.name == name), default)

    def is_on(self, name: str) -> bool:
        return self.flag(name, "false") == "true"

    def values(self, name: str) -> list[Flag]:
        return [flag for flag in self.flags if flag.name == name]

    def error(
        self, message: str, word: Word | Flag | None = None, *, hint: str = "", parsed: bool = False
    ) -> DockerfileError:
        """An error that points at the word, or at the keyword; `parsed`: it is understood, and can't be done."""
        text, at = (word.text if isinstance(word, Word) else f"--{word.name}", word.at) if word else (self.written, 0)
        line, column = self.line.place(at)
        return self.source.error(message, line, column, width=max(1, len(text)), hint=hint, parsed=parsed)

    def excerpt(self) -> str:
        return self.source.excerpt(self.line.first, self.line.last)


class Dockerfile(msgspec.Struct, frozen=True):
    document: Document
    instructions: list[Instruction]


def parse(raw: bytes, name: str = "Dockerfile") -> Dockerfile:
    """Raises DockerfileError, for what can be seen without knowing what an instruction's arguments mean."""
    document = lines.read(raw, name)
    if not document.lines:
        end = max(1, len(document.source.lines))
        raise document.source.error("file with no instructions", end, hint="a Dockerfile begins with FROM")
    return Dockerfile(document, [_instruction(line, document) for line in document.lines])


def _instruction(line: Logical, document: Document) -> Instruction:
    written = line.text.split(maxsplit=1)[0]
    at = line.text.index(written)
    return _read(line, document.source, document.escape, Word(line.text[at:], at))


def nested(outer: Instruction) -> Instruction:
    """The instruction that ONBUILD keeps for later."""
    return _read(outer.line, outer.source, outer.escape, outer.rest)


def _read(line: Logical, source: Source, escape: str, whole: Word) -> Instruction:
    written = whole.text.split(maxsplit=1)[0]
    keyword = written.upper()
    after = whole.text[len(written) :]
    start = whole.at + len(written) + len(after) - len(after.lstrip())
    bare = Instruction(keyword, written, [], Word(after.strip(), start), line, source, escape)
    if keyword not in KEYWORDS:
        meant = guess(keyword, KEYWORDS)
        hint = "" if meant else f"expected one of {', '.join(KEYWORDS)}"
        raise bare.error(f"unknown instruction: {written}{meant}", Word(written, whole.at), hint=hint)
    flags, rest = _flags(bare)
    return msgspec.structs.replace(bare, flags=flags, rest=rest)


def guess(word: str, known: Iterable[str], *, mark: str = "", likeness: float = 0.6) -> str:
    """A guess at what was meant, for the end of a message; nothing when no known word is like it."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1, likeness)
    return f" (did you mean {mark}{near[0]}?)" if near else ""


def _flags(bare: Instruction) -> tuple[list[Flag], Word]:
    """Words that begin with two dashes, up to the first that doesn't; `--` alone ends them."""
    flags: list[Flag] = []
    end = 0
    if bare.keyword in ("ONBUILD", "MAINTAINER") or not bare.rest.text.startswith("--"):
        return flags, bare.rest
    for at, word in located_words(bare.rest.text, escape=bare.escape):
        if not word.startswith("--"):
            break
        end = at + len(word)
        if word == "--":
            break
        flags.append(_flag(bare, Word(word, bare.rest.at + at), flags))
    left = bare.rest.text[end:]
    return flags, Word(left.strip(), bare.rest.at + end + len(left) - len(left.lstrip()))


def _flag(bare: Instruction, word: Word, before: list[Flag]) -> Flag:
    known = FLAGS.get(bare.keyword, {})
    name, equals, value = word.text[2:].partition("=")
    shown = Word(f"--{name}", word.at)
    kind = known.get(name)
    if kind is None:
        hint = f"{bare.keyword} takes {', '.join(f'--{each}' for each in known)}" if known else ""
        raise bare.error(
            f"unknown flag: --{name}{guess(name, known)}", shown, hint=hint or f"{bare.keyword} takes no flags"
        )
    if kind != "list" and any(flag.name == name for flag in before):
        raise bare.error(f"duplicate flag specified: --{name}", shown, hint="expected it once")
    if kind == "bool":
        value = value.lower() if equals else "true"
        if not value:
            raise bare.error(f"missing a value on flag: --{name}", shown, hint="expected true or false")
        if value not in ("true", "false"):
            what = f"expecting boolean value for flag --{name}, not: {value}"
            raise bare.error(what, shown, hint="expected true or false")
    elif not equals:
        raise bare.error(f"missing a value on flag: --{name}", shown, hint=f"expected --{name}=VALUE")
    return Flag(name, value, word.at)
