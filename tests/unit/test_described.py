"""The reference and the manual pages, made from the command line's tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minidock.cli.described import Page, manual, pages, reference
from minidock.cli.flags import boolean, text

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_reference_is_current() -> None:
    written = (REPOSITORY / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == reference(), "a command has changed: scripts/docs makes docs/reference.md anew"


def test_the_reference_depends_on_nobodys_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = reference()
    for name, value in {"HOME": "/nowhere", "COLUMNS": "40", "MINIDOCK_ROOT": "/x", "DOCKER_CONFIG": "/y"}.items():
        monkeypatch.setenv(name, value)
    assert reference() == expected


def test_links_within_the_reference_lead_somewhere() -> None:
    made = reference()
    anchors = {heading.replace(" ", "-") for heading in re.findall(r"^## (.*)$", made, re.MULTILINE)}
    links = set(re.findall(r"\]\(#([^)]*)\)", made))
    assert links == anchors


def test_a_command_is_described_once_and_none_is_hidden() -> None:
    paths = [page.path for page in pages()]
    assert len(paths) == len(set(paths))
    assert {"minidock run", "minidock ps", "minidock network create", "minidock completion bash"} <= set(paths)
    assert not {"minidock container ls", "minidock __complete", "minidock help"} & set(paths)


def test_roff_takes_nothing_for_a_macro(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    flags = [boolean("all", "a", "'quoted\nand .dotted \\n"), text("name", "", ".hidden")]
    made = manual(Page("minidock x", "Do it", "minidock x [OPTIONS]", [], flags, ".x -- y\n\nz", []))
    assert '.TH "MINIDOCK\\-X" 1 "1970-01-01"' in made
    assert "\\&'quoted" in made and "\\&.hidden" in made and "\\&.x \\-\\- y" in made and "\\en" in made
    known = {".TH", ".SH", ".B", ".BR", ".TP", ".PP", ".nf", ".fi"}
    assert {line.split()[0] for line in made.splitlines() if line.startswith(".")} <= known
