"""What a plan is: three lists of steps for two processes, and what the first process becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from minidock.kernel import namespaces
from minidock.kernel.execute import Execute
from minidock.spec import Spec, TimeOffset
from minidock.steps import Live, Step

if TYPE_CHECKING:
    from minidock.kernel.hooks import RunHooks


class Spawn(Step, frozen=True):
    """The birth of the first process: applied by runtime/parent.py, which owns the processes."""

    kinds: list[str]
    cgroup: str
    pid_path: str
    user_path: str = ""
    """A user namespace to be born in: others that are new then belong to it, as do those that are joined."""
    offsets: dict[str, TimeOffset] = {}
    paths: dict[str, str] = {}
    """Namespaces that the cloning process has to enter, by kind, user last: see `plan`."""
    man: ClassVar[str] = "clone(2)"

    def describe(self) -> str:
        inside = ", born in its cgroup" if self.cgroup else ""
        kinds = ", ".join(self.kinds)
        if not kinds:
            return f"clone a process into the pid namespace {self.pid_path}" if self.pid_path else "clone a process"
        return f"clone the first process into new {kinds} namespaces{inside}"

    def shell(self) -> str:
        options = " ".join(f"--{namespaces.KINDS[kind].option}" for kind in self.kinds)
        if not self.kinds and self.pid_path:
            return f"nsenter --pid={self.pid_path} sh $RUN/child.sh &"
        return f"unshare {options} --fork sh $RUN/child.sh &"

    def for_children(self) -> list[Step]:
        """What the cloning process does to itself so that its next child is born there."""
        steps: list[Step] = []
        if self.pid_path:
            steps.append(namespaces.JoinNamespace("pid", self.pid_path))
        if self.offsets:
            steps.append(namespaces.SetTimeOffsets(self.offsets))
        steps += [namespaces.JoinNamespace(kind, path) for kind, path in self.paths.items()]
        return steps

    def apply(self, live: Live) -> None:
        live.actions["spawn"]()

    def undo(self, live: Live) -> None:
        if live.pid:
            from minidock.runtime import parent

            parent.kill(live.pid)


class Plan(msgspec.Struct, frozen=True):
    """`before` and `joined` are A's, `child` is C's, `execute` is what C becomes."""

    before: list[Step]
    spawn: Spawn
    joined: list[Step]
    child: list[Step]
    execute: Execute
    terminal: bool = False
    umask: int = 0o022
    held: str = ""
    """The capability that minidock-exec needs for loading the filter."""
    host_hooks: list[Step] = []
    """A's, in the middle of the child's steps: where AskParent stands."""
    start_hooks: list[RunHooks] = []
    """C's, between the word to go and the command."""

    def sections(self) -> list[tuple[str, list[Step]]]:
        """For people: --dry-run, --explain."""
        return [
            ("on the host", [*self.before, self.spawn, *self.joined]),
            ("in the container", [*self.child, self.execute]),
        ]


def mounts_own(spec: Spec) -> bool:
    """Whether the container gets a mount namespace of its own."""
    entry = spec.linux.namespace("mount")
    return entry is not None and not entry.path
