"""top and port: what runs in a container, and how one gets at it."""

from __future__ import annotations

from . import context
from .commands import UNLIMITED, Complaint, verb

LEAST_WIDTH, PADDING = 20, 3
"""Of top's columns, in Docker's tabwriter."""


@verb(
    "top",
    "Display the running processes of a container",
    "CONTAINER [ps OPTIONS]",
    least=1,
    most=UNLIMITED,
    aliases=("minidock container top", "minidock top"),
    interspersed=False,
    examples="""
        minidock top web
        minidock top web -o pid,rss,args
    """,
)
def top(arguments: list[str]) -> None:
    titles, rows = context.engine().top(arguments[0], arguments[1:])
    lines = [titles, *rows]
    widths = [
        max(LEAST_WIDTH, *(len(line[column]) + PADDING for line in lines if len(line) > column + 1))
        for column in range(len(titles) - 1)
    ]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        print("".join(cells) + line[-1])


@verb(
    "port",
    "List port mappings or a specific mapping for the container",
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    least=1,
    most=2,
    aliases=("minidock container port", "minidock port"),
    examples="""
        minidock port web
        minidock port web 80/tcp
    """,
)
def port(arguments: list[str]) -> None:
    name, wanted = arguments[0], arguments[1] if len(arguments) > 1 else ""
    found = context.engine().inspect(name)["NetworkSettings"]["Ports"]
    if not wanted:
        rows = [f"{key} -> {where}" for key in found for where in _hosts(found[key])]
        for row in sorted(rows, key=_naturally):
            print(row)
        return
    number, _, protocol = wanted.partition("/")
    _check(number)
    rows = _hosts(found.get(f"{number}/{protocol or 'tcp'}"))
    if not rows:
        raise Complaint(f"Error: No public port '{wanted}' published for {name}", 1)
    for row in sorted(rows, key=_naturally):
        print(row)


def _hosts(bindings: list[dict[str, str]] | None) -> list[str]:
    """`0.0.0.0:8080`, `[::]:8080`."""
    pairs = ((binding["HostIp"], binding["HostPort"]) for binding in bindings or [])
    return [f"[{address}]:{number}" if ":" in address else f"{address}:{number}" for address, number in pairs]


def _check(number: str) -> None:
    problem = "" if number.isascii() and number.isdigit() else "invalid syntax"
    if not problem and int(number) > 65535:
        problem = "value out of range"
    if problem:
        raise Complaint(f'Error: invalid port ({number}): strconv.ParseUint: parsing "{number}": {problem}', 1)


def _naturally(text: str) -> list[tuple[int, str]]:
    """9000 comes after 80."""
    import re

    return [(int(digits or 0), other) for digits, other in re.findall(r"(\d+)|(\D+)", text)]
