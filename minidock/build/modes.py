"""`--chmod`: 755, 0644, or u=rwX,go=rX as chmod(1) reads it."""

from __future__ import annotations

import re

import msgspec

from minidock.errors import MinidockError

CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
ACTION = re.compile(r"([-+=])([ugo](?![rwxXst])|[rwxXst]*)")
SHIFTS = {"u": 6, "g": 3, "o": 0}
BITS = {"r": 4, "w": 2, "x": 1}


class Mode(msgspec.Struct, frozen=True):
    """`octal`, or else the clauses of a symbolic mode."""

    octal: int | None
    clauses: list[tuple[str, list[tuple[str, str]]]]

    def applied(self, mode: int, *, directory: bool) -> int:
        if self.octal is not None:
            return self.octal
        for who, actions in self.clauses:
            for operator, what in actions:
                mode = _changed(mode, who, operator, what, directory)
        return mode


def parse_mode(text: str) -> Mode:
    """Raises MinidockError."""
    if re.fullmatch(r"0*[0-7]{1,4}", text):
        return Mode(int(text, 8), [])
    clauses = []
    for part in text.split(","):
        match = CLAUSE.fullmatch(part)
        if match is None:
            raise MinidockError(
                f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777, or as chmod(1)"
            )
        who = "ugo" if not match[1] or "a" in match[1] else match[1]
        clauses.append((who, [(found[1], found[2]) for found in ACTION.finditer(match[2])]))
    return Mode(None, clauses)


def _changed(mode: int, who: str, operator: str, what: str, directory: bool) -> int:
    bits = mask = 0
    for each in who:
        shift = SHIFTS[each]
        mask |= 7 << shift
        if what in SHIFTS:
            bits |= (mode >> SHIFTS[what] & 7) << shift
            continue
        for letter in what:
            if letter in BITS or (letter == "X" and (directory or mode & 0o111)):
                bits |= BITS.get(letter, 1) << shift
            elif letter == "s":
                bits |= {"u": 0o4000, "g": 0o2000}.get(each, 0)
    if "t" in what and what not in SHIFTS:
        bits |= 0o1000
    if operator == "+":
        return mode | bits
    if operator == "-":
        return mode & ~bits
    return mode & ~mask | bits
