"""build --dry-run and --as-shell: which instructions would be done, and a script that makes the same tree by hand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import BinaryIO, ClassVar, NoReturn

import msgspec

from minidock.build import byhand, foretold, grammar, named, stages
from minidock.build.context import Context
from minidock.build.solve import Building, Job, lower_dirs
from minidock.build.stages import Stage
from minidock.build.state import State
from minidock.engine import build
from minidock.engine.build_base import SCRATCH, nothing, stored_state
from minidock.engine.build_request import BuildRequest
from minidock.engine.foretell import Foretold, comment
from minidock.errors import ImageNotFound, Unsupported
from minidock.image import reference
from minidock.image.layers import workplace
from minidock.image.store import ImageStore
from minidock.paths import Layout
from minidock.steps import Step

DOES: dict[str, Callable[..., None]] = {
    "RUN": Building._run,
    "COPY": Building._copy,
    "ADD": Building._copy,
    "WORKDIR": Building._workdir,
}
END = """\
# The tree, and what makes an image of it
tar -C "$(tree "$LOWER")" -c --xattrs --xattrs-include='*' --numeric-owner . > "$WORK/rootfs.tar"
echo "the files are in $WORK/rootfs.tar"
"""


class Instruction(Step, frozen=True):
    """One instruction of a Dockerfile, and its fate."""

    keyword: str
    text: str
    fate: str
    lines: str
    man: ClassVar[str] = ""

    def describe(self) -> str:
        return f"{self.text}: {self.fate}"

    def shell(self) -> str:
        return self.lines

    def code(self) -> CodeType:
        return DOES.get(self.keyword, Building._configure).__code__


class _Silent:
    """Nobody is told of steps that aren't done."""

    def instruction(self, text: str, total: int) -> None: ...
    def configured(self, cached: bool) -> None: ...
    def begin(self, step: str, text: str) -> None: ...
    def log(self, step: str, data: bytes, stderr: bool = False) -> None: ...
    def done(self, step: str, cached: bool = False, error: str = "") -> None: ...


def foretell(layout: Layout, request: BuildRequest, *, stdin: BinaryIO, as_shell: bool) -> Foretold:
    """Nothing is built, made, pulled or written to the cache.

    Raises DockerfileError, ImageNotFound, Unsupported for what a script has no words for.
    """
    contexts = dict(named.resolved(*pair) for pair in request.contexts.items())
    request = msgspec.structs.replace(request, contexts=contexts)
    store = ImageStore(layout)
    with workplace(store) as place:
        (place / "scratch").mkdir()
        job = _job(
            layout, request, store, build.loaded(request, stdin, place / "scratch", _Silent()), place / "scratch"
        )
        if as_shell and not Path(request.context).is_dir():
            raise Unsupported("a script needs a directory as its context", hint="unpack it, and give its path")
        walks: dict[int, foretold.Walk] = {}
        parts: list[tuple[str, list[Step]]] = []
        for index in job.plan.order():
            stage = job.plan.program.stages[index]
            first, state, certain = _base(job, request, stage, walks)
            walks[index] = foretold.walk(job, stage, state, walks, certain=certain)
            rows = [first, *(Instruction(*msgspec.structs.astuple(told)) for told in walks[index].told)]
            parts.append((f"stage {stage.title}", list(rows)))
        return Foretold(parts, _script(job, request, parts, walks[job.plan.target.index].state))


def _job(layout: Layout, request: BuildRequest, store: ImageStore, context: Context, scratch: Path) -> Job:
    program = stages.program(grammar.parse(context.dockerfile, context.name))
    plan = build.plan_of(request, program)
    return Job(
        plan=plan,
        context=context,
        store=store,
        cache=foretold.Untouched(store),
        options=build.options(request, dict.fromkeys(request.ssh, "")),
        run=_nothing_runs,
        image=functools.partial(_image, store),
        tell=_Silent(),
        scratch=scratch,
        contexts=build.contexts_of(plan, scratch),
        cache_mounts=layout.root / "build-mounts",
    )


def _nothing_runs(*_: object) -> NoReturn:
    raise TypeError("a foretold build runs nothing")


def _image(store: ImageStore, name: str, _: str) -> State:
    """Raises ImageNotFound for one that would be made or pulled."""
    try:
        return stored_state(store, name)
    except ImageNotFound as error:
        raise ImageNotFound(
            f"{name} isn't here, and what follows from it can't be told", hint="pull it first"
        ) from error


def _base(
    job: Job, request: BuildRequest, stage: Stage, walks: dict[int, foretold.Walk]
) -> tuple[Instruction, State, bool]:
    """FROM as a step, the state that the stage begins with, and whether its layers are known."""
    base = job.plan.bases[stage.index]
    if isinstance(base, int):
        title = job.plan.program.stages[base].title
        lines = byhand.stage_begins(None, base)
        return (
            Instruction("FROM", f"FROM {title}", "begins with that stage", lines),
            walks[base].state,
            walks[base].certain,
        )
    if base == SCRATCH:
        return (
            Instruction("FROM", "FROM scratch", "begins with nothing", byhand.stage_begins([])),
            nothing(request),
            True,
        )
    if not isinstance(base, str):
        raise Unsupported("a build from the files of --build-context can't be foretold")
    state = job.image(base, "")
    name = reference.parse(base).tagged().full
    count = len(state.layers)
    fate = f"begins with its {count} layer{'s' if count != 1 else ''}"
    return Instruction("FROM", f"FROM {name}", fate, byhand.stage_begins(lower_dirs(job.store, state))), state, True


def _script(job: Job, request: BuildRequest, parts: list[tuple[str, list[Step]]], state: State) -> str:
    lines = [byhand.script_head(str(Path(request.context).absolute()))]
    lines.append(byhand.context_files(job.context.tree, job.context.ignore))
    for index, (title, steps) in zip(job.plan.order(), parts, strict=True):
        lines.append(f"\n# -- {title}")
        for step in steps:
            assert isinstance(step, Instruction)
            lines.append(f"{comment(step.text)}\n{step.lines}")
        lines.append(byhand.stage_ends(index))
    importing = " ".join(["minidock import", *(f"-c {byhand.word(row)}" for row in byhand.changes(state.config))])
    return "\n".join([*lines, f"{END}{comment(f'{importing} rootfs.tar NAME')}\n"])
