"""The tables of docs/build.md that tests prove: `python -m tests.support.buildtables` writes them anew.

Each stands between `<!-- NAME -->` and `<!-- end of NAME -->`; tests/unit/test_docs_build.py compares.
"""

from __future__ import annotations

import re
from pathlib import Path

from minidock.build import grammar, stages
from minidock.build.grammar import KEYWORDS
from minidock.errors import DockerfileError
from tests.support.baddockerfiles import BAD
from tests.support.buildcases import cases

PAGE = Path(__file__).resolve().parents[2] / "docs" / "build.md"


def malformed() -> str:
    """Each malformed Dockerfile, the place that the error points at, and its message."""
    rows = ["| Dockerfile | place | what is said |", "|---|---|---|"]
    for raw, _, _ in BAD:
        try:
            stages.program(grammar.parse(raw))
        except DockerfileError as error:
            said = error.message.partition(": ")[2] + (f" ({error.hint})" if error.hint else "")
            shown = _code(repr(raw)[2:-1]) if raw else "nothing"
            rows.append(f"| {shown} | {error.line}:{error.column} | {_text(said)} |")
        else:
            raise AssertionError(f"this is a Dockerfile: {raw!r}")
    return "\n".join(rows)


def compared() -> str:
    """For each instruction: how many of the compared Dockerfiles have it, and those that are about it."""
    rows = ["| instruction | in | Dockerfiles about it |", "|---|---|---|"]
    for keyword in KEYWORDS:
        about = [f"`{case.name}`" for case in cases() if case.subject == keyword]
        rows.append(f"| {keyword} | {sum(case.has(keyword) for case in cases())} | {' '.join(about)} |")
    rest = [f"`{case.name}`" for case in cases() if not case.subject]
    return "\n".join([*rows, f"| the language, stages, layers | | {' '.join(rest)} |"])


def _code(text: str) -> str:
    """A bar ends a cell even within backticks, and a backtick ends a piece of code."""
    marks = "``" if "`" in text else "`"
    return f"{marks}{text.replace('|', chr(92) + '|')}{marks}"


def _text(text: str) -> str:
    return re.sub(r"([|<*_\[\]`\\])", r"\\\1", "".join(char if char.isprintable() else "?" for char in text))


TABLES = {"malformed Dockerfiles": malformed, "compared Dockerfiles": compared}


def between(page: str, name: str) -> str:
    """The table as the page has it."""
    return page.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- end of {name} -->")[0]


def main() -> None:
    page = PAGE.read_text()
    for name, made in TABLES.items():
        old = between(page, name)
        begin = f"<!-- {name} -->\n"
        page = page.replace(f"{begin}{old}\n<!-- end", f"{begin}{made()}\n<!-- end")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
