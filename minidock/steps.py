"""Steps: everything minidock asks of the kernel for a container, as objects that can be told, done and undone.

A step is a frozen struct of plain values, so that a list of steps can be printed (`--dry-run`), turned into a shell
script (`--as-shell`), narrated while it runs (`--explain`), and written down as JSON before it is applied: the
journal, from which a later process undoes what a killed one left.

Facts that only exist while a container is being made (the pid of its first process) are not in the step; they
travel beside it in `Live`, and appear in shell lines as variables: `$PID`.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar, Protocol

import msgspec

from .errors import MinidockError, StepFailed


class Live:
    """What is known only while the plan runs: filled in by the runtime, read by later steps."""

    def __init__(self, pid: int = 0) -> None:
        self.pid = pid
        """Process id of the container's first process, in the namespace of the reader; 0 before it exists."""
        self.fds: dict[str, int] = {}
        """Descriptors one step opens for a later one, by a name both know."""
        self.actions: dict[str, Callable[[], None]] = {}
        """What the runtime lends to steps that stand for its own moves: `spawn`, `proceed`, `exec`."""


class Step(msgspec.Struct, frozen=True):
    """One thing asked of the kernel. Subclasses add their values as fields and fill in the verbs."""

    man: ClassVar[str] = ""
    """The man page to read: `mount(2)`."""

    def describe(self) -> str:
        """One sentence in the imperative without a full stop: `mount a new proc at /proc`."""
        raise TypeError(f"{type(self).__name__} has no describe()")

    def shell(self) -> str:
        """The line or lines of sh, util-linux, ip or nft that do the same; a line starting with `#` where none can."""
        raise TypeError(f"{type(self).__name__} has no shell()")

    def undo_shell(self) -> str:
        """The lines that take it back, for the end of the script; empty when it ends with the processes anyway."""
        return ""

    def apply(self, live: Live) -> None:
        """Do it. Raises MinidockError; what was half done when it raises, undo() cleans up."""
        raise TypeError(f"{type(self).__name__} has no apply()")

    def code(self) -> CodeType:
        """What does it, for narration: apply(), or the step's own place where the runtime does it."""
        kind = type(self)
        return (kind.describe if kind.apply is Step.apply else kind.apply).__code__

    def lend(self, live: Live) -> int:
        """For steps of the child that need more rights than it has: a descriptor that the parent opens for it."""
        raise TypeError(f"{type(self).__name__} has nothing to lend")

    def undo(self, live: Live) -> None:
        """Take it back. Idempotent: runs after a failure, a crash, or twice. Needs nothing but the step's own values.

        Steps of the child do nothing here: what they made lives in namespaces that end with the process.
        """


class Narrator(Protocol):
    """Somebody who is told what happens to the steps, as it happens."""

    def moved(self, where: str) -> None:
        """Who acts from now on: minidock on the `host`, or the first process in the `container`."""

    def started(self, step: Step) -> None: ...
    def done(self, step: Step, seconds: float) -> None: ...
    def failed(self, step: Step, error: BaseException) -> None: ...
    def undone(self, step: Step) -> None: ...


class Silent:
    """The narrator of a command without --explain."""

    def moved(self, where: str) -> None: ...
    def started(self, step: Step) -> None: ...
    def done(self, step: Step, seconds: float) -> None: ...
    def failed(self, step: Step, error: BaseException) -> None: ...
    def undone(self, step: Step) -> None: ...


SILENT = Silent()


class Collector(Silent):
    """A narrator that keeps the steps it is told of: for plans that are found out by asking."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def done(self, step: Step, seconds: float) -> None:
        self.steps.append(step)


def apply_all(steps: Sequence[Step], live: Live, narrator: Narrator = SILENT) -> None:
    """Apply the steps in order. When one fails, undo it and all before it in reverse, then raise StepFailed."""
    for index, step in enumerate(steps):
        try:
            narrator.started(step)
            begun = time.perf_counter()
            step.apply(live)
            narrator.done(step, time.perf_counter() - begun)
        except BaseException as error:
            narrator.failed(step, error)
            undo_all(steps[: index + 1], live, narrator)
            if isinstance(error, MinidockError | OSError) and not isinstance(error, StepFailed):
                raise wrap(step, error) from error
            raise


def wrap(step: Step, error: MinidockError | OSError) -> MinidockError:
    """An error of a step, as the user meets it. Errors that speak for themselves (a taken port) pass unchanged."""
    from .errors import SystemCallFailed

    if isinstance(error, MinidockError) and not isinstance(error, SystemCallFailed):
        return error
    if isinstance(error, MinidockError):
        return StepFailed(step.describe(), str(error), hint=error.hint)
    where = f"{error.filename}: " if error.filename is not None else ""
    return StepFailed(step.describe(), where + (error.strerror or str(error)).lower())


def undo_all(steps: Sequence[Step], live: Live, narrator: Narrator = SILENT) -> list[str]:
    """Undo in reverse, all of them whatever happens; returns what could not be undone, one sentence each."""
    problems = []
    for step in reversed(steps):
        try:
            step.undo(live)
            narrator.undone(step)
        except (MinidockError, OSError) as error:
            problems.append(f"undo of '{step.describe()}': {error}")
    return problems


# The journal: a list of steps as JSON that a person can read, and that a later minidock can undo.


def takes_back(step: Step) -> bool:
    """Whether the step has anything to undo; only such need to be in a journal."""
    return type(step).undo is not Step.undo


def to_journal(steps: Iterable[Step]) -> bytes:
    """The steps as JSON: a list of {"step": "minidock.kernel.overlay:MountOverlay", "values": {...}}."""
    rows = [
        {"step": f"{type(step).__module__}:{type(step).__qualname__}", "values": msgspec.to_builtins(step)}
        for step in steps
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=1)


def from_journal(raw: bytes) -> list[Step]:
    """The steps of a journal. Raises MinidockError when it is damaged or names what is not a step of minidock."""
    try:
        return [_revive(row["step"], row["values"]) for row in msgspec.json.decode(raw)]
    except (msgspec.MsgspecError, KeyError, TypeError, ImportError, AttributeError) as error:
        raise MinidockError(f"damaged journal of steps: {error}") from error


def _revive(name: str, values: dict[str, Any]) -> Step:
    module, _, attribute = name.partition(":")
    if not module.startswith("minidock."):
        raise TypeError(f"{name} is not one of minidock's steps")
    kind = getattr(importlib.import_module(module), attribute)
    if not (isinstance(kind, type) and issubclass(kind, Step)):
        raise TypeError(f"{name} is not a step")
    return msgspec.convert(values, kind)


def reason_of(step: Step) -> str:
    """Why there is such a step: the first sentence of what its code says of itself, or of its file; for narration."""
    text = type(step).__doc__ or ""
    if not text or text.startswith(f"{type(step).__name__}("):  # msgspec's own
        text = importlib.import_module(type(step).__module__).__doc__ or ""
    first = " ".join(text.strip().split("\n\n")[0].split())
    return first.split(". ")[0].rstrip(".")


def source_of(step: Step) -> str:
    """Where the step's apply() stands, `minidock/kernel/uts.py:31`; for narration only."""
    code = step.code()
    path, root = Path(code.co_filename), Path(__file__).parents[1]
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{shown}:{code.co_firstlineno}"
