"""Patterns of names: .dockerignore's, and the wildcards of COPY. Go's rules, which are not the shell's.

`*` any characters but a slash, `?` one of them, `[a-c]` `[^a]` classes, a backslash takes the meaning of what follows.
In .dockerignore and --exclude also `**`, any number of directories. The last pattern that fits decides; one that
begins with `!` lets back in. A pattern that fits a directory fits all below it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from minidock.errors import MinidockError


class Rule(msgspec.Struct, frozen=True):
    pattern: str
    keeps: bool


def read_file(text: str) -> list[Rule]:
    """The lines of a .dockerignore."""
    rows = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    return rules(row for row in rows if not row.startswith("#"))


def rules(patterns: Iterable[str]) -> list[Rule]:
    found = []
    for row in patterns:
        pattern = row.strip()
        keeps = pattern.startswith("!")
        pattern = pattern[1:].strip() if keeps else pattern
        if not pattern:
            if keeps:
                raise MinidockError('illegal exclusion pattern: "!"')
            continue
        # Roots are the context's; "." and ".." are resolved as in a path, and never lead above it.
        pattern = posixpath.normpath("/" + pattern).lstrip("/") or "."
        compile_pattern(pattern)
        found.append(Rule(pattern, keeps))
    return found


class Ignore:
    """Decides about paths below a root."""

    def __init__(self, found: Sequence[Rule] = ()) -> None:
        self.rules = list(found)
        self.may_return = any(rule.keeps for rule in found)

    def excludes(self, path: str) -> bool:
        """Whether the rules leave it out, itself or a directory above it."""
        parts = path.split("/")
        above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
        excluded = False
        for rule in self.rules:
            if rule.keeps != excluded:
                continue
            regex = compile_pattern(rule.pattern)
            if rule.pattern == "." or any(regex.fullmatch(each) for each in above):
                excluded = not rule.keeps
        return excluded

    def prunes(self, directory: str) -> bool:
        """Whether nothing below an excluded directory can come back, so that it need not be looked into."""
        if not self.excludes(directory):
            return False
        if not self.may_return:
            return True
        return not any(_reaches(rule.pattern, directory) for rule in self.rules if rule.keeps)


def _reaches(pattern: str, directory: str) -> bool:
    """Whether the pattern could fit something below the directory."""
    for have, want in zip(directory.split("/"), pattern.split("/"), strict=False):
        if want == "**" or "**" in want:
            return True
        if not compile_pattern(want).fullmatch(have):
            return False
    return True


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Raises MinidockError for a pattern that is none."""
    parts, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
                parts.append("(?:.*/)?")
            else:
                parts.append(".*")
        elif char == "*":
            parts.append("[^/]*")
        elif char == "?":
            parts.append("[^/]")
        elif char == "[":
            part, at = _class(pattern, at)
            parts.append(part)
        elif char == "\\":
            if at == len(pattern):
                raise MinidockError(f"syntax error in pattern: {pattern}")
            parts.append(re.escape(pattern[at]))
            at += 1
        else:
            parts.append(re.escape(char))
    return re.compile("".join(parts), re.DOTALL)


def _class(pattern: str, at: int) -> tuple[str, int]:
    """[abc], [^a-z]; the closing bracket can't be the first member, as in Go's filepath.Match."""
    out = "[^/" if pattern[at : at + 1] == "^" else "["
    at += out != "["
    members = 0
    while True:
        if at >= len(pattern):
            raise MinidockError(f"syntax error in pattern: {pattern}")
        char = pattern[at]
        at += 1
        if char == "]" and members:
            return out + "]", at
        if char == "\\" and at < len(pattern):
            char = pattern[at]
            at += 1
        elif char in "]-":
            raise MinidockError(f"syntax error in pattern: {pattern}")
        low = char
        if pattern[at : at + 1] == "-":
            high = pattern[at + 1 : at + 2]
            at += 2
            if high == "\\":
                high = pattern[at : at + 1]
                at += 1
            if not high or high == "]" or high < low:
                raise MinidockError(f"syntax error in pattern: {pattern}")
            out += f"{re.escape(low)}-{re.escape(high)}"
        else:
            out += re.escape(low)
        members += 1


def has_wildcards(path: str) -> bool:
    return any(char in path for char in "*?[\\")
