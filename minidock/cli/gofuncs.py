"""The functions of --format: Go's own (printf, index, eq …) and those that Docker's templates add (json, join, …).

Each takes the values of its operands; ValueError becomes `error calling NAME: …`. Values are what JSON has, and
`Record`s: rows whose fields are computed when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

Value = Any
"""What a template may meet: JSON's kinds, Nil, Record."""


class Nil:
    """A nil that knows its type in Go: `[]`, `map[]` or `<nil>` when printed, null as JSON, false, empty."""

    def __init__(self, text: str) -> None:
        self.text = text


class Record:
    """A row of a list: fields by name, each computed by a function of no arguments, and methods that take operands."""

    def __init__(
        self, kind: str, fields: Mapping[str, Callable[[], object]], methods: Mapping[str, Callable[..., object]]
    ) -> None:
        self.kind = kind
        self.fields = fields
        self.methods = methods

    def plain(self) -> dict[str, object]:
        """What `json .` shows: every field, in the order of their names, as Go's encoder has them for a map."""
        return {name: self.fields[name]() for name in sorted(self.fields)}


def printed(value: object, *, inside: bool = False) -> str:
    """The value as fmt's %v shows it."""
    if value is None:
        return "<nil>" if inside else "<no value>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, Nil):
        return value.text
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{_member(key, value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(printed(item, inside=True) for item in value) + "]"
    if isinstance(value, Record):
        return printed(value.plain())
    return str(value)


_SET_KEY = re.compile(r"/.*|\d+/(tcp|udp|sctp)")


def _member(key: object, value: object) -> str:
    """Sets of ports and paths are maps to empty structs in Go, which print as {}."""
    return "{}" if value == {} and _SET_KEY.fullmatch(str(key)) else printed(value, inside=True)


def go_float(value: float) -> str:
    """%v of a float64: %g with the shortest digits; exponents below -4 or from 21 on."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    mantissa, letter, exponent = repr(value).partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:]:0>2}" if letter else mantissa


def truth(value: object) -> bool:
    """Whether {{if}} takes it: not zero, not empty, not nil."""
    if isinstance(value, Nil):
        return False
    return True if isinstance(value, Record) else bool(value)


def as_json(value: object) -> str:
    """As Docker's `json`: compact, and `<` `>` `&` as they are."""
    return msgspec.json.encode(value, enc_hook=_encode).decode()


def _encode(value: object) -> object:
    return value.plain() if isinstance(value, Record) else None


def _kind(value: object) -> str:
    """The basic kind that comparisons ask for."""
    if isinstance(value, bool):
        return "bool"
    return {int: "int", float: "float", str: "string"}.get(type(value), "")


def _equal(*values: object) -> bool:
    if len(values) == 1:
        raise ValueError("missing argument for comparison")
    first = values[0]
    for other in values[1:]:
        if isinstance(first, Nil | None) or isinstance(other, Nil | None):
            same = truth(first) is False and truth(other) is False and _kind(first) == _kind(other)
        elif not _kind(first) or _kind(first) != _kind(other):
            raise ValueError("incompatible types for comparison")
        else:
            same = first == other
        if same:
            return True
    return False


def _order(first: Value, second: Value) -> int:
    for value in (first, second):
        if _kind(value) in ("", "bool"):
            raise ValueError("invalid type for comparison")
    if _kind(first) != _kind(second):
        raise ValueError("incompatible types for comparison")
    return int(first > second) - int(first < second)


def go_type(value: object) -> str:
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    if isinstance(value, list | tuple):
        return "[]interface {}"
    names = {"bool": "bool", "int": "int", "float": "float64", "string": "string"}
    return names.get(_kind(value), "interface {}")


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


_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+))?(?P<verb>[a-zA-Z%])")


def _sprintf(form: object, *values: object) -> str:
    """fmt.Sprintf, for %v %s %d %q %t %f %g %e %x %X %o %b %c %U %T %%."""
    left = list(values)

    def one(found: re.Match[str]) -> str:
        if found["verb"] == "%":
            return "%"
        if not left:
            return f"%!{found['verb']}(MISSING)"
        return _one(found, left.pop(0))

    text = _VERB.sub(one, str(form))
    extra = ", ".join(f"{go_type(value)}={printed(value, inside=True)}" for value in left)
    return f"{text}%!(EXTRA {extra})" if left else text


def _one(found: re.Match[str], value: Value) -> str:
    verb, flags = found["verb"], found["flags"]
    precision = None if found["precision"] is None else int(found["precision"])
    number = isinstance(value, int | float) and not isinstance(value, bool)
    sign = "+" if "+" in flags else ""
    if verb in "vs" and not (verb == "s" and number):
        text = printed(value, inside=True) if precision is None else printed(value, inside=True)[:precision]
    elif verb == "q" and isinstance(value, str):
        from .flags import go_quote

        text = go_quote(value)
    elif verb == "t" and isinstance(value, bool):
        text = printed(value)
    elif verb in "doxXb" and isinstance(value, int) and number:
        text = format(value, sign + ("#" if "#" in flags else "") + verb)
    elif verb in "xX" and isinstance(value, str):
        text = value.encode().hex() if verb == "x" else value.encode().hex().upper()
    elif verb in "feEgG" and isinstance(value, float):
        text = format(value, f"{sign}.{6 if precision is None else precision}{verb}")
    elif verb in "cU" and isinstance(value, int) and number:
        text = chr(value) if verb == "c" else f"U+{value:04X}"
    elif verb == "T":
        text = go_type(value)
    else:
        return f"%!{verb}({go_type(value)}={printed(value, inside=True)})"
    width = int(found["width"] or 0) if found["width"] != "*" else 0
    if "-" in flags:
        return text.ljust(width)
    return text.zfill(width) if "0" in flags and number else text.rjust(width)


def _sprint(*values: object) -> str:
    """fmt.Sprint: a space between two operands when neither is a string."""
    text = ""
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            text += " "
        text += printed(value, inside=True)
    return text


def _call_html(*values: object) -> str:
    table: dict[str, str | int | None] = {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&#34;",
        "'": "&#39;",
        "\0": "\ufffd",
    }
    return _sprint(*values).translate(str.maketrans(table))


def _quote_url(*values: object) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_sprint(*values), safe="")


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
    "print": (_sprint, 0, 99),
    "printf": (_sprintf, 1, 99),
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
