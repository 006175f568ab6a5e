"""exec: one more process in a running container.

It is not the container's child: the kernel lets us join each of its namespaces, its cgroup and its root, and take on
the rights it was given. So the plan has no mounts to make; the rest is the same story, told by the same modules.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from minidock import files, spec
from minidock.engine import events, security
from minidock.engine.cleanup import cleanup_command
from minidock.engine.environment import merge_env
from minidock.engine.record import Record, Records, refresh, ticks
from minidock.errors import Conflict, MinidockError
from minidock.kernel import cgroup_join, credentials
from minidock.kernel.cgroup_files import discover
from minidock.model.requests import ExecRequest
from minidock.paths import Layout
from minidock.runtime import attach, enter, shim
from minidock.runtime.parent import Birth
from minidock.runtime.planned import Plan
from minidock.runtime.stdio import Stdio
from minidock.runtime.terminal import parse_detach_keys
from minidock.steps import SILENT, Narrator

PATIENCE = 5.0
"""Seconds in which the shim of a command that could not be executed has ended."""
WRITTEN_DOWN = "exec.json"
"""In the session of an exec that was created first and started later, by way of the API."""


def execute(
    layout: Layout, ref: str, request: ExecRequest, *, sig_proxy: bool = True, narrator: Narrator = SILENT
) -> int | None:
    """The command's exit code; 0 when it runs detached, None when the user has detached.

    Raises Conflict when the container isn't running.
    """
    record = running(layout, ref)
    with _announced(layout, record, request) as exec_id:
        client, process = born(layout, record, request, exec_id, narrator)
        with client:
            if request.detach:
                return 0
            code = _stream(client, record, request, process, session_of(layout, record.id, exec_id), sig_proxy)
            if code is None:
                attach.own(client, False)  # from now on it is the shim's
                events.container(layout, record, "exec_detach", {"execID": exec_id})
            else:
                _ended(layout, record, exec_id, code)  # as long as we are there, the shim leaves that to us
    return code


@contextlib.contextmanager
def _announced(layout: Layout, record: Record, request: ExecRequest) -> Iterator[str]:
    """The id of one more exec, told as events; what it has in the run directory goes again when it fails."""
    exec_id = os.urandom(32).hex()
    session = session_of(layout, record.id, exec_id)
    session.mkdir(parents=True, mode=0o700)
    for action in ("exec_create", "exec_start"):
        tell(layout, record, action, request, exec_id)
    try:
        yield exec_id
    except BaseException:
        files.remove_busy_tree(session, PATIENCE)
        raise


class Captured(msgspec.Struct, frozen=True):
    """What a command said that nobody was attached to. `exit_code` None: it took too long, and was killed."""

    exit_code: int | None
    output: bytes
    cut: bool


def capture(layout: Layout, record: Record, request: ExecRequest, *, seconds: float, limit: int) -> Captured:
    """Execute it, and keep the first `limit` bytes of what it says on either stream."""
    deadline = time.monotonic() + seconds
    said = bytearray()
    with _announced(layout, record, request) as exec_id:
        client, process = born(layout, record, request, exec_id)
        with client:
            try:
                code = _listen(client, said, deadline, limit)
            except TimeoutError:
                _signal(process, signal.SIGKILL)
                attach.own(client, False)  # its end is the shim's to tell
                return Captured(None, b"", False)
            _ended(layout, record, exec_id, code)
    return Captured(code, bytes(said[:limit]), len(said) > limit)


def _listen(client: socket.socket, said: bytearray, deadline: float, limit: int) -> int:
    """The exit code. Raises TimeoutError."""
    decoder = attach.Decoder()
    while True:
        client.settimeout(max(deadline - time.monotonic(), 0.001))
        chunk = client.recv(attach.CHUNK)
        if not chunk:
            raise MinidockError("the shim of the command was killed: its exit code is not known")
        for kind, payload in decoder.feed(chunk):
            if kind == attach.EXIT:
                return int.from_bytes(payload, "big", signed=True)
            if len(said) <= limit:
                said += payload


def running(layout: Layout, ref: str) -> Record:
    """The container, in which something can be executed. Raises Conflict when it doesn't run, or is paused."""
    record = refresh(layout, Records(layout).find(ref))
    if not record.state.running:
        raise Conflict(f"Container {record.id} is not running")
    if record.state.restarting:
        raise Conflict(f"Container {record.id} is restarting, wait until the container is running")
    if record.state.paused:
        raise Conflict(f"Container {ref} is paused, unpause the container before exec")
    return record


def tell(layout: Layout, record: Record, action: str, request: ExecRequest, exec_id: str) -> None:
    told = f"{action}: {request.cmd[0]} {' '.join(request.cmd[1:])}"
    events.container(layout, record, told, {"execID": exec_id})


def finish(layout: Layout, container_id: str, exec_id: str) -> None:
    """The end of a command that runs detached: told by its shim, which becomes `container cleanup`."""
    ended = shim.read_exit(session_of(layout, container_id, exec_id))
    if ended is not None:
        _ended(layout, Records(layout).find(container_id), exec_id, ended.exit_code)


def _ended(layout: Layout, record: Record, exec_id: str, code: int) -> None:
    events.container(layout, record, "exec_die", {"execID": exec_id, "exitCode": str(code)})
    session = session_of(layout, record.id, exec_id)
    if not (session / WRITTEN_DOWN).exists():  # else somebody may still ask how it went (exec_sessions)
        files.remove_tree(session)


def session_of(layout: Layout, container_id: str, exec_id: str) -> Path:
    """Run-time files of one exec; its id is cut as a container's is."""
    return layout.container_run(container_id) / "exec" / exec_id[:12]


def born(
    layout: Layout, record: Record, request: ExecRequest, exec_id: str, narrator: Narrator = SILENT
) -> tuple[socket.socket, tuple[int, int]]:
    """Our connection to the command's shim, and the command's process: pid and start time."""
    session = session_of(layout, record.id, exec_id)
    config = files.read_json(layout.container_run(record.id) / "config.json", spec.Spec)
    made, process = planned(layout, record, config, request)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    attach.own(ours, not request.detach)
    stdio = Stdio(terminal=request.tty, stdin=request.attach_stdin, inherit=[theirs.detach()])
    stdio.give(msgspec.structs.replace(config, process=process))
    client = stdio.inherit[0]

    def become(pid: int) -> list[str]:
        ends = stdio.for_shim
        streams: shim.Pipes | shim.Console = (
            shim.Console(ends.console)
            if ends.console >= 0
            else shim.Pipes(ends.stdout, ends.stderr, ends.stdin if ends.stdin >= 0 else None)
        )
        cleanup = [*cleanup_command(layout, record.id), exec_id]
        return shim.argv(record.id, pid, session, streams, client_fd=client, stdin_once=True, cleanup=cleanup)

    started: list[tuple[int, int]] = []
    birth = Birth(made, stdio, become, before_exec=lambda pid: started.append((pid, ticks(pid))), narrator=narrator)
    birth.start()
    return ours, started[0]


def planned(layout: Layout, record: Record, config: spec.Spec, request: ExecRequest) -> tuple[Plan, spec.Process]:
    """What is to be done, and what is to run."""
    process = _process(layout, record, config, request)
    group = cgroup_join.NONE
    if layout.user is None:
        first, path = record.state.pid, config.linux.cgroups_path
        group = cgroup_join.membership(discover(), path, child_joins=True, beside=first)
    return enter.plan(config, process, record.state.pid, group, layout.run), process


def _signal(process: tuple[int, int], number: int) -> None:
    pid, start = process
    if ticks(pid) == start:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _stream(
    client: socket.socket,
    record: Record,
    request: ExecRequest,
    process: tuple[int, int],
    session: Path,
    sig_proxy: bool,
) -> int | None:
    outcome = attach.stream(
        client,
        stdin=request.attach_stdin,
        tty=request.tty,
        detach_keys=parse_detach_keys(request.detach_keys) or attach.DETACH_KEYS,
        on_signal=(lambda number: _signal(process, number)) if sig_proxy else None,
    )
    if outcome.detached:
        return None
    if outcome.exit_code is None:
        ended = shim.read_exit(session)
        if ended is None:
            raise MinidockError(f"the shim of the command in {record.name} was killed: its exit code is not known")
        return ended.exit_code
    return outcome.exit_code


def _process(layout: Layout, record: Record, config: spec.Spec, request: ExecRequest) -> spec.Process:
    """The container's own process with the request's changes: other user, other rights, more environment."""
    base = config.process
    if base is None:
        raise MinidockError(f"the bundle of {record.name} has no process")
    user = base.user
    env = merge_env(base.env, request.env)
    if request.user:
        found = credentials.find_user(*_accounts(record), request.user)
        user = spec.User(uid=found.uid, gid=found.gid, additional_gids=found.additional_gids)
        env = credentials.with_home([line for line in env if not line.startswith("HOME=")], found.home)
    if request.tty:
        env = merge_env(["TERM=xterm"], env)
    rights = security.parse(record.host_config)
    if request.privileged:
        rights = msgspec.structs.replace(rights, privileged=True)
    rows, columns = request.console_size
    if request.tty and not (rows and columns):
        columns, rows = _terminal_size()
    return msgspec.structs.replace(
        base,
        args=request.cmd,
        cwd=request.working_dir or base.cwd,
        env=env,
        terminal=request.tty,
        console_size=spec.ConsoleSize(rows, columns),
        user=user,
        capabilities=rights.capabilities(user.uid),
    )


def _terminal_size() -> tuple[int, int]:
    """Columns and rows of ours; zeros when we have none."""
    for fd in (0, 1, 2):
        with contextlib.suppress(OSError):
            return os.get_terminal_size(fd)
    return 0, 0


def _accounts(record: Record) -> tuple[bytes | None, bytes | None]:
    """The passwd and group files of the running container, its own mounts included."""
    from minidock.kernel import rootpath

    root = os.open(f"/proc/{record.state.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def read(path: str) -> bytes | None:
        try:
            with os.fdopen(rootpath.open_in(root, path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                return file.read(1 << 20)
        except (FileNotFoundError, NotADirectoryError):
            return None

    try:
        return read("/etc/passwd"), read("/etc/group")
    finally:
        os.close(root)
