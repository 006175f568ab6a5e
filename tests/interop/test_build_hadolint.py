"""hadolint (its own grammar, in Haskell) on the same Dockerfiles: what we understand, it understands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from minidock.build import grammar, stages
from minidock.errors import DockerfileError
from tests.support.baddockerfiles import BAD
from tests.support.buildcases import cases
from tests.support.needs import require_tool

STRICT = ("unknown instruction", "must have two arguments", "(try CMD)", "two arguments, but only")
"""What both look at. hadolint passes over much else: names of flags and stages, JSON forms, values."""


@pytest.fixture(scope="module")
def hadolint() -> str:
    """From PyPI, beside our Python; elsewhere when somebody has it."""
    beside = Path(sys.executable).with_name("hadolint")
    return str(beside) if beside.exists() else require_tool("hadolint")


def understands(hadolint: str, raw: bytes, place: Path) -> bool:
    """A parse error has a column, a finding has not; what it finds is a matter of taste."""
    place.write_bytes(raw)
    done = subprocess.run([hadolint, "--no-color", str(place)], capture_output=True, text=True, errors="replace")
    return not re.search(r"^\S+:\d+:\d+ ", done.stdout + done.stderr, re.MULTILINE)


def test_what_parses_here_parses_there(hadolint: str, tmp_path: Path) -> None:
    files = {case.name: case.dockerfile.encode() for case in cases()}
    known = {
        "escape-directive",  # a backtick within a value
        "run-bad-json",  # taken for a JSON list that is broken
    }
    refused = [name for name, raw in files.items() if not understands(hadolint, raw, tmp_path / "Dockerfile")]
    assert set(refused) <= known, refused


def test_what_neither_parses(hadolint: str, tmp_path: Path) -> None:
    """Unknown instructions and missing arguments are no matter of taste."""
    agreed = 0
    for raw, said, _ in BAD:
        with pytest.raises(DockerfileError):
            stages.program(grammar.parse(raw))
        if not any(word in said for word in STRICT) or b"\xff" in raw:
            continue
        assert not understands(hadolint, raw, tmp_path / "Dockerfile"), raw
        agreed += 1
    assert agreed >= 8
