"""Physical lines → logical ones: comments are dropped, continued lines and heredocs are joined.

A logical line remembers where each of its characters stood, so that every error can point at the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from minidock.errors import DockerfileError
from minidock.image.words import located_words

DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
DIRECTIVES = ("syntax", "escape", "check")
HEREDOC = re.compile(r"(\d*)<<(-?)\s*([^<]+)")
WITH_HEREDOCS = ("RUN", "COPY", "ADD")
LONGEST = 1 << 20
"""Bytes of the largest Dockerfile that is read."""
AROUND = 2
"""Lines shown before and after the place of an error."""


class Source(msgspec.Struct, frozen=True):
    """A Dockerfile as it stands."""

    name: str
    lines: list[str]

    def error(
        self, message: str, line: int, column: int = 1, *, width: int = 1, hint: str = "", parsed: bool = False
    ) -> DockerfileError:
        """An error that points at the place, columns and lines counted from 1; `parsed`: not of the language."""
        told = message if parsed else f"dockerfile parse error on line {line}: {message}"
        return DockerfileError(
            told, line=line, column=column, excerpt=self.excerpt(line, line, column, width=width), hint=hint
        )

    def excerpt(self, first: int, last: int, column: int = 0, *, width: int = 1) -> str:
        """The lines and their neighbours, those meant marked, with a caret below when there is a column."""
        rows = [f"{self.name}:{first}", "-" * 20]
        for number in range(max(1, first - AROUND), min(len(self.lines), last + AROUND) + 1):
            # A stranger's Dockerfile must not move the cursor.
            text = "".join(
                char if char.isprintable() or char == "\t" else "?" for char in self.lines[number - 1].rstrip()
            )
            rows.append(f"{number:4} | {'>>>' if first <= number <= last else '   '} {text}".rstrip())
            if number == first and column:
                # Tabs before the place are kept, so that the caret stands below it whatever their width is.
                blank = re.sub(r"[^\t]", " ", text[: column - 1])
                shown = min(width, max(1, len(text) - column + 1))
                rows.append(f"     |     {blank}^{'~' * (shown - 1)}")
        return "\n".join([*rows, "-" * 20])


class Heredoc(msgspec.Struct, frozen=True):
    """`<<-"NAME"` and the lines up to NAME: `expand` unless the name was quoted, `chomp` with the dash."""

    name: str
    expand: bool
    chomp: bool
    content: str

    @property
    def data(self) -> str:
        """As the program gets it: <<- takes off leading tabs."""
        return re.sub(r"^\t+", "", self.content, flags=re.MULTILINE) if self.chomp else self.content


class Logical(msgspec.Struct, frozen=True):
    """One instruction's text. `marks` are (offset, line, column): from that offset on it stood there."""

    text: str
    first: int
    last: int
    marks: list[tuple[int, int, int]]
    comments: list[str] = []
    """The comment lines right above it."""
    heredocs: list[Heredoc] = []
    gaps: list[int] = []
    """Empty lines within it, which Docker will not accept for ever."""

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of the character at the offset."""
        start, line, column = next(mark for mark in reversed(self.marks) if mark[0] <= offset or mark[0] == 0)
        return line, column + offset - start


class Document(msgspec.Struct, frozen=True):
    source: Source
    directives: dict[str, tuple[str, int]]
    """Name → value and line of each parser directive."""
    escape: str
    lines: list[Logical]


def read(raw: bytes, name: str = "Dockerfile") -> Document:
    """Raises DockerfileError."""
    if len(raw) > LONGEST:
        raise DockerfileError(f"{name} is larger than {LONGEST} bytes", line=1)
    text = raw.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    source = Source(name, [line.removesuffix("\r") for line in text.split("\n")])
    if source.lines and not source.lines[-1]:
        source.lines.pop()
    directives = _directives(source)
    escape = directives.get("escape", ("\\", 0))[0]
    return Document(source, directives, escape, list(_Reader(source, escape).logical()))


def _directives(source: Source) -> dict[str, tuple[str, int]]:
    """`# name=value` on the first lines, before anything else."""
    found: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(source.lines, 1):
        match = DIRECTIVE.match(line.strip())
        if match is None or match[1].lower() not in DIRECTIVES:
            break
        name, value = match[1].lower(), match[2]
        at = line.index(match[1]) + 1
        if name in found:
            what, hint = f"only one {name} parser directive can be used", f"line {found[name][1]} has the first"
            raise source.error(what, number, at, width=len(match[1]), hint=hint)
        if name == "escape" and value not in ("\\", "`"):
            at = line.rindex(value) + 1
            what, hint = f"invalid escape token '{value}' does not match ` or \\", "expected one of these two"
            raise source.error(what, number, at, width=len(value), hint=hint)
        found[name] = (value, number)
    return found


class _Reader:
    """Goes down the lines once."""

    def __init__(self, source: Source, escape: str) -> None:
        self.source = source
        self.escape = escape
        self.at = 0
        token = re.escape(escape)
        # An escape before the last one makes it an ordinary character.
        self.continued = re.compile(rf"(?:(?<!{token})|^){token}[ \t]*$")

    def logical(self) -> Iterator[Logical]:
        comments: list[str] = []
        while self.at < len(self.source.lines):
            line = self.source.lines[self.at]
            stripped = line.strip()
            if stripped.startswith("#"):
                comments.append(stripped[1:].strip())
                self.at += 1
            elif not stripped:
                comments = []
                self.at += 1
            else:
                found = self._joined(comments)
                if found.text.strip():
                    yield self._with_heredocs(found)
                comments = []

    def _joined(self, comments: list[str]) -> Logical:
        first = self.at + 1
        parts: list[str] = []
        marks: list[tuple[int, int, int]] = []
        gaps: list[int] = []
        length, last, more = 0, first, True
        while more and self.at < len(self.source.lines):
            line = self.source.lines[self.at]
            self.at += 1
            if parts and line.lstrip().startswith("#"):
                continue
            if parts and not line.strip():
                gaps.append(self.at)
                continue
            indent = len(line) - len(line.lstrip()) if not parts else 0
            cut = self.continued.search(line)
            more = cut is not None
            part = line[indent : cut.start() if cut else len(line)]
            marks.append((length, self.at, indent + 1))
            parts.append(part)
            length += len(part)
            last = self.at
        return Logical("".join(parts), first, last, marks, comments, [], gaps)

    def _with_heredocs(self, line: Logical) -> Logical:
        keyword, _, rest = line.text.partition(" ")
        if keyword.upper() == "ONBUILD":
            keyword = rest.split(maxsplit=1)[0] if rest.strip() else ""
        if keyword.upper() not in WITH_HEREDOCS or "<<" not in line.text:
            return line
        heredocs = []
        for offset, word in located_words(line.text, escape=self.escape):
            begun = heredoc_of(word)
            if begun is not None:
                heredocs.append(self._body(line, offset, begun))
        return msgspec.structs.replace(line, heredocs=heredocs, last=max(line.last, self.at if heredocs else 0))

    def _body(self, line: Logical, offset: int, begun: Heredoc) -> Heredoc:
        body: list[str] = []
        while self.at < len(self.source.lines):
            text = self.source.lines[self.at]
            self.at += 1
            if (text.lstrip("\t") if begun.chomp else text) == begun.name:
                return msgspec.structs.replace(begun, content="".join(f"{each}\n" for each in body))
            body.append(text)
        at, column = line.place(offset)
        raise self.source.error(
            "unterminated heredoc", at, column, hint=f"expected a line with nothing but {begun.name}"
        )


def heredoc_of(word: str) -> Heredoc | None:
    """What `<<NAME`, `<<-NAME`, `3<<"NAME"` begins; None for any other word."""
    match = HEREDOC.fullmatch(word)
    if match is None:
        return None
    quoted = match[3]
    name = re.sub(r"\\(.)|['\"]", lambda found: found[1] or "", quoted)
    return Heredoc(name, name == quoted, match[2] == "-", "") if name and not name.isspace() else None
