"""Times as they are written down, and how long ago they are as people say it.

As go-units' HumanDuration, which `ps` and `images` of Docker use.
"""

from __future__ import annotations


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
