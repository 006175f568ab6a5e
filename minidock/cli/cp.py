"""cp: files in and out of containers."""

from __future__ import annotations

import os
import sys

from . import context
from .commands import Complaint, verb
from .flags import boolean
from .units import human_size


@verb(
    "cp",
    "Copy files/folders between a container and the local filesystem",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tminidock cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    flags=[
        boolean("archive", "a", "Archive mode (copy all uid/gid information)"),
        boolean("follow-link", "L", "Always follow symbol link in SRC_PATH"),
        boolean(
            "quiet",
            "q",
            "Suppress progress output during copy. Progress output is automatically suppressed if no "
            "terminal is attached",
            default=None,
        ),
    ],
    least=2,
    aliases=("minidock container cp", "minidock cp"),
    examples="""
        minidock cp web:/var/log/nginx ./logs
        minidock cp site/. web:/usr/share/nginx/html
        minidock cp web:/etc - | tar t
    """,
)
def cp(arguments: list[str], archive: bool, follow_link: bool, quiet: bool | None) -> None:
    source, target = arguments
    if not source:
        raise Complaint("source can not be empty", 1)
    if not target:
        raise Complaint("destination can not be empty", 1)
    (from_container, source), (to_container, target) = split(source), split(target)
    if from_container and to_container:
        raise Complaint("copying between containers is not supported", 1)
    if not from_container and not to_container:
        raise Complaint("must specify at least one container source", 1)
    engine = context.engine()
    silent = not os.isatty(2) if quiet is None else quiet
    if to_container:
        what = sys.stdin.buffer if source == "-" else source
        count = engine.copy_in(what, to_container, target, own=archive, follow=follow_link)
        silent = silent or source == "-"
        target = f"{to_container}:{target}"
    elif target == "-":
        if os.isatty(1):
            raise Complaint("cowardly refusing to write to a terminal. Redirect the output", 1)
        sys.stdout.flush()
        count = engine.copy_out(from_container, source, sys.stdout.buffer, follow=follow_link)
        sys.stdout.buffer.flush()
        silent = True
    else:
        count = engine.copy_out(from_container, source, target, follow=follow_link)
        target = os.path.abspath(target) + ("/." if os.path.basename(target) == "." else "/" * target.endswith("/"))
    if not silent:
        context.say(f"Successfully copied {human_size(count)} to {target}")


def split(word: str) -> tuple[str, str]:
    """CONTAINER:PATH, or a path of this machine: one that begins with a slash or a dot, or has no colon."""
    if word.startswith("/"):
        return "", word
    container, colon, path = word.partition(":")
    if not colon or container.startswith("."):
        return "", word
    return container, path
