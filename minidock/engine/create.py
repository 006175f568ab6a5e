"""create: a name, an id, the image's configuration merged with the caller's, written down. Nothing runs yet.

What wins over what is Docker's: a flag over the image, a variable of the same name replaced in place, the image's CMD
dropped when another ENTRYPOINT is given.
"""

from __future__ import annotations

import contextlib
import os
import re

import msgspec

from minidock import files
from minidock.engine import events, fit, init_layer, limits_view, repair, userns, volumes
from minidock.engine.durations import timestamp
from minidock.engine.environment import merge_env
from minidock.engine.names import invent, new_id
from minidock.engine.record import Record, Records, replace
from minidock.errors import MinidockError, NameInUse, NotFound, UsageError
from minidock.image.manifest import RunConfig
from minidock.image.store import Image, ImageStore
from minidock.kernel.execute import DEFAULT_PATH
from minidock.model import checks
from minidock.model.container import ContainerConfig, Healthcheck
from minidock.model.host import HostConfig
from minidock.model.requests import Created, CreateRequest
from minidock.paths import Layout

NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"
SHARED_MEMORY = 64 << 20
LARGE_MEMORY = 2 << 30


def create(layout: Layout, request: CreateRequest) -> Created:
    """Raises ImageNotFound, NameInUse, UsageError; leaves nothing behind then.

    NotFound means the image alone: after it clients pull that, and ask again.
    """
    warnings = checks.check(request)
    _check_here(layout, request.host_config)
    store = ImageStore(layout)
    # From the look at the image to the written record nobody may remove it: its layers are ours from then on.
    with repair.creating(layout), store.bringing_in():
        image = store.find(request.config.image)
        record = draft(layout, request, image=image)
        if record.host_config.links:
            from minidock.engine import links

            links.check(layout, record.host_config)
        _, left_out = fit.fit(request.host_config)
        _write(layout, record)
    return Created(record.id, [*_foreign(image, request.platform), *warnings, *left_out])


def _check_here(layout: Layout, host: HostConfig) -> None:
    """What only this machine and this instance know: its security, and the containers that are to be shared with."""
    from minidock.engine import security
    from minidock.kernel import capabilities

    security.parse(host)
    capabilities.normalize(host.cap_add, "CapAdd")
    capabilities.normalize(host.cap_drop, "CapDrop")
    modes = (host.pid_mode, host.ipc_mode)
    shared = [mode.removeprefix("container:") for mode in modes if mode.startswith("container:")]
    for ref in [*shared, *(words.partition(":")[0] for words in host.volumes_from)]:
        if not ref:
            raise UsageError('invalid name or ID supplied: ""')
        try:
            Records(layout).find(ref)
        except NotFound as error:
            raise UsageError(error.message) from error


def _write(layout: Layout, record: Record) -> None:
    records = Records(layout)
    directory = layout.container(record.id)
    directory.mkdir(parents=True, mode=0o710)
    name = record.name
    try:
        name = _claim(records, record)
        planned = volumes.prepare(layout, record)
        for part in ("upper", "work"):
            (directory / part).mkdir(mode=0o755)
        init_layer.make(init_layer.directory_of(layout, record), record.layers)
        written = replace(planned.of(record), name=name)
        records.write(written)
    except BaseException:
        records.release_name(name, record.id)
        with contextlib.suppress(OSError):  # the next command repairs what stays
            files.remove_tree(directory)
        raise
    events.container(layout, written, "create")


def draft(layout: Layout, request: CreateRequest, *, image: Image | None = None) -> Record:
    """The record as it would be, without writing anything: what --dry-run shows."""
    if request.name and not re.fullmatch(NAME, request.name):
        raise UsageError(f"Invalid container name ({request.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if layout.user is not None:
        from minidock.engine import rootless

        rootless.check(request.host_config)
    store = ImageStore(layout)
    image = image or store.find(request.config.image)
    container_id = new_id()
    hostname = _hostname(layout, request.host_config.network_mode, container_id)
    config = merge(request.config, image.config.config, hostname)
    if request.host_config.annotations.get(limits_view.HINTS):
        config = msgspec.structs.replace(config, env=limits_view.hints(request.host_config, config.env))
    command = [*(config.entrypoint or []), *(config.cmd or [])]
    if not command:
        raise UsageError("No command specified", hint="give one after the image's name")
    maps = userns.remap(layout, request.host_config)
    return Record(
        id=container_id,
        name=request.name,
        created=timestamp(),
        image=request.config.image,
        image_id=image.id,
        config=config,
        host_config=defaults(fit.fit(request.host_config)[0]),
        layers=[str(path) for path in store.lower_dirs(image)],
        path=command[0],
        args=command[1:],
        requested=request.endpoints,
        uid_map=[msgspec.structs.astuple(line) for line in maps.uids] if maps else [],
        gid_map=[msgspec.structs.astuple(line) for line in maps.gids] if maps else [],
    )


def _hostname(layout: Layout, mode: str, container_id: str) -> str:
    """Whoever shares somebody's network shares the name that it knows: the host's, or the other container's."""
    if mode == "host":
        return os.uname().nodename
    if mode.startswith("container:"):
        with contextlib.suppress(NotFound):  # it may be made later: only the start needs it
            return Records(layout).find(mode.removeprefix("container:")).config.hostname
    return container_id[:12]


def merge(asked: ContainerConfig, image: RunConfig, hostname: str) -> ContainerConfig:
    """The caller's configuration completed by the image's."""
    entrypoint, cmd = asked.entrypoint, asked.cmd
    if not entrypoint:  # an empty list takes the image's ENTRYPOINT away, and leaves its CMD
        entrypoint = image.entrypoint if entrypoint is None else None
        cmd = cmd or image.cmd
    elif entrypoint == [""]:
        entrypoint = None
    return msgspec.structs.replace(
        asked,
        hostname=asked.hostname or hostname,
        user=asked.user or image.user,
        env=_complete_env(asked.env, image.env),
        entrypoint=entrypoint,
        cmd=cmd,
        working_dir=asked.working_dir or image.working_dir,
        labels={**image.labels, **asked.labels},
        exposed_ports={**image.exposed_ports, **asked.exposed_ports},
        volumes={**image.volumes, **asked.volumes},
        stop_signal=asked.stop_signal or image.stop_signal,
        healthcheck=_healthcheck(asked.healthcheck, image.healthcheck),
    )


def _healthcheck(asked: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    """What isn't said comes from the image, member by member."""
    if asked is None or image is None:
        return asked or image
    said = {name: value for name in Healthcheck.__struct_fields__ if (value := getattr(asked, name))}
    return msgspec.structs.replace(image, **said)


def _complete_env(asked: list[str], image: list[str]) -> list[str]:
    """The caller's variables, then those of the image that he left alone; a name alone takes the image's away."""
    names = {line.partition("=")[0] for line in asked}
    kept = [line for line in image if line.partition("=")[0] not in names]
    return [*asked, *kept]


def environment(config: ContainerConfig) -> list[str]:
    """What the process gets: Docker's own variables first, then the configuration's. HOME comes with the user."""
    base = [f"PATH={DEFAULT_PATH}", f"HOSTNAME={config.hostname}"]
    if config.tty:
        base.append("TERM=xterm")
    return merge_env(base, config.env)


def _foreign(image: Image, asked: str) -> list[str]:
    """An image of another kind of machine may run, with an emulator that the host has registered (binfmt_misc)."""
    from minidock.image.platforms import MACHINES

    here, _ = MACHINES.get(os.uname().machine, (os.uname().machine, ""))
    if asked or image.architecture in ("", here):
        return []
    return [
        f"The requested image's platform ({image.platform}) does not match the detected host platform "
        f"(linux/{here}) and no specific platform was requested"
    ]


def defaults(host: HostConfig) -> HostConfig:
    """What Docker fills in, so that inspect shows what is really used."""
    swap = host.memory_swap
    if host.memory and not swap:
        swap = host.memory * 2
    return msgspec.structs.replace(
        host,
        shm_size=host.shm_size or _shared_memory(host),
        memory_swap=swap,
        log_config=msgspec.structs.replace(host.log_config, type=host.log_config.type or "json-file"),
        ipc_mode=host.ipc_mode or "private",
        cgroupns_mode=host.cgroupns_mode or "private",
        runtime=host.runtime or "minidock",
        masked_paths=None if not host.privileged else [],
        readonly_paths=None if not host.privileged else [],
    )


def _shared_memory(host: HostConfig) -> int:
    """The size of /dev/shm where nobody gave one: Docker's 64 MiB; with a GPU a half of the memory that there is, with
    a large limit for memory a quarter of it.

    Programs that load data with several processes hand it to each other there, and end by a bus error when it is full.
    A tmpfs takes memory only for what is in it, and that counts in the container's limit.
    """
    if not host.device_requests and host.runtime != "nvidia":
        return host.memory // 4 if host.memory >= LARGE_MEMORY else SHARED_MEMORY
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(SHARED_MEMORY, min(there, host.memory or there) // 2)


def _claim(records: Records, record: Record) -> str:
    if record.name:
        records.claim_name(record.name, record.id)
        return record.name
    for attempt in range(20):
        name = invent() + (str(attempt) if attempt > 5 else "")
        try:
            records.claim_name(name, record.id)
        except NameInUse:
            continue
        return name
    raise MinidockError("can't find a free name", hint="give one with --name")
