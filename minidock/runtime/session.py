"""The loop of an attached client: bytes between our streams and the shim, signals, detach keys (runtime.attach).

Nothing here blocks but poll(2): a slow terminal only makes us stop reading, then the shim stops reading, then the
container waits in write(2). Nothing is lost, and keys and signals get through meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from minidock.errors import MinidockError
from minidock.runtime.attach import CLOSE_STDIN, EXIT, STDIN, Decoder, Outcome, frame
from minidock.runtime.terminal import DetachKeys

if TYPE_CHECKING:
    from minidock.runtime.attach import Wire

QUEUE_LIMIT = 256 * 1024
"""Bytes that may wait for a slow side before we stop reading from the fast one."""
DETACH_SECONDS = 0.5
"""How long the beginning of the detach keys is kept back when nothing follows."""

NOT_FORWARDED = {
    *(signal.SIGKILL, signal.SIGSTOP),  # can't be caught
    *(signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG),  # about us, not about the container
    *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),  # the shell's job control stops us, and only us
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS),  # our own faults
}
FATAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""What ends us when it isn't forwarded; the terminal is restored first."""


class Sink:
    """A descriptor that is written without ever blocking."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.queue = bytearray()
        self.chunk = QUEUE_LIMIT
        self.reopened = -1
        if stat.S_ISFIFO(mode := os.fstat(fd).st_mode) or stat.S_ISCHR(mode):
            # O_NONBLOCK belongs to the open file, which we share with the shell: set there, it would break the
            # shell. Opened again it is ours. Where that is refused (a terminal of another user), small writes after
            # poll(2) don't block either: room for PIPE_BUF bytes is what POLLOUT means.
            try:
                self.reopened = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                self.chunk = select.PIPE_BUF
        self.target = fd if self.reopened < 0 else self.reopened

    def flush(self) -> None:
        """Write what can be written now. Raises MinidockError when nobody reads it any more."""
        while self.queue:
            try:
                done = os.write(self.target, memoryview(self.queue)[: self.chunk])
            except BlockingIOError:
                return
            except BrokenPipeError as error:
                raise MinidockError(f"write /dev/{'stdout' if self.fd == 1 else 'stderr'}: broken pipe") from error
            del self.queue[:done]
            if self.chunk != QUEUE_LIMIT:
                return

    def close(self) -> None:
        if self.reopened >= 0:
            os.close(self.reopened)


class Session:
    """One attachment, from the first frame to the exit, the detach keys, or a signal that ends us."""

    def __init__(
        self,
        shim: Wire,
        *,
        stdin: bool,
        outputs: dict[int, int],
        detach_keys: bytes | None,
        on_signal: Callable[[int], None] | None,
        close_stdin: bool = True,
    ) -> None:
        self.shim = shim
        self.to_shim = bytearray()
        self.sinks = {kind: Sink(fd) for kind, fd in outputs.items()}
        self.decoder = Decoder()
        self.stdin_open = stdin
        self.close_stdin = close_stdin
        self.keys = DetachKeys(detach_keys) if detach_keys else None
        self.on_signal = on_signal
        self.signals: list[int] = []
        self.outcome: Outcome | None = None
        self.fatal = 0

    def send(self, kind: int, payload: bytes = b"") -> None:
        self.to_shim += frame(kind, payload)

    def run(self, wakeup: int, on_window: Callable[[], None], on_stop: Callable[[], None]) -> Outcome:
        """The loop. `wakeup` becomes readable when a signal handler has added to `signals`."""
        while self.outcome is None or any(sink.queue for sink in self.sinks.values()):
            events = self._poll(wakeup)
            if events.get(wakeup):
                os.read(wakeup, 512)
            self._handle_signals(on_window, on_stop)
            if self.fatal:
                break
            if events.get(self.shim.fileno(), 0) & ~select.POLLOUT and self.outcome is None:
                self._read_shim()
            if events.get(0):
                self._read_stdin()
            elif self.keys and self.keys.held and not events:
                self.send(STDIN, self.keys.release())
            self._write_shim()
            for sink in self.sinks.values():
                sink.flush()
        return self.outcome or Outcome()

    def _poll(self, wakeup: int) -> dict[int, int]:
        poll = select.poll()
        poll.register(wakeup, select.POLLIN)
        backlog = max((len(sink.queue) for sink in self.sinks.values()), default=0)
        if self.outcome is None:
            reading = select.POLLIN if backlog < QUEUE_LIMIT else 0
            poll.register(self.shim, reading | (select.POLLOUT if self.to_shim else 0))
            if self.stdin_open and len(self.to_shim) < QUEUE_LIMIT:
                poll.register(0, select.POLLIN)
        for sink in self.sinks.values():
            if sink.queue:
                poll.register(sink.target, select.POLLOUT)
        held = self.keys is not None and self.keys.held
        return dict(poll.poll(DETACH_SECONDS * 1000 if held else None))

    def _handle_signals(self, on_window: Callable[[], None], on_stop: Callable[[], None]) -> None:
        while self.signals:
            number = self.signals.pop(0)
            if number == signal.SIGTSTP:
                on_stop()
            elif number in (signal.SIGWINCH, signal.SIGCONT) and self.on_signal is None:
                on_window()
            elif self.on_signal is not None:
                self.on_signal(number)
            else:
                self.fatal = number

    def _read_shim(self) -> None:
        try:
            chunk = self.shim.recv(QUEUE_LIMIT)
        except BlockingIOError:
            return
        except ConnectionError:
            chunk = b""
        if not chunk:
            self.outcome = Outcome()
        for kind, payload in self.decoder.feed(chunk):
            if kind == EXIT:
                self.outcome = Outcome(int.from_bytes(payload, "big", signed=True))
            elif kind in self.sinks:
                self.sinks[kind].queue += payload

    def _read_stdin(self) -> None:
        try:
            typed = os.read(0, 32 * 1024)
        except BlockingIOError:
            return
        except OSError:  # EIO: our terminal is gone, or isn't ours (an orphan in the background)
            typed = b""
        if not typed:
            self.stdin_open = False
            if self.close_stdin:
                self.send(CLOSE_STDIN)
            return
        if self.keys:
            typed = self.keys.feed(typed)
            if self.keys.complete:
                self.outcome = Outcome(detached=True)
        if typed:
            self.send(STDIN, typed)

    def _write_shim(self) -> None:
        while self.to_shim:
            try:
                done = self.shim.send(self.to_shim)
            except BlockingIOError:
                return
            except ConnectionError:  # it is going; what it still had to say comes by reading
                self.to_shim.clear()
                return
            del self.to_shim[:done]


@contextlib.contextmanager
def signals_to(session: Session, tty: bool) -> Iterator[int]:
    """Collect signals in session.signals, and wake poll(2) by a byte: yields the descriptor to watch."""
    if session.on_signal is not None:
        numbers = [number for number in signal.valid_signals() if number not in NOT_FORWARDED]
    else:
        numbers = [*FATAL, signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP] if tty else []
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    old_wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {}
    try:
        for number in numbers:
            old = signal.signal(number, lambda received, _: session.signals.append(received))
            before[number] = signal.SIG_DFL if old is None else old
        yield reading
    finally:
        for number, old_handler in before.items():
            signal.signal(number, old_handler)
        signal.set_wakeup_fd(old_wakeup)
        os.close(reading)
        os.close(writing)
