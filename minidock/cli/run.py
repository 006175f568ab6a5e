"""`run` and `create`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from ..errors import MinidockError, UsageError
from . import context
from .commands import UNLIMITED, Complaint, complaint, verb
from .flags import FlagValue
from .run_flags import CREATE_FLAGS, RUN_FLAGS
from .telling import narrating

if TYPE_CHECKING:
    from ..engine import Engine
    from ..model.events import Progress
    from ..model.requests import CreateRequest
    from ..steps import Narrator

USAGE = "[OPTIONS] IMAGE [COMMAND] [ARG...]"


@verb(
    "run",
    "Create and run a new container from an image",
    USAGE,
    flags=RUN_FLAGS,
    least=1,
    most=UNLIMITED,
    aliases=("minidock container run", "minidock run"),
    interspersed=False,
    runs=True,
    examples="""
        minidock run hello-world
        minidock run -it --rm debian bash
        minidock run -d --name web -p 8080:80 -v "$PWD:/srv" --memory 64m busybox httpd -f -h /srv
        minidock run --explain busybox true      every step asked of the kernel, as it happens
        minidock run --explain=html busybox true a report with pictures: minidock-explain.html
        minidock run --as-shell busybox sh       the same container as a shell script
    """,
)
def run(arguments: list[str], **flags: FlagValue) -> None:
    request, warnings = _request(arguments, flags)
    if flags["dry_run"]:
        context.only_looks()
    engine = context.engine()
    if flags["dry_run"] or flags["as_shell"]:
        return _only_tell(engine, request, flags)
    if flags["detach"] and flags["attach"]:
        raise Complaint("conflicting options: cannot specify both --attach and --detach", 1)
    config = request.config
    if config.tty and config.attach_stdin and not os.isatty(0):
        raise Complaint("the input device is not a TTY", 1)
    with narrating(flags["explain"]) as told:
        code = _start(engine, _create(engine, request, flags, warnings), request, flags, told)
    raise click.exceptions.Exit(code)


def _start(engine: Engine, identifier: str, request: CreateRequest, flags: dict[str, FlagValue], told: Narrator) -> int:
    config = request.config
    try:
        if flags["detach"]:
            engine.start(identifier, narrator=told)
            print(identifier, flush=True)
            return 0
        return engine.start_attached(
            identifier,
            stdin=config.attach_stdin,
            stdout=config.attach_stdout,
            stderr=config.attach_stderr,
            detach_keys=flags["detach_keys"],
            sig_proxy=flags["sig_proxy"],
            narrator=told,
        )
    except MinidockError:
        if flags["rm"]:
            _remove_unstarted(engine, identifier)
        raise


def _remove_unstarted(engine: Engine, identifier: str) -> None:
    """--rm of a container that never ran: nobody else will. One that runs goes when it ends, whoever has left it."""
    with contextlib.suppress(MinidockError):  # the engine may have been quicker; the user is told why it didn't start
        if engine.inspect(identifier)["State"]["Status"] == "created":
            engine.remove(identifier, force=True, volumes=True)


@verb(
    "create",
    "Create a new container",
    USAGE,
    flags=CREATE_FLAGS,
    least=1,
    most=UNLIMITED,
    aliases=("minidock container create", "minidock create"),
    interspersed=False,
    examples="""
        minidock create --name web -p 8080:80 busybox httpd -f
        minidock start -a web
    """,
)
def create(arguments: list[str], **flags: FlagValue) -> None:
    request, warnings = _request(arguments, flags)
    print(_create(context.engine(), request, flags, warnings), flush=True)


def _request(arguments: list[str], flags: dict[str, FlagValue]) -> tuple[CreateRequest, list[str]]:
    from ..model.checks import check
    from .parse_values import pull_policy
    from .request import build

    try:
        flags["pull"] = pull_policy(flags["pull"])
        request = build(arguments[0], arguments[1:], flags)
    except UsageError as error:
        raise complaint(error) from error
    return request, check(request, here=context.is_here())


def _create(engine: Engine, request: CreateRequest, flags: dict[str, FlagValue], warnings: list[str]) -> str:
    """The new container's id. Its image is there afterwards; what it warns about has been told."""
    with _id_file(flags["cidfile"]) as write:
        _ensure_image(engine, request, flags)
        created = engine.create(request)
        write(created.id)
    for warning in dict.fromkeys([*warnings, *created.warnings]):
        context.say(f"WARNING: {warning}")
    return created.id


def _ensure_image(engine: Engine, request: CreateRequest, flags: dict[str, FlagValue]) -> None:
    """What a pull has to say goes to stderr: stdout is the container's, or its id's."""
    say = _nothing if flags["quiet"] else context.say
    engine.ensure_image(
        request.config.image,
        policy=flags["pull"],
        platform=request.platform,
        say=say,
        tell=_nothing if flags["quiet"] else _Telling(),
    )


class _Telling:
    """Shows a pull on stderr. Most runs have none, and never load what shows it."""

    def __init__(self) -> None:
        self._display: Callable[[Progress], None] | None = None

    def __call__(self, progress: Progress) -> None:
        if self._display is None:
            from .progress import Display

            self._display = Display(sys.stderr)
        self._display(progress)


def _nothing(line: object) -> None:
    """--quiet."""


@contextlib.contextmanager
def _id_file(path: str) -> Iterator[Callable[[str], object]]:
    """--cidfile: claimed before anything is made, so that no two share it; gone again if it stays empty."""
    if not path:
        yield _nothing
        return
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        sentence = "container ID file found, make sure the other container isn't running or delete"
        raise UsageError(f"{sentence} {path}") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"failed to create the container ID file: open {path}: {reason}") from None
    try:
        with os.fdopen(fd, "w") as file:
            yield file.write
    finally:
        if os.path.getsize(path) == 0:
            os.unlink(path)


def _only_tell(engine: Engine, request: CreateRequest, flags: dict[str, FlagValue]) -> None:
    if flags["as_shell"]:
        _ensure_image(engine, request, flags)
        print(engine.as_shell(request), end="")
        return
    from .explain import plan_lines

    for line in plan_lines(engine.dry_run(request, say=context.say)):
        print(line)
