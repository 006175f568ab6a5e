"""The end of a container: what its exit is worth knowing, and undoing all that its start did.

Done by whoever notices first: the command that ran it, the shim's cleanup command, or any other command that finds
the process dead. All of it is idempotent, and under the container's lock.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec

from minidock import files, network, steps
from minidock.engine import events, late_hooks, policy, volumes
from minidock.engine.durations import timestamp, unix
from minidock.engine.record import Record, Records, alive, cgroup_of, replace, waiting
from minidock.engine.repair import GONE
from minidock.errors import MinidockError
from minidock.kernel import memory, oom
from minidock.model.state import ContainerState
from minidock.paths import Layout
from minidock.runtime import attach, shim
from minidock.steps import SILENT, Live, Narrator

REBOOTED = 255
"""Docker's exit code of what ran when the machine went down."""
PATIENCE = 2.0
"""Seconds that a shim gets to write down the exit of a process that has ended already."""


def finish(layout: Layout, container_id: str, *, narrator: Narrator = SILENT) -> Record:
    """Write down how it ended, undo its start, and remove it when it was to be removed.

    Returns the last record, also of a removed container; one that its policy wants to run again is "restarting".
    Raises ContainerNotFound when somebody else removed it.
    """
    records = Records(layout)
    known = layout.lock(f"container-{container_id[:12]}").exists()  # in /run, made by whoever started it
    with records.locked(container_id):
        record = records.read(container_id)
        if record.state.restarting:
            return _waits(layout, records, record, rebooted=not known)
        if not record.state.running:
            # We hold the lock, so nobody is starting it: what is there a killed start has left.
            clear(layout, record.id)
            return record
        if alive(record):
            return record
        return _finish(layout, records, record, narrator)


def _finish(layout: Layout, records: Records, record: Record, narrator: Narrator) -> Record:
    rebooted = not layout.container_run(record.id).exists()  # it goes after the record is written
    ended = None if rebooted else _await_exit(layout, record)
    killed = oom.explain(cgroup_of(layout, record))
    running = record
    record = replace(record, state=_last_state(record, ended, killed, rebooted), endpoints={}, ports={})
    if record.host_config.auto_remove:
        record = _with_word(record, clear(layout, record.id, narrator=narrator))
        _tell(layout, running, record.state)
        remove_files(layout, record)
        return record
    record = _with_word(record, _undo(layout, record.id, narrator))
    if not rebooted and policy.due(record, record.state.exit_code):
        record = policy.wait_for_it(layout, policy.restarting(record, record.state))
    # On a full disk, and when we are killed here, the run directory is all that knows how it ended: so it goes last.
    if not records.write_if_room(record):
        return policy.nobody_waits(record)
    _vanish(layout, record.id)
    _tell(layout, running, record.state)
    return record


def _with_word(record: Record, word: str) -> Record:
    """A hook that failed at the end is told where nothing worse is."""
    if not word or record.state.error:
        return record
    return replace(record, state=msgspec.structs.replace(record.state, error=word))


def _last_state(
    record: Record, ended: shim.Exit | None, killed: oom.OomReport | None, rebooted: bool
) -> ContainerState:
    """How it ended: what its shim wrote down, or what is known without."""
    health = record.state.health
    error = "" if ended or rebooted else "its shim was killed: the exit status is not known"
    return msgspec.structs.replace(
        record.state,
        status="exited",
        running=False,
        paused=False,
        pid=0,
        exit_code=ended.exit_code if ended else REBOOTED if rebooted else 137,
        oom_killed=killed is not None,
        error=killed.sentence() if killed else error or _bus_error(record, ended.exit_code if ended else 0),
        finished_at=ended.finished_at if ended else timestamp(),
        health=health and msgspec.structs.replace(health, status="unhealthy"),
    )


def _bus_error(record: Record, code: int) -> str:
    """A word on exit code 135: a full /dev/shm is what it comes from, as a rule, and Docker says nothing."""
    if code != 128 + signal.SIGBUS:
        return ""
    size = memory.size(record.host_config.shm_size)
    return f"ended by a bus error (SIGBUS), as when /dev/shm is full: it has {size} (--shm-size)"


def _waits(layout: Layout, records: Records, record: Record, *, rebooted: bool) -> Record:
    """Between two runs. Who waits may have been killed, in the middle of a start too: then somebody else does."""
    if waiting(record):
        return record
    clear(layout, record.id)
    record = policy.given_up(record) if rebooted else policy.wait_for_it(layout, record)
    if not records.write_if_room(record, durable=False):
        return policy.nobody_waits(record)
    return record


def _tell(layout: Layout, running: Record, state: ContainerState) -> None:
    """What has ended, as events: `running` still knows its networks."""
    if state.oom_killed:
        events.container(layout, running, "oom")
    seconds = max(0, unix(state.finished_at) - unix(state.started_at))
    events.container(layout, running, "die", {"exitCode": str(state.exit_code), "execDuration": str(seconds)})
    events.networks(layout, running, "disconnect")
    events.volumes(layout, running, "unmount")


def _await_exit(layout: Layout, record: Record) -> shim.Exit | None:
    """The shim writes exit.json once it has read the last output. None when it was killed before it could."""
    run_dir = layout.container_run(record.id)
    deadline = time.monotonic() + PATIENCE
    while (ended := shim.read_exit(run_dir)) is None and time.monotonic() < deadline:
        if not _served(run_dir):
            return shim.read_exit(run_dir)
        time.sleep(0.005)
    return ended


def _served(run_dir: Path) -> bool:
    """Whether a shim listens: a dead one's socket refuses."""
    try:
        attach.connect(shim.attach_socket(run_dir)).close()
    except (MinidockError, OSError):
        return False
    return True


def clear(layout: Layout, container_id: str, *, narrator: Narrator = SILENT) -> str:
    """Undo the start of a container that isn't running (any more), from its journal; the run directory goes last.

    Returns what went wrong with its poststop hooks, or nothing.

    Raises MinidockError with all that could not be undone; the journal then stays for the next try.
    """
    word = _undo(layout, container_id, narrator)
    _vanish(layout, container_id)
    return word


def _undo(layout: Layout, container_id: str, narrator: Narrator) -> str:
    run_dir = layout.container_run(container_id)
    try:
        journal = steps.from_journal((run_dir / "journal.json").read_bytes())
    except FileNotFoundError:
        journal = []
    problems = steps.undo_all(journal, Live(), narrator)
    network.release(layout, container_id)
    if problems:
        raise MinidockError(f"can't clean up after {container_id[:12]}: {'; '.join(problems)}")
    return late_hooks.poststop(layout, container_id)


def _vanish(layout: Layout, container_id: str) -> None:
    """The shim takes a missing directory for "all is done": so it goes at once, by a rename."""
    run_dir = layout.container_run(container_id)
    gone = run_dir.with_name(f"{run_dir.name}.{os.getpid()}{GONE}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(run_dir, gone)
        files.remove_busy_tree(gone, PATIENCE)


def remove_files(layout: Layout, record: Record) -> None:
    """The container's lasting files; its name last, so that a killed removal can be repeated by name."""
    records = Records(layout)
    directory = layout.container(record.id)
    with contextlib.suppress(FileNotFoundError):
        records.path(record.id).unlink()
        files.remove_tree(directory)
    records.release_name(record.name, record.id)
    if record.host_config.auto_remove:
        volumes.remove_anonymous(layout, record)
    events.container(layout, record, "destroy")
    layout.lock(f"container-{record.id[:12]}").unlink(missing_ok=True)
    _let_go_of_layers(layout, record.images)


def _let_go_of_layers(layout: Layout, image_ids: list[str]) -> None:
    """What `rmi -f` has left for the container's sake. Nearly always the image is there: one look, no import."""
    records = layout.images / "records"
    if any(not (records / f"{image_id.removeprefix('sha256:')}.json").exists() for image_id in image_ids):
        from minidock.engine.image_remove import let_go

        let_go(layout, image_ids)
