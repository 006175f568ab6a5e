"""The lint rules about variables: names that nobody has declared, and bases that come to nothing."""

from __future__ import annotations

from collections.abc import Iterator

from minidock.errors import MinidockError
from minidock.image import reference
from minidock.image.manifest import Platform
from minidock.image.words import expand

from .commands import Arg, Command, Copy, One, Pairs, Words
from .grammar import Instruction, Word, guess
from .stages import PREDEFINED, Program, platform_args

Finding = tuple[str, Instruction, str]


def bases(program: Program) -> Iterator[Finding]:
    """FROM with names that nobody declared, or whose defaults make no image's name."""
    known = _defaults(program)
    for stage in program.stages:
        word = stage.begin.base
        missing: set[str] = set()
        try:
            base = expand(word.text, known, escape=stage.begin.at.escape, missing=missing)
        except MinidockError:
            continue
        for name in sorted(missing - _declared(program)):
            yield (
                "UndefinedArgInFrom",
                stage.begin.at,
                f"FROM argument '{name}' is not declared{guess(name, known, likeness=0.7)}",
            )
        if "$" in word.text and not missing - _declared(program) and not _is_name(base):
            said = f"Default value for ARG {word.text} results in empty or invalid base image name"
            yield "InvalidDefaultArgInFrom", stage.begin.at, said


def _defaults(program: Program) -> dict[str, str]:
    nothing = platform_args(Platform(), Platform())
    known = {**nothing, "TARGETSTAGE": ""}
    for arg in program.globals:
        for name, default, word in arg.args:
            known[name] = _value(arg, word, default or "", known)
    return known


def _value(command: Command, word: Word, text: str, known: dict[str, str]) -> str:
    try:
        return expand(text, known, escape=command.at.escape)
    except MinidockError as error:
        raise command.at.error(error.message, word) from None


def _declared(program: Program) -> set[str]:
    return {name for arg in program.globals for name, _, _ in arg.args} | set(PREDEFINED)


def _is_name(base: str) -> bool:
    try:
        reference.parse(base)
    except MinidockError:
        return False
    return True


def undefined(program: Program) -> Iterator[Finding]:
    """$NAME that neither ARG nor ENV of the stage, nor of the stages below it, has declared. An image below may."""
    known_of: dict[str, dict[str, str]] = {"scratch": {"PATH": ""}}
    for stage in program.stages:
        base = stage.begin.base.text.lower()
        known = dict(known_of.get(base, {}))
        for command in stage.commands:
            missing = _uses(command, known) - set(known) - set(PREDEFINED)
            for name in sorted(missing):
                if name != "PATH":  # which nearly every image sets
                    like = guess(name, known, mark="$", likeness=0.7)
                    yield "UndefinedVar", command.at, f"Usage of undefined variable '${name}'{like}"
            if isinstance(command, Pairs) and command.at.keyword == "ENV":
                known |= {name: "" for name, _, _ in command.pairs}
            elif isinstance(command, Arg):
                known |= {name: default or "" for name, default, _ in command.args}
        if stage.name:
            known_of[stage.name] = known


def _uses(command: Command, known: dict[str, str]) -> set[str]:
    """Names that the command's words refer to."""
    if isinstance(command, Pairs):
        texts = [value for _, value, _ in command.pairs]
    elif isinstance(command, Arg):
        texts = [default for _, default, _ in command.args if default]
    elif isinstance(command, Words):
        texts = [word.text for word in command.words]
    elif isinstance(command, Copy):
        texts = [word.text for word in (*command.sources, command.target)]
    elif isinstance(command, One) and command.at.keyword != "MAINTAINER":
        texts = [command.word.text]
    else:
        return set()
    missing: set[str] = set()
    for text in texts:
        try:
            expand(text, known, escape=command.at.escape, missing=missing)
        except MinidockError:
            continue  # a build tells it
    return missing
