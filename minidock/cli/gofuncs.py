"""The functions of --format: Go's own (printf, index, eq …) and those that Docker's templates add (json, join, …).

Each takes the values of its operands; ValueError becomes `error calling NAME: …`. Values are what JSON has, and
`Record`s: rows whose fields are computed when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from .goprint import Nil, Record, Value, go_type, kind_of, printed, sprint, sprintf


def truth(value: object) -> bool:
    """Whether {{if}} takes it: not zero, not empty, not nil."""
    if isinstance(value, Nil):
        return False
    return True if isinstance(value, Record) else bool(value)


def as_json(value: object) -> str:
    """As Docker's `json`: compact, and `<` `>` `&` as they are. Of a whole row they are escaped: Go's default there."""
    text = msgspec.json.encode(value, enc_hook=_encode).decode()
    return text.translate(_ESCAPED) if isinstance(value, Record) else text


_ESCAPED = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


def _encode(value: object) -> object:
    return value.plain() if isinstance(value, Record) else None


def _equal(*values: object) -> bool:
    if len(values) == 1:
        raise ValueError("missing argument for comparison")
    first = values[0]
    for other in values[1:]:
        if isinstance(first, Nil | None) or isinstance(other, Nil | None):
            same = truth(first) is False and truth(other) is False and kind_of(first) == kind_of(other)
        elif not kind_of(first) or kind_of(first) != kind_of(other):
            raise ValueError("incompatible types for comparison")
        else:
            same = first == other
        if same:
            return True
    return False


def _order(first: Value, second: Value) -> int:
    for value in (first, second):
        if kind_of(value) in ("", "bool"):
            raise ValueError("invalid type for comparison")
    if kind_of(first) != kind_of(second):
        raise ValueError("incompatible types for comparison")
    return int(first > second) - int(first < second)


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | list | tuple):
        return len(value)
    if isinstance(value, Nil) and value.text != "<nil>":
        return 0
    raise ValueError("len of nil pointer" if value is None else f"len of type {go_type(value)}")


def _index(value: Value, *keys: Value) -> object:
    for key in keys:
        if value is None or (isinstance(value, Nil) and value.text != "map[]"):
            raise ValueError("index of untyped nil" if value is None else "reflect: slice index out of range")
        if isinstance(value, Mapping | Nil):
            if not isinstance(key, str):
                raise ValueError(f"value has type {go_type(key)}; should be string")
            value = "" if isinstance(value, Nil) else value.get(key, _zero(value))
        elif isinstance(value, Sequence):
            if not isinstance(key, int) or isinstance(key, bool):
                raise ValueError(f"cannot index slice/array with type {go_type(key)}")
            if not 0 <= key < len(value):
                raise ValueError(
                    "reflect: slice index out of range" if key == len(value) else f"index out of range: {key}"
                )
            value = value.encode()[key] if isinstance(value, str) else value[key]
        else:
            raise ValueError(f"can't index item of type {go_type(value)}")
    return value


def _zero(value: Mapping[str, object]) -> object:
    """What a missing key of a map gives: an empty string among strings, nothing among others."""
    return "" if all(isinstance(item, str) for item in value.values()) else None


def _slice(value: Value, *bounds: int) -> object:
    if isinstance(value, str):
        return value.encode()[slice(*(bounds or (None,)))].decode(errors="replace")
    if not isinstance(value, list | tuple):
        raise ValueError(f"can't slice item of type {go_type(value)}")
    start, end = (*bounds, *(0, len(value))[len(bounds) :])[:2] if len(bounds) < 2 else bounds[:2]
    if not 0 <= start <= end <= len(value):
        raise ValueError(f"index out of range: {end}")
    return value[start:end]


def _call_html(*values: object) -> str:
    table: dict[str, str | int | None] = {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&#34;",
        "'": "&#39;",
        "\0": "\ufffd",
    }
    return sprint(*values).translate(str.maketrans(table))


def _quote_url(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus(sprint(*values), safe="")


def _join(items: Value, separator: str) -> str:
    return separator.join(printed(item) for item in ([] if isinstance(items, Nil) else items))


def _title(text: str) -> str:
    return re.sub(r"(^|[\s])(\S)", lambda found: found[1] + found[2].upper(), text)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


FUNCTIONS: dict[str, tuple[Callable[..., object], int, int]] = {
    "json": (as_json, 1, 1),
    "split": (lambda text, separator: text.split(separator), 2, 2),
    "join": (_join, 2, 2),
    "title": (_title, 1, 1),
    "lower": (str.lower, 1, 1),
    "upper": (str.upper, 1, 1),
    "pad": (_pad, 3, 3),
    "truncate": (lambda text, length: text[:length], 2, 2),
    "println": (lambda *values: " ".join(printed(value, inside=True) for value in values) + "\n", 0, 99),
    "print": (sprint, 0, 99),
    "printf": (sprintf, 1, 99),
    "len": (_length, 1, 1),
    "index": (_index, 1, 99),
    "slice": (_slice, 1, 4),
    "eq": (_equal, 1, 99),
    "ne": (lambda first, second: not _equal(first, second), 2, 2),
    "lt": (lambda first, second: _order(first, second) < 0, 2, 2),
    "le": (lambda first, second: _order(first, second) <= 0, 2, 2),
    "gt": (lambda first, second: _order(first, second) > 0, 2, 2),
    "ge": (lambda first, second: _order(first, second) >= 0, 2, 2),
    "not": (lambda value: not truth(value), 1, 1),
    "html": (_call_html, 1, 99),
    "urlquery": (_quote_url, 1, 99),
    # Evaluated by gotemplate, which stops at the first operand that decides.
    "and": (lambda *values: values[-1], 1, 99),
    "or": (lambda *values: values[-1], 1, 99),
}
"""Name → (function, least operands, most operands)."""

TYPED = {"upper": "s", "lower": "s", "title": "s", "split": "ss", "join": "ls", "pad": "s", "truncate": "s"}
"""Operands that must be strings (s) or lists of them (l), by position."""
