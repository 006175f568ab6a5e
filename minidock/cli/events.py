"""events: what happens, as it happens, and what has happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from . import context
from .commands import Complaint, verb
from .flags import many, text
from .tables import group_filters, parse_filter

if TYPE_CHECKING:
    from ..model.events import Event

KINDS = ("config", "container", "daemon", "image", "network", "node", "plugin", "secret", "service", "volume")
FILTERS: Mapping[str, tuple[str, ...] | None] = dict.fromkeys((*KINDS, "event", "label", "scope", "type"))
"""All of Docker's, with any value."""


@verb(
    "events",
    "Get real time events from the server",
    "[OPTIONS]",
    flags=[
        many("filter", "f", "Filter output based on conditions provided", kind="filter", parse=parse_filter),
        text(
            "format",
            "",
            "Format output using a custom template:\n'json': Print in JSON format\n"
            "'TEMPLATE': Print output using the given Go template",
        ),
        text("since", "", "Show all events created since timestamp"),
        text("until", "", "Stream events until this timestamp"),
    ],
    aliases=("minidock system events", "minidock events"),
    examples="""
        minidock events
        minidock events --since 1h --until 0s --filter event=die
        minidock events --filter container=web --format '{{.Action}} {{.Actor.Attributes.exitCode}}'
    """,
)
def events(filter: list[tuple[str, str]], format: str, since: str, until: str) -> None:
    show = _templated(format) if format else line
    found = context.engine().events(since=_moment(since), until=_moment(until), filters=group_filters(filter, FILTERS))
    for event in found:
        print(show(event), flush=True)


def _moment(raw: str) -> float | None:
    from ..errors import UsageError
    from .units import moment

    if not raw:
        return None
    try:
        return moment(raw, "")
    except UsageError:
        raise Complaint(f'failed to parse value as time or duration: "{raw}"', 1) from None


def line(event: Event) -> str:
    """`2026-11-25T16:01:12.123456789Z container start ID (image=busybox, name=web)`, in local time."""
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(event.actor.attributes.items()))
    told = f"{local_time(event.nanoseconds)} {event.type} {event.action} {event.actor.id}"
    return f"{told} ({attributes})" if attributes else told


def local_time(nanoseconds: int) -> str:
    """RFC 3339 with nine digits, in the zone of whoever looks."""
    from datetime import datetime

    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    at = datetime.fromtimestamp(seconds).astimezone()
    zone = at.strftime("%z")
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest:09d}{'Z' if zone == '+0000' else f'{zone[:3]}:{zone[3:]}'}"


def _templated(form: str) -> Callable[[Event], str]:
    """The template as a function, tried on an empty event first: a mistake shows before anything happens."""
    from ..model.events import Event
    from .gotemplate import Record, TemplateError, parse, render

    if form == "json":
        return lambda event: msgspec.json.encode(event).decode()

    class Message(Record):
        """Whole, it is what travels; by name, the members of Go's struct."""

        def __init__(self, event: Event) -> None:
            super().__init__("events.Message", _fields(event), {})
            self.event = event

        def plain(self) -> dict[str, object]:
            found: dict[str, object] = msgspec.to_builtins(self.event)
            return found

    def apply(event: Event) -> str:
        try:
            return render(template, Message(event))
        except TemplateError as error:
            raise _wrong(error.message) from None

    try:
        template = parse(form)
    except TemplateError as error:
        raise _wrong(error.message) from None
    apply(Event())
    return apply


def _wrong(message: str) -> Complaint:
    return Complaint(f"Error parsing format: {message.replace('*formatter.events', '*events')}", 64)


def _fields(event: Event) -> dict[str, Callable[[], Any]]:
    """The members of Go's struct: `Status`, `ID` and `From` are those that old clients read."""
    values: dict[str, Any] = {
        "Status": event.status,
        "ID": event.id,
        "From": event.origin,
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor.id, "Attributes": _Attributes(event.actor.attributes)},
        "Scope": event.scope,
        "Time": event.time,
        "TimeNano": event.nanoseconds,
    }
    return {name: partial(values.__getitem__, name) for name in values}


class _Attributes(dict[str, str]):
    """In this template, unlike inspect's, what isn't there is `<no value>` and no mistake."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> None:
        return None
