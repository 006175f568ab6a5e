"""Lists as Docker prints them: columns, ids only, JSON lines, or a Go template per row.

A list has rows of named columns, each computed when it is shown: `ps -q` never asks how long a container is up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from .commands import Complaint

Columns = Mapping[str, Callable[[], object]]

LEAST_WIDTH, PADDING = 10, 3
"""Docker's tabwriter: a column takes at least 10 characters, and 3 more than its widest cell."""


class Listing:
    """How one kind of rows is listed. `headers` names the columns of a table, `kind` Go's type for errors."""

    def __init__(
        self,
        kind: str,
        headers: Mapping[str, str],
        *,
        methods: Callable[[Columns], Mapping[str, Callable[..., object]]] = lambda row: {},
        raw: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.kind = kind
        self.headers = headers
        self.methods = methods
        self.raw = raw
        """(label, column) lines of `--format raw`."""

    def show(self, rows: Iterable[Columns], names: Sequence[str], form: str) -> None:
        """Print the rows: `names` are the columns when `form` is empty or `table`."""
        if form in ("", "table"):
            self.table(rows, names)
        elif form == "raw" and self.raw:
            self.records(rows)
        else:
            is_table = form.startswith(("table ", "table\\t"))
            template = form[5:].strip(" ") if is_table else "{{json .}}" if form == "json" else form
            self.templated(rows, template, is_table)

    def table(self, rows: Iterable[Columns], names: Sequence[str]) -> None:
        lines = [[self.headers[name] for name in names]]
        lines += [[_cell(row[name]()) for name in names] for row in rows]
        _write(align(lines))

    def records(self, rows: Iterable[Columns]) -> None:
        for row in rows:
            lines = [f"{label}: {_cell(row[name]())}".rstrip() for label, name in self.raw]
            _write([*lines, ""])

    def templated(self, rows: Iterable[Columns], form: str, is_table: bool) -> None:
        from .gotemplate import Record, TemplateError, parse, render

        source = form.replace("\\t", "\t").replace("\\n", "\n")
        try:
            template = parse(source)
            lines = [render(template, Record(self.kind, row, self.methods(row))) for row in rows]
            if is_table:
                lines.insert(0, self.header(source))
        except TemplateError as error:
            verb = "parse" if error.parsing else "execute"
            raise Complaint(f"failed to {verb} template: {error.message}", 1) from None
        cells = [line.split("\t") for text in lines for line in text.split("\n")]
        _write(align(cells) if is_table else lines)

    def header(self, source: str) -> str:
        """The template over the headers; what is done to a column (upper, json …) is not done to its header."""
        import re

        def heading(found: re.Match[str]) -> str:
            label = re.search(r'\.Label\s+"([^"]*)"', found[0])
            if label:
                return label[1].rpartition(".")[2]
            name = re.search(r"\.([A-Za-z]+)", found[0])
            return self.headers.get(name[1], "") if name else ""

        return re.sub(r"\{\{.*?\}\}", heading, source)


def _cell(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def align(lines: Sequence[Sequence[str]]) -> list[str]:
    """Cells to lines, in columns. A column ends where a line has no such cell, as text/tabwriter does it; the last
    cell of a line belongs to no column and is not padded."""
    widths: list[list[int]] = [[0] * max(0, len(line) - 1) for line in lines]
    for column in range(max(map(len, widths), default=0)):
        start = 0
        while start < len(lines):
            end = start
            while end < len(lines) and len(widths[end]) > column:
                end += 1
            widest = max((len(lines[row][column]) for row in range(start, end)), default=0)
            for row in range(start, end):
                widths[row][column] = max(LEAST_WIDTH, widest + PADDING)
            start = max(end, start + 1)
    return [
        "".join(cell.ljust(width) for cell, width in zip(line, width_of, strict=False)) + (line[-1] if line else "")
        for line, width_of in zip(lines, widths, strict=True)
    ]


def _write(lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.write(text)


def parse_filter(raw: str) -> tuple[str, str]:
    """One --filter `name=value`."""
    from ..errors import UsageError

    name, equals, value = raw.partition("=")
    if raw and not equals:
        raise UsageError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def group_filters(words: Iterable[tuple[str, str]], known: Mapping[str, Sequence[str] | None]) -> dict[str, list[str]]:
    """Values by the filter's name. `known` has the filters of this list, and their values where those are few."""
    from ..errors import UsageError

    found: dict[str, list[str]] = {}
    for name, value in words:
        if not name:
            continue
        if name not in known:
            raise UsageError(f"Invalid filter '{name}'")
        allowed = known[name]
        if allowed is not None and value not in allowed:
            raise UsageError(f"Invalid filter '{name}={value}'")
        found.setdefault(name, []).append(value)
    return found


def shorten(text: str, width: int) -> str:
    """At most `width` characters, the last an ellipsis when something is missing."""
    return text if len(text) <= width else text[: width - 1] + "…"


FORMAT_HELP = (
    "Format output using a custom template:\n"
    "'table': Print output in table format with column headers (default)\n"
    "'table TEMPLATE': Print output in table format using the given Go template\n"
    "'json': Print in JSON format\n"
    "'TEMPLATE': Print output using the given Go template"
)
