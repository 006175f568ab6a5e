"""exec: one more process in a running container."""

from __future__ import annotations

import os

import click

from . import context
from .commands import UNLIMITED, Complaint, verb
from .flags import boolean, explain, foretelling, many, text
from .parse_env import check_env
from .parse_values import detach_keys as parse_detach_keys


@verb(
    "exec",
    "Execute a command in a running container",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    flags=[
        boolean("detach", "d", "Detached mode: run command in the background"),
        text("detach-keys", "", "Override the key sequence for detaching a container", parse=parse_detach_keys),
        many("env", "e", "Set environment variables", parse=check_env),
        many("env-file", "", "Read in a file of environment variables"),
        explain("Tell each step asked of the kernel as it happens (=json, =html)"),
        *foretelling(),
        boolean("interactive", "i", "Keep STDIN open even if not attached"),
        boolean("privileged", "", "Give extended privileges to the command"),
        boolean("tty", "t", "Allocate a pseudo-TTY"),
        text("user", "u", 'Username or UID (format: "<name|uid>[:<group|gid>]")'),
        text("workdir", "w", "Working directory inside the container"),
    ],
    least=2,
    most=UNLIMITED,
    aliases=("minidock container exec", "minidock exec"),
    interspersed=False,
    examples="""
        minidock exec -it web sh
        minidock exec -u nobody -w /tmp -e LEVEL=3 web env
    """,
)
def exec_(
    arguments: list[str],
    detach: bool,
    detach_keys: str,
    env: list[str],
    env_file: list[str],
    explain: str,
    dry_run: bool,
    as_shell: bool,
    interactive: bool,
    privileged: bool,
    tty: bool,
    user: str,
    workdir: str,
) -> None:
    from ..model.requests import ExecRequest
    from .parse_env import environment
    from .telling import foretell, narrating

    if tty and interactive and not detach and not os.isatty(0):
        raise Complaint("the input device is not a TTY", 1)
    request = ExecRequest(
        cmd=arguments[1:],
        tty=tty,
        attach_stdin=interactive and not detach,
        detach=detach,
        detach_keys=detach_keys,
        env=environment(env_file, env),
        user=user,
        working_dir=workdir,
        privileged=privileged,
    )
    if dry_run or as_shell:
        return foretell(context.engine().foretell_exec(arguments[0], request), as_shell=as_shell)
    with narrating(explain) as told:
        code = context.engine().exec(arguments[0], request, narrator=told)
    if code is None:
        raise Complaint("read escape sequence", 1)
    raise click.exceptions.Exit(code)
