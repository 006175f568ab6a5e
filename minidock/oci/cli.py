"""The command line of minidock-oci: runc's commands and flags, as a table.

    minidock-oci [global flags] COMMAND [flags] ID …

Each command is a row of COMMANDS: its flags, how many arguments it takes, and the function that does it. The functions
of those that start containers are here, the others are in the module they are imported from, when called.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from minidock.errors import MinidockError, Unsupported, UsageError
from minidock.oci import texts
from minidock.oci.container import Runtime
from minidock.oci.log import Log
from minidock.oci.words import Command, Flag, Words, check_count, flag_rows, read, table

DEFAULT_ROOT = "/run/minidock-oci"
SPEC_VERSION = "1.2.0"

GLOBALS = [
    Flag("--debug", "tell more", "yes"),
    Flag("--log", "file for errors, instead of standard error"),
    Flag("--log-format", "text or json", default="text"),
    Flag("--root", "directory for the state of containers", default=DEFAULT_ROOT),
    Flag("--systemd-cgroup", "refused: minidock makes cgroups itself", "yes"),
    Flag("--cgroup-manager", "crun's word for the same: cgroupfs or disabled", default="cgroupfs"),
    Flag("--criu", "ignored: there is no checkpoint"),
    Flag("--rootless", "ignored: minidock-oci needs root", default="auto"),
    Flag("--help, -h", "show help", "yes"),
    Flag("--version, -v", "print the version", "yes"),
]
HELP = Flag("--help, -h", "show help", "yes")
BUNDLE = Flag("--bundle, -b", "directory with config.json (default: the current one)")
CONFIG = Flag("--config, -f", "another name for config.json", default="config.json")
CONSOLE = Flag("--console-socket", "unix socket that gets the terminal's master")
PID_FILE = Flag("--pid-file", "file for the process id")
PRESERVE = Flag("--preserve-fds", "pass so many descriptors on, from 3", "number")
NO_PIVOT = Flag("--no-pivot", "move the root instead of pivot_root(2): for a root on the initial ramdisk", "yes")
NO_KEYRING = Flag("--no-new-keyring", "share the caller's session keyring", "yes")
DETACH = Flag("--detach, -d", "leave it in the background", "yes")
MAKING = [BUNDLE, CONFIG, CONSOLE, PID_FILE, PRESERVE, NO_PIVOT, NO_KEYRING]


def runtime_of(words: Words) -> Runtime:
    """All containers of --root."""
    systemd = bool(words.globals["systemd_cgroup"]) or words.globals["cgroup_manager"] == "systemd"
    log = Log(str(words.globals["log"]), str(words.globals["log_format"]))
    return Runtime(Path(str(words.globals["root"])).absolute(), systemd=systemd, warn=log.warn)


# create, start, run, exec


def create(words: Words) -> int:
    """Make a container; its process waits for `start`."""
    _create(words, detach=True)
    return 0


def start(words: Words) -> int:
    """Let a created container run its command."""
    runtime_of(words).start(words.arguments[0])
    return 0


def run(words: Words) -> int:
    """Create, start, wait and delete; exits with the command's code."""
    from minidock.oci import foreground

    detach, identity = words.yes("detach"), words.arguments[0]
    runtime = runtime_of(words)
    if not detach:
        foreground.adopt_orphans()
        foreground.hold_signals()
    pid, terminal = _create(words, detach=detach, start=True)
    try:
        if terminal < 0:
            runtime.poststart(runtime.read(identity), runtime.config(identity))
    except MinidockError:
        runtime.delete(identity, force=True)
        raise
    if detach:
        return 0
    # A terminal of ours has to get its size before the command looks: so there the command still waits.
    code = foreground.follow(pid, terminal, lambda: runtime.start(identity))
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
    _write_pid(words, pid)
    return 0 if detach else foreground.follow(pid, ours, lambda: None)


def _create(words: Words, *, detach: bool, start: bool = False) -> tuple[int, int]:
    """The pid, and our end of the terminal's way when the terminal is ours."""
    from minidock.oci.birth import Creation
    from minidock.oci.container import read_bundle

    bundle = Path(words.text("bundle") or ".").resolve()
    if not words.arguments[0]:
        raise UsageError("container id cannot be empty")
    _, config = read_bundle(bundle, words.text("config"))
    terminal = bool(config.process and config.process.terminal)
    console, ours = _console(terminal, detach, words.text("console_socket"))
    flags = (words.number("preserve_fds"), words.yes("no_pivot"), words.yes("no_new_keyring"))
    asked = Creation(console, *flags, words.text("config"), start and ours < 0)
    state = runtime_of(words).create(words.arguments[0], bundle, asked)
    _write_pid(words, state.pid)
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


def _write_pid(words: Words, pid: int) -> None:
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
    """Remove what create made."""
    runtime_of(words).delete(words.arguments[0], force=words.yes("force"))
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


def spec(words: Words) -> int:
    """Write a config.json for `sh` in ./rootfs."""
    from minidock.oci.example import example
    from minidock.spec import to_json

    path = Path(words.text("bundle") or ".") / "config.json"
    if words.yes("rootless"):
        raise Unsupported("can't write a rootless specification: minidock-oci needs root")
    if path.exists():
        raise UsageError("File config.json exists. Remove it first")
    path.write_bytes(to_json(example()))
    return 0


def features(words: Words) -> int:
    """Print what this runtime can do, as JSON."""
    from minidock.oci.features import features as told

    return told()


def refused(words: Words) -> int:
    """Freezing a container to disk needs CRIU, which minidock has no part for."""
    raise Unsupported("checkpoint and restore are not supported: minidock does not work with CRIU")


CONTAINER = "<container-id>"
COMMANDS = {
    command.name: command
    for command in (
        Command("checkpoint", CONTAINER, "refused: minidock has no CRIU", [Flag("--image-path", "ignored")], refused),
        Command("create", CONTAINER, "make a container; its process waits for `start`", MAKING, create),
        Command("delete", CONTAINER, "remove a container", [Flag("--force, -f", "kill it first", "yes")], delete),
        Command("events", CONTAINER, "print what a container uses, as JSON",
                [Flag("--interval", "time between two", default="5s"), Flag("--stats", "print once", "yes")], events),
        Command("exec", f"{CONTAINER} <command> [args...]", "run one more process in a container", [
            CONSOLE, PID_FILE, PRESERVE, DETACH,
            Flag("--cwd", "working directory"),
            Flag("--env, -e", "a variable, KEY=value", "list"),
            Flag("--tty, -t", "give it a terminal", "yes"),
            Flag("--user, -u", "uid, or uid:gid"),
            Flag("--additional-gids, -g", "one more group", "list"),
            Flag("--process, -p", "file with the process, as in config.json"),
            Flag("--process-label", "refused: no SELinux"),
            Flag("--apparmor", "refused: no AppArmor"),
            Flag("--no-new-privs", "let no program gain privileges", "yes"),
            Flag("--cap, -c", "one more capability", "list"),
            Flag("--cgroup", "a cgroup below the container's, which exists", "list"),
            Flag("--ignore-paused", "even if it stands still until resumed", "yes"),
        ], execute, at_most=None, rest=True, failure=255),
        Command("features", "", "print what this runtime can do, as JSON", [], features, at_least=0, at_most=0),
        Command("kill", f"{CONTAINER} [signal]", "send a signal (default SIGTERM) to the first process",
                [Flag("--all, -a", "to every process of the container", "yes")], kill, at_most=2),
        Command("list", "", "list containers", [
            Flag("--format, -f", "table or json", default="table"), Flag("--quiet, -q", "only ids", "yes"),
        ], listing, at_least=0, at_most=0),
        Command("pause", CONTAINER, "freeze every process of a container", [], pause),
        Command("ps", f"{CONTAINER} [ps options]", "show the processes of a container",
                [Flag("--format, -f", "table or json", default="table")], ps, at_most=None, rest=True),
        Command("restore", CONTAINER, "refused: minidock has no CRIU", [Flag("--image-path", "ignored")], refused),
        Command("resume", CONTAINER, "let a paused container run on", [], resume),
        Command("run", CONTAINER, "create and start a container",
                [*MAKING, DETACH, Flag("--keep", "do not delete it at the end", "yes"),
                 Flag("--no-subreaper", "accepted: orphans are init's then", "yes")], run),
        Command("spec", "", "write a config.json", [BUNDLE, Flag("--rootless", "refused", "yes")], spec, at_least=0,
                at_most=0),
        Command("start", CONTAINER, "let a created container run its command", [], start),
        Command("state", CONTAINER, "print what a container is, as JSON", [], state),
        Command("update", CONTAINER, "change limits", [
            Flag("--resources, -r", "file with the resources as in config.json, - for standard input"),
            Flag("--blkio-weight", "10 to 1000", "number"),
            Flag("--cpu-period", "microseconds"),
            Flag("--cpu-quota", "microseconds in each period"),
            Flag("--cpu-burst", "microseconds"),
            Flag("--cpu-share", "relative weight"),
            Flag("--cpu-rt-period", "microseconds"),
            Flag("--cpu-rt-runtime", "microseconds"),
            Flag("--cpuset-cpus", "processors"),
            Flag("--cpuset-mems", "memory nodes"),
            Flag("--cpu-idle", "1: run only when nobody else wants to"),
            Flag("--kernel-memory", "obsolete"),
            Flag("--kernel-memory-tcp", "obsolete"),
            Flag("--memory", "bytes, or 64M"),
            Flag("--memory-reservation", "bytes"),
            Flag("--memory-swap", "memory and swap together; -1 for any"),
            Flag("--pids-limit", "processes; -1 for any", "number"),
            Flag("--l3-cache-schema", "refused: no Intel RDT"),
            Flag("--mem-bw-schema", "refused: no Intel RDT"),
        ], update),
    )
}  # fmt: skip


# from words to a command, and from an error to a line


def main(argv: list[str] | None = None) -> NoReturn:
    """Console script `minidock-oci`."""
    words = sys.argv[1:] if argv is None else argv
    log = Log()
    command: Command | None = None
    try:
        values, rest = read(GLOBALS, words, stop=True)
        log = Log(str(values["log"]), str(values["log_format"]), bool(values["debug"]))
        if values["log_format"] not in ("text", "json"):
            raise UsageError(f'invalid log-format: "{values["log_format"]}"')
        if values["version"]:
            sys.exit(_version())
        if values["help"] or not rest or rest[0] in ("help", "h"):
            sys.exit(_help(rest[1:2] if rest and rest[0] in ("help", "h") else []))
        command = COMMANDS.get(rest[0])
        if command is None:
            sys.exit(_unknown(rest[0]))
        sys.exit(_do(command, rest[1:], values, log))
    except (MinidockError, OSError) as error:
        text = texts.sentence(error) if isinstance(error, MinidockError) else _words_of(error)
        log.error(_introduced(command, text))
        sys.exit(command.failure if command else 1)


def _do(command: Command, rest: list[str], values: dict[str, object], log: Log) -> int:
    # `exec ID ls -h`: what stands behind the id is not ours, not even a call for help.
    given, arguments = read([*command.flags, HELP], rest, stop=command.rest)
    if given["help"]:
        return _help([command.name])
    check_count(command, len(arguments))
    log.debug(f"minidock-oci {command.name} {' '.join(arguments)}")
    return command.run(Words(given, arguments, {**values, "default_root": DEFAULT_ROOT}))


def _introduced(command: Command | None, text: str) -> str:
    """In runc's frame, for which engines look."""
    if command is None or command.name not in ("create", "run", "exec"):
        return text
    if command.name == "exec":
        return f"exec failed: {text}"
    return f"runc {command.name} failed: {text}"


def _words_of(error: OSError) -> str:
    name = f" {os.fsdecode(error.filename)}" if error.filename else ""
    return f"open{name}: {(error.strerror or str(error)).lower()}"


def _version() -> int:
    from minidock import __version__

    print(f"{_name()} version {__version__}\nspec: {SPEC_VERSION}")
    return 0


def _name() -> str:
    """As which we were called: as runc, for whoever wants to know the difference."""
    return os.environ.get("MINIDOCK_OCI_NAME") or "minidock-oci"


def _help(topic: list[str]) -> int:
    if not topic:
        rows = table([(command.name, command.help) for command in COMMANDS.values()])
        print(f"NAME:\n   {_name()} - Open Container Initiative runtime\n\nUSAGE:\n   {_name()} [global flags] command")
        print(f"\nCOMMANDS:\n{rows}\n\nGLOBAL FLAGS:\n{table(flag_rows(GLOBALS))}")
        return 0
    command = COMMANDS.get(topic[0])
    if command is None:
        return _unknown(topic[0])
    print(f"NAME:\n   {_name()} {command.name} - {command.help}\n")
    print(f"USAGE:\n   {_name()} {command.name} [flags] {command.usage}")
    print(f"\nFLAGS:\n{table(flag_rows([*command.flags, HELP]))}")
    return 0


def _unknown(name: str) -> int:
    print(f"No help topic for '{name}'", file=sys.stderr)
    return 3


if __name__ == "__main__":
    main()
