"""Starting with or without our streams attached, and what we owe the container when it ends."""

from __future__ import annotations

import contextlib
import os
import socket
import sys

import msgspec

from minidock.engine import events
from minidock.engine.finish import finish
from minidock.engine.record import Records
from minidock.engine.start import Started, start
from minidock.engine.stop import send
from minidock.errors import ContainerNotFound, NotRunning
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


def start_detached(layout: Layout, ref: str, *, narrator: Narrator = SILENT) -> None:
    """Leave it to its shim at once."""
    started = start(layout, ref, narrator=narrator)
    if started is not None:
        _leave(socket.socket(fileno=started.client))


def start_attached(layout: Layout, ref: str, streams: Streams, *, narrator: Narrator = SILENT) -> int:
    """The exit code; everything is cleaned up by then. 0 when the user detached, and the shim has it."""
    events.container(layout, Records(layout).find(ref), "attach")
    started = start(layout, ref, narrator=narrator)
    if started is None:
        record = Records(layout).find(ref)
        client = attach.connect(shim.attach_socket(layout.container_run(record.id)))
        attach.own(client)
        started = Started(record, client.detach())
    client = socket.socket(fileno=started.client)
    outcome = _stream(layout, client, started, streams)
    if outcome.detached:
        _leave(client)
        events.container(layout, started.record, "detach")
        return 0
    record = started.record
    with contextlib.suppress(ContainerNotFound):
        record = finish(layout, record.id, narrator=narrator)
    client.close()
    if record.state.oom_killed:
        print(f"minidock: {record.state.error}", file=sys.stderr)
    return outcome.exit_code if outcome.exit_code is not None else record.state.exit_code


def _stream(layout: Layout, client: socket.socket, started: Started, streams: Streams) -> attach.Outcome:
    record = started.record

    def pass_on(number: int) -> None:
        with contextlib.suppress(NotRunning):
            send(layout, record, number)

    try:
        return attach.stream(
            client,
            stdin=streams.stdin,
            tty=record.config.tty,
            stdout=streams.stdout,
            stderr=streams.stderr,
            detach_keys=parse_detach_keys(streams.detach_keys) or attach.DETACH_KEYS,
            on_signal=pass_on if streams.sig_proxy else None,
        )
    except BrokenPipeError:
        # Nobody reads what we print: the container goes on without us, as with Docker.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return attach.Outcome(exit_code=attach.wait(client))


def _leave(client: socket.socket) -> None:
    """From now on the shim cleans up by itself."""
    attach.own(client, False)
    client.close()
