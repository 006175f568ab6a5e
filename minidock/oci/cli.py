"""The command line of minidock-oci: runc's commands and flags, as a table.

    minidock-oci [global flags] COMMAND [flags] ID …

Each command is a row of COMMANDS: its flags, how many arguments it takes, and the function of `verbs` that does it.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from minidock.errors import MinidockError, UsageError
from minidock.oci import dialect, texts, verbs
from minidock.oci.log import Log
from minidock.oci.words import Command, Flag, Words, check_count, flag_rows, read, table

DEFAULT_ROOT = "/run/minidock-oci"
SPEC_VERSION = "1.3.0"

GLOBALS = [
    Flag("--debug", "tell more", "yes"),
    Flag("--log", "file for errors, instead of standard error"),
    Flag("--log-format", "text or json", default="text"),
    Flag("--root", "directory for the state of containers", default=DEFAULT_ROOT),
    Flag("--systemd-cgroup", "let systemd make the cgroup: cgroupsPath is SLICE:PREFIX:NAME", "yes"),
    Flag("--cgroup-manager", "crun's word for the same: cgroupfs or disabled", default="cgroupfs"),
    Flag("--criu", "refused: minidock has no CRIU"),
    Flag("--rootless", "ignored: minidock-oci needs root", default="auto"),
    Flag("--help, -h", "show help", "yes"),
    Flag("--version, -v", "print the version", "yes"),
]
HELP = Flag("--help, -h", "show help", "yes")
BUNDLE = Flag("--bundle, -b", "directory with config.json (default: the current one)")
CONFIG = Flag("--config, -f", "another name for config.json", default="config.json")
CONSOLE = Flag("--console-socket", "unix socket that gets the terminal's master")
PID_FILE = Flag("--pid-file", "file for the process id")
PIDFD = Flag("--pidfd-socket", "unix socket that gets a descriptor of the process: pidfd_open(2)")
PRESERVE = Flag("--preserve-fds", "pass so many descriptors on, from 3", "number")
NO_PIVOT = Flag("--no-pivot", "move the root instead of pivot_root(2): for a root on the initial ramdisk", "yes")
NO_KEYRING = Flag("--no-new-keyring", "share the caller's session keyring", "yes")
DETACH = Flag("--detach, -d", "leave it in the background", "yes")
IMAGE_PATH = Flag("--image-path", "ignored")
MAKING = [BUNDLE, CONFIG, CONSOLE, PID_FILE, PIDFD, PRESERVE, NO_PIVOT, NO_KEYRING]

CONTAINER = "<container-id>"
COMMANDS = {
    command.name: command
    for command in (
        Command("checkpoint", CONTAINER, "refused: minidock has no CRIU", [IMAGE_PATH], verbs.refused),
        Command("create", CONTAINER, "make a container; its process waits for `start`", MAKING, verbs.create),
        Command("delete", CONTAINER, "remove a container", [
            Flag("--force, -f", "kill it first", "yes"),
            Flag("--regex", "crun's: all whose ids this pattern fits", "yes"),
        ], verbs.delete),
        Command("events", CONTAINER, "print what a container uses, as JSON",
                [Flag("--interval", "time between two", default="5s"), Flag("--stats", "print once", "yes")],
                verbs.events),
        Command("exec", f"{CONTAINER} <command> [args...]", "run one more process in a container", [
            CONSOLE, PID_FILE, PIDFD, PRESERVE, DETACH,
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
        ], verbs.execute, at_most=None, rest=True, failure=255),
        Command("features", "", "print what this runtime can do, as JSON", [], verbs.features, at_least=0, at_most=0),
        Command("kill", f"{CONTAINER} [signal]", "send a signal (default SIGTERM) to the first process",
                [Flag("--all, -a", "to every process of the container", "yes")], verbs.kill, at_most=2),
        Command("list", "", "list containers", [
            Flag("--format, -f", "table or json", default="table"), Flag("--quiet, -q", "only ids", "yes"),
        ], verbs.listing, at_least=0, at_most=0),
        Command("mounts", f"[add|remove] {CONTAINER} <file>", "crun's: add mounts to one that runs, or remove them", [],
                verbs.mounts, at_least=3, at_most=3),
        Command("pause", CONTAINER, "freeze every process of a container", [], verbs.pause),
        Command("ps", f"{CONTAINER} [ps options]", "show the processes of a container",
                [Flag("--format, -f", "table or json", default="table")], verbs.ps, at_most=None, rest=True),
        Command("restore", CONTAINER, "refused: minidock has no CRIU", [IMAGE_PATH], verbs.refused),
        Command("resume", CONTAINER, "let a paused container run on", [], verbs.resume),
        Command("run", CONTAINER, "create and start a container",
                [*MAKING, DETACH, Flag("--keep", "do not delete it at the end", "yes"),
                 Flag("--no-subreaper", "accepted: orphans are init's then", "yes")], verbs.run),
        Command("spec", "", "write a config.json",
                [BUNDLE, Flag("--rootless", "for a user who isn't root", "yes")], verbs.spec, at_least=0, at_most=0),
        Command("start", CONTAINER, "let a created container run its command", [], verbs.start),
        Command("state", CONTAINER, "print what a container is, as JSON", [], verbs.state),
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
            Flag("--pids-limit", "processes; -1 for any"),
            Flag("--l3-cache-schema", "refused: no Intel RDT"),
            Flag("--mem-bw-schema", "refused: no Intel RDT"),
        ], verbs.update),
    )
}  # fmt: skip


# from words to a command, and from an error to a line


def main(argv: list[str] | None = None) -> NoReturn:
    """Console script `minidock-oci`."""
    _open_streams()
    code = _run(sys.argv[1:] if argv is None else argv)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take the interpreter apart takes 10 ms: as in minidock/__main__.py


def _open_streams() -> None:
    """A standard stream that our caller has closed is /dev/null, as Go's runtime has it for runc: else the next file
    that is opened would get its number, and the container that file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, number)
            if null != number:
                os.close(null)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115 - for good


def _run(words: list[str]) -> int:
    log = Log()
    command: Command | None = None
    try:
        values, rest = read(GLOBALS, words, stop=True)
        wanted = Log(str(values["log"]), str(values["log_format"]), bool(values["debug"]))
        wanted.check()
        log = wanted
        if values["log_format"] not in ("text", "json"):
            raise UsageError(f'invalid log-format: "{values["log_format"]}"')
        if values["criu"]:
            raise verbs.refusal()
        if values["version"]:
            return _version()
        if values["help"] or not rest or rest[0] in ("help", "h"):
            return _help(rest[1:2] if rest and rest[0] in ("help", "h") else [])
        command = COMMANDS.get(rest[0])
        if command is None:
            return _unknown(rest[0])
        code = _do(command, rest[1:], values, log)
        sys.stdout.flush()
        return code
    except (MinidockError, OSError) as error:
        text = texts.sentence(error) if isinstance(error, MinidockError) else _words_of(error)
        log.error(dialect.said(_introduced(command, text)))
        return command.failure if command else 1


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
    reason = (error.strerror or str(error)).lower()
    return f"open {os.fsdecode(error.filename)}: {reason}" if error.filename else reason


def _version() -> int:
    from minidock import __version__

    # Three lines as runc's: dockerd shows the first two. The last is crun's way to say what it was built with: here,
    # that NOTIFY_SOCKET is served.
    print(f"{dialect.name()} version {__version__}\ncommit: v{__version__}\nspec: {SPEC_VERSION}")
    print("+SYSTEMD_NOTIFY +SECCOMP +CAP +EBPF")
    return 0


def _help(topic: list[str]) -> int:
    if not topic:
        rows = table([(command.name, command.help) for command in COMMANDS.values()])
        name = dialect.name()
        print(f"NAME:\n   {name} - Open Container Initiative runtime\n\nUSAGE:\n   {name} [global flags] command")
        print(f"\nCOMMANDS:\n{rows}\n\nGLOBAL FLAGS:\n{table(flag_rows(GLOBALS))}")
        return 0
    command = COMMANDS.get(topic[0])
    if command is None:
        return _unknown(topic[0])
    if dialect.is_crun():
        print(f"{dialect.usage(command.name)}\n{command.help}")
    else:
        print(f"NAME:\n   {dialect.name()} {command.name} - {command.help}\n")
        print(f"USAGE:\n   {dialect.name()} {command.name} [flags] {command.usage}")
    print(f"\nFLAGS:\n{table(flag_rows([*command.flags, HELP]))}")
    return 0


def _unknown(name: str) -> int:
    print(f"No help topic for '{name}'", file=sys.stderr)
    return 3


if __name__ == "__main__":
    main()
