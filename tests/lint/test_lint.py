"""The linters, as tests: one closing line counts everything, and a failure shows what the linter said."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import require_tool

REPOSITORY = Path(__file__).resolve().parents[2]
PLACES = [".ci/*", "scripts/*", "rootfs/**/*", "tests/*/*.sh"]
"""Not the cases of tests/parity: those are written as a person types them, without quotes."""
SCRIPTS = sorted(
    str(path.relative_to(REPOSITORY))
    for place in PLACES
    for path in REPOSITORY.glob(place)
    if path.is_file() and (path.suffix == ".sh" or path.read_bytes().startswith(b"#!/bin/sh"))
)
PYTHON = ["minidock", "labs", "tests", "scripts", "setup.py", "native"]


def clean(*command: str) -> None:
    """The command says that all is well."""
    beside = os.path.dirname(sys.executable)
    program = shutil.which(command[0], path=beside) or require_tool(command[0])
    result = subprocess.run([program, *command[1:]], cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"


def test_ruff_finds_nothing() -> None:
    clean("ruff", "check", "--quiet", *PYTHON)


def test_python_is_formatted() -> None:
    clean("ruff", "format", "--quiet", "--diff", *PYTHON)


def test_types_hold() -> None:
    # Without its cache: that has kept errors about modules which had since been written.
    clean("mypy", "--no-incremental")


def test_import_arrows_point_down() -> None:
    clean("lint-imports")


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_scripts_are_clean(script: str) -> None:
    clean("shellcheck", "--shell=sh", "--severity=warning", script)


def test_manual_pages_are_right(tmp_path: Path) -> None:
    clean(sys.executable, "-m", "minidock.cli.described", "man", str(tmp_path))
    pages = sorted(map(str, tmp_path.glob("*.1")))
    assert f"{tmp_path}/minidock-run.1" in pages
    clean("mandoc", "-T", "lint", "-W", "warning", *pages)
