"""C, the container's first process: from birth to execve.

We are PID 1 in a new pid namespace, a copy of the command's memory, with one thread. The host's root and /proc are
still ours until pivot_root. Rules: catch nothing except to tell it; never return into the caller's stack, which thinks
it is the command; run the user's program only if every step succeeded.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from functools import partial
from typing import NoReturn

import msgspec

from minidock.errors import MinidockError
from minidock.kernel import credentials, execute, fds, syscalls
from minidock.runtime import seal
from minidock.runtime.planned import Plan
from minidock.runtime.sync import Failures, Message, Wire
from minidock.steps import Live, wrap

PR_SET_NAME = 15  # linux/prctl.h


class Inheritance:
    """What C takes over from B: the wire to A, and the descriptors that become 0, 1 and 2 (none with a terminal)."""

    def __init__(
        self,
        wire: Wire,
        stdio: tuple[int, int, int] | None,
        console: int,
        narrated: bool,
        start_line: int = -1,
        preserved: int = 0,
    ) -> None:
        """`start_line` is a fifo, open for reading and writing, at which OCI's `create` leaves us waiting; `preserved`
        is how many descriptors beyond 0, 1 and 2 the command gets."""
        self.wire = wire
        self.preserved = preserved
        self.start_line = start_line
        self.stdio = stdio
        self.console = console
        self.narrated = narrated


def main(plan: Plan, inherited: Inheritance) -> NoReturn:
    """The whole life of C. Exits with 1 when it failed; nobody looks at the code, A has the message."""
    step = -1
    try:
        _settle(inherited)
        message = inherited.wire.receive()
        if message is None or message.kind != "proceed":
            os._exit(1)  # A is gone, and with it the reason for us to be
        program = seal.seal(terminal=plan.terminal)
        live = Live(os.getpid())
        live.fds["console"] = inherited.console
        live.actions["hooks"] = lambda: _wait_for_hooks(inherited.wire)
        for step, _ in enumerate(plan.child):
            live.actions["lend"] = partial(_borrow, inherited.wire, live, step)
            _apply(plan, step, live, inherited)
        if (nothing := live.fds.pop("nothing", -1)) >= 0:
            os.close(nothing)  # kernel/masks.py: nothing of ours stays open while we wait for `start`
        step = len(plan.child)
        _become(plan, inherited, live, program)
    except BaseException as error:  # noqa: BLE001 - the one place: told to A, then _exit
        told = wrap(plan.child[step], error) if isinstance(error, OSError) and 0 <= step < len(plan.child) else error
        _tell(inherited.wire, Failures.pack(step, told))
    finally:
        os._exit(1)


def _settle(inherited: Inheritance) -> None:
    syscalls.prctl(PR_SET_NAME, int(syscalls.ffi.cast("uintptr_t", syscalls.ffi.from_buffer(b"minidock:[init]\0"))))
    # A's and B's handlers are Python functions of theirs; ours is to die of a signal like everybody.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()  # a session of its own: nobody's terminal but the one that it may open
    os.umask(0)
    if inherited.stdio is not None:
        for number, fd in enumerate(inherited.stdio):
            os.dup2(fd, number)
    passed = range(3, 3 + inherited.preserved)
    # Not only at the exec: a descriptor of the host's cgroup that stayed open was CVE-2024-21626.
    fds.close_all_but([inherited.wire.end.fileno(), inherited.start_line, inherited.console, *passed])


def _apply(plan: Plan, index: int, live: Live, inherited: Inheritance) -> None:
    if not inherited.narrated:
        plan.child[index].apply(live)
        return
    inherited.wire.send(Message("started", index))
    begun = time.perf_counter()
    plan.child[index].apply(live)
    inherited.wire.send(Message("done", index, seconds=time.perf_counter() - begun))


def _wait_for_hooks(wire: Wire) -> None:
    """A runs the hooks of the host meanwhile; when one fails it says nothing more, and goes."""
    wire.send(Message("hooks"))
    message = wire.receive()
    if message is None or message.kind != "proceed":
        os._exit(1)


def _borrow(wire: Wire, live: Live, step: int) -> None:
    """A opens what we may not see, and sends the descriptor: live.fds["lent"]."""
    wire.send(Message("lend", step))
    message, live.fds["lent"] = wire.receive_fd()
    if message is None or message.kind != "lent":
        os._exit(1)


def _become(plan: Plan, inherited: Inheritance, live: Live, program: int) -> None:
    """Find the command as the container's user would, say ready, and on A's word become it.

    With "ready" A gets what can be said if execve(2) refuses: by then we are a program that can't explain.
    """
    wire = inherited.wire
    command = plan.execute
    # Of two variables of one name the last counts, whichever getenv(3) would find.
    env = _with_home([f"{name}={value}" for name, value in execute.environment(command.env).items()])
    path = execute.environment(env).get("PATH", execute.DEFAULT_PATH)
    executable = execute.find(command.args[0], path, command.cwd)
    missing, malformed = (execute.explain(executable, number) for number in (errno.ENOENT, errno.ENOEXEC))
    wire.send(Message("ready", message=executable, hint=missing, call=malformed))
    message = wire.receive()
    if message is None or message.kind not in ("exec", "park"):
        os._exit(1)
    told = wire.end.fileno()
    if message.kind == "park":
        _park(wire, inherited.start_line)
        told = -1
    ways = execute.Ways(
        program, told, inherited.preserved, live.fds.get("filter", -1), live.fds.get("filter-flags", 0), plan.held,
        live.fds.get("agent", -1), live.fds.get("agent-notice", -1),
    )  # fmt: skip
    # One listener for one message: what the agent would decide on fails with ENOSYS in a hook.
    _run_start_hooks(plan, env, msgspec.structs.replace(ways, wire=-1, preserved=0, agent=-1, notice=-1))
    os.umask(plan.umask)
    execute.execute(ways, executable, command.args, env)


def _run_start_hooks(plan: Plan, env: list[str], ways: execute.Ways) -> None:
    """When one fails nobody waits at the wire any more: the container's standard error gets to know. As programs of the
    container they have the command's environment, unless they are given another."""
    for step in plan.start_hooks:
        from minidock.kernel import hooks

        step = step.with_environment(env)
        try:
            hooks.run(step.stage, step.hooks, step.state, os.getpid(), "/", partial(hooks.confined, ways=ways))
        except MinidockError as error:
            os.write(2, f"{error}\n".encode(errors="replace"))
            os._exit(1)


def _with_home(env: list[str]) -> list[str]:
    """HOME of the user whom we are by now, as the container's own passwd has it: runc does so where nobody set it."""
    if any(line.startswith("HOME=") and line != "HOME=" for line in env):
        return env
    try:
        with open("/etc/passwd", "rb") as file:
            passwd = file.read(credentials.ONLY_FIRST)
    except OSError:  # none, or not for this user's eyes
        passwd = b""
    return credentials.with_home(env, credentials.home_of(passwd, os.getuid()))


def _park(wire: Wire, start_line: int) -> None:
    """OCI's `create` ends here: A goes, we wait for the byte that `start` writes into the fifo.

    Process 1 gets no signal that it has no handler for (pid_namespaces(7)): one that was never started can be ended as
    well as one that runs. execve(2) forgets the handlers.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: os._exit(128 + number))
    wire.close()
    if os.read(start_line, 1) != b"!":
        os._exit(1)


def _tell(wire: Wire, message: Message) -> None:
    try:
        wire.send(message)
    except OSError:
        os._exit(1)  # A is gone: nobody is left to be told
