"""history: how an image came to be, newest first."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from . import context, of_platform
from .commands import verb
from .flags import boolean, text
from .tables import FORMAT_HELP, Columns, Listing, shorten

if TYPE_CHECKING:
    from ..model.lists import HistoryRow

HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
WIDTH = 45
"""Characters of an instruction that a table shows."""


@verb(
    "history",
    "Show the history of an image",
    "[OPTIONS] IMAGE",
    flags=[
        text("format", "", FORMAT_HELP),
        boolean("human", "H", "Print sizes and dates in human readable format", default=True),
        boolean("no-trunc", "", "Don't truncate output"),
        boolean("quiet", "q", "Only show image IDs"),
        of_platform.flag("Show history for the given platform"),
    ],
    least=1,
    aliases=("minidock image history", "minidock history"),
    examples="""
        minidock history debian
        minidock history --no-trunc --format '{{.CreatedBy}}' site:2
    """,
)
def history(arguments: list[str], format: str, human: bool, no_trunc: bool, platform: str, quiet: bool) -> None:
    of_platform.check(context.engine(), arguments, platform)
    rows = [columns(row, human=human, no_trunc=no_trunc) for row in context.engine().history(arguments[0])]
    if quiet and not format:
        for row in rows:
            print(row["ID"]())
        return
    names = ["ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment"]
    Listing("historyContext", HEADERS).show(rows, names, format)


def columns(row: HistoryRow, *, human: bool, no_trunc: bool) -> Columns:
    from .units import human_size

    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(row.created)) + _zone(row.created)
    by = row.created_by.replace("\t", " ")
    return {
        "ID": lambda: row.id if no_trunc else row.id.removeprefix("sha256:")[:12],
        "CreatedSince": partial(_age, row.created) if human else lambda: when,
        "CreatedAt": lambda: when,
        "CreatedBy": lambda: by if no_trunc else shorten(by, WIDTH),
        "Size": partial(human_size, row.size) if human else lambda: str(row.size),
        "Comment": lambda: row.comment,
    }


def _zone(created: int) -> str:
    """As in RFC 3339: Z, or +01:00."""
    offset = time.strftime("%z", time.localtime(created))
    return "Z" if offset in ("+0000", "") else f"{offset[:3]}:{offset[3:]}"


def _age(created: int) -> str:
    from ..engine.durations import human_duration

    return f"{human_duration(time.time() - created)} ago" if created > 0 else "N/A"
