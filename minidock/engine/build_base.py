"""What a stage of a build begins with: nothing, an earlier stage, an image, or the files of a named context."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from minidock.build import copying, stages
from minidock.build.cache import key_of
from minidock.build.failures import shown
from minidock.build.ignore import Ignore
from minidock.build.named import Files, Named
from minidock.build.solve import Job
from minidock.build.stages import Stage
from minidock.build.state import State
from minidock.build.upper import Looks, Upper
from minidock.engine.build_request import BuildRequest
from minidock.engine.ensure import ensure
from minidock.errors import BuildFailed, MinidockError
from minidock.image import reference
from minidock.image.buildcache import CacheEntry
from minidock.image.importer import rfc3339
from minidock.image.layers import workplace
from minidock.image.manifest import History, Platform, RunConfig
from minidock.image.platforms import host_platform, parse_platform
from minidock.image.store import ImageStore, Layer
from minidock.kernel.execute import DEFAULT_PATH
from minidock.model.events import Progress
from minidock.paths import Layout

SCRATCH = "scratch"


def begin(layout: Layout, request: BuildRequest, job: Job, stage: Stage, states: dict[int, State]) -> State:
    """In the process of the stage."""
    job.announce(shown(stage.begin))
    base = job.plan.bases[stage.index]
    if isinstance(base, int):
        return states[base]
    if base == SCRATCH:
        return nothing(request)
    made = 1 + sum(command.at.keyword in ("RUN", "COPY", "ADD", "WORKDIR") for command in stage.commands)
    title = f"{stage.title} " if stage.name or len(job.plan.needs) > 1 else ""
    step = f"{stage.index}/1"
    if isinstance(base, Named):
        job.tell.begin(step, f"[{title}1/{made}] FROM {base.name}")
        return _from_files(job, base.name, job.contexts[base.name], nothing(request), step)
    job.tell.begin(step, f"[{title}1/{made}] FROM {reference.parse(base).tagged().full}")
    wanted = stages.platform_of(job.plan, stage) or request.platform
    try:
        state = image_state(layout, request, lambda line: job.tell.log(step, f"{line}\n".encode()), base, wanted)
    except MinidockError as error:
        job.tell.done(step, error=error.message)
        raise BuildFailed(f"{base}: {error.message}", excerpt=stage.begin.at.excerpt(), hint=error.hint) from error
    job.tell.done(step, cached=True)
    return state


def image_state(layout: Layout, request: BuildRequest, say: Callable[[str], None], name: str, platform: str) -> State:
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
    return stored_state(ImageStore(layout), name)


def stored_state(store: ImageStore, name: str) -> State:
    """Raises ImageNotFound."""
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


def target_platform(request: BuildRequest) -> Platform:
    return parse_platform(request.platform) if request.platform else host_platform()


def nothing(request: BuildRequest) -> State:
    platform = target_platform(request)
    config = RunConfig(env=[f"PATH={DEFAULT_PATH}"])
    return State(config, architecture=platform.architecture, os=platform.os, variant=platform.variant)


def _from_files(job: Job, name: str, files: Files, empty: State, step: str) -> State:
    """One layer of all files of a named context, as root's."""
    piece = copying.Piece(files.tree, (), True, ignore=files.ignore, exclude=Ignore())
    epoch = job.options.epoch
    key = key_of("files", copying.checksum([piece], owners=False), epoch)
    found = None if job.options.no_cache else job.cache.find(key)
    cached = found is not None and found.layer is not None
    if found is None or found.layer is None:
        layer = _layer(job.store, piece, epoch)
        found = CacheEntry(f"FROM {name}", rfc3339(time.time_ns()), layer)
        job.cache.write(key, found)
    assert found.layer is not None
    job.tell.done(step, cached=cached)
    created = found.created if epoch is None else rfc3339(epoch * 1_000_000_000)
    history = [History(created=created, created_by=f"FROM {name}", comment="minidock")]
    return msgspec.structs.replace(empty, layers=[found.layer], history=history, created=created)


def _layer(store: ImageStore, piece: copying.Piece, epoch: int | None) -> Layer:
    with workplace(store) as place:
        upper = place / "upper"
        upper.mkdir(mode=0o755)
        upper.chmod(0o755)
        root = (0, 0)
        with Upper(upper, []) as made:
            copying.copy(made, [piece], copying.Target("/", True), Looks(root), Looks(root))
        return store.commit_layer(upper, packing="", move=True, clamp=epoch)
