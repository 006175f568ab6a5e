"""Sizes, processors, durations and moments: from what people type, and back to what they read.

Docker's sizes are binary when limits are read (`64m` is 64 MiB) and decimal when images are shown (`1.24MB`):
RAMInBytes and HumanSizeWithPrecision of its go-units.
"""

from __future__ import annotations

import re
import time

from ..errors import UsageError

_SUFFIXES = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def size(raw: str) -> int:
    """Bytes of `64m`, `1.5gb`, `1 GiB`, `1024`: factors of 1024. The number ends at the last digit, dot or space."""
    end = max(raw.rfind(c) for c in "0123456789. ")
    if end < 0:
        raise UsageError(f"invalid size: '{raw}'")
    number = raw[:end] if raw[end] == " " else raw[: end + 1]
    if not number.isascii() or number != number.strip() or "_" in number:
        raise UsageError(f'strconv.ParseFloat: parsing "{number}": invalid syntax')
    try:
        amount = float(number)
    except ValueError:
        raise UsageError(f'strconv.ParseFloat: parsing "{number}": invalid syntax') from None
    suffix = raw[end + 1 :].lower()
    if suffix[:1] not in _SUFFIXES or suffix[1:] not in (("",) if suffix[:1] == "b" else ("", "b", "ib")):
        raise UsageError(f"invalid suffix: '{suffix}'")
    count = amount * 1024 ** _SUFFIXES[suffix[:1]]
    if not 0 <= count < 1 << 63:
        raise UsageError(f"invalid size: '{raw}'")
    return int(count)


def size_or_unlimited(raw: str) -> int:
    """As size(), and -1 for no limit: --memory-swap."""
    return -1 if raw == "-1" else size(raw)


def cpus(raw: str) -> int:
    """1e-9 processors of `1.5`, `1/2`, `1e0`; finer than that is refused."""
    from fractions import Fraction

    try:
        if "_" in raw or raw != raw.strip():
            raise ValueError(raw)
        amount = Fraction(raw)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"failed to parse {raw} as a rational number") from None
    nano = amount * 10**9
    if nano.denominator != 1:
        raise UsageError("value is too precise")
    return int(nano)


_DURATION_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_DURATION_UNITS["h"] = 3600 * 10**9
_DURATION_PART = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"


def duration(raw: str) -> int:
    """Nanoseconds of Go's durations: `1h30m`, `1.5s`, `-2m`, `0`."""
    from fractions import Fraction

    from .flags import go_quote

    sign, rest = (-1, raw[1:]) if raw[:1] == "-" else (1, raw.removeprefix("+"))
    if rest == "0":
        return 0
    total = Fraction(0)
    at = 0
    part = re.compile(_DURATION_PART, re.ASCII)
    while found := part.match(rest, at):
        total += Fraction(found[1].rstrip(".")) * _DURATION_UNITS[found[2]]
        at = found.end()
    if not rest or at != len(rest):
        raise UsageError(f"time: {_duration_problem(rest, at)} {go_quote(raw)}")
    return sign * int(total)


def _duration_problem(rest: str, at: int) -> str:
    number = re.match(r"(\d+\.?\d*|\.\d+)([^\d.]*)", rest[at:], re.ASCII)
    if number is None:
        return "invalid duration"
    unit = number[2]
    return f'unknown unit "{unit}" in duration' if unit else "missing unit in duration"


_FORMS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d")


def moment(raw: str, name: str, *, now: float | None = None) -> float:
    """Seconds since 1970 of --since and --until: a duration back from now, RFC 3339 (local when zoneless), seconds."""
    if raw != "0":  # the beginning, not just now
        try:
            return (time.time() if now is None else now) - duration(raw) / 1e9
        except UsageError:
            pass
    if re.fullmatch(r"\d+(\.\d+)?", raw, re.ASCII):
        return float(raw)
    from datetime import datetime

    text, fraction = raw, 0.0
    if found := re.search(r"(?<=:\d\d)\.(\d+)", raw):  # strptime knows microseconds only, Docker writes nanoseconds
        text, fraction = raw[: found.start()] + raw[found.end() :], float(found.group())
    for form in _FORMS:
        for zone in ("", "%z"):
            try:
                return datetime.strptime(text, form + zone).timestamp() + fraction
            except ValueError:
                continue
    raise UsageError(f'invalid value for "{name}": failed to parse value as time or duration: "{raw}"')


def human_size(count: float, *, digits: int = 3, base: float = 1000.0, binary: bool = False) -> str:
    """`1.24MB`: factors of 1000, `digits` significant digits as C's %g; `binary` for 1024 and `23.5GiB`."""
    names = ("B", "KiB", "MiB", "GiB", "TiB", "PiB") if binary else ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    base = 1024.0 if binary else base
    step = 0
    while count >= base and step < len(names) - 1:
        count /= base
        step += 1
    return f"{count:.{digits}g}{names[step]}".replace("e+03", "000")
