"""build: a context and a Dockerfile → an image. The parts are minidock.build's; what they lack is lent to them here.

context → grammar → stages → each stage in a process: base, instructions, layers → image → tags and files
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from minidock.build import entitlements, grammar, lint, named, parallel, stages
from minidock.build.cache import Cache, of_image
from minidock.build.context import Context, open_context, without
from minidock.build.failures import shown
from minidock.build.solve import Job
from minidock.build.stages import PREDEFINED, Plan
from minidock.build.state import Log, Options, RunRequest, Secret, State, Take, Tell
from minidock.engine import events, repair
from minidock.engine.build_agents import agents
from minidock.engine.build_base import begin, image_state, stored_state, target_platform
from minidock.engine.build_request import BuildRequest, Built, Checked, Finding
from minidock.errors import BuildFailed, MinidockError, NotFound, RegistryError, UsageError
from minidock.image import manifest as docs
from minidock.image import reference
from minidock.image.buildcache import CacheEntry
from minidock.image.importer import rfc3339
from minidock.image.layers import abandoned, workplace
from minidock.image.manifest import ImageConfig, RootFS
from minidock.image.platforms import host_platform
from minidock.image.store import ImageStore, Layer
from minidock.paths import Layout
from minidock.steps import SILENT, Narrator

CHECK = "BUILDKIT_DOCKERFILE_CHECK"
"""The build argument that goes before a Dockerfile's directive `check`."""
EPOCH = "SOURCE_DATE_EPOCH"


def build(
    layout: Layout,
    request: BuildRequest,
    *,
    stdin: BinaryIO,
    stdout: BinaryIO,
    tell: Tell,
    tick: Callable[[], None],
    narrator: Narrator = SILENT,
) -> Built:
    """Raises DockerfileError, BuildFailed, UsageError, ImageNotFound. What was built until then stays in the cache."""
    contexts = dict(named.resolved(*pair) for pair in request.contexts.items())
    request = msgspec.structs.replace(request, contexts=contexts)
    names = [reference.parse(tag).tagged().full for tag in request.tags]
    store = ImageStore(layout)
    with _tidied(layout), store.bringing_in(), workplace(store) as place, agents(request.ssh, place) as ssh:
        (place / "scratch").mkdir()
        context = without(loaded(request, stdin, place / "scratch", tell), layout.root)
        file = grammar.parse(context.dockerfile, context.name)
        program = stages.program(file)
        findings = _findings(file, program, context, request)
        _stop_at(findings, lint.settings(file, request.build_args.get(CHECK, "")).error)
        plan = plan_of(request, program)
        job = Job(
            plan=plan,
            context=context,
            store=store,
            cache=_cache(store, request),
            options=options(request, ssh),
            run=functools.partial(_run, layout, request, narrator),
            image=functools.partial(image_state, layout, request, _silent),
            tell=tell,
            scratch=place / "scratch",
            contexts=contexts_of(plan, place / "scratch"),
            cache_mounts=layout.root / "build-mounts",
        )
        for arg in program.globals:
            job.announce(shown(arg))
        state = parallel.solve(job, functools.partial(begin, layout, request), tick)
        built = _exported(store, request, names, state, tell, place, stdout)
        return msgspec.structs.replace(built, unused_args=_unused(plan, state), findings=findings)


@contextlib.contextmanager
def _tidied(layout: Layout) -> Iterator[None]:
    """Ctrl-C may come in the midst of cleaning up, here or in a stage: what the next command would put right, we do.

    All stages have ended by now, and with them their locks. Whoever presses it again waits for us.
    """
    try:
        yield
    except KeyboardInterrupt:
        for number in parallel.ENDING:
            signal.signal(number, signal.SIG_IGN)
        repair.repair(layout)
        for _ in abandoned(ImageStore(layout)):
            pass
        raise


def plan_of(request: BuildRequest, program: stages.Program) -> Plan:
    """What is to be done, if it may be done."""
    plan = stages.plan(
        program,
        target=request.target,
        build_args=request.build_args,
        platforms=(target_platform(request), host_platform()),
        contexts=request.contexts,
    )
    host = [entitlements.NETWORK] if request.network == "host" else []
    entitlements.check(plan.instructions(), [*request.allow, *host])
    return plan


def contexts_of(plan: Plan, scratch: Path) -> dict[str, named.Files]:
    return {name: named.open_files(plan.contexts[name], scratch) for name in plan.contexts_used()}


def check(layout: Layout, request: BuildRequest, *, stdin: BinaryIO) -> Checked:
    """The lint rules' findings, without building. Raises DockerfileError."""
    store = ImageStore(layout)
    with store.bringing_in(), workplace(store) as place:
        context = open_context(request.context, file=request.file, stdin=stdin, scratch=place)
        file = grammar.parse(context.dockerfile, context.name)
        return Checked(_findings(file, stages.program(file), context, request))


def _findings(
    file: grammar.Dockerfile, program: stages.Program, context: Context, request: BuildRequest
) -> list[Finding]:
    rows = lint.lint(file, program=program, ignore=context.ignore, given=request.build_args.get(CHECK, ""))
    return [Finding(row.rule, row.message, row.first, row.excerpt) for row in rows]


def _stop_at(findings: list[Finding], counts_as_error: bool) -> None:
    """`# check=error=true`: nothing is built when something is found. Raises BuildFailed in BuildKit's words."""
    if findings and counts_as_error:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in findings))
        raise BuildFailed(f"lint violation found for rules: {rules}", excerpt=findings[0].excerpt)


def loaded(request: BuildRequest, stdin: BinaryIO, scratch: Path, tell: Tell) -> Context:
    tell.begin("definition", "[internal] load build definition")
    try:
        context = open_context(request.context, file=request.file, stdin=stdin, scratch=scratch)
    except MinidockError as error:
        tell.done("definition", error=error.message)
        raise
    tell.log("definition", f"reading {context.name}: {len(context.dockerfile)}B\n".encode())
    tell.done("definition")
    return context


def _silent(line: str) -> None:
    """What making an image says that COPY --from asked for."""


def options(request: BuildRequest, ssh: dict[str, str]) -> Options:
    return Options(
        no_cache=request.no_cache,
        no_cache_stages=request.no_cache_stages,
        inline_cache=request.inline_cache,
        labels=request.labels,
        network=request.network,
        epoch=request.epoch,
        secrets={name: Secret(source.file, source.env) for name, source in request.secrets.items()},
        ssh=ssh,
    )


def _cache(store: ImageStore, request: BuildRequest) -> Cache:
    """With what --cache-from's images bring; one that can't be had is passed over, as with Docker."""
    found: dict[str, CacheEntry] = {}
    ends: list[State] = []
    for name in request.cache_from:
        with contextlib.suppress(NotFound, RegistryError):
            if request.only_cache_from:
                state = stored_state(store, name)
            else:
                state = image_state(store.layout, request, _silent, name, "")
            ends.append(state)
            found |= of_image(ImageConfig(history=state.history), state.layers)
    return Cache(store, found, ends if request.only_cache_from and request.cache_from else None)


def _run(layout: Layout, request: BuildRequest, narrator: Narrator, asked: RunRequest, log: Log, take: Take) -> Layer:
    """Loaded with the first RUN that the cache doesn't have."""
    from minidock.engine import build_run

    return build_run.run(layout, request.limits, asked, log, take, narrator=narrator)


# What it ends with


def _exported(
    store: ImageStore, request: BuildRequest, names: list[str], state: State, tell: Tell, place: Path, stdout: BinaryIO
) -> Built:
    tell.begin("export", "exporting to image")
    if request.squash:
        state = _squashed(store, state, place, request.epoch)
    wanted = [output for output in request.outputs if output.kind != "image"]
    config = image_config(state, request.epoch)
    image = store.add_image(docs.encode_config(config), state.layers)
    tell.log("export", f"writing image {image.id}\n".encode())
    for name in names:
        store.tag(image, name)
        events.image(store.layout, "tag", image.id, name=reference.familiar(name), labels=image.config.config.labels)
        tell.log("export", f"naming to {name}\n".encode())
    if wanted:
        from minidock.engine.build_output import write_outputs

        def say(line: str) -> None:
            tell.log("export", line.encode())

        write_outputs(store, image, state, wanted, names, place, stdout, say=say)
    tell.done("export")
    return Built(image.id, image.manifest_digest, names)


def image_config(state: State, epoch: int | None) -> ImageConfig:
    """The image's document: its digest is the image's id."""
    created = state.created or (rfc3339(0) if epoch is None else "")
    if epoch is not None:
        created = rfc3339(epoch * 1_000_000_000)
    return ImageConfig(
        architecture=state.architecture,
        os=state.os,
        variant=state.variant,
        created=created,
        author=state.author,
        config=state.config,
        rootfs=RootFS(diff_ids=state.diff_ids),
        history=state.history,
    )


def _squashed(store: ImageStore, state: State, place: Path, epoch: int | None) -> State:
    """--squash: all layers of the image as one."""
    from minidock.engine.build_output import merged

    tree = merged(store, state, place / "squashed")
    layer = store.commit_layer(tree, packing="", move=True, clamp=epoch)
    history = [msgspec.structs.replace(entry, empty_layer=True) for entry in state.history]
    last = docs.History(created=state.created, created_by="", comment="merge of all layers")
    return msgspec.structs.replace(state, layers=[layer], history=[*history, last])


def _unused(plan: Plan, state: State) -> list[str]:
    """Build arguments that no ARG asked for."""
    asked = {name for arg in plan.program.globals for name, _, _ in arg.args}
    known = {*asked, *state.used_args, *PREDEFINED, *plan.platform_args, EPOCH}
    return sorted(name for name in set(plan.build_args) - known if not name.startswith("BUILDKIT_"))


def source_date_epoch(build_args: dict[str, str]) -> int | None:
    """SOURCE_DATE_EPOCH of the build arguments, or the environment's. Raises UsageError when it is no number."""
    text = build_args.get(EPOCH, os.environ.get(EPOCH, ""))
    if not text:
        return None
    if not text.isdecimal():
        raise UsageError(f"invalid SOURCE_DATE_EPOCH: {text}", hint="seconds since 1970")
    return int(text)
