"""explain: why something failed, from what is recorded of a container, from its last words, or from an error's text."""

from __future__ import annotations

import contextlib
import errno
import os
import re

from minidock.engine import causes, logs, tree
from minidock.engine.record import Record, Records, refresh
from minidock.errors import ContainerNotFound, MinidockError, UsageError
from minidock.kernel import execute, rootpath
from minidock.model.facts import Diagnosis, KernelFact
from minidock.paths import Layout

LAST_WORDS = 20
"""Lines of the log that are looked at."""


def explain(layout: Layout, words: str) -> list[Diagnosis]:
    """Of a container when there is one of that name, else of an error's text, an errno or an exit code.

    Empty when a container has nothing to be explained. Raises UsageError for a text that says nothing to us.
    """
    try:
        record = refresh(layout, Records(layout).find(words))
    except ContainerNotFound:
        return _of_text(words)
    return _of_container(layout, record)


def _of_text(words: str) -> list[Diagnosis]:
    number = re.fullmatch(r"(?:exit (?:code |status )?)?(\d{1,3})", words.strip(), re.IGNORECASE)
    cause = causes.of_code(int(number[1])) if number else causes.of_text(words) or causes.of_topic(words)
    if cause is None:
        raise UsageError(
            f"neither a container nor an error that is known here: {words}",
            hint="give the error's own words, an errno (EACCES), a topic (OOM, DNS), an exit code, or a container",
        )
    return [_diagnosis(cause, "CONTAINER", [])]


def _of_container(layout: Layout, record: Record) -> list[Diagnosis]:
    state, name = record.state, record.name
    facts = [
        _fact("state", f"{state.status}, exit code {state.exit_code}", name, "{{.State.Status}} {{.State.ExitCode}}"),
        *([_fact("error", state.error, name, "{{.State.Error}}")] if state.error else []),
    ]
    if state.oom_killed:
        return [_diagnosis(causes.CAUSES[0], name, facts)]
    if not state.error and (state.running or state.exit_code == 0):
        return []
    cause = causes.of_text(state.error)
    if cause and (reason := _file_reason(layout, record)):
        shown = f"minidock cp {name}:{_command(record)} - | tar xO | head -c 64 | od -c"
        facts.append(KernelFact("the file", reason, shown))
    for line in _last_words(layout, record) if cause is None else []:
        if cause := causes.of_text(line):
            facts.append(KernelFact("it said", line, f"minidock logs --tail {LAST_WORDS} {name}"))
            break
    cause = cause or causes.of_code(state.exit_code)
    if cause:
        return [_diagnosis(cause, name, facts)]
    own = "the program ended by itself with that code: the kernel and minidock had no part in it"
    return [
        Diagnosis("an exit code of its own", own, "exit(3)", facts, [f"minidock logs {name}"], "read its last words")
    ]


def _fact(name: str, value: str, container: str, template: str) -> KernelFact:
    return KernelFact(name, value, f"minidock inspect --format '{template}' {container}")


def _diagnosis(cause: causes.Cause, name: str, facts: list[KernelFact]) -> Diagnosis:
    look = [line.format(id=name) for line in cause.look]
    return Diagnosis(cause.title, cause.meaning, cause.man, facts, look, cause.remedy)


def _command(record: Record) -> str:
    """The file that execve(2) was given, where the error names it: `exec /x: exec format error`."""
    found = re.match(r'exec:? "?(/[^":]+)', record.state.error)
    return found[1] if found else ""


def _file_reason(layout: Layout, record: Record) -> str:
    """What the first bytes of the command say. Empty when it isn't there, or says nothing."""
    path = _command(record)
    number = errno.ENOEXEC if "format" in record.state.error else errno.ENOENT
    if not path:
        return ""
    with contextlib.suppress(OSError, MinidockError), tree.opened(layout, record, with_volumes=True) as found:
        fd = rootpath.open_in(found.root, path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return execute.explain(f"/proc/self/fd/{fd}", number)
        finally:
            os.close(fd)
    return ""


def _last_words(layout: Layout, record: Record) -> list[str]:
    """Newest first; none where the log isn't kept here (--log-driver none)."""
    try:
        chunks = logs.of_container(
            layout, record.id, follow=False, tail=LAST_WORDS, since=None, until=None, timestamps=False, details=False
        )
        text = b"".join(said for _, said in chunks).decode(errors="replace")
    except MinidockError:
        return []
    return list(reversed(text.splitlines()))
