"""lab: write a container runtime, and let the kernel say whether it is right."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from .commands import UNLIMITED, Entry, Noun, verb
from .flags import boolean

if TYPE_CHECKING:
    from ..labs.bench import Fact
    from ..labs.workspace import Exercise, Workspace

lab = Noun(
    "lab",
    "Learn by writing a container runtime",
    {
        "ls": Entry("lab:ls", "List the labs, and what you have done"),
        "start": Entry("lab:start", "Put a lab's task and program into ./minidock-labs"),
        "check": Entry("lab:check", "Ask the kernel whether your program does what it should"),
        "run": Entry("lab:run", "Run your program by hand, in a sandbox"),
        "hint": Entry("lab:hint", "Show the next hint"),
        "solution": Entry("lab:solution", "Put a solution beside your program"),
        "reset": Entry("lab:reset", "Begin a lab again; your program is kept under another name"),
    },
    also={"list": "ls"},
    usage="COMMAND",
)


@verb("ls", "List the labs, and what you have done", "", examples="minidock lab ls")
def ls() -> None:
    from ..labs import catalogue, faults
    from ..labs.workspace import Workspace

    workspace = Workspace()
    progress = workspace.progress()
    everything: list[Exercise] = [*catalogue.labs(), *faults.faults()]
    for one in everything:
        started = "started" if (workspace.path / one.file).exists() else ""
        state = "done" if one.number in progress.done else started
        name = one.name if isinstance(one, catalogue.Lab) else ""
        print(f"{one.number:<9} {name:<12} {state:<8} {one.title}".rstrip())


@verb(
    "start",
    "Put a lab's task and program into ./minidock-labs",
    "LAB",
    least=1,
    examples="""
        minidock lab start 1
        minidock lab start network
        minidock lab start broken-1
    """,
)
def start(arguments: list[str]) -> None:
    from ..labs.workspace import Workspace

    one, workspace = _find(arguments), Workspace()
    given = workspace.start(one)
    if given:
        print(f"You begin in the middle: of lab {', '.join(given)} you get the solutions.\n")
    print(one.task())
    print(f"Your program:  {workspace.path / one.file}")
    print(f"Then:          sudo minidock lab check {one.number}     and for help: minidock lab hint {one.number}")


@verb(
    "check",
    "Ask the kernel whether your program does what it should",
    "[OPTIONS] LAB",
    flags=[boolean("watch", "w", "Check again whenever the program has changed, until all is true")],
    least=1,
    examples="""
        minidock lab check 4
        minidock lab check --watch 4
    """,
)
def check(arguments: list[str], watch: bool) -> None:
    from ..labs.workspace import Workspace

    one, workspace = _find(arguments), Workspace()
    program = workspace.program(one)
    while not (right := _checked(one, workspace)) and watch:
        before = program.stat().st_mtime_ns
        print(f"waiting for {program} to change (Ctrl-C ends)", flush=True)
        while program.stat().st_mtime_ns == before:
            time.sleep(0.2)
    if not right:
        raise click.exceptions.Exit(1)


def _checked(one: Exercise, workspace: Workspace) -> bool:
    from ..labs import check as checking
    from ..labs.catalogue import Lab

    facts = checking.check(one, workspace.program(one))
    for fact in facts:
        show(fact, hints=isinstance(one, Lab))
    right = all(fact.true for fact in facts)
    if right:
        workspace.passed(one)
        print(f"\n{one.number} is done: {len(facts)} facts, all true.")
    else:
        print(f"\nNot yet. After a change: sudo minidock lab check {one.number}")
    sys.stdout.flush()
    return right


def show(fact: Fact, *, hints: bool = True) -> None:
    """One line, and below a fact that isn't true what helps; the reason is to be found by oneself without `hints`."""
    print(f"  {'true ' if fact.true else 'FALSE'}  {fact.text}")
    if fact.true:
        return
    for name in ("found", "look", "man", "hint")[: 4 if hints else 3]:
        if text := getattr(fact, name):
            print(f"         {name + ':':<7} " + text.replace("\n", "\n" + " " * 17))


@verb(
    "run",
    "Run your program by hand, in a sandbox",
    "[OPTIONS] LAB [ARGUMENT...]",
    flags=[boolean("host", "", "Not in a sandbox: on this machine, which then has the mounts, links and names, too")],
    least=1,
    most=UNLIMITED,
    interspersed=False,
    examples="""
        minidock lab run 2 fresh hostname
        minidock lab run --host 8 rootfs sleep 100
    """,
)
def run(arguments: list[str], host: bool) -> None:
    from ..labs import by_hand
    from ..labs.workspace import Workspace

    program = Workspace().program(_find(arguments))
    raise click.exceptions.Exit(by_hand.run(program, arguments[1:], on_host=host))


@verb("hint", "Show the next hint", "LAB", least=1, examples="minidock lab hint 4")
def hint(arguments: list[str]) -> None:
    from ..labs.workspace import Workspace

    number, count, text = Workspace().hint(_find(arguments))
    print(f"Hint {number} of {count}: {text}")
    if number == count:
        print(f"That was the last one. To see a solution: minidock lab solution {arguments[0]}")


@verb("solution", "Put a solution beside your program", "LAB", least=1, examples="minidock lab solution 4")
def solution(arguments: list[str]) -> None:
    from ..labs.workspace import Workspace

    print(Workspace().put_solution(_find(arguments)))


@verb(
    "reset",
    "Begin a lab again; your program is kept under another name",
    "LAB",
    least=1,
    examples="minidock lab reset 4",
)
def reset(arguments: list[str]) -> None:
    from ..labs.workspace import Workspace

    print(f"Your program is now {Workspace().reset(_find(arguments))}")


def _find(arguments: list[str]) -> Exercise:
    from ..labs import faults

    return faults.find(arguments[0])
