"""stats: what containers use, as a table that is redrawn each second, or as lines for other programs."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from functools import partial
from typing import TYPE_CHECKING

from . import context
from .commands import UNLIMITED, Complaint, verb
from .flags import boolean, text
from .tables import FORMAT_HELP, Columns, Listing
from .units import human_size

if TYPE_CHECKING:
    from ..model.lists import ContainerStats

HEADERS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
COLUMNS = [name for name in HEADERS if name != "Container"]

HOME, TO_LINES_END, TO_SCREENS_END = "\033[H", "\033[K", "\033[J"  # console_codes(4)


@verb(
    "stats",
    "Display a live stream of container(s) resource usage statistics",
    "[OPTIONS] [CONTAINER...]",
    flags=[
        boolean("all", "a", "Show all containers (default shows just running)"),
        text("format", "", FORMAT_HELP),
        boolean("no-stream", "", "Disable streaming stats and only pull the first result"),
        boolean("no-trunc", "", "Do not truncate output"),
    ],
    most=UNLIMITED,
    aliases=("minidock container stats", "minidock stats"),
    examples="""
        minidock stats
        minidock stats --no-stream --format '{{.Name}} {{.CPUPerc}}' web
    """,
)
def stats(arguments: list[str], all: bool, format: str, no_stream: bool, no_trunc: bool) -> None:
    names: dict[str, str] = {}
    redraw = not no_stream and sys.stdout.isatty()
    for frame in context.engine().stats(arguments, all=all, once=no_stream):
        names.update(zip((row.id for row in frame), arguments, strict=False) if not names else ())
        shown = _frame([columns(row, names.get(row.id, row.id[:12]), no_trunc) for row in frame], format)
        if redraw:
            shown = HOME + shown.replace("\n", f"{TO_LINES_END}\n") + TO_SCREENS_END
        sys.stdout.write(shown)
        sys.stdout.flush()


def _frame(rows: list[Columns], form: str) -> str:
    """One table, as text: it goes to the terminal in one piece, so that it doesn't flicker."""
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            Listing("statsContext", HEADERS).show(rows, COLUMNS, form)
    except Complaint as error:
        _, _, problem = error.message.partition(": ")
        message = problem.replace("*formatter.statsContext", "*container.statsContext")
        raise Complaint(f"template parsing error: {message}", 1) from None
    return out.getvalue()


def columns(row: ContainerStats, asked: str, no_trunc: bool) -> Columns:
    size = partial(human_size, digits=4, binary=True)
    return {
        "Container": lambda: asked,
        "ID": lambda: row.id if no_trunc else row.id[:12],
        "Name": lambda: row.name,
        "CPUPerc": lambda: f"{row.cpu_percent:.2f}%",
        "MemUsage": lambda: f"{size(row.memory)} / {size(row.memory_limit)}",
        "MemPerc": lambda: f"{row.memory_percent:.2f}%",
        "NetIO": lambda: f"{human_size(row.received)} / {human_size(row.sent)}",
        "BlockIO": lambda: f"{human_size(row.read)} / {human_size(row.written)}",
        "PIDs": lambda: str(row.pids),
    }
