"""exec in two steps, as the API has it: a command is written down, started by its id, and asked about afterwards.

containers/ID/exec/EXECID/exec.json    what is to run, in the container's run directory: it goes with the container
containers/ID/exec/EXECID/exit.json    how it went, written by its shim
"""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import os
import time
from pathlib import Path
from typing import Any

import msgspec

from minidock import files
from minidock.engine import execs
from minidock.engine.record import ticks
from minidock.errors import CommandNotExecutable, CommandNotFound, Conflict, MinidockError, NotFound, UsageError
from minidock.model.requests import ExecRequest
from minidock.paths import Layout
from minidock.runtime import shim
from minidock.runtime.terminal import parse_detach_keys

KEPT_SECONDS = 300
"""How long one that has ended can be asked about, as with Docker: a health check must not fill the disk."""


class Session(msgspec.Struct, frozen=True):
    """`pid` and `start_ticks` are zero until it is started; `refused` is the exit code of what could not be."""

    id: str
    container_id: str
    request: ExecRequest
    outputs: tuple[bool, bool]
    pid: int = 0
    start_ticks: int = 0
    refused: int | None = None


def create(layout: Layout, ref: str, request: ExecRequest, outputs: tuple[bool, bool]) -> str:
    """Its id. Raises Conflict when the container doesn't run, UsageError without a command."""
    record = execs.running(layout, ref)
    if not request.cmd:
        raise UsageError("No exec command specified")
    parse_detach_keys(request.detach_keys)
    _forget_old(layout.container_run(record.id) / "exec")
    exec_id = os.urandom(32).hex()
    directory = execs.session_of(layout, record.id, exec_id)
    directory.mkdir(parents=True, mode=0o700)
    _write(layout, Session(exec_id, record.id, request, outputs))
    execs.tell(layout, record, "exec_create", request, exec_id)
    return exec_id


def start(layout: Layout, exec_id: str, detach: bool, size: tuple[int, int]) -> int | None:
    """Run it: our connection to its shim, None when detached. Raises Conflict when it was started already."""
    session = _find(layout, exec_id)
    if session.pid or session.refused is not None:
        how = "is already running" if inspect(layout, exec_id)["Running"] else "has already run"
        raise Conflict(f"Error: Exec command {exec_id} {how}")
    record = execs.running(layout, session.container_id)
    request = msgspec.structs.replace(session.request, detach=detach, console_size=size)
    execs.tell(layout, record, "exec_start", request, exec_id)
    try:
        client, (pid, started) = execs.born(layout, record, request, exec_id)
    except MinidockError as error:
        code = error.exit_code if isinstance(error, CommandNotFound | CommandNotExecutable) else 126
        _write(layout, msgspec.structs.replace(session, refused=code))
        raise
    _write(layout, msgspec.structs.replace(session, pid=pid, start_ticks=started))
    if detach:
        client.close()
        return None
    return client.detach()


def inspect(layout: Layout, exec_id: str) -> dict[str, Any]:
    """API `ExecInspectResponse`."""
    session = _find(layout, exec_id)
    request, ended = session.request, _ended(layout, session)
    alive = ended is None and session.pid > 0 and ticks(session.pid) == session.start_ticks
    code = ended.exit_code if ended else None if alive or not session.pid else 137
    if session.refused is not None:  # its shim has seen a process that was killed, which says nothing
        alive, code = False, session.refused
    return {
        "ID": session.id,
        "ContainerID": session.container_id,
        "Running": alive,
        "ExitCode": code,
        "Pid": session.pid if alive else 0,
        "CanRemove": False,
        "DetachKeys": request.detach_keys,
        "OpenStdin": request.attach_stdin,
        "OpenStdout": session.outputs[0],
        "OpenStderr": session.outputs[1],
        "ProcessConfig": {
            "entrypoint": request.cmd[0],
            "arguments": request.cmd[1:],
            "tty": request.tty,
            "privileged": request.privileged,
            "user": request.user,
        },
    }


def _find(layout: Layout, exec_id: str) -> Session:
    """By the whole id. Raises NotFound: it never was, or its container has ended."""
    if exec_id.isalnum():
        for path in (layout.run / "containers").glob(f"*/exec/{exec_id[:12]}/{execs.WRITTEN_DOWN}"):
            session = files.read_json(path, Session)
            if session.id == exec_id:
                return session
    raise NotFound(f"No such exec instance: {exec_id}")


def whole_id(directory: Path) -> str:
    """Of an exec by its directory, which is named with the first twelve digits; one of `exec` itself has no more."""
    try:
        return files.read_json(directory / execs.WRITTEN_DOWN, Session).id
    except FileNotFoundError:
        return directory.name


def _write(layout: Layout, session: Session) -> None:
    path = execs.session_of(layout, session.container_id, session.id) / execs.WRITTEN_DOWN
    files.write_json(path, session, durable=False)


def _ended(layout: Layout, session: Session) -> shim.Exit | None:
    return shim.read_exit(execs.session_of(layout, session.container_id, session.id))


def _forget_old(sessions: Path) -> None:
    long_ago = time.time() - KEPT_SECONDS
    for path in sessions.glob("*/exit.json"):
        try:
            if path.stat().st_mtime < long_ago and (path.parent / execs.WRITTEN_DOWN).exists():
                files.remove_tree(path.parent)
        except FileNotFoundError:
            continue  # somebody else does it, too
