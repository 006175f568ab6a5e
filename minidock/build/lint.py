"""What can be said about a Dockerfile without building it. Names and sentences of the rules are BuildKit's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from .commands import Arg, Command, Copy, Health, One, Pairs, Shell, ShellOrExec, Words
from .grammar import Dockerfile
from .ignore import Ignore, has_wildcards
from .lint_variables import Finding, bases, undefined
from .stages import Program, Stage
from .stages import program as read_program


class LintWarning(msgspec.Struct, frozen=True):
    """One finding: the rule's name, the sentence, and the lines."""

    rule: str
    message: str
    first: int
    last: int
    excerpt: str


class Settings(msgspec.Struct, frozen=True):
    """The directive `# check=skip=A,B;error=true`."""

    skip: list[str] = []
    error: bool = False


def settings(dockerfile: Dockerfile, given: str = "") -> Settings:
    """Of the directive `check`, or what is given instead of it. Raises DockerfileError."""
    text, line = dockerfile.document.directives.get("check", ("", 1))
    text = given or text
    skip: list[str] = []
    error = False
    for part in filter(None, text.split(";")):
        key, _, value = part.strip().partition("=")
        if key == "skip":
            skip += [name.strip() for name in value.split(",")]
        elif key == "error" and value.lower() in ("true", "false", "1", "0"):
            error = value.lower() in ("true", "1")
        elif key != "experimental":
            raise dockerfile.document.source.error(
                f"invalid check option {part!r}", line, hint="expected skip=RULE,… or error=true"
            )
    return Settings(skip, error)


def lint(
    dockerfile: Dockerfile, *, program: Program | None = None, ignore: Ignore | None = None, given: str = ""
) -> list[LintWarning]:
    """All findings, in the order of the lines. Raises DockerfileError when the file can't be understood."""
    skip = settings(dockerfile, given).skip
    if "all" in skip:
        return []
    program = program or read_program(dockerfile)
    found = [finding for rule in RULES for finding in rule(program)]
    found += _ignored(program, ignore or Ignore())
    rows = [
        LintWarning(rule, message, at.line.first, at.line.last, at.excerpt())
        for rule, at, message in found
        if rule not in skip
    ]
    return sorted(rows, key=lambda row: (row.first, row.rule))


def _commands(program: Program) -> Iterator[tuple[Stage, Command]]:
    for stage in program.stages:
        for command in stage.commands:
            yield stage, command


# How it is written


def _casing(program: Program) -> Iterator[Finding]:
    written = program.dockerfile.instructions
    lower = sum(each.written.islower() for each in written)
    upper = sum(each.written.isupper() for each in written)
    majority = "lowercase" if lower > upper else "uppercase"
    for each in written:
        if not (each.written.islower() if majority == "lowercase" else each.written.isupper()):
            said = f"Command '{each.written}' should match the case of the command majority ({majority})"
            yield "ConsistentInstructionCasing", each, said


def _gaps(program: Program) -> Iterator[Finding]:
    for each in program.dockerfile.instructions:
        if each.line.gaps:
            yield "NoEmptyContinuation", each, "Empty continuation line"


def _names(program: Program) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in program.stages:
        at = stage.begin.at
        words = at.plain_words()
        if len(words) != 3:
            continue
        written, name = words[2].text, stage.name
        if written != written.lower():
            yield "StageNameCasing", at, f"Stage name '{written}' should be lowercase"
        if words[1].text.islower() != at.written.islower():
            yield "FromAsCasing", at, f"'{words[1].text}' and '{at.written}' keywords' casing do not match"
        if name in ("scratch", "context"):
            yield "ReservedStageName", at, f'Stage name should not use the same name as reserved stage "{name}"'
        if name in seen:
            yield "DuplicateStageName", at, f'Duplicate stage name "{name}", stage names should be unique'
        seen.add(name)


def _form(program: Program) -> Iterator[Finding]:
    for stage, command in _commands(program):
        at = command.at
        own_shell = any(isinstance(other, Shell) for other in stage.commands)
        if isinstance(command, ShellOrExec) and command.exec is None and command.line and not own_shell:
            why = "to prevent unintended behavior related to OS signals"
            yield "JSONArgsRecommended", at, f"JSON arguments recommended for {at.keyword} {why}"
        elif isinstance(command, Pairs) and command.legacy:
            said = f'"{at.keyword} key=value" should be used instead of legacy "{at.keyword} key value" format'
            yield "LegacyKeyValueFormat", at, said
        elif at.keyword == "MAINTAINER":
            yield "MaintainerDeprecated", at, "Maintainer instruction is deprecated in favor of using label"


def _repeated(program: Program) -> Iterator[Finding]:
    for stage in program.stages:
        for kind in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            same = [
                each for each in stage.commands if each.at.keyword == kind and isinstance(each, ShellOrExec | Health)
            ]
            for each in same[:-1]:
                why = "should not be used in the same stage because only the last one will be used"
                yield "MultipleInstructionsDisallowed", each.at, f"Multiple {kind} instructions {why}"


def _ports(program: Program) -> Iterator[Finding]:
    for _, command in _commands(program):
        if not (isinstance(command, Words) and command.at.keyword == "EXPOSE"):
            continue
        for word in command.words:
            port, _, protocol = word.text.partition("/")
            if protocol != protocol.lower() and "$" not in protocol:
                said = f"Defined protocol '{word.text}' in EXPOSE instruction should be lowercase"
                yield "ExposeProtoCasing", command.at, said
            if ":" in port and "$" not in port:
                said = f"EXPOSE instruction should not define an IP address or host-port mapping, found '{word.text}'"
                yield "ExposeInvalidFormat", command.at, said


# What it means

SECRET = re.compile(
    r"(?:^|[_-])(apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)s?(?:$|[_-])"
)
PUBLIC = re.compile(r"(?:^|[_-])public(?:$|[_-])")


def _secrets(program: Program) -> Iterator[Finding]:
    for _, command in _commands(program):
        if isinstance(command, Pairs) and command.at.keyword == "ENV":
            names = [name for name, _, _ in command.pairs]
        elif isinstance(command, Arg):
            names = [name for name, _, _ in command.args]
        else:
            continue
        for name in names:
            if SECRET.search(name.lower()) and not PUBLIC.search(name.lower()):
                said = f'Do not use ARG or ENV instructions for sensitive data ({command.at.keyword} "{name}")'
                yield "SecretsUsedInArgOrEnv", command.at, said


def _relative(program: Program) -> Iterator[Finding]:
    for stage in program.stages:
        for command in stage.commands:
            if isinstance(command, One) and command.at.keyword == "WORKDIR":
                if not command.word.text.startswith(("/", "$", '"/', "'/", '"$')):
                    said = (
                        f'Relative workdir "{command.word.text}" can have unexpected results if the base image changes'
                    )
                    yield "WorkdirRelativePath", command.at, said
                break


def _platforms(program: Program) -> Iterator[Finding]:
    for stage in program.stages:
        at, platform = stage.begin.at, stage.begin.platform
        if platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
            said = f"Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
            yield "RedundantTargetPlatform", at, said
        elif platform and "$" not in platform and not any(platform.replace("/", "-") in each for each in (stage.name,)):
            said = f'FROM --platform flag should not use constant value "{platform}"'
            yield "FromPlatformFlagConstDisallowed", at, said


def _ignored(program: Program, ignore: Ignore) -> Iterator[Finding]:
    for _, command in _commands(program):
        if isinstance(command, Copy) and not command.at.flag("from"):
            for word in command.sources:
                path = word.text.strip("/").removeprefix("./")
                vague = path in ("", ".") or "$" in path or has_wildcards(path) or "://" in path
                if not vague and ignore.excludes(path):
                    copy = f'Attempting to {command.at.keyword.title()} file "{word.text}"'
                    said = f"{copy} that is excluded by .dockerignore"
                    yield "CopyIgnoredFile", command.at, said


RULES: tuple[Callable[[Program], Iterator[Finding]], ...] = (
    *(_casing, _gaps, _names, _form, _repeated, _ports),
    *(_secrets, _relative, _platforms, bases, undefined),
)
