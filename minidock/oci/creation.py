"""create: from a bundle to a first process that waits for `start`, or for `run` to one that runs.

The bundle is read and checked by then, and the container has its directory below --root. What is in here: what this
command line adds to config.json, the cgroup, the plan (runtime/plan.py), the birth (birth.py), and state.json.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from minidock import files, spec, steps
from minidock.kernel import cgroups
from minidock.kernel.scheduling import ResetAffinity
from minidock.oci import dialect
from minidock.oci.birth import Creation, DirectBirth, stdio
from minidock.oci.bundle import Bundle, absolute, hook_state, passed_on, rootfs_of, socket_activation
from minidock.oci.state import State, now, ticks
from minidock.runtime.parent import host_steps
from minidock.runtime.plan import Extras, plan
from minidock.steps import Step

if TYPE_CHECKING:
    from minidock.kernel.cgroup_join import CgroupPlan
    from minidock.oci.container import Runtime


def create(runtime: Runtime, container_id: str, bundle: Bundle, asked: Creation) -> State:
    """Make it, and write down what was made. Raises MinidockError, with all undone that was done outside of the
    container's directory."""
    directory = runtime.root / container_id
    warn_of_rights(bundle.config.process, runtime.warn)
    rootfs = rootfs_of(bundle.path, bundle.config)
    config = dialect.told(absolute(bundle.config, bundle.path, rootfs))
    if config.process:
        config = msgspec.structs.replace(config, process=socket_activation(config.process))
    if os.environ.get("NOTIFY_SOCKET"):
        from minidock.oci import notify

        config = notify.bound(config, directory)
        runtime.notifier = notify.Notifier(directory)
    group, limits = _cgroup(container_id, config, systemd=runtime.systemd)
    extras = _extras(container_id, bundle.path, config, asked)
    made = plan(config, rootfs=rootfs, cgroups=limits, extras=extras, cache=runtime.root / ".seccomp")
    made = dialect.streams(made, config.process)
    # Before anything is done: a create that is killed leaves what a later delete can undo.
    undoable = [step for step in host_steps(made)[:-2] if steps.takes_back(step)]
    files.write_atomic(directory / "journal.json", steps.to_journal(undoable), durable=False)
    states: list[State] = []

    def created(pid: int) -> None:
        version, notes, made_at = config.oci_version, config.annotations, now()
        state = State(version, container_id, pid, str(bundle.path), rootfs, notes, made_at, group, ticks(pid))
        files.write_json(directory / "state.json", state, durable=False)
        root = config.root.path if config.root else ""
        dialect.remember(directory, state, root, systemd=runtime.systemd, detached=asked.detached)
        states.append(state)

    streams, passed = stdio(config, asked), passed_on(asked.preserve_fds)
    with _start_line(directory, wanted=not asked.start) as fifo:
        DirectBirth(made, streams, fifo, passed, before_exec=created, narrator=runtime.narrator).start()
    return states[0]


def _extras(container_id: str, bundle: Path, config: spec.Spec, asked: Creation) -> Extras:
    return Extras(
        child=[ResetAffinity(), *_loopback(config)],
        state=hook_state(config, container_id, bundle, "creating"),
        keyring=not asked.no_new_keyring,
        hooks_in=str(bundle) if dialect.is_crun() else "",
        pivot=not asked.no_pivot,
        agents_version=dialect.agents_version(),
    )


@contextlib.contextmanager
def _start_line(directory: Path, *, wanted: bool) -> Iterator[int]:
    """The fifo at which the first process waits for `start`; -1 for `run`, where nobody waits."""
    if not wanted:
        yield -1
        return
    os.mkfifo(directory / "exec.fifo", 0o600)
    # Read and write: opening blocks neither us nor start, and the byte waits for whoever reads first.
    fifo = os.open(directory / "exec.fifo", os.O_RDWR | os.O_CLOEXEC)
    try:
        yield fifo
    finally:
        os.close(fifo)


def _cgroup(container_id: str, config: spec.Spec, *, systemd: bool) -> tuple[str, CgroupPlan]:
    """Where it lies, and the steps that make it: by ourselves, or through systemd."""
    path, resources = config.linux.cgroups_path, config.linux.resources
    hierarchies = cgroups.discover()
    if not systemd:
        group = cgroups.checked_path(path or dialect.cgroup(container_id))
        return group, cgroups.plan(hierarchies, group, resources, child_joins=True)
    from minidock.kernel import scope
    from minidock.kernel import systemd as bus

    with bus.Manager():  # where it doesn't run the machine, that is said before anything is done
        pass
    found = scope.scope_of(path, container_id)
    told = scope.properties(cgroups.Cgroup(found.path, hierarchies), resources or spec.Resources(), config.annotations)
    start = scope.StartScope(found.slice, found.unit, told)
    return found.path, cgroups.plan(hierarchies, found.path, resources, child_joins=True, scope=start)


def _loopback(config: spec.Spec) -> list[Step]:
    """A network namespace of its own is born with `lo` down; as with runc and crun, a container finds it up."""
    network = config.linux.namespace("network")
    if network is None or network.path:
        return []
    from minidock.kernel.namespaces import LoopbackUp

    return [LoopbackUp()]


def warn_of_rights(process: spec.Process | None, warn: Callable[[str], None]) -> None:
    """config.md: what can't be granted MUST be logged as a warning, and SHOULD NOT fail. For `exec`, too."""
    if process is None or process.capabilities is None:
        return
    from minidock.kernel import capabilities

    asked = process.capabilities
    granted = capabilities.grantable(asked)
    if missing := [name for name in asked.bounding if name not in granted.bounding]:
        warn(f"can't grant {', '.join(missing)}: unknown, or not ours to give")
    for name in asked.ambient:
        if name not in granted.ambient:
            warn(f"can't raise ambient capability {name}: it is not both permitted and inheritable")
