"""Instructions → values, one type each. What a word's variables come to is a stage's business, and not known yet."""

from __future__ import annotations

import json
import re

import msgspec

from minidock.errors import DockerfileError, MinidockError
from minidock.image import changes

from . import entitlements
from .entitlements import Device
from .grammar import FORMS, Instruction, Word, nested
from .lines import Heredoc, heredoc_of
from .mounts import RunMount, parse_mount

STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*")


class Command(msgspec.Struct, frozen=True):
    """Base: every command knows where it stands."""

    at: Instruction


class From(Command, frozen=True):
    base: Word
    name: str
    platform: str


class Run(Command, frozen=True):
    """`exec` for the JSON form, else `line`; `mounts` unexpanded, as they are written."""

    line: str
    exec: list[str] | None
    mounts: list[RunMount]
    network: str
    insecure: bool
    devices: list[Device]


class ShellOrExec(Command, frozen=True):
    """CMD and ENTRYPOINT."""

    line: str
    exec: list[str] | None


class Pairs(Command, frozen=True):
    """ENV and LABEL: name, value, and the word that they stand in. `legacy`: written without `=`."""

    pairs: list[tuple[str, str, Word]]
    legacy: bool


class Arg(Command, frozen=True):
    """Names, with defaults or None."""

    args: list[tuple[str, str | None, Word]]


class Words(Command, frozen=True):
    """EXPOSE, VOLUME."""

    words: list[Word]


class One(Command, frozen=True):
    """WORKDIR, USER, STOPSIGNAL, MAINTAINER: one text up to the end of the line."""

    word: Word


class Copy(Command, frozen=True):
    """COPY and ADD. `files` are heredocs, which stand among the sources."""

    sources: list[Word]
    files: list[Heredoc]
    target: Word


class Shell(Command, frozen=True):
    shell: list[str]


class Health(Command, frozen=True):
    """`exec` or `line`, or neither for NONE."""

    line: str
    exec: list[str] | None
    none: bool


class OnBuild(Command, frozen=True):
    trigger: str


def read(instruction: Instruction) -> Command:
    """Raises DockerfileError, pointing at the word that is wrong and saying what was expected."""
    try:
        return READERS[instruction.keyword](instruction)
    except DockerfileError as error:
        error.hint = error.hint or f"expected {FORMS[instruction.keyword]}"
        raise


def _json(at: Instruction, rest: Word | None = None) -> list[str] | None:
    """A JSON list of strings. None for what is no JSON list: Docker then takes it for a shell's line, or words."""
    rest = rest or at.rest
    if not rest.text.startswith("["):
        return None
    try:
        found = json.loads(rest.text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in found):
        what = "when using JSON array syntax, arrays must be comprised of strings only"
        raise at.error(what, rest, hint='expected ["word", "word"]')
    return list(found)


def _some(at: Instruction) -> None:
    if not at.rest.text:
        raise at.error(f"{at.keyword} requires at least one argument")


def _from(at: Instruction) -> From:
    words = at.plain_words()
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].text.lower() != "as"):
        wrong = words[1] if len(words) > 1 else None
        raise at.error("FROM requires either one or three arguments", wrong, hint="expected FROM IMAGE [AS NAME]")
    name = words[2].text.lower() if len(words) == 3 else ""
    if name and not STAGE_NAME.fullmatch(name):
        shown = json.dumps(words[2].text)
        why = "name can't start with a number or contain symbols"
        hint = "expected a letter, then letters, digits, -, _ and ."
        raise at.error(f"invalid name for build stage: {shown}, {why}", words[2], hint=hint)
    return From(at, words[0], name, at.flag("platform"))


def _run(at: Instruction) -> Run:
    if not at.rest.text:
        raise at.error("RUN requires at least one argument")
    mounts = [parse_mount(at, flag) for flag in at.values("mount")]
    listed = _json(at)
    if listed == []:
        raise at.error("RUN requires at least one argument", at.rest)
    if listed and at.heredocs:
        raise at.error("a heredoc needs the shell form", at.rest)
    return Run(
        at, at.rest.text, listed, mounts, entitlements.network(at), entitlements.security(at), entitlements.devices(at)
    )


def _command(at: Instruction) -> ShellOrExec:
    if at.flags:
        raise at.error(f"unknown flag: --{at.flags[0].name}", at.flags[0])
    return ShellOrExec(at, at.rest.text, _json(at))


def _pairs(at: Instruction) -> Pairs:
    """NAME=VALUE …, or the old form NAME VALUE with one value up to the end of the line."""
    _some(at)
    words = at.words()
    if "=" not in words[0].text:
        found = re.match(r"(\S+)\s+(.+)", at.rest.text, re.DOTALL)
        if found is None:
            raise at.error(f"{at.keyword} must have two arguments", at.rest, hint="expected NAME=VALUE")
        return Pairs(at, [(found[1], found[2], at.rest)], True)
    pairs = []
    for word in words:
        name, equals, value = word.text.partition("=")
        if not equals:
            shown = json.dumps(word.text)
            raise at.error(f"Syntax error - can't find = in {shown}. Must be of the form: name=value", word)
        if not name:
            raise at.error(f"{at.keyword} names can not be blank", word)
        pairs.append((name, value, word))
    return Pairs(at, pairs, False)


def _arg(at: Instruction) -> Arg:
    _some(at)
    args: list[tuple[str, str | None, Word]] = []
    for word in at.words():
        name, equals, value = word.text.partition("=")
        if not name:
            raise at.error("ARG names can not be blank", word)
        args.append((name, value if equals else None, word))
    return Arg(at, args)


def _words(at: Instruction) -> Words:
    _some(at)
    listed = _json(at) if at.keyword == "VOLUME" else None
    words = at.plain_words() if listed is None else [Word(text, at.rest.at) for text in listed]
    if not words:
        raise at.error(f"{at.keyword} requires at least one argument", at.rest)
    if not all(word.text.strip() for word in words):
        raise at.error(f"{at.keyword} specified can not be an empty string", at.rest)
    return Words(at, words)


def _one(at: Instruction) -> One:
    if not at.rest.text:
        raise at.error(f"{at.keyword} requires exactly one argument")
    return One(at, at.rest)


def _copy(at: Instruction) -> Copy:
    listed = _json(at)
    words = at.plain_words() if listed is None else [Word(text, at.rest.at) for text in listed]
    if len(words) < 2:
        what = "requires at least two arguments, but only one was provided. Destination could not be determined"
        raise at.error(f"{at.keyword} {what}", words[0] if words else None)
    *sources, target = words
    if heredoc_of(target.text):
        raise at.error(f"{at.keyword} cannot accept a heredoc as a destination", target, hint="expected a path")
    files = {heredoc.name: heredoc for heredoc in at.heredocs}
    begun = [heredoc_of(word.text) for word in sources]
    named = [files[found.name] for found in begun if found and found.name in files]
    kept = [word for word, found in zip(sources, begun, strict=True) if found is None]
    if len(kept) + len(named) > 1 and not target.text.endswith("/") and "$" not in target.text and target.text != ".":
        what = f"When using {at.keyword} with more than one source file, the destination must be a directory"
        raise at.error(f"{what} and end with a /", target, hint=f"expected {target.text}/")
    return Copy(at, kept, named, target)


def _shell(at: Instruction) -> Shell:
    listed = _json(at)
    if listed == [] or not at.rest.text:
        raise at.error("SHELL requires at least one argument", at.rest if at.rest.text else None)
    if listed is None:
        hint = 'expected SHELL ["/bin/sh", "-c"]'
        raise at.error("SHELL requires the arguments to be in JSON form", at.rest, hint=hint)
    return Shell(at, listed)


def _health(at: Instruction) -> Health:
    if not at.rest.text:
        raise at.error("HEALTHCHECK requires at least one argument")
    kind = at.plain_words()[0]
    rest = at.rest.text[len(kind.text) :].lstrip()
    if kind.text.upper() == "NONE":
        if rest:
            raise at.error("HEALTHCHECK NONE takes no arguments", at.plain_words()[1])
        return Health(at, "", None, True)
    if kind.text.upper() != "CMD":
        raise at.error(f'Unknown type "{kind.text.upper()}" in HEALTHCHECK (try CMD)', kind)
    if not rest:
        raise at.error("Missing command after HEALTHCHECK CMD", kind)
    for flag in at.flags:
        try:
            changes.retries(flag.value) if flag.name == "retries" else changes.duration(flag.name, flag.value)
        except MinidockError as error:
            hint = "expected a number" if flag.name == "retries" else "expected a time such as 1m30s"
            raise at.error(error.message, flag, hint=hint) from None
    return Health(at, rest, _json(at, Word(rest, kind.at)), False)


def _onbuild(at: Instruction) -> OnBuild:
    if not at.rest.text:
        raise at.error("ONBUILD requires at least one argument")
    trigger = Word(at.rest.text.split()[0], at.rest.at)
    if trigger.text.upper() == "ONBUILD":
        raise at.error("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", trigger)
    if trigger.text.upper() in ("FROM", "MAINTAINER"):
        hint = "expected an instruction that builds on an image"
        raise at.error(f"{trigger.text.upper()} isn't allowed as an ONBUILD trigger", trigger, hint=hint)
    read(nested(at))
    text = at.rest.text
    for heredoc in at.heredocs:
        text += f"\n{heredoc.content}{heredoc.name}"
    return OnBuild(at, text)


READERS = {
    "FROM": _from,
    "RUN": _run,
    "CMD": _command,
    "ENTRYPOINT": _command,
    "ENV": _pairs,
    "LABEL": _pairs,
    "ARG": _arg,
    "EXPOSE": _words,
    "VOLUME": _words,
    "WORKDIR": _one,
    "USER": _one,
    "STOPSIGNAL": _one,
    "MAINTAINER": _one,
    "COPY": _copy,
    "ADD": _copy,
    "SHELL": _shell,
    "HEALTHCHECK": _health,
    "ONBUILD": _onbuild,
}
