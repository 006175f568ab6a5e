"""The console examples in README.md and docs/ are true: each ```console block is run and compared.

Lines after `$ ` are run by sh, with minidock on an instance of the document's own; the lines up to the next `$ ` are
what must come out (stdout and stderr together). `...` stands for anything in a line, and alone on a line for any
number of lines. Runs of blanks count as one: column widths may differ. An example whose command fails is wrong, too.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.support.instance import Minidock
from tests.support.needs import require_root

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("**/*.md")])


class Example(msgspec.Struct, frozen=True):
    """A command with the output that the document claims; `line` is where it stands."""

    line: int
    command: str
    claimed: list[str]


def examples(text: str) -> list[Example]:
    """The commands of all console blocks, in order."""
    found: list[Example] = []
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            inside = line == "```console"
        elif inside and line.startswith("$ "):
            found.append(Example(number, line[2:], []))
        elif inside:
            found[-1].claimed.append(line)
    return found


def agrees(claimed: list[str], said: str) -> bool:
    """Whether the output is what the document claims."""
    pattern = "".join(r"(?:[^\n]*\n)*" if line == "..." else one_line(line) + r"\n" for line in claimed)
    normal = "".join(f"{' '.join(line.split())}\n" for line in said.splitlines())
    return re.fullmatch(pattern, normal) is not None


def one_line(claimed: str) -> str:
    words = " ".join(claimed.split())
    return r"[^\n]*".join(re.escape(part.strip()) for part in words.split("..."))


@pytest.mark.parametrize(
    ("claimed", "said", "true"),
    [
        (["a  b"], "a b\n", True),
        (["a"], "a\nb\n", False),
        (["a", "..."], "a\nb\nc\n", True),
        (["a", "..."], "a\n", True),
        (["...", "c"], "a\nb\n", False),
        (["id ... end"], "id 12 34 end\n", True),
        (["...limit"], "   3. limit\n", True),
        ([], "noise\n", False),
        (["a.c"], "abc\n", False),
    ],
)
def test_the_comparison_itself(claimed: list[str], said: str, true: bool) -> None:
    assert agrees(claimed, said) is true


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if examples(path.read_text())], ids=lambda p: p.name)
def test_examples_are_true(document: Path, minidock: Minidock, tmp_path: Path) -> None:
    require_root()
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, script in (("minidock", f'{sys.executable} -I -S {REPOSITORY}/scripts/start.py "$@"'), ("sudo", '"$@"')):
        (commands / name).write_text(f"#!/bin/sh\nexec {script}\n")
        (commands / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "MINIDOCK_ROOT": str(minidock.layout.root)}
    for example in examples(document.read_text()):
        result = subprocess.run(
            ["sh", "-c", f"exec 2>&1\n{example.command}"],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = f"{document.name}:{example.line}: $ {example.command}\n{result.stdout}(exit {result.returncode})"
        assert result.returncode == 0 and agrees(example.claimed, result.stdout), told
