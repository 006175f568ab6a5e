"""A and B: the command that makes a container, and the shim that will look after it.

    A ── fork ──▶ B ── clone3 ──▶ C
    │             └─ becomes minidock-shim, C's parent, for as long as C lives
    └─ goes on: memberships, id maps, veth, then tells C to proceed

B is forked because C needs a parent that outlives A, and cloned from because only a process's own children can be
waited for. After its clone B does nothing in Python any more: it execs the small C program.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import ClassVar, NoReturn

import msgspec

from minidock.errors import MinidockError
from minidock.kernel import execute, namespaces, syscalls
from minidock.runtime import child
from minidock.runtime.planned import Plan
from minidock.runtime.stdio import Stdio
from minidock.runtime.sync import Failures, Message, Wire
from minidock.steps import SILENT, Live, Narrator, Step, apply_all, wrap

CLONE_PARENT = 0x00008000  # linux/sched.h


class Proceed(Step, frozen=True):
    """A's side of the child's steps."""

    man: ClassVar[str] = "pid_namespaces(7)"

    def describe(self) -> str:
        return "tell the first process to set itself up"

    def shell(self) -> str:
        return "echo proceed > $RUN/proceed"

    def apply(self, live: Live) -> None:
        live.actions["proceed"]()


class Go(Step, frozen=True):
    """A's side of the execve."""

    man: ClassVar[str] = "execve(2)"

    def describe(self) -> str:
        return "let the first process become the container's command"

    def shell(self) -> str:
        return "# the first process goes on by itself"

    def apply(self, live: Live) -> None:
        live.actions["exec"]()


class Narration:
    """What is told of A's steps: all but the two by which A lets C make its own, which stand in their place."""

    def __init__(self, narrator: Narrator, execute: Step) -> None:
        self.narrator = narrator
        self.execute = execute

    def moved(self, where: str) -> None:
        self.narrator.moved(where)

    def started(self, step: Step) -> None:
        if isinstance(step, Proceed):
            self.narrator.moved("container")
        else:
            self.narrator.started(self.execute if isinstance(step, Go) else step)

    def done(self, step: Step, seconds: float) -> None:
        if not isinstance(step, Proceed):
            self.narrator.done(self.execute if isinstance(step, Go) else step, seconds)

    def failed(self, step: Step, error: BaseException) -> None:
        if not isinstance(step, Proceed):
            self.narrator.failed(self.execute if isinstance(step, Go) else step, error)

    def undone(self, step: Step) -> None:
        if not isinstance(step, Proceed | Go):
            self.narrator.undone(step)


class Birth:
    """The making of one container, seen from A. Owns the wire; `shim` is the program that B becomes."""

    def __init__(
        self,
        plan: Plan,
        stdio: Stdio,
        shim: Callable[[int], list[str]],
        *,
        before_exec: Callable[[int], None],
        narrator: Narrator = SILENT,
    ) -> None:
        self.plan = plan
        self.stdio = stdio
        self.shim = shim
        self.before_exec = before_exec
        self.narrator = narrator
        self.live = Live()
        self.ready = Message("ready")
        self.wire, self._theirs = Wire.pair()

    def start(self) -> int:
        """Apply the whole plan; the pid of C, which is running its command by then.

        Raises what failed first, with everything undone; C and B are gone then.
        """
        self.narrator.moved("host")
        self.live.actions.update(spawn=self._spawn, proceed=self._proceed, exec=self._exec)
        try:
            apply_all(host_steps(self.plan), self.live, Narration(self.narrator, self.plan.execute))
        finally:
            self.wire.close()
            self.stdio.close()
        return self.live.pid

    # spawn

    def _spawn(self) -> None:
        report, told = os.pipe()
        if os.fork() == 0:
            self._become_shim(report, told)
        os.close(told)
        self._theirs.close()
        self.stdio.close_theirs()
        with os.fdopen(report, "rb") as file:
            message = msgspec.json.decode(file.read() or b'{"kind":"failed","message":"the shim died"}', type=Message)
        if message.kind == "failed":
            raise Failures.unpack(message)
        self.live.pid = message.step

    def _become_shim(self, report: int, told: int) -> NoReturn:
        """We are B. Whatever happens, this never returns into A's stack."""
        try:
            os.setsid()  # A's terminal must not send us its signals
            pid = self._clone()
            if pid == 0:
                self.wire.close()
                os.close(report)
                os.close(told)
                inherited = child.Inheritance(
                    self._theirs, self.stdio.for_child, self.stdio.console, self.narrator is not SILENT
                )
                child.main(self.plan, inherited)
            argv = self.shim(pid)
            os.write(told, msgspec.json.encode(Message("born", pid)))
            self.stdio.keep_for_shim()
            os.chdir("/")
            os.execv(argv[0], argv)
        except BaseException as error:  # noqa: BLE001 - told to A, then _exit
            with contextlib.suppress(OSError):
                os.write(told, msgspec.json.encode(Failures.pack(-1, error)))
        finally:
            os._exit(1)

    def _clone(self) -> int:
        cgroup, kinds = self._open_cgroup(), namespaces.flags(self.plan.spawn.kinds)
        if self.plan.spawn.user_path:
            return self._clone_by_helper(cgroup, kinds)
        self._enter_for_children()
        return syscalls.clone3(kinds, cgroup)

    def _clone_by_helper(self, cgroup: int, kinds: int) -> int:
        """C's namespaces belong to the user namespace of whoever clones: but B has to stay the host's root. So a helper
        goes there, and clones a child of B's (clone(2), CLONE_PARENT)."""
        report, told = os.pipe()
        helper = os.fork()
        if helper:
            os.close(told)
            with os.fdopen(report, "rb") as file:
                message = msgspec.json.decode(file.read() or b'{"kind":"failed"}', type=Message)
            os.waitpid(helper, 0)
            if message.kind == "failed":
                raise Failures.unpack(message)
            return message.step
        try:
            namespaces.JoinNamespace("user", self.plan.spawn.user_path).apply(self.live)
            self._enter_for_children()
            pid = syscalls.clone3(kinds | CLONE_PARENT, cgroup)
            message = Message("born", pid)
        except BaseException as error:  # noqa: BLE001 - told to B, then _exit
            pid, message = -1, Failures.pack(-1, error)
        if pid == 0:
            os.close(report)
            os.close(told)
            return 0
        os.write(told, msgspec.json.encode(message))
        os._exit(0)

    def _enter_for_children(self) -> None:
        """setns(2) into a pid or time namespace is for the children that are born from now on, not for us."""
        for step in self.plan.spawn.for_children():
            step.apply(self.live)

    def _open_cgroup(self) -> int:
        path = self.plan.spawn.cgroup
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if path else -1

    # proceed and exec

    def _proceed(self) -> None:
        self._tell("proceed")
        while True:
            message = self._listen()
            if message.kind == "ready":
                self.ready = message
                return
            if message.kind == "hooks":
                for hook in self.plan.host_hooks:
                    hook.apply(self.live)
                self._tell("proceed")
                continue
            step = self.plan.child[message.step]
            if message.kind == "lend":
                self._lend(step)
            elif message.kind == "started":
                self.narrator.started(step)
            else:
                self.narrator.done(step, message.seconds)

    def _lend(self, step: Step) -> None:
        """Open for C what a user namespace's root may not see. C reads end-of-file when this raises."""
        try:
            fd = step.lend(self.live)
        except (MinidockError, OSError) as error:
            raise wrap(step, error) from error
        self.wire.send(Message("lent"), fd)
        os.close(fd)

    def _exec(self) -> None:
        self.before_exec(self.live.pid)
        self._tell("exec")
        message = self.wire.receive()
        if message is None:
            return
        if message.kind == "refused":
            ready = self.ready
            raise execute.refused(ready.message, message.number, missing=ready.hint, malformed=ready.call)
        raise Failures.unpack(message)

    def _tell(self, kind: str) -> None:
        try:
            self.wire.send(Message(kind))
        except BrokenPipeError as error:
            raise MinidockError("the container's first process died before it was set up") from error

    def _listen(self) -> Message:
        message = self.wire.receive()
        if message is None:
            raise MinidockError(
                "the container's first process was killed while it set itself up",
                hint="a memory limit that is too small for the set-up does this",
            )
        if message.kind == "failed":
            error = Failures.unpack(message)
            if 0 <= message.step < len(self.plan.child):
                self.narrator.failed(self.plan.child[message.step], error)
                raise wrap(self.plan.child[message.step], error)
            if message.step == len(self.plan.child):
                self.narrator.failed(self.plan.execute, error)
            raise error
        return message


def host_steps(plan: Plan) -> list[Step]:
    """All that A applies, in order."""
    return [*plan.before, plan.spawn, *plan.joined, Proceed(), Go()]


def kill(pid: int) -> None:
    """SIGKILL, to a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
