"""build: a context and a Dockerfile → an image. The parts are minidock.build's; what they lack is lent to them here.

context → grammar → stages → each stage in a process: base, instructions, layers → image → tags and files
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from minidock.build import entitlements, grammar, lint, parallel, stages
from minidock.build.cache import Cache, of_image
from minidock.build.context import Context, open_context
from minidock.build.solve import Job
from minidock.build.stages import PREDEFINED, Plan, Stage
from minidock.build.state import Log, Options, RunRequest, Secret, State, Take, Tell
from minidock.engine import events
from minidock.engine.build_request import BuildRequest, Built, Checked, Finding
from minidock.engine.ensure import ensure
from minidock.errors import BuildFailed, MinidockError, NotFound, RegistryError, UsageError
from minidock.image import manifest as docs
from minidock.image import reference
from minidock.image.buildcache import CacheEntry
from minidock.image.importer import rfc3339
from minidock.image.layers import workplace
from minidock.image.manifest import ImageConfig, Platform, RootFS, RunConfig
from minidock.image.platforms import host_platform, parse_platform
from minidock.image.store import ImageStore, Layer
from minidock.kernel.execute import DEFAULT_PATH
from minidock.model import Progress
from minidock.paths import Layout
from minidock.steps import SILENT, Narrator

SCRATCH = "scratch"


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
    names = [reference.parse(tag).tagged().full for tag in request.tags]
    store = ImageStore(layout)
    with store.bringing_in(), workplace(store) as place:
        (place / "scratch").mkdir()
        context = _loaded(request, stdin, place / "scratch", tell)
        file = grammar.parse(context.dockerfile, context.name)
        program = stages.program(file)
        plan = stages.plan(
            program,
            target=request.target,
            build_args=request.build_args,
            platforms=(_platform(request), host_platform()),
        )
        allowed = [*request.allow, *([entitlements.NETWORK] if request.network == "host" else [])]
        entitlements.check(plan.instructions(), allowed)
        job = Job(
            plan=plan,
            context=context,
            store=store,
            cache=Cache(store, _imported(layout, request)),
            options=_options(request),
            run=functools.partial(_run, layout, request, narrator),
            image=functools.partial(_image, layout, request, _silent),
            tell=tell,
            scratch=place / "scratch",
            cache_mounts=layout.root / "build-mounts",
        )
        state = parallel.solve(job, functools.partial(_begin, layout, request), tick)
        built = _exported(store, request, names, state, tell, place, stdout)
        told = {"unused_args": _unused(plan, state), "findings": _findings(file, program, context)}
        return msgspec.structs.replace(built, **told)


def check(layout: Layout, request: BuildRequest, *, stdin: BinaryIO) -> Checked:
    """The lint rules' findings, without building. Raises DockerfileError."""
    store = ImageStore(layout)
    with store.bringing_in(), workplace(store) as place:
        context = open_context(request.context, file=request.file, stdin=stdin, scratch=place)
        file = grammar.parse(context.dockerfile, context.name)
        found = _findings(file, stages.program(file), context)
        return Checked(found, lint.settings(file).error)


def _findings(file: grammar.Dockerfile, program: stages.Program, context: Context) -> list[Finding]:
    rows = lint.lint(file, program=program, ignore=context.ignore)
    return [Finding(row.rule, row.message, row.first, row.excerpt) for row in rows]


def _loaded(request: BuildRequest, stdin: BinaryIO, scratch: Path, tell: Tell) -> Context:
    tell.begin("definition", "[internal] load build definition")
    context = open_context(request.context, file=request.file, stdin=stdin, scratch=scratch)
    tell.log("definition", f"reading {context.name}: {len(context.dockerfile)}B\n".encode())
    tell.done("definition")
    return context


def _silent(line: str) -> None:
    """What making an image says that COPY --from asked for."""


def _platform(request: BuildRequest) -> Platform:
    return parse_platform(request.platform) if request.platform else host_platform()


def _options(request: BuildRequest) -> Options:
    return Options(
        no_cache=request.no_cache,
        no_cache_stages=request.no_cache_stages,
        inline_cache=request.inline_cache,
        labels=request.labels,
        network=request.network,
        epoch=request.epoch,
        secrets={name: Secret(source.file, source.env) for name, source in request.secrets.items()},
        ssh=request.ssh,
    )


def _imported(layout: Layout, request: BuildRequest) -> dict[str, CacheEntry]:
    """What --cache-from's images bring; one that can't be had is passed over, as with Docker."""
    found: dict[str, CacheEntry] = {}
    for name in request.cache_from:
        with contextlib.suppress(NotFound, RegistryError):
            state = _image(layout, request, lambda line: None, name, "")
            found |= of_image(ImageConfig(history=state.history), state.layers)
    return found


def _run(layout: Layout, request: BuildRequest, narrator: Narrator, asked: RunRequest, log: Log, take: Take) -> Layer:
    """Loaded with the first RUN that the cache doesn't have."""
    from minidock.engine import build_run

    return build_run.run(layout, request.limits, asked, log, take, narrator=narrator)


# What a stage begins with


def _begin(layout: Layout, request: BuildRequest, job: Job, stage: Stage, states: dict[int, State]) -> State:
    """In the process of the stage."""
    base = job.plan.bases[stage.index]
    if isinstance(base, int):
        return states[base]
    if base == SCRATCH:
        platform = _platform(request)
        config = RunConfig(env=[f"PATH={DEFAULT_PATH}"])
        return State(config, architecture=platform.architecture, os=platform.os, variant=platform.variant)
    made = 1 + sum(command.at.keyword in ("RUN", "COPY", "ADD", "WORKDIR") for command in stage.commands)
    title = f"{stage.title} " if stage.name or len(job.plan.needs) > 1 else ""
    step = f"{stage.index}/1"
    job.tell.begin(step, f"[{title}1/{made}] FROM {reference.parse(base).tagged().full}")
    wanted = stages.platform_of(job.plan, stage) or request.platform
    try:
        state = _image(layout, request, lambda line: job.tell.log(step, f"{line}\n".encode()), base, wanted)
    except MinidockError as error:
        job.tell.done(step, error=error.message)
        raise BuildFailed(f"{base}: {error.message}", excerpt=stage.begin.at.excerpt(), hint=error.hint) from error
    job.tell.done(step, cached=True)
    return state


def _image(layout: Layout, request: BuildRequest, say: Callable[[str], None], name: str, platform: str) -> State:
    """An image of the store as the state of a stage; made or pulled when it isn't here, or --pull asks for it."""
    policy = "always" if request.pull else "missing"

    def tell(progress: Progress) -> None:
        if not progress.current:  # how far it has come is for a bar, not for lines
            say(f"{progress.id}: {progress.status}".removeprefix(": "))

    ensure(
        layout,
        name,
        policy=policy,
        platform=platform or request.platform,
        say=say,
        tell=tell,
        auth=_auth(request, name),
    )
    store = ImageStore(layout)
    image = store.find(name)
    blobs = store.manifest(image).layers
    return State(
        config=image.config.config,
        layers=[Layer(diff_id, blob) for diff_id, blob in zip(image.diff_ids, blobs, strict=True)],
        history=image.config.history,
        author=image.config.author,
        created=image.created,
        architecture=image.architecture,
        os=image.os,
        variant=image.variant,
    )


def _auth(request: BuildRequest, name: str) -> dict[str, str] | None:
    """Who a client is at the registry of that name; nobody where it hasn't said."""
    if request.auths is None:
        return None
    domain = reference.parse(name).domain
    keys = [domain, "https://index.docker.io/v1/", "index.docker.io"] if domain == "docker.io" else [domain]
    return next((request.auths[key] for key in keys if key in request.auths), {})


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
    known = {*asked, *state.used_args, *PREDEFINED, *plan.platform_args}
    return sorted(set(plan.build_args) - known)


def source_date_epoch() -> int | None:
    """The environment's SOURCE_DATE_EPOCH. Raises UsageError when it is no number."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not text.isdecimal():
        raise UsageError(f"invalid SOURCE_DATE_EPOCH: {text}", hint="seconds since 1970")
    return int(text)
