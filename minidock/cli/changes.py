"""diff, export, commit: what a container changed, its files as a tar, and as an image."""

from __future__ import annotations

import os
import sys

from . import context
from .commands import Complaint, verb
from .flags import boolean, many, text


@verb(
    "diff",
    "Inspect changes to files or directories on a container's filesystem",
    "CONTAINER",
    least=1,
    aliases=("minidock container diff", "minidock diff"),
    examples="minidock diff web",
)
def diff(arguments: list[str]) -> None:
    if not arguments[0]:
        raise Complaint("Container name cannot be empty", 1)
    sys.stdout.write("".join(f"{kind} {path}\n" for kind, path in context.engine().changes(arguments[0])))


@verb(
    "export",
    "Export a container's filesystem as a tar archive",
    "[OPTIONS] CONTAINER",
    flags=[text("output", "o", "Write to a file, instead of STDOUT")],
    least=1,
    aliases=("minidock container export", "minidock export"),
    examples="""
        minidock export -o web.tar web
        minidock export web | tar t
    """,
)
def export(arguments: list[str], output: str) -> None:
    from .archives import beside

    if not output and os.isatty(1):
        raise Complaint("cowardly refusing to save to a terminal. Use the -o flag or redirect", 1)
    if output:
        with beside(output, "failed to export container") as out:
            context.engine().export(arguments[0], out)
        return
    sys.stdout.flush()
    context.engine().export(arguments[0], sys.stdout.buffer)
    sys.stdout.buffer.flush()


@verb(
    "commit",
    "Create a new image from a container's changes",
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    flags=[
        text("author", "a", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        many("change", "c", "Apply Dockerfile instruction to the created image"),
        text("message", "m", "Commit message"),
        boolean("pause", "p", "Pause container during commit", default=True),
    ],
    least=1,
    most=2,
    aliases=("minidock container commit", "minidock commit"),
    examples="""
        minidock commit web site:2
        minidock commit -c 'CMD ["nginx"]' -m 'with a new page' web site:3
    """,
)
def commit(arguments: list[str], author: str, change: list[str], message: str, pause: bool) -> None:
    from ..model.requests import Commit

    name = arguments[1] if len(arguments) > 1 else ""
    wanted = Commit(reference=name, author=author, message=message, changes=change, pause=pause)
    print(context.engine().commit(arguments[0], wanted))
