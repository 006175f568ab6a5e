"""The shim: what stays with a container for all its life (native/shim.c), as the rest of minidock sees it.

The process that has just cloned the container's init becomes the shim: `os.execv(words[0], words)`, words = argv(…).
From then on it is met only through files in the container's run directory:

    attach.sock   its clients connect here (runtime.attach)
    exit.json     written once, when the container's init has ended
    log-error     why a line is missing in the log: the disk was full, for instance

At the end the shim becomes the cleanup command (execve again), unless a client has said that it cleans up itself
(frame 12) and stays connected. A client that has promised and disconnects is believed when the run directory is gone
(whoever cleans up removes it last) and replaced by the cleanup command when it is still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from minidock.files import read_json

PROGRAM = Path(__file__).resolve().parent.parent / "bin" / "minidock-shim"
NAME = "minidock:[shim]"
"""The name that the process gives itself; `ps` shows it and the container's id instead of the arguments."""


class Pipes(msgspec.Struct, frozen=True):
    """Our ends of the container's standard streams: we write `stdin` and read the others. None: /dev/null."""

    stdout: int
    stderr: int
    stdin: int | None = None


class Console(msgspec.Struct, frozen=True):
    """A unix socket on which the container's init sends the master of its pty (minidock.kernel.pty)."""

    socket: int


class LogFile(msgspec.Struct, frozen=True):
    """A log: up to `max_files` files of about `max_size` bytes; 0 never rotates. `local` is our own format instead of
    Docker's json-file, whose records carry `attributes`, a JSON object, when there are any. With a `buffer` of so many
    bytes the container never waits for the log: what doesn't fit is lost."""

    path: Path
    max_size: int = 10_000_000
    max_files: int = 3
    local: bool = False
    compress: bool = False
    attributes: str = ""
    buffer: int = 0


class Probe(msgspec.Struct, frozen=True):
    """A health check: which command to start how often, in milliseconds. It exits with 1 while the container is
    still starting; within the start period the next one then comes after `start_interval`."""

    command: list[str]
    interval: int
    start_interval: int
    start_period: int


class View(msgspec.Struct, frozen=True):
    """Where the cgroup tells what the container has used, for the files that show it its limits: the directory with
    memory.stat, and the one with cpu.stat or cpuacct.stat. Empty: nothing is shown."""

    memory: str = ""
    processors: str = ""


class Exit(msgspec.Struct, frozen=True, rename="camel"):
    """How the container's init ended: its code, 128 + n for signal n; and when (RFC 3339, nanoseconds, UTC)."""

    exit_code: int
    signal: int
    finished_at: str


def argv(
    container_id: str,
    pid: int,
    run_dir: Path,
    stdio: Pipes | Console,
    *,
    log: LogFile | None = None,
    listen_fd: int | None = None,
    client_fd: int | None = None,
    hold_fds: Sequence[int] = (),
    stdin_once: bool = False,
    probe: Probe | None = None,
    view: View | None = None,
    services: Sequence[str] = (),
    cleanup: Sequence[str] = (),
) -> list[str]:
    """The arguments of the shim, the program first. Every descriptor must be inheritable and above 2.

    `pid` is a child of the calling process. `listen_fd` is bound to `attach_socket(run_dir)` and listens; `client_fd`
    is the shim's end of a socket pair whose other end is the first client. `hold_fds` are only kept open. With
    `stdin_once` the container's stdin ends when the client that gave it goes. `services` are the options for the
    network: --hold-fd, --port-fd, --proxy, --proxy-udp, --dns-… `cleanup` is a command with an
    absolute path.
    """
    words: list[object] = [PROGRAM, "--id", container_id, "--pid", pid, "--dir", run_dir]
    if log is not None:
        words += ["--log", log.path, "--log-max-size", log.max_size, "--log-max-files", log.max_files]
        words += [*(["--log-local"] if log.local else []), *(["--log-compress"] if log.compress else [])]
        words += ["--log-attributes", log.attributes] if log.attributes else []
        words += ["--log-buffer", log.buffer] if log.buffer else []
    if isinstance(stdio, Console):
        words += ["--console-fd", stdio.socket]
    else:
        words += ["--stdout-fd", stdio.stdout, "--stderr-fd", stdio.stderr]
        words += [] if stdio.stdin is None else ["--stdin-fd", stdio.stdin]
    words += ["--stdin-once"] if stdin_once else []
    words += [] if listen_fd is None else ["--listen-fd", listen_fd]
    words += [] if client_fd is None else ["--client-fd", client_fd]
    for fd in hold_fds:
        words += ["--hold-fd", fd]
    for name, directory in msgspec.structs.asdict(view or View()).items():
        words += [f"--view-{name}", directory] if directory else []
    words += services
    if probe is not None:
        words += ["--probe-interval", probe.interval, "--probe-start-interval", probe.start_interval]
        words += ["--probe-start-period", probe.start_period, "--probe", *probe.command]
    words += ["--cleanup", *cleanup] if cleanup else []
    return [str(word) for word in words]


def attach_socket(run_dir: Path) -> Path:
    return run_dir / "attach.sock"


def exit_file(run_dir: Path) -> Path:
    return run_dir / "exit.json"


def log_error_file(run_dir: Path) -> Path:
    return run_dir / "log-error"


def read_exit(run_dir: Path) -> Exit | None:
    """How the container ended, or None while it lives. Raises MinidockError when the file is damaged."""
    try:
        return read_json(exit_file(run_dir), Exit)
    except FileNotFoundError:
        return None


def read_log_error(run_dir: Path) -> str:
    """Why the log is incomplete, one line; empty when it is complete."""
    try:
        return log_error_file(run_dir).read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""
