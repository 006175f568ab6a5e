"""Containers of the runtime command line: create, start, state, kill, delete, run.

    create    makes everything; the first process waits at a fifo, `start-line`, before it becomes the command
    start     writes one byte into the fifo
    delete    undoes, by the journal, what create did; the container must have ended

runtime-spec runtime.md, "Lifecycle".
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from minidock import files, spec, steps
from minidock.errors import Conflict, ContainerNotFound, MinidockError, UsageError
from minidock.kernel import cgroups, namespaces, syscalls
from minidock.runtime import child, support
from minidock.runtime.parent import Birth, host_steps
from minidock.runtime.plan import Extras, Plan, plan
from minidock.runtime.stdio import Stdio
from minidock.steps import Live

ID = re.compile(r"[\w+.-]{1,1024}")


class State(msgspec.Struct, frozen=True, rename="camel"):
    """state.json. `start_ticks` with `pid` names one process for ever (proc_pid_stat(5), field 22)."""

    oci_version: str
    id: str
    pid: int
    bundle: str
    annotations: dict[str, str]
    created: str
    cgroup: str
    start_ticks: int


class DirectBirth(Birth):
    """A clones C itself: there is no B. C has A's standard streams, or a terminal of its own."""

    def __init__(self, made: Plan, stdio: Stdio, fifo: int, *, before_exec: Callable[[int], None]) -> None:
        super().__init__(made, stdio, lambda _: [], before_exec=before_exec)
        self.fifo = fifo

    def _spawn(self) -> None:
        self._enter_for_children()
        pid = syscalls.clone3(namespaces.flags(self.plan.spawn.kinds), self._open_cgroup())
        if pid == 0:
            self.wire.close()
            child.main(
                self.plan,
                child.Inheritance(self._theirs, None, self.stdio.console, False, start_line=self.fifo),
            )
        self._theirs.close()
        self.stdio.close_theirs()
        self.live.pid = pid

    def _exec(self) -> None:
        self.before_exec(self.live.pid)
        self._tell("park")
        message = self.wire.receive()
        if message is not None:
            raise MinidockError(f"the first process did not wait: {message.message}")


class Runtime:
    """All containers below one state directory, --root."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, container_id: str, bundle: Path, *, console: Path | None = None) -> State:
        """Everything but the command. Raises Conflict for an id that is taken; nothing is left after a failure."""
        if not ID.fullmatch(container_id) or container_id in (".", ".."):
            raise UsageError(f"invalid container id: {container_id!r}")
        config = read_bundle(bundle)
        directory = self.root / container_id
        self.root.mkdir(parents=True, exist_ok=True, mode=0o711)
        try:
            directory.mkdir(mode=0o711)
        except FileExistsError:
            raise Conflict(f"container with id exists: {container_id}") from None
        try:
            return self._create(container_id, bundle, config, directory, console)
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise

    def _create(
        self, container_id: str, bundle: Path, config: spec.Spec, directory: Path, console: Path | None
    ) -> State:
        group = config.linux.cgroups_path or f"/minidock-oci/{container_id}"
        made = self._plan(bundle, config, group)
        files.write_atomic(directory / "journal.json", steps.to_journal(host_steps(made)[:-2]), durable=False)
        os.mkfifo(directory / "start-line", 0o600)
        # Read and write: opening blocks neither us nor start, and the byte waits for whoever reads first.
        fifo = os.open(directory / "start-line", os.O_RDWR | os.O_CLOEXEC)
        states: list[State] = []

        def created(pid: int) -> None:
            from minidock.engine.create import timestamp
            from minidock.engine.record import ticks

            version, notes = config.oci_version, config.annotations
            state = State(version, container_id, pid, str(bundle), notes, timestamp(), group, ticks(pid))
            files.write_json(directory / "state.json", state, durable=False)
            states.append(state)

        DirectBirth(made, self._stdio(config, console), fifo, before_exec=created).start()
        os.close(fifo)
        return states[0]

    def _plan(self, bundle: Path, config: spec.Spec, group: str) -> Plan:
        root = config.root.path if config.root else "rootfs"
        rootfs = os.path.realpath(os.path.join(bundle, root))
        if not os.path.isdir(rootfs):
            raise UsageError(f"the bundle's root is not a directory: {rootfs}")
        made = cgroups.plan(cgroups.discover(), group, config.linux.resources)
        return plan(config, rootfs=rootfs, cgroups=made, extras=Extras(), cache=self.root)

    def _stdio(self, config: spec.Spec, console: Path | None) -> Stdio:
        import socket

        terminal = bool(config.process and config.process.terminal)
        if terminal != bool(console):
            which = "needs" if terminal else "has no use for"
            raise UsageError(f"a process with terminal {str(terminal).lower()} {which} --console-socket")
        stdio = Stdio(terminal=False, stdin=False, inherit=[])
        if console:
            wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            wire.connect(os.fspath(console))
            stdio.console = wire.detach()
        return stdio

    def state(self, container_id: str) -> dict[str, Any]:
        """runtime-spec runtime.md, "State"; with runc's `rootfs` and `created`."""
        state = self._read(container_id)
        status = self.status(state)
        config = read_bundle(Path(state.bundle))
        return {
            "ociVersion": state.oci_version,
            "id": state.id,
            "pid": state.pid if status != "stopped" else 0,
            "status": status,
            "bundle": state.bundle,
            "rootfs": os.path.join(state.bundle, config.root.path if config.root else "rootfs"),
            "created": state.created,
            "annotations": state.annotations,
        }

    def status(self, state: State) -> str:
        """created, running or stopped."""
        from minidock.engine.record import ticks

        if ticks(state.pid) != state.start_ticks:
            return "stopped"
        return "created" if (self.root / state.id / "start-line").exists() else "running"

    def start(self, container_id: str) -> State:
        """Let the first process go on. Raises Conflict when it has been let go before, or has ended."""
        state = self._read(container_id)
        if self.status(state) != "created":
            raise Conflict(f"cannot start a container that is {self.status(state)}: {container_id}")
        line = self.root / container_id / "start-line"
        fifo = os.open(line, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(fifo, b"!")
        os.close(fifo)
        line.unlink()
        return state

    def kill(self, container_id: str, number: int, *, everybody: bool = False) -> None:
        """A signal to the first process, or to all of the container's cgroup."""
        state = self._read(container_id)
        if self.status(state) == "stopped":
            raise Conflict(f"container not running: {container_id}")
        pids = cgroups.processes(state.cgroup) if everybody else [state.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def delete(self, container_id: str, *, force: bool = False) -> None:
        """Undo create. Raises Conflict for one that lives, unless forced."""
        directory = self.root / container_id
        try:
            state = self._read(container_id)
        except ContainerNotFound:
            # A create that was killed has a journal and no state; by name a person may still remove it.
            if not force or not directory.is_dir():
                raise
        else:
            if self.status(state) != "stopped" and not force:
                raise Conflict(f"cannot delete container {container_id} that is not stopped: {self.status(state)}")
            if self.status(state) != "stopped":
                self.kill(container_id, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            journal = steps.from_journal((directory / "journal.json").read_bytes())
            problems = steps.undo_all(journal, Live())
            if problems:
                raise MinidockError(f"can't clean up after {container_id}: {'; '.join(problems)}")
        shutil.rmtree(directory)

    def ids(self) -> list[str]:
        """Of all containers, by name."""
        return sorted(path.name for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []

    def _read(self, container_id: str) -> State:
        if not ID.fullmatch(container_id):
            raise ContainerNotFound(container_id)
        try:
            return files.read_json(self.root / container_id / "state.json", State)
        except FileNotFoundError:
            raise ContainerNotFound(container_id) from None


def read_bundle(bundle: Path) -> spec.Spec:
    """config.json, checked. Raises UsageError and Unsupported."""
    try:
        config = spec.from_json((bundle / "config.json").read_bytes())
    except FileNotFoundError:
        raise UsageError(f"no config.json in the bundle {bundle}", hint="minidock-oci spec writes one") from None
    except msgspec.MsgspecError as error:
        raise UsageError(f"{bundle}/config.json: {error}") from error
    support.check(config)
    return config
