"""stop, kill, wait and rm: ways to the end of a container.

PID 1 of a pid namespace ignores every signal that it has no handler for, even SIGTERM (pid_namespaces(7)): so stop is
the polite signal, a while of patience, then SIGKILL, which nobody can ignore.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal as signals
import socket
import time
from collections.abc import Iterator

from minidock.engine import events, policy
from minidock.engine.finish import clear, finish, remove_files
from minidock.engine.record import Record, Records, alive, refresh
from minidock.errors import Conflict, ContainerNotFound, NotRunning, UsageError
from minidock.kernel import syscalls
from minidock.paths import Layout
from minidock.runtime import attach, shim
from minidock.steps import SILENT, Narrator

DEFAULT_TIMEOUT = 10
FOREVER = -1


def signal_number(name: str) -> int:
    """`KILL`, `SIGKILL`, `9`, `RTMIN+3` → number. Raises UsageError in Docker's words."""
    text = name.upper().removeprefix("SIG")
    if text.isdigit() and 0 < int(text) <= signals.SIGRTMAX:
        return int(text)
    base, sign, offset = text.partition("-" if text.startswith("RTMAX-") else "+")
    found = getattr(signals, f"SIG{base}", None)
    if isinstance(found, signals.Signals) and (not sign or (base in ("RTMIN", "RTMAX") and offset.isdigit())):
        return found - int(offset) if sign == "-" else found + int(offset or 0)
    raise UsageError(f"Invalid signal: {name}")


def send(layout: Layout, record: Record, number: int) -> None:
    """A signal to the container's first process: that one for certain, by a pidfd. Raises NotRunning.

    Told as an event before it is sent: what it leads to is told by others, as fast as they can.
    """
    try:
        pidfd = os.pidfd_open(record.state.pid)
    except (ProcessLookupError, OverflowError, OSError) as error:
        raise NotRunning(record.id) from error
    try:
        if not alive(record):
            raise NotRunning(record.id)
        events.container(layout, record, "kill", {"signal": str(number)})
        syscalls.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)
    if record.state.paused:
        _wake(layout, record, number)


def _wake(layout: Layout, record: Record, number: int) -> None:
    """A frozen process takes no signal, on version 1 not even SIGKILL: it is thawed for the one that is to stop it."""
    from minidock.engine import pause

    if pause.wakes(record, number):
        with contextlib.suppress(Conflict, ContainerNotFound):  # somebody else has, or it ended meanwhile
            pause.unpause(layout, record.id)


def await_end(record: Record, seconds: float | None) -> bool:
    """Sleep until the first process ends, at most so long. True when it has ended."""
    if not alive(record):
        return True
    try:
        pidfd = os.pidfd_open(record.state.pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000)) or not alive(record)
    finally:
        os.close(pidfd)


@contextlib.contextmanager
def ending(layout: Layout, record: Record) -> Iterator[None]:
    """Within, whoever ends the container cleans up after it, so its shim need not: that would be one more Python at
    the same work, and on a busy machine half the time that the removal takes. Killed here, the shim does it after all.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # its shim was killed
            client = held.enter_context(attach.connect(shim.attach_socket(layout.container_run(record.id))))
            client.shutdown(socket.SHUT_RD)  # of what it prints we want nothing, and it must not wait for us
            attach.own(client)
        yield


def kill(layout: Layout, ref: str, *, signal: str = "KILL") -> None:
    """Raises NotRunning, UsageError. After SIGKILL it waits for the end, so that the next command finds it ended."""
    beyond = signal.isdecimal() and int(signal) > signals.SIGRTMAX
    number = 0 if beyond else signal_number(signal)
    try:
        record = refresh(layout, Records(layout).find(ref))
    except ContainerNotFound as error:
        raise ContainerNotFound(ref, prefix=f"Cannot kill container: {ref}: ") from error
    if not record.state.running:
        raise Conflict(f"Cannot kill container: {ref}: Container {record.id} is not running")
    if beyond:
        raise UsageError(f"Cannot kill container: {ref}: The linux daemon does not support signal {signal}")
    with ending(layout, record) if number == signals.SIGKILL else contextlib.nullcontext():
        if not signal_by_hand(layout, record, number):
            return  # it was waiting for its next start
        if number == signals.SIGKILL:
            await_end(record, DEFAULT_TIMEOUT)
            refresh(layout, record)


def signal_by_hand(layout: Layout, record: Record, number: int) -> bool:
    """Somebody's own signal: if it may end the container, no policy starts it again. False when it only waited for
    that. Raises NotRunning."""
    if _ends(record, number) and policy.stopped_by_hand(layout, record.id).state.status == "exited":
        return False
    send(layout, record, number)
    return True


def _ends(record: Record, number: int) -> bool:
    """Whether whoever sends this wants the container to end for good: Docker takes every signal for that, unless
    the container has a stop signal of its own and this is another one."""
    own = record.config.stop_signal
    return not own or number in (signals.SIGKILL, signal_number(own))


def stop(layout: Layout, ref: str, *, timeout: int | None = None, signal: str = "") -> None:
    """Stopping what has stopped already is no error."""
    record = refresh(layout, Records(layout).find(ref))
    if not record.state.running:
        return
    record = policy.stopped_by_hand(layout, record.id)
    config = record.config
    patience = timeout if timeout is not None else config.stop_timeout
    patience = DEFAULT_TIMEOUT if patience is None else patience
    with ending(layout, record):
        with contextlib.suppress(NotRunning):
            send(layout, record, signal_number(signal or config.stop_signal or "TERM"))
            if not await_end(record, None if patience == FOREVER else patience):
                send(layout, record, signals.SIGKILL)
                await_end(record, DEFAULT_TIMEOUT)
        refresh(layout, record)
    events.container(layout, record, "stop")


def wait(layout: Layout, ref: str) -> int:
    """Sleep until the container has ended; its exit code."""
    record = refresh(layout, Records(layout).find(ref))
    while record.state.running:
        if record.state.restarting:
            policy.await_revival(record)
        else:
            await_end(record, None)
        try:
            record = finish(layout, record.id)
        except ContainerNotFound:
            break  # removed as it ended
    return record.state.exit_code


def remove(
    layout: Layout, ref: str, *, force: bool = False, volumes: bool = False, narrator: Narrator = SILENT
) -> None:
    """Raises Conflict for a running one without `force`."""
    records = Records(layout)
    record = refresh(layout, records.find(ref))
    if record.state.running:
        if not force:
            if record.state.paused:
                raise Conflict(
                    f"You cannot remove a paused container {record.id}. "
                    "Unpause and then stop the container before attempting removal or force remove"
                )
            kind = "restarting" if record.state.restarting else "running"
            raise Conflict(
                f"You cannot remove a {kind} container {record.id}. "
                "Stop the container before attempting removal or force remove"
            )
        record = policy.stopped_by_hand(layout, record.id)
        with ending(layout, record):
            with _telling_of_the_kill(record, narrator):
                with contextlib.suppress(NotRunning):
                    send(layout, record, signals.SIGKILL)
                await_end(record, DEFAULT_TIMEOUT)
            _remove(layout, records, record, volumes, narrator)
    else:
        _remove(layout, records, record, volumes, narrator)


@contextlib.contextmanager
def _telling_of_the_kill(record: Record, narrator: Narrator) -> Iterator[None]:
    if narrator is SILENT or not record.state.pid:
        yield
        return
    from minidock.engine import foretell

    step, begun = foretell.KillFirst(record.state.pid), time.perf_counter()
    narrator.started(step)
    yield
    narrator.done(step, time.perf_counter() - begun)


def _remove(layout: Layout, records: Records, record: Record, volumes: bool, narrator: Narrator) -> None:
    with contextlib.suppress(ContainerNotFound):
        record = finish(layout, record.id, narrator=narrator)
    with records.locked(record.id):
        if not records.path(record.id).exists():
            return  # somebody was quicker: itself with --rm, or another command
        clear(layout, record.id, narrator=narrator)
        if volumes:
            from minidock.engine.volumes import remove_anonymous

            remove_anonymous(layout, record)
        if narrator is SILENT:
            remove_files(layout, record)
        else:
            _forget_aloud(layout, record, narrator)


def _forget_aloud(layout: Layout, record: Record, narrator: Narrator) -> None:
    from minidock.engine import foretell

    step, begun = foretell.forget(layout, record), time.perf_counter()
    narrator.started(step)
    remove_files(layout, record)
    narrator.done(step, time.perf_counter() - begun)
