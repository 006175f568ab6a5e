"""Starting with or without our streams attached, and what we owe the container when it ends."""

from __future__ import annotations

import contextlib
import os
import socket
import sys

import msgspec

from minidock.engine import events
from minidock.engine.finish import finish
from minidock.engine.record import Record, Records, alive, refresh
from minidock.engine.start import Started, start
from minidock.engine.stop import signal_by_hand
from minidock.errors import Conflict, ContainerNotFound, MinidockError, NotRunning
from minidock.paths import Layout
from minidock.runtime import attach, shim
from minidock.runtime.terminal import parse_detach_keys
from minidock.steps import SILENT, Narrator


class Streams(msgspec.Struct, frozen=True):
    """What of ours is connected. `detach_keys` as in --detach-keys, empty for Docker's."""

    stdin: bool
    stdout: bool = True
    stderr: bool = True
    detach_keys: str = ""
    sig_proxy: bool = True


def start_detached(layout: Layout, ref: str, *, revived: str = "", narrator: Narrator = SILENT) -> None:
    """Leave it to its shim at once. `revived`: see start."""
    started = start(layout, ref, revived=revived, narrator=narrator)
    if started is not None:
        _leave(socket.socket(fileno=started.client))


def start_held(layout: Layout, ref: str) -> int | None:
    """Run it, and give back our connection to its shim, with our promise to clean up; None when it runs already."""
    started = start(layout, ref)
    return None if started is None else started.client


def connect(layout: Layout, ref: str) -> int:
    """A further connection to the shim of a running container. Raises Conflict when it doesn't run."""
    record = refresh(layout, Records(layout).find(ref))
    if not record.state.running:
        raise Conflict(f"Container {record.id} is not running")
    return attach.connect(shim.attach_socket(layout.container_run(record.id))).detach()


def start_attached(layout: Layout, ref: str, streams: Streams, *, narrator: Narrator = SILENT) -> int:
    """The exit code; everything is cleaned up by then. 0 when the user detached, and the shim has it."""
    events.container(layout, Records(layout).find(ref), "attach")
    started = start(layout, ref, narrator=narrator)
    if started is None:
        record = Records(layout).find(ref)
        if record.state.restarting:
            raise Conflict(f"Container {record.id} is restarting, wait until the container is running")
        client = attach.connect(shim.attach_socket(layout.container_run(record.id)))
        attach.own(client)
        started = Started(record, client.detach())
    client = socket.socket(fileno=started.client)
    outcome = _stream(layout, client, started.record, streams)
    if outcome.detached:
        _leave(client)
        return 0
    record = started.record
    with contextlib.suppress(ContainerNotFound):
        record = finish(layout, record.id, narrator=narrator)
    client.close()
    _check_ended(record, outcome)
    if record.state.error:
        print(f"minidock: {record.state.error}", file=sys.stderr)
    return outcome.exit_code if outcome.exit_code is not None else record.state.exit_code


def attach_to(layout: Layout, ref: str, streams: Streams) -> int | None:
    """Our streams as those of a container that runs already; its exit code, None when the user detached."""
    record = refresh(layout, Records(layout).find(ref))
    if not alive(record):
        raise NotRunning(record.id)
    try:
        client = attach.connect(shim.attach_socket(layout.container_run(record.id)))
    except OSError as error:
        raise MinidockError(f"can't attach to {record.name}: {_KEEPER}", hint="logs and exec still work") from error
    events.container(layout, record, "attach")
    with client:
        outcome = _stream(layout, client, record, streams, redraw=True)
    if outcome.detached:
        return None
    if outcome.exit_code is not None:
        return outcome.exit_code
    with contextlib.suppress(ContainerNotFound):
        record = finish(layout, record.id)
    _check_ended(record, outcome)
    return record.state.exit_code


_KEEPER = "its shim was killed"


def _check_ended(record: Record, outcome: attach.Outcome) -> None:
    """Raises MinidockError when our connection has ended, and the container hasn't."""
    if outcome.exit_code is None and alive(record):
        raise MinidockError(f"lost the connection to {record.name}: {_KEEPER}", hint="the container runs on")


def _stream(
    layout: Layout, client: socket.socket, record: Record, streams: Streams, *, redraw: bool = False
) -> attach.Outcome:
    def pass_on(number: int) -> None:
        with contextlib.suppress(NotRunning, ContainerNotFound):
            signal_by_hand(layout, record, number)

    try:
        outcome = attach.stream(
            client,
            stdin=streams.stdin,
            tty=record.config.tty,
            stdout=streams.stdout,
            stderr=streams.stderr,
            detach_keys=parse_detach_keys(streams.detach_keys) or attach.DETACH_KEYS,
            on_signal=pass_on if streams.sig_proxy else None,
            redraw=redraw,
            close_stdin=record.config.stdin_once,  # made with -d -i, it takes what comes from one client after another
        )
    except BrokenPipeError:
        # Nobody reads what we print: the container goes on without us, as with Docker.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return attach.Outcome(exit_code=attach.wait(client))
    if outcome.detached:
        events.container(layout, record, "detach")
    return outcome


def _leave(client: socket.socket) -> None:
    """From now on the shim cleans up by itself."""
    attach.own(client, False)
    client.close()
