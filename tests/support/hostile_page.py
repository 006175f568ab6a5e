"""docs/hostile.md, what broken and wicked images are told, held against what is really said.

A section names its tests as `FILE` or `FILE::TEST`; each row below is a kind and what is said of it. With TEST the kind
is a case of that test, without it stands for the test's own name: `index loop` is test_index_loop, and
`odd manifests: empty` the case `empty` of test_odd_manifests.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hostile.md"
SURVIVED = "—"
"""What a row begins with whose kind is no error: what happens instead."""


@functools.cache
def rows() -> dict[str, str]:
    """Test → what is said, for all rows of the page."""
    found: dict[str, str] = {}
    file = test = ""
    for line in PAGE.read_text().splitlines():
        if named := re.fullmatch(r"Tests: `(tests/[\w/]+\.py)(?:::(\w+))?`", line):
            file, test = named[1], named[2] or ""
        elif (row := re.fullmatch(r"\| (.+?) \| (.*) \|", line)) and row[1] != "kind":
            kind = row[1].strip("`")
            found[f"{file}::{test}[{kind}]" if test else f"{file}::{_test_of(kind)}"] = row[2]
    return found


def _test_of(kind: str) -> str:
    name, _, case = kind.partition(": ")
    return f"test_{name.replace(' ', '_')}" + (f"[{case}]" if case else "")


def said(message: str) -> None:
    """What the running test's error says is what the page claims; `...` there stands for anything."""
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")[0]
    claimed = rows().get(test)
    assert claimed is not None, f"{PAGE.name} has no row for {test}, which says: {message}"
    pattern = ".*".join(re.escape(part) for part in claimed.split("..."))
    assert re.fullmatch(pattern, shown(message), re.DOTALL), f"{PAGE.name} claims {claimed!r}, said was {message!r}"


@contextlib.contextmanager
def refusal(kind: type[Exception], match: str | None = None) -> Iterator[None]:
    """The block raises such an error, in the words of the page."""
    with pytest.raises(kind, match=match) as caught:
        yield
    said(str(caught.value))


def shown(message: str) -> str:
    """As a table's cell has it."""
    return " ".join(message.replace("|", "/").split())
