"""Containers of the runtime command line: create, start, kill, delete, and what they are in between.

    create    makes everything (creation.py); the first process waits at `exec.fifo` (runc's name) before it becomes
              the command
    start     writes one byte into the fifo
    delete    undoes, by the journal, what create did; the container must have ended

Below --root each container has a directory: `state.json`, its `config.json` as it was at create (the bundle may change
meanwhile), `journal.json`, and the fifo until it is started. runtime-spec runtime.md, "Lifecycle".
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidock import files, spec, steps
from minidock.errors import Conflict, ContainerNotFound, MinidockError, UsageError
from minidock.oci import texts
from minidock.oci.bundle import Bundle, completed, hook_state
from minidock.oci.state import State, check_id, ticks
from minidock.steps import Live, Step

if TYPE_CHECKING:
    from minidock.oci.birth import Creation
    from minidock.oci.log import Log
    from minidock.oci.notify import Notifier


STARTED = "cannot start an already running container"
NOT_STARTED = {
    "stopped": "cannot start a container that has stopped",
    "paused": "cannot start a container in the paused state",
}
"""Who is refused by `start`, in runc's words."""


class Runtime:
    """All containers below one state directory, --root."""

    def __init__(self, root: Path, log: Log, *, systemd: bool = False) -> None:
        """`log` is told what the specification wants said and not refused, and of every step when it is chatty."""
        self.root = root
        self.warn = log.warn
        self.narrator = log.narrator()
        self.entering = log.narrator(entering=True)
        self.systemd = systemd
        self.notifier: Notifier | None = None
        """Once a container was made or started for somebody who waits to hear that it is ready."""

    # the life of a container

    def create(self, container_id: str, bundle: Bundle, asked: Creation) -> State:
        """Everything but the command. Raises Conflict for an id that is taken; nothing is left after a failure."""
        from minidock.oci import creation

        check_id(container_id)
        directory = self.root / container_id
        self.root.mkdir(parents=True, exist_ok=True, mode=0o711)
        try:
            directory.mkdir(mode=0o711)
        except FileExistsError:
            raise texts.exists() from None
        try:
            # For root only: variables are secrets.
            files.write_atomic(directory / "config.json", bundle.raw, mode=0o600, durable=False)
            return creation.create(self, container_id, bundle, asked)
        except BaseException:
            files.remove_tree(directory)
            raise

    def start(self, container_id: str) -> State:
        """Let the first process go on. Raises Conflict when it has been let go before, or has ended."""
        state = self.read(container_id)
        status = self.status(state)
        if status != "created":
            raise Conflict(NOT_STARTED.get(status, STARTED))
        directory = self.root / container_id
        if os.environ.get("NOTIFY_SOCKET") and (directory / "notify").is_dir() and not self.notifier:
            from minidock.oci.notify import Notifier

            self.notifier = Notifier(directory)
        fifo = _let_go(directory / "exec.fifo")
        config = self.config(container_id)
        if config.hooks and config.hooks.poststart:
            # Once the command runs: the first process is then no reader of the fifo any more (fifo(7), close-on-exec).
            import select

            watch = select.poll()
            watch.register(fifo, 0)
            watch.poll()
            try:
                self.poststart(state, config)
            except MinidockError:
                self.delete(container_id, force=True)
                raise
        os.close(fifo)
        return state

    def poststart(self, state: State, config: spec.Spec) -> None:
        """The hooks for a container that has just begun to run, or is over already. When one fails, runtime.md wants
        the container ended and destroyed: the caller deletes it."""
        if not (config.hooks and config.hooks.poststart):
            return
        from minidock.kernel.hooks import run

        told = hook_state(config, state.id, Path(state.bundle), "running")
        run("poststart", config.hooks.poststart, told, state.pid, _still(state.bundle))

    def kill(self, container_id: str, number: int, *, everybody: bool = False) -> None:
        """A signal to the first process, or to all of the container's cgroup."""
        state = self.read(container_id)
        alone = self.config(container_id).linux.namespace("pid") is not None
        # Without a pid namespace nobody dies with the first process.
        if everybody or (number == signal.SIGKILL and not alone):
            from minidock.kernel import cgroup_tree

            return cgroup_tree.signal_all(state.cgroup, number)
        status = self.status(state)
        if status == "stopped":
            raise texts.not_running()
        _signal(state, number)
        if number == signal.SIGKILL and status == "paused":
            from minidock.kernel import freezer

            freezer.thaw(state.cgroup)  # a frozen process of version 1 would not die
        return None

    def delete(self, container_id: str, *, force: bool = False) -> None:
        """Undo create. Raises Conflict for one that runs, unless forced; one that was never started just goes."""
        directory = self.root / container_id
        try:
            state = self.read(container_id)
        except ContainerNotFound:
            # A create that was killed has a journal and no state; by name it may still be removed.
            if force and directory.is_dir():
                self._undo(container_id, directory)
            if force:
                return
            raise
        status = self.status(state)
        if status not in ("stopped", "created") and not force:
            raise Conflict(f"cannot delete container {container_id} that is not stopped: {status}")
        config = self.config(container_id)
        if status != "stopped":
            with contextlib.suppress(Conflict):  # it has ended since we looked
                self.kill(container_id, signal.SIGKILL)
        self._undo(container_id, directory)
        if config.hooks and config.hooks.poststop:
            from minidock.kernel.hooks import run

            told = hook_state(config, state.id, Path(state.bundle), "stopped")
            # It is gone: runtime.md, "Lifecycle", wants a warning and the other hooks.
            run("poststop", config.hooks.poststop, told, 0, _still(state.bundle), warn=self._warn_of_hook)

    def _warn_of_hook(self, problem: str) -> None:
        self.warn(f"poststop hook failed with exit code, signal or time: {problem}")

    def _undo(self, container_id: str, directory: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            journal: list[Step] = steps.from_journal((directory / "journal.json").read_bytes())
            problems = steps.undo_all(journal, Live())
            if problems:
                raise MinidockError(f"can't clean up after {container_id}: {'; '.join(problems)}")
        files.remove_tree(directory)

    # what is there

    def read(self, container_id: str) -> State:
        """Raises ContainerNotFound."""
        check_id(container_id)
        try:
            return files.read_json(self.root / container_id / "state.json", State)
        except (FileNotFoundError, NotADirectoryError):
            raise texts.no_such_container() from None

    def config(self, container_id: str) -> spec.Spec:
        """config.json as it was when the container was created."""
        return completed(spec.from_json((self.root / container_id / "config.json").read_bytes()))

    def status(self, state: State) -> str:
        """created, running, paused or stopped."""
        if ticks(state.pid) != state.start_ticks:
            return "stopped"
        from minidock.kernel import freezer

        if freezer.state(state.cgroup) != "running":
            return "paused"
        return "created" if (self.root / state.id / "exec.fifo").exists() else "running"

    def describe(self, state: State) -> dict[str, Any]:
        """runtime-spec runtime.md, "State"; with runc's `rootfs`, `created` and `owner`."""
        status = self.status(state)
        return {
            "ociVersion": state.oci_version,
            "id": state.id,
            "pid": state.pid if status != "stopped" else 0,
            "status": status,
            "bundle": state.bundle,
            "rootfs": state.rootfs,
            "created": state.created,
            **({"annotations": state.annotations} if state.annotations else {}),
            "owner": "",
        }

    def ids(self) -> list[str]:
        """Of all containers, by name."""
        if not self.root.is_dir():
            return []
        return sorted(path.parent.name for path in self.root.glob("*/state.json"))

    def matching(self, pattern: str) -> list[str]:
        """Ids in which the regular expression is found, as crun's `delete --regex` has it. Raises UsageError."""
        import re

        try:
            return [name for name in self.ids() if re.search(pattern, name)]
        except re.error as error:
            raise UsageError(f"invalid regular expression {pattern!r}: {error}") from None


def _let_go(line: Path) -> int:
    """Write the byte for which the first process waits; the fifo, whose name is gone then. Raises Conflict where
    somebody else has started it, or it has died, since we looked."""
    try:
        fifo = os.open(line, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(fifo, b"!")
        line.unlink()
    except (FileNotFoundError, BrokenPipeError):
        raise Conflict(STARTED) from None
    except OSError as error:
        if error.errno != errno.ENXIO:  # nobody has the other end open
            raise
        raise Conflict(NOT_STARTED["stopped"]) from None
    return fifo


def _signal(state: State, number: int) -> None:
    """By descriptor: the number may be another process's by the time that it gets there (pidfd_open(2))."""
    try:
        process = os.pidfd_open(state.pid)
        try:
            if ticks(state.pid) != state.start_ticks:
                raise texts.not_running()
            signal.pidfd_send_signal(process, number)
        finally:
            os.close(process)
    except ProcessLookupError:
        raise texts.not_running() from None


def _still(bundle: str) -> str:
    """Where a late hook runs: the bundle may be gone by then."""
    return bundle if os.path.isdir(bundle) else "/"
