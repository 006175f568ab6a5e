"""The end of a container: what its exit is worth knowing, and undoing all that its start did.

Done by whoever notices first: the command that ran it, the shim's cleanup command, or any other command that finds
the process dead. All of it is idempotent, and under the container's lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

import msgspec

from minidock import files, network, steps
from minidock.engine import events, volumes
from minidock.engine.create import timestamp
from minidock.engine.durations import unix
from minidock.engine.record import Record, Records, alive, cgroup_of, replace
from minidock.engine.repair import GONE
from minidock.errors import MinidockError
from minidock.kernel import oom
from minidock.model import ContainerState
from minidock.paths import Layout
from minidock.runtime import attach, shim
from minidock.steps import SILENT, Live, Narrator

PATIENCE = 2.0
"""Seconds that a shim gets to write down the exit of a process that has ended already."""


def finish(layout: Layout, container_id: str, *, narrator: Narrator = SILENT) -> Record:
    """Write down how it ended, undo its start, and remove it when it was to be removed.

    Returns the last record, also of a removed container. Raises ContainerNotFound when somebody else removed it.
    """
    records = Records(layout)
    with records.locked(container_id):
        record = records.read(container_id)
        if not record.state.running:
            # We hold the lock, so nobody is starting it: what is there a killed start has left.
            clear(layout, record.id)
            return record
        if alive(record):
            return record
        ended = _await_exit(layout, record)
        killed = oom.explain(cgroup_of(layout, record))
        clear(layout, record.id, narrator=narrator)
        state = msgspec.structs.replace(
            record.state,
            status="exited",
            running=False,
            paused=False,
            pid=0,
            exit_code=ended.exit_code if ended else 137,
            oom_killed=killed is not None,
            error=killed.sentence() if killed else "" if ended else "its shim was killed: the exit status is not known",
            finished_at=ended.finished_at if ended else timestamp(),
        )
        running, record = record, replace(record, state=state, endpoints={}, ports={})
        if not record.host_config.auto_remove:
            records.write(record)
        _tell(layout, running, state)
        if record.host_config.auto_remove:
            remove_files(layout, record)
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


def clear(layout: Layout, container_id: str, *, narrator: Narrator = SILENT) -> None:
    """Undo the start of a container that isn't running (any more), from its journal; the run directory goes last.

    Raises MinidockError with all that could not be undone; the journal then stays for the next try.
    """
    run_dir = layout.container_run(container_id)
    try:
        journal = steps.from_journal((run_dir / "journal.json").read_bytes())
    except FileNotFoundError:
        journal = []
    problems = steps.undo_all(journal, Live(), narrator)
    network.release(layout, container_id)
    if problems:
        raise MinidockError(f"can't clean up after {container_id[:12]}: {'; '.join(problems)}")
    # The shim takes a missing directory for "all is done": so it vanishes at once, by a rename.
    gone = run_dir.with_name(f"{run_dir.name}.{os.getpid()}{GONE}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(run_dir, gone)
        _delete(gone)


def _delete(gone: Path) -> None:
    """The shim of a start that failed may be writing exit.json into it at this moment: what comes late goes too."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            files.remove_tree(gone)
            break
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


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
