"""How Go prints values: fmt's %v and its Sprintf, over what JSON has, typed nils and rows of lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from .flags import go_quote

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


def kind_of(value: object) -> str:
    """The basic kind that comparisons ask for."""
    if isinstance(value, bool):
        return "bool"
    return {int: "int", float: "float", str: "string"}.get(type(value), "")


def go_type(value: object) -> str:
    if isinstance(value, Mapping):
        return "map[string]interface {}"
    if isinstance(value, list | tuple):
        return "[]interface {}"
    names = {"bool": "bool", "int": "int", "float": "float64", "string": "string"}
    return names.get(kind_of(value), "interface {}")


_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+))?(?P<verb>[a-zA-Z%])")


def sprintf(form: object, *values: object) -> str:
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


def sprint(*values: object) -> str:
    """fmt.Sprint: a space between two operands when neither is a string."""
    text = ""
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            text += " "
        text += printed(value, inside=True)
    return text
