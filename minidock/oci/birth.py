"""The making of a process without a shim: whoever called us is its parent, or reaps it (prctl(2), SUBREAPER).

The engine's story has three processes (docs/architecture.md); here A clones C itself. Only where there is a user
namespace and others exist already is somebody in between: M enters them, clones C as A's child (CLONE_PARENT), and is
gone.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from minidock import spec
from minidock.errors import MinidockError, UsageError
from minidock.kernel import namespaces, syscalls
from minidock.oci import texts
from minidock.runtime import child
from minidock.runtime.parent import Birth
from minidock.runtime.planned import Plan
from minidock.runtime.stdio import Stdio
from minidock.runtime.sync import Failures, Message, Wire
from minidock.steps import SILENT, Narrator

CLONE_PARENT = 0x8000  # linux/sched.h


class Creation(msgspec.Struct, frozen=True):
    """The flags of create, run and exec that concern the making. `console` is a descriptor that gets the terminal's
    master: the socket of --console-socket, or our own; -1 for none."""

    console: int = -1
    preserve_fds: int = 0
    no_pivot: bool = False
    no_new_keyring: bool = False
    start: bool = False
    """`run`: nobody waits for `start`, and execve(2)'s refusal is told."""
    detached: bool = True
    """False when the command that makes it stays until it ends."""


class DirectBirth(Birth):
    """A clones C. C has A's standard streams, or a terminal of its own; `fifo` is where it waits after create."""

    def __init__(
        self,
        made: Plan,
        stdio: Stdio,
        fifo: int,
        preserved: int,
        *,
        before_exec: Callable[[int], None],
        narrator: Narrator = SILENT,
    ) -> None:
        super().__init__(made, stdio, lambda _: [], before_exec=before_exec, narrator=narrator)
        self.fifo = fifo
        self.preserved = preserved

    def _spawn(self) -> None:
        self.live.pid = self._clone_from_inside() if self.plan.spawn.paths else self._clone_here(0)
        self._theirs.close()
        self.stdio.close_theirs()

    def _clone_here(self, more: int) -> int:
        self._enter_for_children()
        pid = syscalls.clone3(namespaces.flags(self.plan.spawn.kinds) | more, self._open_cgroup())
        if pid == 0:
            self.wire.close()
            narrated = self.narrator is not SILENT
            inherited = child.Inheritance(self._theirs, None, self.stdio.console, narrated, self.fifo, self.preserved)
            child.main(self.plan, inherited)
        return pid

    def _clone_from_inside(self) -> int:
        """By way of M. It numbers processes as we do: entering a pid namespace is for children."""
        ours, theirs = Wire.pair()
        middle = os.fork()
        if middle == 0:
            try:
                theirs.send(Message("born", self._clone_here(CLONE_PARENT)))
            except BaseException as error:  # noqa: BLE001 - told to A, then _exit
                theirs.send(Failures.pack(-1, error))
            finally:
                os._exit(0)
        theirs.close()
        message = ours.receive()
        ours.close()
        os.waitpid(middle, 0)
        if message is None:
            raise MinidockError("the process that enters the namespaces died")
        if message.kind == "failed":
            raise Failures.unpack(message)
        return message.step

    def _listen(self) -> Message:
        try:
            return super()._listen()
        except MinidockError as error:
            raise texts.from_inside(error) from error

    def _exec(self) -> None:
        if self.fifo < 0:
            return super()._exec()
        self.before_exec(self.live.pid)
        self._tell("park")
        message = self.wire.receive()
        if message is not None:
            raise MinidockError(f"the first process did not wait: {message.message}")
        return None


def stdio(config: spec.Spec, asked: Creation) -> Stdio:
    """Our own streams, or the terminal that goes to `asked.console`."""
    terminal = bool(config.process and config.process.terminal)
    if terminal and asked.console < 0:
        raise texts.no_console_socket()
    if asked.console >= 0 and not terminal:
        raise UsageError("cannot use console socket if runc will not detach or allocate tty")
    return Inherited(asked.console)


class Inherited(Stdio):
    """0, 1 and 2 are passed on as they are; `console` belongs to the child."""

    def __init__(self, console: int) -> None:
        super().__init__(terminal=False, stdin=False, inherit=[])
        self.close()
        self.for_child = None
        self.console = console
        self._theirs = [console] if console >= 0 else []
