"""start: from a record to a running process, with everything undone when any of it fails.

    who joins what → network → files of /etc → bundle → plan → journal → birth → running

The journal is written before the first step is applied. From then on whoever comes, we ourselves after a failure or
any later command after a kill -9, can undo what was done.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from minidock import files, network, spec, steps
from minidock.engine import (
    bundle,
    etc,
    events,
    health,
    init_layer,
    late_hooks,
    limits_view,
    log_config,
    security,
    services,
    sharing,
    userns,
    volume_mounts,
    volumes,
)
from minidock.engine.cleanup import cleanup_command
from minidock.engine.durations import timestamp
from minidock.engine.finish import clear
from minidock.engine.record import Record, Records, alive, end_the_dead, refresh, replace, ticks
from minidock.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    MinidockError,
    PortInUse,
)
from minidock.kernel import cgroup_join, cgroups, copy_up, idmap
from minidock.model.network import EndpointSettings
from minidock.model.state import ContainerState
from minidock.network import Attachment
from minidock.paths import Layout
from minidock.runtime import attach, shim
from minidock.runtime.parent import Birth, host_steps
from minidock.runtime.plan import Extras, plan
from minidock.runtime.planned import Plan
from minidock.runtime.stdio import Stdio
from minidock.steps import SILENT, Narrator

if TYPE_CHECKING:
    from minidock.engine.device_requests import Injected


class Started(msgspec.Struct, frozen=True):
    """A running container, and our connection to its shim: owner until told otherwise."""

    record: Record
    client: int
    """Descriptor of our end of the first client's socket pair."""


def start(layout: Layout, ref: str, *, revived: str = "", narrator: Narrator = SILENT) -> Started | None:
    """Start a created or exited container; None when it runs already, or somebody waits to start it.

    `revived` is that somebody's own word: the time of the end after which the policy wants this start.

    Raises what failed, with nothing left; the record then tells it too.
    """
    try:
        return _start_once(layout, ref, revived, narrator)
    except PortInUse:
        if not end_the_dead(layout):  # whoever has it may have been killed, with its shim: nobody has said so yet
            raise
    return _start_once(layout, ref, revived, narrator)


def _start_once(layout: Layout, ref: str, revived: str, narrator: Narrator) -> Started | None:
    records = Records(layout)
    record = refresh(layout, records.find(ref))
    with records.locked(record.id):
        record = records.read(record.id)
        if alive(record) and record.state.paused:
            raise Conflict("cannot start a paused container, try unpause instead")
        if alive(record) or record.state.restarting != bool(revived):
            return None
        if revived and record.state.finished_at != revived:
            return None  # stopped and started by hand meanwhile, and waiting for another turn
        fresh = {} if revived else {"restart_count": 0, "restart_delay_ms": 0}
        record = replace(record, manually_stopped=False, waiter_pid=0, waiter_ticks=0, **fresh)
        try:
            return _start(layout, records, record, narrator)
        except MinidockError as error:
            clear(layout, record.id)
            code = error.exit_code if isinstance(error, CommandNotFound | CommandNotExecutable) else 128
            status = "exited" if revived else record.state.status
            state = msgspec.structs.replace(
                record.state, status=status, running=False, restarting=False, exit_code=code, error=error.message
            )
            records.write(replace(record, state=state, endpoints={}, ports={}), durable=False)
            raise
        except BaseException:
            clear(layout, record.id)
            raise


def _start(layout: Layout, records: Records, record: Record, narrator: Narrator) -> Started:
    log = log_config.log_file(layout, record)
    run_dir = layout.container_run(record.id)
    (run_dir / "rootfs").mkdir(parents=True, exist_ok=True, mode=0o755)
    asked = {"none": EndpointSettings()} if record.isolated else record.requested
    attachment = network.plan(layout, record.id, record.config, record.host_config, asked, name=record.name)
    made, config = _write_bundle(layout, record, attachment, run_dir)

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    attach.own(ours, True)
    listener = _listen(shim.attach_socket(run_dir))
    served = services.Services(attachment, run_dir)
    inherit = [listener.detach(), theirs.detach(), *served.descriptors]
    stdio = Stdio(terminal=record.config.tty, stdin=record.config.open_stdin, inherit=inherit)
    stdio.give(config)

    birth = Birth(
        made,
        stdio,
        lambda pid: _shim(layout, record, log, pid, stdio, inherit, served),
        before_exec=lambda pid: _running(layout, records, record, attachment, pid),
        narrator=narrator,
    )
    birth.live.fds.update(served.fds)
    try:
        birth.start()
        late_hooks.poststart(layout, record.id, config, birth.live.pid, narrator)
    except BaseException:
        # Gone first, closed second: the shim then finds nothing to clean up, and goes.
        clear(layout, record.id)
        ours.close()
        left = records.read(record.id)
        if left.state.running:  # it was written down, but the command could not be executed
            events.networks(layout, left, "disconnect")
            events.volumes(layout, left, "unmount")
        raise
    started = records.read(record.id)
    events.container(layout, started, "start")
    return Started(started, ours.detach())


def _write_bundle(layout: Layout, record: Record, attachment: Attachment, run_dir: Path) -> tuple[Plan, spec.Spec]:
    """The container's /etc files, its config.json, and what is to be taken back should we die; the plan, the config."""
    etc.write(layout, record, attachment)
    if text := etc.name_server(layout, record, attachment):
        files.write_atomic(run_dir / services.DNS_CONFIG, text.encode(), durable=False)
    made, config = prepare(layout, record, attachment)
    # For root only: variables are secrets.
    files.write_json(run_dir / "config.json", config, mode=0o600, durable=False)
    journal = steps.to_journal(filter(steps.takes_back, host_steps(made)))
    files.write_atomic(run_dir / "journal.json", journal, durable=False)
    return made, config


def _running(layout: Layout, records: Records, record: Record, attachment: Attachment, pid: int) -> None:
    """Just before the command takes over: from here on the record says so, whatever happens to us."""
    network.settle(attachment)
    at = timestamp()
    state = ContainerState(
        status="running",
        running=True,
        pid=pid,
        started_at=at,
        finished_at=record.state.finished_at,  # the last time: docker-compose looks whether a restart was one
        health=health.at_start(record),
    )
    found = replace(record, state=state, start_ticks=ticks(pid), endpoints=attachment.endpoints, ports=attachment.ports)
    records.write(found, durable=False)
    if "bridge" in found.endpoints and not record.state.started_at.startswith("0001"):
        from minidock.engine import links

        links.follow(layout, found)
    events.networks(layout, found, "connect")
    events.volumes(layout, found, "mount")


def _listen(path: Path) -> socket.socket:
    """Where clients meet the shim: made here, so that it is there from the start, and nobody connects in vain."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    os.chmod(path, 0o600)
    listener.listen(16)
    return listener


def prepare(layout: Layout, record: Record, attachment: Attachment) -> tuple[Plan, spec.Spec]:
    """The container's plan and its config.json. Changes nothing: --dry-run and --as-shell use it too."""
    rootfs = str(layout.container_run(record.id) / "rootfs")
    cache = layout.run if os.access(layout.run, os.W_OK) else None  # --dry-run needs no root
    config = bundle.oci_spec(layout, record, security.parse(record.host_config), sharing.joined(layout, record), cache)
    if layout.user is not None:
        from minidock.engine import rootless

        config = rootless.fitted(layout, config, record.host_config)
    devices = _devices(layout, config, record)
    config = devices.config if devices else config
    config, view = limits_view.cover(config, record.host_config, layout.container_run(record.id))
    lower = init_layer.lower(layout, record)
    directory = layout.container(record.id)
    maps = userns.maps(record)
    root: list[steps.Step] = [init_layer.overlay_at(layout, record, rootfs)]
    if maps:
        root = [idmap.MountIdmappedOverlay(lower, str(directory), rootfs, maps.owner())]
    fresh = volume_mounts.fresh(record)
    root += [copy_up.CopyUp(rootfs, point.destination, point.source, bool(maps)) for point in fresh]
    root += devices.root if devices else []
    group = cgroup_join.NONE
    if layout.user is None:
        group = cgroups.plan(cgroups.discover(), config.linux.cgroups_path, config.linux.resources, child_joins=True)
    before = [*attachment.before, *volumes.shared(layout, record), *(devices.before if devices else []), *view]
    state = late_hooks.state(layout.container_run(record.id), record.id, "creating") if config.hooks else {}
    extras = Extras(
        before, attachment.joined, attachment.child, root, bool(maps), state, bind_devices=layout.user is not None
    )
    return plan(config, rootfs=rootfs, cgroups=group, extras=extras, cache=cache), config


def _devices(layout: Layout, config: spec.Spec, record: Record) -> Injected | None:
    host = record.host_config
    if not host.device_requests and host.runtime != "nvidia":
        return None
    from minidock.engine import device_requests

    return device_requests.inject(layout, config, record)


def _shim(
    layout: Layout,
    record: Record,
    log: shim.LogFile | None,
    pid: int,
    stdio: Stdio,
    inherit: list[int],
    served: services.Services,
) -> list[str]:
    """What B becomes. `inherit` is the listening socket, the first client, and what `served` holds."""
    ends = stdio.for_shim
    streams: shim.Pipes | shim.Console
    if ends.console >= 0:
        streams = shim.Console(ends.console)
    else:
        streams = shim.Pipes(ends.stdout, ends.stderr, ends.stdin if ends.stdin >= 0 else None)
    return shim.argv(
        record.id,
        pid,
        layout.container_run(record.id),
        streams,
        log=log,
        listen_fd=inherit[0],
        client_fd=inherit[1],
        stdin_once=record.config.stdin_once,
        probe=health.probe_for(layout, record),
        view=limits_view.watched(layout, record),
        cleanup=cleanup_command(layout, record.id),
        services=served.flags(pid),
    )
