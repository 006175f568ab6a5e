"""docs/build.md: its tables are what the tests prove, row by row."""

from __future__ import annotations

import pytest

from minidock.build.grammar import KEYWORDS
from tests.support.baddockerfiles import BAD
from tests.support.buildcases import cases
from tests.support.buildtables import PAGE, TABLES, between


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_true(name: str) -> None:
    assert between(PAGE.read_text(), name) == TABLES[name](), "python -m tests.support.buildtables writes it anew"


def test_the_page_counts_right() -> None:
    page = PAGE.read_text()
    assert f"{len(BAD)} malformed Dockerfiles" in page and len(BAD) >= 80
    assert f"{len(cases())} Dockerfiles" in page and len(cases()) >= 60


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_every_instruction_is_compared(keyword: str) -> None:
    assert [case.name for case in cases() if case.subject == keyword]
