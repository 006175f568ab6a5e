"""What each command of minidock-oci does: short functions that name the module that does it, imported when called."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.oci.container import Runtime
from minidock.oci.log import Log
from minidock.oci.words import Words


def runtime_of(words: Words) -> Runtime:
    """All containers of --root."""
    systemd = bool(words.globals["systemd_cgroup"]) or words.globals["cgroup_manager"] == "systemd"
    log = Log(str(words.globals["log"]), str(words.globals["log_format"]), bool(words.globals["debug"]))
    root = Path(str(words.globals["root"])).absolute()
    return Runtime(root, log, systemd=systemd)


# create, start, run, exec


def create(words: Words) -> int:
    """Make a container; its process waits for `start`."""
    _create(runtime_of(words), words, detach=True)
    return 0


def start(words: Words) -> int:
    """Let a created container run its command."""
    runtime = runtime_of(words)
    state = runtime.start(words.arguments[0])
    if runtime.notifier:
        runtime.notifier.forward(state.pid)
    return 0


def run(words: Words) -> int:
    """Create, start, wait and delete; exits with the command's code."""
    from minidock.oci import foreground

    detach, identity = words.yes("detach"), words.arguments[0]
    runtime = runtime_of(words)
    if not detach:
        foreground.adopt_orphans()
        foreground.hold_signals()
    pid, terminal = _create(runtime, words, detach=detach, start=True)
    try:
        if terminal < 0:
            runtime.poststart(runtime.read(identity), runtime.config(identity))
    except MinidockError:
        runtime.delete(identity, force=True)
        raise
    if detach:
        if runtime.notifier:
            runtime.notifier.forward(pid)
        return 0
    beside = runtime.notifier.forward_meanwhile(pid, runtime.warn) if runtime.notifier else None
    try:
        # A terminal of ours has to get its size before the command looks: so there the command still waits.
        code = foreground.follow(pid, terminal, lambda: runtime.start(identity))
    except (MinidockError, OSError):  # nobody reads what it says, for instance: it doesn't run on unseen
        if not words.yes("keep"):
            runtime.delete(identity, force=True)
        raise
    if beside:
        beside.join()
    if not words.yes("keep"):
        runtime.delete(identity, force=True)
    return code


def execute(words: Words) -> int:
    """Run one more process in a container."""
    from minidock.oci import execs, foreground

    runtime = runtime_of(words)
    detach = words.yes("detach")
    process = execs.process_of(runtime, words)
    console, ours = _console(process.terminal, detach, words.text("console_socket"))
    if not detach:
        foreground.hold_signals()
    pid = execs.execute(runtime, words, process, console)
    try:
        _tell_pid(words, pid)
    except (MinidockError, OSError):
        os.kill(pid, signal.SIGKILL)  # our child: the number is nobody else's
        raise
    return 0 if detach else foreground.follow(pid, ours, lambda: None)


def _create(runtime: Runtime, words: Words, *, detach: bool, start: bool = False) -> tuple[int, int]:
    """The pid, and our end of the terminal's way when the terminal is ours."""
    from minidock.oci.birth import Creation
    from minidock.oci.bundle import read_bundle

    bundle = Path(words.text("bundle") or ".").resolve()
    if not words.arguments[0]:
        raise UsageError("container id cannot be empty")
    found = read_bundle(bundle, words.text("config"))
    terminal = bool(found.config.process and found.config.process.terminal)
    console, ours = _console(terminal, detach, words.text("console_socket"))
    flags = (words.number("preserve_fds"), words.yes("no_pivot"), words.yes("no_new_keyring"))
    asked = Creation(console, *flags, start and ours < 0, detach)
    state = runtime.create(words.arguments[0], found, asked)
    try:
        _tell_pid(words, state.pid)
    except (MinidockError, OSError):
        runtime.delete(state.id, force=True)
        raise
    return state.pid, ours


def _console(terminal: bool, detach: bool, path: str) -> tuple[int, int]:
    """What the child gets to send its terminal over, and our end of it where it is ours; -1 for none."""
    if not terminal and not path:
        return -1, -1
    from minidock.oci import console

    console.check(terminal, detach, path)
    if path:
        return console.connect(path), -1
    ours, theirs = console.pair()
    return theirs, ours


def _tell_pid(words: Words, pid: int) -> None:
    """Into --pid-file, and as a descriptor to --pidfd-socket: that one never comes to mean another process."""
    if path := words.text("pidfd_socket"):
        import socket

        from minidock.oci import console

        with socket.socket(fileno=console.connect(path)) as wanted:
            process = os.pidfd_open(pid)
            socket.send_fds(wanted, [b"pidfd"], [process])
            os.close(process)
    if path := words.text("pid_file"):
        from minidock.files import write_atomic

        write_atomic(Path(path).absolute(), str(pid).encode(), durable=False)


# the others


def kill(words: Words) -> int:
    """Send a signal (TERM) to the container's first process."""
    from minidock.oci.views import signal_number

    number = signal_number(words.arguments[1] if len(words.arguments) > 1 else "SIGTERM")
    runtime_of(words).kill(words.arguments[0], number, everybody=words.yes("all"))
    return 0


def delete(words: Words) -> int:
    """Remove what create made: of one container, or of all whose ids a pattern fits."""
    runtime = runtime_of(words)
    names = runtime.matching(words.arguments[0]) if words.yes("regex") else words.arguments
    for name in names:
        runtime.delete(name, force=words.yes("force"))
    return 0


def state(words: Words) -> int:
    """Print what the container is, as JSON."""
    from minidock.oci import views

    return views.state(runtime_of(words), words)


def listing(words: Words) -> int:
    """List all containers of --root."""
    from minidock.oci import views

    return views.listing(runtime_of(words), words)


def ps(words: Words) -> int:
    """Show the processes of a container."""
    from minidock.oci import views

    return views.ps(runtime_of(words), words)


def pause(words: Words) -> int:
    """Freeze every process of a container."""
    from minidock.oci import views

    return views.pause(runtime_of(words), words)


def resume(words: Words) -> int:
    """Let a paused container run on."""
    from minidock.oci import views

    return views.resume(runtime_of(words), words)


def events(words: Words) -> int:
    """Print what a container uses, again and again, and when the kernel kills for want of memory."""
    from minidock.oci import events as module

    return module.events(runtime_of(words), words)


def update(words: Words) -> int:
    """Change the limits of a container."""
    from minidock.oci import update as module

    return module.update(runtime_of(words), words)


def mounts(words: Words) -> int:
    """Add mounts to a container that runs, or remove them."""
    from minidock.oci import mounts as module

    return module.change(runtime_of(words), words)


def spec(words: Words) -> int:
    """Write a config.json for `sh` in ./rootfs."""
    from minidock.oci.example import example, rootless
    from minidock.spec import to_json

    path = Path(words.text("bundle") or ".") / "config.json"
    if path.exists():
        raise UsageError("File config.json exists. Remove it first")
    path.write_bytes(to_json(rootless(example()) if words.yes("rootless") else example()))
    return 0


def features(words: Words) -> int:
    """Print what this runtime can do, as JSON."""
    from minidock.oci.features import features as told

    return told()


def refused(words: Words) -> int:
    """Freezing a container to disk needs CRIU, which minidock has no part for."""
    raise refusal()


def refusal() -> Unsupported:
    """Of the commands, and of the flag that names a program for them."""
    return Unsupported("checkpoint and restore are not supported: minidock does not work with CRIU")
