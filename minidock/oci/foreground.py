"""run and exec without --detach: signals that reach us are the container's, and its exit code becomes ours."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

from minidock.kernel import syscalls

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
KEPT = {signal.SIGCHLD, signal.SIGURG, signal.SIGPIPE, signal.SIGKILL, signal.SIGSTOP, signal.SIGWINCH, signal.SIGTSTP}
"""About us, or not to be caught; job control stops us only."""


def adopt_orphans() -> None:
    """What a container without a pid namespace leaves behind becomes our child, and not the machine's init's."""
    syscalls.prctl(PR_SET_CHILD_SUBREAPER, 1)


def hold_signals() -> None:
    """Before there is a process to pass them on to: they wait until `follow`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - KEPT)


def follow(pid: int, console: int, go: Callable[[], object]) -> int:
    """Be the container's terminal until it ends. `console` is -1, or our end of the terminal's way: then `go`, once the
    terminal is ready."""
    _forward(pid)
    if console < 0:
        return _wait(pid)
    from minidock.oci.console import Proxy

    proxy = Proxy(console)
    ended = os.pidfd_open(pid)
    with proxy.raw():
        go()
        proxy.copy(ended)
    os.close(ended)
    return _wait(pid)


def _forward(pid: int) -> None:
    """From now on, pass every signal on to the process."""

    def pass_on(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in signal.valid_signals() - KEPT:
        with contextlib.suppress(OSError):  # the C library keeps two for itself
            signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _wait(pid: int) -> int:
    """The exit code of our child: 128+n for signal n. Others that end meanwhile are only buried."""
    while True:
        found, status = os.waitpid(-1, 0)
        if found == pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
