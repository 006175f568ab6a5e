"""Instructions → stages, what their variables come to, and which of them a target needs.

A name means something from where it is declared to the end of its stage. `ARG` before the first `FROM` is seen by
`FROM` lines, and by a stage that declares it again without a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from minidock.errors import MinidockError, UsageError
from minidock.image.manifest import Platform
from minidock.image.words import expand

from . import commands, named
from .commands import Arg, Command, Copy, From, Run
from .grammar import Dockerfile, Instruction, Word
from .named import Named

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PREDEFINED = (*PROXIES, *(name.lower() for name in PROXIES))
"""Build arguments that need no declaration: RUN sees them, and neither the history nor the cache knows of them."""


class Stage(msgspec.Struct, frozen=True):
    """`name` is empty for a stage without one."""

    index: int
    name: str
    begin: From
    commands: list[Command]

    @property
    def title(self) -> str:
        return self.name or f"stage-{self.index}"


class Program(msgspec.Struct, frozen=True):
    """A Dockerfile whose every instruction makes sense by itself."""

    dockerfile: Dockerfile
    globals: list[Arg]
    stages: list[Stage]


def program(dockerfile: Dockerfile) -> Program:
    """Raises DockerfileError."""
    first: list[Arg] = []
    stages: list[Stage] = []
    for instruction in dockerfile.instructions:
        command = commands.read(instruction)
        if isinstance(command, From):
            stages.append(Stage(len(stages), command.name, command, []))
        elif stages:
            stages[-1].commands.append(command)
        elif isinstance(command, Arg):
            first.append(command)
        else:
            raise instruction.error("no build stage in current context", hint="expected FROM first")
    if not stages:
        raise dockerfile.instructions[-1].error("no build stage in current context", hint="expected FROM")
    return Program(dockerfile, first, stages)


class Plan(msgspec.Struct, frozen=True):
    """What a build of one target does. `bases` has, for each stage needed, an earlier stage's index or an image."""

    program: Program
    target: Stage
    bases: dict[int, int | str | Named]
    needs: dict[int, set[int]]
    """Stage → stages whose files it takes, for the needed ones only."""
    globals: dict[str, str]
    platform_args: dict[str, str]
    build_args: dict[str, str]
    contexts: dict[str, str] = {}
    """--build-context: name → value (named.py)."""

    def order(self) -> list[int]:
        """The needed stages, each after those that it needs."""
        done: list[int] = []
        waiting = sorted(self.needs)
        while waiting:
            ready = next(index for index in waiting if self.needs[index] <= set(done))
            done.append(ready)
            waiting.remove(ready)
        return done

    def instructions(self) -> Iterator[Instruction]:
        """Those of the needed stages."""
        for index in sorted(self.needs):
            yield from (command.at for command in self.program.stages[index].commands)

    def count(self, labels: bool) -> int:
        """As the classic builder counts: each ARG before the first stage, each FROM, and --label as one more LABEL."""
        stages = [self.program.stages[index] for index in self.needs]
        return len(self.program.globals) + sum(1 + len(stage.commands) for stage in stages) + labels

    def contexts_used(self) -> set[str]:
        """Names of contexts whose files are needed."""
        stages = [self.program.stages[index] for index in self.needs]
        sources = {source for stage in stages for _, source in sources_of(self, stage)}
        return {each.name for each in {*sources, *self.bases.values()} if isinstance(each, Named)}

    def stage_called(self, name: str) -> int | None:
        return _stage_called(self.program.stages, name)


def plan(
    program: Program,
    *,
    target: str,
    build_args: Mapping[str, str],
    platforms: tuple[Platform, Platform],
    contexts: Mapping[str, str] | None = None,
) -> Plan:
    """`platforms` are the target's and this machine's.

    Raises DockerfileError for a stage that isn't there, a circle of stages, a base that comes to nothing.
    """
    automatic = platform_args(*platforms)
    known = {**automatic}
    for arg in program.globals:
        for name, default, word in arg.args:
            if name in build_args:
                known[name] = build_args[name]
            elif default is not None:
                known[name] = _expand(arg, word, default, known)
    wanted = _target(program, target)
    found = Plan(program, wanted, {}, {}, known, automatic, dict(build_args), dict(contexts or {}))
    _collect(found, wanted, [])
    return msgspec.structs.replace(found, platform_args={**automatic, "TARGETSTAGE": wanted.name or "default"})


def platform_args(target: Platform, host: Platform) -> dict[str, str]:
    rows = {}
    for prefix, platform in (("TARGET", target), ("BUILD", host)):
        rows[f"{prefix}PLATFORM"] = str(platform)
        rows[f"{prefix}OS"] = platform.os
        rows[f"{prefix}ARCH"] = platform.architecture
        rows[f"{prefix}VARIANT"] = platform.variant
    return rows


def _target(program: Program, name: str) -> Stage:
    if not name:
        return program.stages[-1]
    index = _stage_called(program.stages, name)
    if index is None:
        stages = ", ".join(stage.name for stage in program.stages if stage.name)
        raise UsageError(f'target stage "{name}" could not be found', hint=f"stages with a name: {stages or 'none'}")
    return program.stages[index]


def _stage_called(stages: list[Stage], name: str) -> int | None:
    """By name, the last of that name, or by number."""
    for stage in reversed(stages):
        if stage.name and stage.name == name.lower():
            return stage.index
    return int(name) if name.isdecimal() and int(name) < len(stages) else None


def _collect(plan: Plan, stage: Stage, path: list[int]) -> None:
    """The stage and all that it needs, depth first; `path` leads here."""
    if stage.index in path:
        around = [*path[path.index(stage.index) :], stage.index]
        circle = " -> ".join(plan.program.stages[index].title for index in around)
        raise stage.begin.at.error(f"circular dependency detected on stage: {stage.title}", hint=circle)
    if stage.index in plan.needs:
        return
    base = base_of(plan, stage)
    plan.bases[stage.index] = base
    needs = {base} if isinstance(base, int) else set()
    needs |= {index for _, index in sources_of(plan, stage) if isinstance(index, int)}
    for index in sorted(needs):
        _collect(plan, plan.program.stages[index], [*path, stage.index])
    plan.needs[stage.index] = needs


def base_of(plan: Plan, stage: Stage) -> int | str | Named:
    """What FROM names: a named context, an earlier stage, or an image (or `scratch`)."""
    word = stage.begin.base
    name = _expand(stage.begin, word, word.text, plan.globals)
    if not name.strip():
        hint = "an ARG that it uses has no value"
        raise stage.begin.at.error(f"base name ({word.text}) should not be blank", word, hint=hint)
    given = named.find(plan.contexts, name)
    if given is not None:
        return given
    for earlier in reversed(plan.program.stages[: stage.index]):
        if earlier.name and earlier.name == name.lower():
            return earlier.index
    return name


def platform_of(plan: Plan, stage: Stage) -> str:
    """What FROM --platform comes to; empty for the build's."""
    flags = stage.begin.at.values("platform")
    if not flags:
        return ""
    return _expand(stage.begin, Word(stage.begin.platform, flags[0].at), stage.begin.platform, plan.globals)


def sources_of(plan: Plan, stage: Stage) -> Iterator[tuple[Command, int | str | Named]]:
    """Where COPY --from and RUN --mount=from take files: a named context, a stage's index, or an image's name."""
    for command in stage.commands:
        if isinstance(command, Copy):
            names = [(name, flag) for flag in command.at.values("from") if (name := flag.value)]
        elif isinstance(command, Run):
            names = [(mount.source_stage, mount.flag) for mount in command.mounts if mount.source_stage]
        else:
            continue
        for name, flag in names:
            given = named.find(plan.contexts, name)
            if given is not None:
                yield command, given
                continue
            index = plan.stage_called(name)
            if index is None and name.isdecimal():
                raise command.at.error(f"invalid from flag value {name}: invalid stage index", flag)
            yield command, name if index is None else index


def _expand(command: Command, word: Word, text: str, known: Mapping[str, str]) -> str:
    try:
        return expand(text, known, escape=command.at.escape)
    except MinidockError as error:
        raise command.at.error(error.message, word) from None


class Scope:
    """The variables of one stage, while its instructions go by: ENV wins over ARG of the same name."""

    def __init__(self, plan: Plan, env: list[str]) -> None:
        self.plan = plan
        self.args: dict[str, str] = {}
        self.env = dict(line.partition("=")[::2] for line in env)
        self.used: set[str] = set()

    def declare(self, arg: Arg) -> None:
        """ARG: what the command line gives, or the default, or the value from before the first FROM."""
        for name, default, word in arg.args:
            if name in self.plan.build_args:
                self.args[name] = self.plan.build_args[name]
                self.used.add(name)
            elif default is not None:
                self.args[name] = self.expand(arg, word, default)
            elif name in {**self.plan.globals, **self.plan.platform_args}:
                self.args[name] = {**self.plan.globals, **self.plan.platform_args}[name]

    def known(self) -> dict[str, str]:
        return {**self.args, **self.env}

    def expand(self, command: Command, word: Word, text: str | None = None) -> str:
        """Raises DockerfileError that points at the word."""
        return _expand(command, word, word.text if text is None else text, self.known())

    def proxies(self) -> dict[str, str]:
        return {name: value for name, value in self.plan.build_args.items() if name in PREDEFINED}
