"""One RUN of a build: a container like any other, but nobody sees it, and its upper directory becomes a layer.

    claim → layers and mount points → record → start → output … → exit → take the upper directory → gone

A file in `builds/`, locked for as long as we live, says whose container it is: when we are killed, the next command
finds it without its lock, and removes both (repair.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minidock import files
from minidock.build.entitlements import find_devices
from minidock.build.state import Log, MountPlan, RunFailed, RunRequest, Take
from minidock.build.upper import Upper
from minidock.engine import repair, userns
from minidock.engine.create import defaults
from minidock.engine.durations import timestamp
from minidock.engine.finish import finish, remove_files
from minidock.engine.names import new_id
from minidock.engine.record import Record, Records
from minidock.engine.start import start
from minidock.engine.stop import await_end, send
from minidock.engine.userns import IdMaps
from minidock.engine.volume_mounts import SHIFTED
from minidock.errors import ContainerNotFound, NotRunning
from minidock.image.store import Layer
from minidock.kernel import user
from minidock.model import limit_checks
from minidock.model.container import ContainerConfig
from minidock.model.host import DeviceRequest, HostConfig
from minidock.model.state import MountPoint
from minidock.paths import Layout
from minidock.runtime import attach
from minidock.steps import SILENT, Narrator

PATIENCE = 10.0
"""Seconds that the kernel gets to end a killed process."""
MOUNTED = ("proc", "sys", "dev")
WRITTEN = ("etc/hostname", "etc/hosts", "etc/resolv.conf", ".dockerenv")
"""What every container gets put into it. In a layer of its own below the RUN's, so that none of it is in the image."""


def run(
    layout: Layout, limits: HostConfig, request: RunRequest, log: Log, take: Take, *, narrator: Narrator = SILENT
) -> Layer:
    """Run the command; `take` is given the upper directory. Raises RunFailed, MinidockError."""
    container_id = new_id()
    with claimed(layout, container_id):
        with repair.creating(layout):
            record = _write(layout, container_id, limits, request)
        try:
            started = start(layout, container_id, narrator=narrator)
            assert started is not None
            # The shim cleans up when its client goes: ours stays connected until the layer has been taken.
            with socket.socket(fileno=started.client) as client:
                code = _follow(layout, started.record, client, log)
                if code != 0:
                    why = finish(layout, container_id, narrator=narrator).state
                    raise RunFailed(code, why.error if why.oom_killed else "")
                return take(layout.container(container_id) / "upper")
        finally:
            with contextlib.suppress(ContainerNotFound):
                finish(layout, container_id, narrator=narrator)
                remove_files(layout, record)


@contextlib.contextmanager
def claimed(layout: Layout, container_id: str) -> Iterator[None]:
    """A locked file that names the container, and a directory on /run for its secrets: both gone at the end."""
    path = layout.root / "builds" / container_id
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as held:
        while not path.exists():  # a command that repairs may take the new file for a dead one's, once
            held.close()
            held.enter_context(files.locked(path))
        try:
            yield
        finally:
            files.remove_tree(secrets_of(layout, container_id))
            if not layout.container(container_id).exists():  # else the next command has to look after it
                path.unlink(missing_ok=True)


def secrets_of(layout: Layout, container_id: str) -> Path:
    return layout.run / "secrets" / container_id[:12]


def _write(layout: Layout, container_id: str, limits: HostConfig, request: RunRequest) -> Record:
    directory = layout.container(container_id)
    for part in ("upper", "work", "init"):
        (directory / part).mkdir(parents=True, mode=0o755)
        (directory / part).chmod(0o755)
    directory.chmod(0o710)
    limits = msgspec.structs.replace(limits, network_mode=request.network, privileged=request.insecure)
    maps = userns.remap(layout, limits)
    mounts = [_point(layout, container_id, number, plan, maps) for number, plan in enumerate(request.mounts)]
    _make_places(directory / "init", [Path(path) for path in request.lower], request.mounts, mounts)
    host = msgspec.structs.replace(
        limits,
        auto_remove=False,  # nobody but us and abandon() may remove what is becoming a layer
        device_requests=_devices(layout, request),
        tmpfs={plan.target: _tmpfs(plan) for plan in request.mounts if plan.kind == "tmpfs"},
    )
    limit_checks.check(host)
    limit_checks.check_here(host)
    config = ContainerConfig(
        hostname=container_id[:12],
        user=request.user,
        env=request.env,
        cmd=request.argv,
        working_dir=request.cwd,
        attach_stdout=True,
        attach_stderr=True,
    )
    record = Record(
        id=container_id,
        name="",
        created=timestamp(),
        image="",
        image_id="",
        config=config,
        host_config=defaults(host),
        layers=request.lower,
        path=request.argv[0],
        args=request.argv[1:],
        mounts=[point for point in mounts if point.type == "bind"],
        hidden=True,
        uid_map=[msgspec.structs.astuple(line) for line in maps.uids] if maps else [],
        gid_map=[msgspec.structs.astuple(line) for line in maps.gids] if maps else [],
    )
    Records(layout).write(record, durable=False)
    return record


def _devices(layout: Layout, request: RunRequest) -> list[DeviceRequest]:
    """RUN --device: those that this host's CDI files offer. Raises MinidockError for one that must be there."""
    if not request.devices:
        return []
    from minidock.engine import device_requests

    offered = [device.name for device in device_requests.listing(layout).devices]
    found = find_devices(request.devices, offered)
    return [DeviceRequest(driver="cdi", device_ids=found)] if found else []


def _tmpfs(plan: MountPlan) -> str:
    return f"exec,size={plan.size}" if plan.size else "exec"


def _point(layout: Layout, container_id: str, number: int, plan: MountPlan, maps: IdMaps | None) -> MountPoint:
    """A secret is a file on /run, which is memory: it never touches a disk, and only its container sees it."""
    source = plan.source
    if plan.kind == "secret":
        directory = secrets_of(layout, container_id)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / str(number)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(plan.data)
            os.fchown(file.fileno(), *_outside(plan, maps))
            os.fchmod(file.fileno(), plan.mode)
        source = str(path)
    if plan.kind in ("cache", "ssh") and maps:
        os.chown(source, *_outside(plan, maps))
    readonly = plan.readonly or plan.kind == "secret"
    kind = "tmpfs" if plan.kind == "tmpfs" else "bind"
    # What is bound lies on disk as an image's files do, with the numbers that the container's users have inside.
    mode = SHIFTED if maps and plan.kind == "bind" else ""
    return MountPoint(
        type=kind, source=source, destination=plan.target, mode=mode, rw=not readonly, propagation="rprivate"
    )


def _outside(plan: MountPlan, maps: IdMaps | None) -> tuple[int, int]:
    """On the host, whose a file is that the container is to see as its user's."""
    return (user.outside(maps.uids, plan.uid), user.outside(maps.gids, plan.gid)) if maps else (plan.uid, plan.gid)


def _make_places(init: Path, lower: list[Path], plans: list[MountPlan], points: list[MountPoint]) -> None:
    """A file or directory wherever something will be mounted, and the image has nothing."""
    places = [(name, True, 0o755) for name in MOUNTED] + [(name, False, 0o644) for name in WRITTEN]
    for plan, point in zip(plans, points, strict=True):
        if plan.kind == "tmpfs":  # it takes its mode from its place
            places.append((plan.target, True, 0o1777))
        else:
            places.append((plan.target, os.path.isdir(point.source), 0o755))
    with Upper(init, lower) as upper:
        for path, is_directory, mode in places:
            upper.make_place(upper.tree.resolve(path), is_directory=is_directory, mode=mode)


def _follow(layout: Layout, record: Record, client: socket.socket, log: Log) -> int:
    """The container's exit code; its output goes to `log`. Whatever interrupts us ends the container."""
    try:
        for kind, payload in attach.frames(client):
            if kind in (attach.STDOUT, attach.STDERR):
                log(payload, kind == attach.STDERR)
            elif kind == attach.EXIT:
                return int.from_bytes(payload, "big", signed=True)
    except BaseException:
        with contextlib.suppress(NotRunning):
            send(layout, record, signal.SIGKILL)
        attach.wait(client)
        raise
    return 137


def abandon(layout: Layout, container_id: str) -> None:
    """Remove what a killed build has left of a RUN."""
    records = Records(layout)
    with contextlib.suppress(ContainerNotFound):
        record = records.read(container_id)
        with contextlib.suppress(NotRunning):
            send(layout, record, signal.SIGKILL)
        await_end(record, PATIENCE)
        finish(layout, container_id)
        remove_files(layout, record)
    files.remove_tree(secrets_of(layout, container_id))
