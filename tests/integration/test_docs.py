"""The console examples in README.md and docs/ are true: each ```console block is run and compared.

Lines after `$ ` are run by sh, with minidock on an instance of the document's own; `> ` right below goes on with the
command, and the lines up to the next `$ ` are what must come out (stdout and stderr together). `...` stands for
anything in a line, and alone on a line for any number of lines. Runs of blanks count as one: column widths may differ.
An example whose command fails is wrong, too. Variables live from one command to the next, as in a terminal.

The chapters of the book share one instance: what they need of images and networks is made once.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from minidock.paths import Layout
from tests.support.instance import Minidock
from tests.support.needs import IN_VM, require_root
from tests.support.registry import Registry

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTLESS = REPOSITORY / "docs" / "rootless.md"
"""Whose examples are an ordinary user's: test_rootless.py runs them."""
DOCUMENTS = sorted({REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("**/*.md")} - {ROOTLESS})


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
        elif inside and line.startswith("> ") and not found[-1].claimed:
            found[-1] = Example(found[-1].line, f"{found[-1].command}\n{line[2:]}", [])
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


RUNNABLE = [path for path in DOCUMENTS if examples(path.read_text())]
BOOK = [path for path in RUNNABLE if path.parent.name == "book"]
ON_BOTH = ("07-cgroups", "08-devices")
"""The chapters that tell of both versions of cgroups: readers have one or the other, so these are run on both."""
REMEMBER = "exec 2>&1\n[ ! -e '{file}' ] || . '{file}'\nset -a\ntrap 'export -p >'\\''{file}'\\' EXIT\n{command}"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, busybox_image: Path) -> Iterator[Minidock]:
    """The instance that the chapters share."""
    require_root()
    instance = Minidock(Layout(tmp_path_factory.mktemp("book") / "root"))
    if IN_VM:  # to make it there takes three minutes
        instance("load", "-i", str(busybox_image), check=True)
    instance("run", "--rm", "busybox", "true", check=True)  # whoever begins with a later chapter has the image, too
    yield instance
    instance.close()
    shutil.rmtree(instance.layout.run, ignore_errors=True)


@pytest.mark.parametrize("document", [path for path in RUNNABLE if path not in BOOK], ids=lambda p: p.name)
def test_examples_are_true(document: Path, minidock: Minidock, tmp_path: Path) -> None:
    require_root()
    with contextlib.ExitStack() as stack:
        own = {"REGISTRY": stack.enter_context(serving(tmp_path / "registry"))} if needs_registry(document) else {}
        follow(document, minidock, tmp_path, own)


@pytest.mark.parametrize(
    "chapter", [pytest.param(at, marks=pytest.mark.vm if at.stem in ON_BOTH else (), id=at.stem) for at in BOOK]
)
def test_the_book_is_true(chapter: Path, library: Minidock, tmp_path: Path) -> None:
    """Each chapter takes its containers away: the next one may be read by itself."""
    with contextlib.ExitStack() as stack:
        own = {"REGISTRY": stack.enter_context(serving(tmp_path / "registry"))} if needs_registry(chapter) else {}
        follow(chapter, library, tmp_path, own)
    left = library("ps", "-aq", check=True).stdout.split()
    if left:
        library("rm", "-f", *left)
    assert left == []


def needs_registry(chapter: Path) -> bool:
    return "$REGISTRY" in chapter.read_text()


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[str]:
    registry = Registry(directory)
    registry.start()
    try:
        yield registry.address
    finally:
        registry.stop()


def follow(document: Path, minidock: Minidock, place: Path, own: Mapping[str, str]) -> None:
    """Type every example of the document, in its order, in a directory of its own."""
    commands = place / "bin"
    commands.mkdir()
    python = f"{sys.executable} -I -S {REPOSITORY}/scripts"
    for name, script in (
        ("minidock", f'{python}/start.py "$@"'),
        ("minidock-oci", f'{python}/start_oci.py "$@"'),
        ("sudo", '"$@"'),
    ):
        (commands / name).write_text(f"#!/bin/sh\nexec {script}\n")
        (commands / name).chmod(0o755)
    home = place / "home"
    home.mkdir()
    (home / ".venv").symlink_to(sys.prefix)  # the commands of a document are typed in a checkout
    environment = {
        **os.environ,
        **own,
        "PATH": f"{commands}:{os.environ['PATH']}",
        "MINIDOCK_ROOT": str(minidock.layout.root),
    }
    for example in examples(document.read_text()):
        result = subprocess.run(
            ["sh", "-c", REMEMBER.format(file=place / "variables", command=example.command)],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = f"{document.name}:{example.line}: $ {example.command}\n{result.stdout}(exit {result.returncode})"
        assert result.returncode == 0 and agrees(example.claimed, result.stdout), told
