"""Times as they are written down, and how long ago they are as people say it.

As go-units' HumanDuration, which `ps` and `images` of Docker use.
"""

from __future__ import annotations

import time


def timestamp(seconds: float | None = None) -> str:
    """Now, or a Unix time, as RFC 3339 with nanoseconds in UTC."""
    nanoseconds = time.time_ns() if seconds is None else int(seconds * 1e9)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 1_000_000_000))
    return f"{whole}.{nanoseconds % 1_000_000_000:09d}Z"


def human_duration(seconds: float) -> str:
    """How long, in the words of `docker ps`: "Less than a second", "About a minute", "2 hours"."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, unit, name in ((48, 1, "hours"), (24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks")):
        if hours < limit:
            return f"{hours // unit} {name}"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def unix(written: str) -> int:
    """RFC 3339 → Unix seconds; 0 for what isn't a time."""
    from datetime import UTC, datetime

    try:
        return int(datetime.fromisoformat(written[:19]).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return 0


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def moment_of(text: str) -> float:
    """Unix seconds of "10m" (ago), of a date as in RFC 3339, or of Unix seconds. Raises ValueError."""
    import re
    import time
    from datetime import UTC, datetime

    if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
        return float(text)
    if re.fullmatch(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+", text):
        parts = re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", text)
        return time.time() - sum(float(count) * _UNITS[unit] for count, unit in parts)
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def go_duration(nanoseconds: int) -> str:
    """As Go prints a duration: `300ms`, `1.5s`, `1m30s`, `2h0m0s`."""
    for unit, name in ((1, "ns"), (10**3, "µs"), (10**6, "ms")):
        if 0 < nanoseconds < min(unit * 1000, 10**9):
            return f"{nanoseconds / unit:.9g}{name}"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    seconds = f"{rest / 10**9:.11g}s"
    if minutes == 0:
        return seconds
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}"
