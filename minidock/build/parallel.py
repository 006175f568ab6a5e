"""Stages beside each other: one process each, started as soon as all that it needs is there.

    build ─┬─ stage 0 ──┐  pipe: what happens, then the stage's state or its error
           ├─ stage 1 ──┤
           └─ stage 2 ◄─┘  forked when 0 and 1 are through

Processes and not threads: a stage's RUNs clone containers, which a process with threads must not (DESIGN 5.2). The
parent only listens, so a live view goes on however long a RUN is silent.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import msgspec

from minidock.errors import BuildFailed, DockerfileError, MinidockError
from minidock.kernel import syscalls

from .solve import Job, solve_stage
from .stages import Stage
from .state import State, Tell

TICK = 0.1
"""Seconds between two looks of a live view at the clock."""
ENDING = (signal.SIGINT, signal.SIGTERM)
HEAD = struct.Struct(">I")
PR_SET_PDEATHSIG = 1  # linux/prctl.h
ERRORS: dict[str, type[MinidockError]] = {
    "DockerfileError": DockerfileError,
    "BuildFailed": BuildFailed,
}


class Message(msgspec.Struct, frozen=True):
    """One thing that a stage's process says: begin, log, done, instruction, configured, state or error."""

    kind: str
    step: str = ""
    text: str = ""
    data: bytes = b""
    flag: bool = False
    count: int = 0
    more: dict[str, Any] = {}


class _Wire:
    """Tell, over a pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def send(self, message: Message) -> None:
        raw = msgspec.msgpack.encode(message)
        raw = HEAD.pack(len(raw)) + raw
        while raw:
            raw = raw[os.write(self.fd, raw) :]

    def begin(self, step: str, text: str) -> None:
        self.send(Message("begin", step, text))

    def log(self, step: str, data: bytes, stderr: bool = False) -> None:
        self.send(Message("log", step, data=data, flag=stderr))

    def done(self, step: str, cached: bool = False, error: str = "") -> None:
        self.send(Message("done", step, error, flag=cached))

    def instruction(self, text: str, total: int) -> None:
        self.send(Message("instruction", text=text, count=total))

    def configured(self, cached: bool) -> None:
        self.send(Message("configured", flag=cached))


Begin = Callable[[Job, Stage, dict[int, State]], State]
"""Gives the state that a stage begins with: an earlier one's, or an image's."""


def solve(job: Job, begin: Begin, tick: Callable[[], None]) -> State:
    """The target's state. Raises the first stage's error; the others are then stopped."""
    return _Stages(job, begin, tick).all()


class _Stages:
    """The processes that run, by the descriptor of their pipe."""

    def __init__(self, job: Job, begin: Begin, tick: Callable[[], None]) -> None:
        self.job = job
        self.begin = begin
        self.tick = tick
        self.waiting = job.plan.order()
        self.states: dict[int, State] = {}
        self.running: dict[int, tuple[int, int, bytearray]] = {}
        """Descriptor → stage, process, bytes of an unfinished message."""
        self.most = max(2, os.cpu_count() or 1)

    def all(self) -> State:
        try:
            while self.waiting or self.running:
                self._start_ready()
                self._listen()
        except BaseException:
            self._stop()
            raise
        return self.states[self.job.plan.target.index]

    def _start_ready(self) -> None:
        for index in list(self.waiting):
            if self.job.plan.needs[index] <= set(self.states) and len(self.running) < self.most:
                self.waiting.remove(index)
                self._fork(index)

    def _fork(self, index: int) -> None:
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # A signal between fork and the next line would leave us with a child that nobody knows of.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pid = os.fork()
        if pid == 0:
            for fd in [reading, *self.running]:
                os.close(fd)
            _work(self.job, self.begin, index, dict(self.states), _Wire(writing), parent)
        os.close(writing)
        self.running[reading] = (index, pid, bytearray())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def _listen(self) -> None:
        ready, _, _ = select.select(list(self.running), [], [], TICK)
        for fd in ready:
            index, _, rest = self.running[fd]
            data = os.read(fd, 1 << 16)
            rest += data
            for message in _messages(rest):
                self._take(index, message)
            if not data:
                self._reap(fd)
                if index not in self.states:
                    raise BuildFailed(f"the process of stage {index} was killed", hint="was there memory enough?")
        self.tick()

    def _take(self, index: int, message: Message) -> None:
        tell: Tell = self.job.tell
        if message.kind == "begin":
            tell.begin(message.step, message.text)
        elif message.kind == "log":
            tell.log(message.step, message.data, message.flag)
        elif message.kind == "done":
            tell.done(message.step, message.flag, message.text)
        elif message.kind == "instruction":
            tell.instruction(message.text, message.count)
        elif message.kind == "configured":
            tell.configured(message.flag)
        elif message.kind == "state":
            self.states[index] = msgspec.msgpack.decode(message.data, type=State)
        else:
            raise _revived(message)

    def _reap(self, fd: int) -> None:
        _, pid, _ = self.running.pop(fd)
        os.close(fd)
        os.waitpid(pid, 0)

    def _stop(self) -> None:
        """End the others, and wait until they have cleaned up after themselves."""
        for _, pid, _ in self.running.values():
            os.kill(pid, signal.SIGTERM)
        for fd in list(self.running):
            with contextlib.suppress(OSError):
                while os.read(fd, 1 << 16):  # a full pipe must not keep it from ending
                    pass
            self._reap(fd)


def _messages(rest: bytearray) -> Iterator[Message]:
    while len(rest) >= HEAD.size:
        (length,) = HEAD.unpack_from(rest)
        if len(rest) < HEAD.size + length:
            return
        raw = bytes(rest[HEAD.size : HEAD.size + length])
        del rest[: HEAD.size + length]
        yield msgspec.msgpack.decode(raw, type=Message)


# The process of one stage


def _work(job: Job, begin: Begin, index: int, states: dict[int, State], wire: _Wire, parent: int) -> NoReturn:
    """Never returns into the parent's stack."""
    code = 1
    try:
        for number in ENDING:
            signal.signal(number, _interrupted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        syscalls.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            raise KeyboardInterrupt
        mine = msgspec.structs.replace(job, tell=wire)
        stage = job.plan.program.stages[index]
        state = solve_stage(mine, stage, begin(mine, stage, states), states)
        wire.send(Message("state", data=msgspec.msgpack.encode(state)))
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # the parent is gone
        code = 141
    except BaseException as error:  # noqa: BLE001 - all of them travel
        with contextlib.suppress(BrokenPipeError):
            wire.send(_travelling(error))
    finally:
        os._exit(code)


def _interrupted(number: int, _: object) -> NoReturn:
    """Once is enough: what cleans up must not be interrupted again."""
    for each in ENDING:
        signal.signal(each, _again)
    raise KeyboardInterrupt


def _again(number: int, _: object) -> None:
    """Not SIG_IGN: of a signal that Python has noted and not handled yet, it would say so on stderr."""


def _travelling(error: BaseException) -> Message:
    kind = type(error).__name__
    more: dict[str, Any] = {}
    for name in ("hint", "line", "column", "excerpt", "output"):
        if hasattr(error, name):
            more[name] = getattr(error, name)
    if not isinstance(error, MinidockError):
        import traceback

        more["output"] = "" if isinstance(error, OSError) else "".join(traceback.format_exception(error))
    text = error.message if isinstance(error, MinidockError) else f"{error}" or kind
    return Message("error", kind, text, more=more)


def _revived(message: Message) -> MinidockError:
    kind = ERRORS.get(message.step)
    if kind is not None:
        return kind(message.text, **message.more)
    return BuildFailed(message.text, output=message.more.get("output", ""), hint=message.more.get("hint", ""))
