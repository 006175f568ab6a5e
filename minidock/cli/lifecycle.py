"""What is done to one or several containers: start, attach, stop, restart, kill, rm, wait, and what shims ask for."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from ..errors import MinidockError, NotFound, UsageError
from . import context
from .commands import UNLIMITED, Complaint, told, verb
from .flags import boolean, explain, foretelling, number, refused, spelling, text
from .parse_values import detach_keys as parse_detach_keys

SEVERAL = "CONTAINER [CONTAINER...]"
NO_CHECKPOINTS = "can't be honoured: there are no checkpoints, which need CRIU (and Docker's experimental mode)"
SIGNAL = text("signal", "s", "Signal to send to the container")
TIMEOUT = number("timeout", "t", "Seconds to wait before killing the container", default=None)
STOPPING = [SIGNAL, TIMEOUT, spelling("time", TIMEOUT)]


@verb(
    "start",
    "Start one or more stopped containers",
    f"[OPTIONS] {SEVERAL}",
    flags=[
        boolean("attach", "a", "Attach STDOUT/STDERR and forward signals"),
        boolean("interactive", "i", "Attach container's STDIN"),
        text("detach-keys", "", "Override the key sequence for detaching a container", parse=parse_detach_keys),
        refused("checkpoint", why=NO_CHECKPOINTS),
        refused("checkpoint-dir", why=NO_CHECKPOINTS),
    ],
    least=1,
    most=UNLIMITED,
    aliases=("minidock container start", "minidock start"),
    examples="""
        minidock start web db
        minidock start -ai shell
    """,
)
def start(arguments: list[str], attach: bool, interactive: bool, detach_keys: str) -> None:
    engine = context.engine()
    if attach or interactive:
        if len(arguments) > 1:
            raise Complaint("you cannot start and attach multiple containers at once", 1)
        config = engine.inspect(arguments[0])["Config"]
        stdin = interactive and config["OpenStdin"]
        code = engine.start_attached(arguments[0], stdin=stdin, detach_keys=detach_keys)
        raise click.exceptions.Exit(code)
    failed = context.each(arguments, engine.start)
    if failed:
        raise Complaint(f"Error: failed to start containers: {', '.join(failed)}", 1)


@verb(
    "attach",
    "Attach local standard input, output, and error streams to a running container",
    "[OPTIONS] CONTAINER",
    flags=[
        text("detach-keys", "", "Override the key sequence for detaching a container", parse=parse_detach_keys),
        boolean("no-stdin", "", "Do not attach STDIN"),
        boolean("sig-proxy", "", "Proxy all received signals to the process", default=True),
    ],
    least=1,
    aliases=("minidock container attach", "minidock attach"),
    examples="""
        minidock attach shell                            ctrl-p ctrl-q leaves it running
        minidock attach --detach-keys ctrl-x shell
        minidock attach --no-stdin --sig-proxy=false web
    """,
)
def attach(arguments: list[str], detach_keys: str, no_stdin: bool, sig_proxy: bool) -> None:
    engine = context.engine()
    facts = engine.inspect(arguments[0])
    state, config = facts["State"], facts["Config"]
    for problem, sentence in (
        (not state["Running"], "a stopped container, start it first"),
        (state["Paused"], "a paused container, unpause it first"),
        (state["Restarting"], "a restarting container, wait until it is running"),
    ):
        if problem:
            raise Complaint(f"You cannot attach to {sentence}", 1)
    stdin = config["OpenStdin"] and not no_stdin
    if stdin and config["Tty"] and not os.isatty(0):
        raise Complaint("the input device is not a TTY", 1)
    code = engine.attach(arguments[0], stdin=stdin, detach_keys=detach_keys, sig_proxy=sig_proxy)
    if code is None:
        raise Complaint("read escape sequence", 1)
    raise click.exceptions.Exit(code)


@verb(
    "stop",
    "Stop one or more running containers",
    f"[OPTIONS] {SEVERAL}",
    flags=STOPPING,
    least=1,
    most=UNLIMITED,
    aliases=("minidock container stop", "minidock stop"),
    examples="""
        minidock stop web
        minidock stop -t 0 web        kill it at once
    """,
)
def stop(arguments: list[str], signal: str, timeout: int | None) -> None:
    _stopping(arguments, context.engine().stop, signal, timeout)


def _stopping(names: list[str], act: Callable[..., None], signal: str, timeout: int | None) -> None:
    from ..model.checks import check_signal

    check_signal(signal)
    context.fail_after(context.each(names, lambda name: act(name, timeout=timeout, signal=signal)))


@verb(
    "restart",
    "Restart one or more containers",
    f"[OPTIONS] {SEVERAL}",
    flags=STOPPING,
    least=1,
    most=UNLIMITED,
    aliases=("minidock container restart", "minidock restart"),
    examples="""
        minidock restart web
        minidock restart -t 2 web db
    """,
)
def restart(arguments: list[str], signal: str, timeout: int | None) -> None:
    _stopping(arguments, context.engine().restart, signal, timeout)


@verb(
    "kill",
    "Kill one or more running containers",
    f"[OPTIONS] {SEVERAL}",
    flags=[SIGNAL],
    least=1,
    most=UNLIMITED,
    aliases=("minidock container kill", "minidock kill"),
    examples="""
        minidock kill web
        minidock kill -s HUP web
    """,
)
def kill(arguments: list[str], signal: str) -> None:
    from ..model.checks import check_signal

    if not signal.strip("0").isdecimal():  # a number that is none of a signal is refused per container
        check_signal(signal)
    engine = context.engine()
    context.fail_after(context.each(arguments, lambda name: engine.kill(name, signal=signal or "KILL")))


@verb(
    "rm",
    "Remove one or more containers",
    f"[OPTIONS] {SEVERAL}",
    flags=[
        boolean("force", "f", "Force the removal of a running container (uses SIGKILL)"),
        boolean("volumes", "v", "Remove anonymous volumes associated with the container"),
        explain("Tell each step that is undone, as it happens (=json, =html)"),
        *foretelling(),
        boolean("link", "l", "Remove the specified link"),
    ],
    least=1,
    most=UNLIMITED,
    aliases=("minidock container rm", "minidock container remove", "minidock rm"),
    examples="""
        minidock rm web
        minidock rm -f $(minidock ps -aq)
        minidock rm --link web/store
    """,
)
def rm(
    arguments: list[str], force: bool, volumes: bool, link: bool, explain: str, dry_run: bool, as_shell: bool
) -> None:
    """With --force a container that isn't there is told, and is no failure: the wish is fulfilled."""
    from .telling import foretell, narrating

    engine = context.engine()
    if dry_run or as_shell:
        for name in arguments:
            foretell(engine.foretell_remove(name.strip("/"), force=force), as_shell=as_shell)
        return

    def act(name: str) -> bool:
        if not name.strip("/"):
            raise UsageError("container name cannot be empty")
        try:
            engine.remove(name.strip("/"), force=force, volumes=volumes, link=link, narrator=narrator)
        except NotFound as error:
            if not force:
                raise
            context.say(told(error))
            return False
        return True

    with narrating(explain) as narrator:
        failed = context.each(arguments, act)
    context.fail_after(failed)


@verb(
    "pause",
    "Pause all processes within one or more containers",
    SEVERAL,
    least=1,
    most=UNLIMITED,
    aliases=("minidock container pause", "minidock pause"),
    examples="minidock pause web",
)
def pause(arguments: list[str]) -> None:
    context.fail_after(context.each(arguments, context.engine().pause))


@verb(
    "unpause",
    "Unpause all processes within one or more containers",
    SEVERAL,
    least=1,
    most=UNLIMITED,
    aliases=("minidock container unpause", "minidock unpause"),
    examples="minidock unpause web",
)
def unpause(arguments: list[str]) -> None:
    context.fail_after(context.each(arguments, context.engine().unpause))


@verb(
    "rename",
    "Rename a container",
    "CONTAINER NEW_NAME",
    least=2,
    aliases=("minidock container rename", "minidock rename"),
    examples="minidock rename web old-web",
)
def rename(arguments: list[str]) -> None:
    old, new = (word.strip() for word in arguments)
    if not old or not new:
        raise Complaint("Error: Neither old nor new names may be empty", 1)
    try:
        context.engine().rename(old, new)
    except MinidockError as error:
        context.say(told(error))
        raise Complaint(f"Error: failed to rename container named {old}", 1) from error


@verb(
    "wait",
    "Block until one or more containers stop, then print their exit codes",
    SEVERAL,
    least=1,
    most=UNLIMITED,
    aliases=("minidock container wait", "minidock wait"),
    examples="minidock wait job",
)
def wait(arguments: list[str]) -> None:
    engine = context.engine()
    context.fail_after(context.each(arguments, lambda name: print(engine.wait(name), flush=True), show=False))


@verb(
    "cleanup",
    "Undo what a container that has ended left on the host",
    "CONTAINER [EXEC]",
    least=1,
    most=2,
    hidden=True,
)
def cleanup(arguments: list[str]) -> None:
    """Run by the shim of a container, or of an exec, when the command that started it is gone."""
    context.engine().cleanup(*arguments)


@verb("revive", "Start a container again, as its restart policy wants", "CONTAINER ENDED", least=2, hidden=True)
def revive(arguments: list[str]) -> None:
    """Run by the process that has waited for this moment."""
    context.engine().revive(arguments[0], arguments[1])


@verb("probe", "Check a container's health once", "CONTAINER", least=1, hidden=True)
def probe(arguments: list[str]) -> None:
    """Run by the container's shim when a check is due; by hand it is one more check."""
    raise click.exceptions.Exit(context.engine().probe(arguments[0]))


@verb("restore", "Start the containers that their restart policies want up", hidden=True)
def restore() -> None:
    for identifier in context.engine().restore():
        print(identifier, flush=True)
