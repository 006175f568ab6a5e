"""-e, --env-file, -l, --label-file: names and values, from words and from files of lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import UsageError


def check_env(raw: str) -> str:
    """One -e: `NAME=value`, or `NAME` to take the value from here."""
    if not raw.partition("=")[0]:
        raise UsageError(f"invalid environment variable: {raw}")
    return raw


def check_label(raw: str) -> str:
    if not raw.partition("=")[0]:
        raise UsageError(f"invalid label '{raw}': empty name")
    return raw


def environment(files: Sequence[str], words: Sequence[str]) -> list[str]:
    """The container's own variables: files first, then -e, the last of a name wins at the place of the first.

    A bare `NAME` takes its value from our environment. Without one it stays bare: it removes what the image set.
    """
    found: dict[str, str] = {}
    for entry in [*_from_files(files, keep_bare=False), *words]:
        name, equals, _ = entry.partition("=")
        if not equals and name in os.environ:
            entry = f"{name}={os.environ[name]}"
        found[name] = entry
    return list(found.values())


def labels(files: Sequence[str], words: Sequence[str]) -> dict[str, str]:
    """Labels of files and words; a bare word is a label with an empty value, a bare line of a file is none."""
    lines = [line for line in _from_files(files, keep_bare=True) if "=" in line]
    return dict(entry.partition("=")[::2] for entry in [*lines, *words])


def key_values(words: Iterable[str]) -> dict[str, str]:
    """`a=b` words as a dictionary, for --log-opt and the like: by name, as Docker shows it, the last of a name."""
    return dict(sorted(dict(word.partition("=")[::2] for word in words).items()))


def _from_files(files: Sequence[str], *, keep_bare: bool) -> list[str]:
    entries = []
    for name in files:
        for entry in _lines(name):
            bare = "=" not in entry
            if keep_bare or not bare or entry in os.environ:
                entries.append(entry)
    return entries


def _lines(name: str) -> list[str]:
    """The entries of a file: `NAME=value` or `NAME`; empty lines and comments are skipped, values kept as they are."""
    try:
        raw = Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"open {name}: {(error.strerror or str(error)).lower()}") from None
    entries = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            text = line.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            shown = " ".join(map(str, line))
            raise UsageError(f"invalid env file ({name}): invalid utf8 bytes at line {number}: [{shown}]") from None
        text = text.lstrip()
        if text and not text.startswith("#"):
            entries.append(_entry(name, text))
    return entries


def _entry(file: str, line: str) -> str:
    variable, equals, value = line.partition("=")
    if not variable:
        raise UsageError(f"invalid env file ({file}): no variable name on line '{line}'")
    if not equals:
        variable = variable.strip() if " " not in variable.strip() else variable
    if any(c.isspace() for c in variable):
        raise UsageError(f"invalid env file ({file}): variable '{variable}' contains whitespaces")
    return f"{variable}={value}" if equals else variable
