"""logs: what a container wrote, each stream to ours."""

from __future__ import annotations

import sys

from . import context
from .commands import verb
from .flags import boolean, text


@verb(
    "logs",
    "Fetch the logs of a container",
    "[OPTIONS] CONTAINER",
    flags=[
        boolean("details", "", "Show extra details provided to logs"),
        boolean("follow", "f", "Follow log output"),
        text(
            "since",
            "",
            'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
        text("tail", "n", "Number of lines to show from the end of the logs", default="all"),
        boolean("timestamps", "t", "Show timestamps"),
        text(
            "until",
            "",
            'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
        ),
    ],
    least=1,
    aliases=("minidock container logs", "minidock logs"),
    examples="""
        minidock logs -f web
        minidock logs --tail 20 -t web
        minidock logs --since 10m web
    """,
)
def logs(
    arguments: list[str], details: bool, follow: bool, since: str, tail: str, timestamps: bool, until: str
) -> None:
    from .units import moment

    streams = {1: sys.stdout.buffer, 2: sys.stderr.buffer}
    for stream, data in context.engine().logs(
        arguments[0],
        follow=follow,
        tail=_tail(tail),
        since=moment(since, "since") if since else None,
        until=moment(until, "until") if until else None,
        timestamps=timestamps,
        details=details,
    ):
        # Flushed at once: the streams are separate, and a reader of both wants the order in which it was written.
        streams[stream].write(data)
        streams[stream].flush()
    if problem := context.engine().log_problem(arguments[0]):
        context.say(f"WARNING: the log is incomplete: {problem}")


def _tail(raw: str) -> int | None:
    """A count of lines; `all`, and whatever isn't a count, means all of them, as for Docker."""
    return int(raw) if raw.isdecimal() else None
