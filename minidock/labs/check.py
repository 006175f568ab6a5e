"""One check: the student's program in a sandbox, and each fact asked of the kernel."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from minidock.labs import sandbox
from minidock.labs.bench import Fact, Host, Untrue
from minidock.labs.catalogue import Lab
from minidock.labs.faults import Fault


def check(lab: Lab | Fault, program: Path) -> list[Fact]:
    """The facts in order, up to the first that isn't true. Raises MinidockError without root."""
    return facts_of(lab.check_file, program)


def facts_of(file: Path, program: Path) -> list[Fact]:
    """Of any check file: a fault's is one, too."""
    look = _load(file)

    def ask(base: Path, name: str) -> bytes:
        host = Host(program, base, name)
        with contextlib.suppress(Untrue):  # it is the last in the list
            look(host)
        return msgspec.json.encode(host.facts)

    return msgspec.json.decode(sandbox.inside(ask), type=list[Fact])


def _load(file: Path) -> Callable[[Host], None]:
    spec = importlib.util.spec_from_file_location(f"minidock_lab_{os.path.basename(file.parent)[:2]}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    look: Callable[[Host], None] = module.check
    return look
