"""Containers of the runtime command line: create, start, kill, delete, and what they are in between.

    create    makes everything; the first process waits at `exec.fifo` (runc's name) before it becomes the command
    start     writes one byte into the fifo
    delete    undoes, by the journal, what create did; the container must have ended

Below --root each container has a directory: `state.json`, its `config.json` as it was at create (the bundle may change
meanwhile), `journal.json`, and the fifo until it is started. runtime-spec runtime.md, "Lifecycle".
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidock import files, spec, steps
from minidock.errors import Conflict, ContainerNotFound, MinidockError, UsageError
from minidock.oci import dialect, texts
from minidock.oci.bundle import (
    absolute,
    completed,
    hook_state,
    listening,
    read_bundle,
    rootfs_of,
    socket_activation,
)
from minidock.oci.state import State, check_id, now, ticks
from minidock.steps import Live, Step

if TYPE_CHECKING:
    from minidock.kernel.cgroup_join import CgroupPlan
    from minidock.oci.birth import Creation
    from minidock.oci.log import Log
    from minidock.oci.notify import Notifier


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

    def create(self, container_id: str, bundle: Path, asked: Creation) -> State:
        """Everything but the command. Raises Conflict for an id that is taken; nothing is left after a failure."""
        check_id(container_id)
        raw, config = read_bundle(bundle, asked.config)
        directory = self.root / container_id
        self.root.mkdir(parents=True, exist_ok=True, mode=0o711)
        try:
            directory.mkdir(mode=0o711)
        except FileExistsError:
            raise texts.exists() from None
        try:
            # For root only: variables are secrets.
            files.write_atomic(directory / "config.json", raw, mode=0o600, durable=False)
            return self._create(container_id, bundle, config, directory, asked)
        except BaseException:
            files.remove_tree(directory)
            raise

    def _create(self, container_id: str, bundle: Path, config: spec.Spec, directory: Path, asked: Creation) -> State:
        from minidock.kernel.scheduling import ResetAffinity
        from minidock.oci.birth import DirectBirth, stdio
        from minidock.runtime.parent import host_steps
        from minidock.runtime.plan import Extras, plan

        self.warn_of_rights(config.process)
        rootfs = rootfs_of(bundle, config)
        config = dialect.told(absolute(socket_activation(config), bundle, rootfs))
        if os.environ.get("NOTIFY_SOCKET"):
            from minidock.oci import notify

            config = notify.bound(config, directory)
            self.notifier = notify.Notifier(directory)
        group, limits = self._cgroup(container_id, config)
        told = hook_state(config, container_id, bundle, "creating")
        inside = [ResetAffinity(), *_loopback(config)]
        extras = Extras(
            child=inside,
            state=told,
            keyring=not asked.no_new_keyring,
            hooks_in=str(bundle) if dialect.is_crun() else "",
            pivot=not asked.no_pivot,
            agents_version=dialect.agents_version(),
        )
        made = plan(config, rootfs=rootfs, cgroups=limits, extras=extras, cache=self.root / ".seccomp")
        made = dialect.streams(made, config.process)
        # Before anything is done: a create that is killed leaves what a later delete can undo.
        undoable = [step for step in host_steps(made)[:-2] if steps.takes_back(step)]
        files.write_atomic(directory / "journal.json", steps.to_journal(undoable), durable=False)
        fifo = -1
        if not asked.start:
            os.mkfifo(directory / "exec.fifo", 0o600)
            # Read and write: opening blocks neither us nor start, and the byte waits for whoever reads first.
            fifo = os.open(directory / "exec.fifo", os.O_RDWR | os.O_CLOEXEC)
        states: list[State] = []

        def created(pid: int) -> None:
            version, notes, made_at = config.oci_version, config.annotations, now()
            state = State(version, container_id, pid, str(bundle), rootfs, notes, made_at, group, ticks(pid))
            files.write_json(directory / "state.json", state, durable=False)
            root = config.root.path if config.root else ""
            dialect.remember(directory, state, root, systemd=self.systemd, detached=asked.detached)
            states.append(state)

        try:
            preserved = asked.preserve_fds + listening()
            DirectBirth(
                made, stdio(config, asked), fifo, preserved, before_exec=created, narrator=self.narrator
            ).start()
        finally:
            if fifo >= 0:
                os.close(fifo)
        return states[0]

    def _cgroup(self, container_id: str, config: spec.Spec) -> tuple[str, CgroupPlan]:
        """Where it lies, and the steps that make it: by ourselves, or through systemd."""
        from minidock.kernel import cgroups

        path, resources = config.linux.cgroups_path, config.linux.resources
        hierarchies = cgroups.discover()
        if not self.systemd:
            group = cgroups.checked_path(path or dialect.cgroup(container_id))
            return group, cgroups.plan(hierarchies, group, resources, child_joins=True)
        from minidock.kernel import scope, systemd

        with systemd.Manager():  # where it doesn't run the machine, that is said before anything is done
            pass
        found = scope.scope_of(path, container_id)
        told = scope.properties(
            cgroups.Cgroup(found.path, hierarchies), resources or spec.Resources(), config.annotations
        )
        start = scope.StartScope(found.slice, found.unit, told)
        return found.path, cgroups.plan(hierarchies, found.path, resources, child_joins=True, scope=start)

    def warn_of_rights(self, process: spec.Process | None) -> None:
        """config.md: what can't be granted MUST be logged as a warning, and SHOULD NOT fail."""
        if process is None or process.capabilities is None:
            return
        from minidock.kernel import capabilities

        asked = process.capabilities
        granted = capabilities.grantable(asked)
        if missing := [name for name in asked.bounding if name not in granted.bounding]:
            self.warn(f"can't grant {', '.join(missing)}: unknown, or not ours to give")
        for name in asked.ambient:
            if name not in granted.ambient:
                self.warn(f"can't raise ambient capability {name}: it is not both permitted and inheritable")

    def start(self, container_id: str) -> State:
        """Let the first process go on. Raises Conflict when it has been let go before, or has ended."""
        state = self.read(container_id)
        status = self.status(state)
        if status != "created":
            words = {"stopped": "cannot start a container that has stopped"}
            raise Conflict(words.get(status, "cannot start an already running container"))
        directory = self.root / container_id
        line = directory / "exec.fifo"
        fifo = os.open(line, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if os.environ.get("NOTIFY_SOCKET") and (directory / "notify").is_dir() and not self.notifier:
            from minidock.oci.notify import Notifier

            self.notifier = Notifier(directory)
        os.write(fifo, b"!")
        line.unlink()
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
        from minidock.kernel import cgroups, freezer

        state = self.read(container_id)
        alone = self.config(container_id).linux.namespace("pid") is not None
        # Without a pid namespace nobody dies with the first process.
        everybody = everybody or (number == signal.SIGKILL and not alone)
        status = self.status(state)
        if status == "stopped" and not everybody:
            raise texts.not_running()
        for pid in cgroups.processes(state.cgroup) if everybody else [state.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGKILL and status == "paused":
            freezer.thaw(state.cgroup)  # a frozen process of version 1 would not die

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


def _loopback(config: spec.Spec) -> list[Step]:
    """A network namespace of its own is born with `lo` down; as with runc and crun, a container finds it up."""
    network = config.linux.namespace("network")
    if network is None or network.path:
        return []
    from minidock.kernel.namespaces import LoopbackUp

    return [LoopbackUp()]


def _still(bundle: str) -> str:
    """Where a late hook runs: the bundle may be gone by then."""
    return bundle if os.path.isdir(bundle) else "/"
