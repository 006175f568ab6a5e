"""What happened, and how far something has got."""

# Annotations are values here, not text as elsewhere (PEP 563): msgspec would evaluate the text of each field.

import msgspec

from minidock.model.base import Api


class Actor(msgspec.Struct, frozen=True):
    """Whom an event is about. A container's attributes are its labels, and `image`, `name` and what the verb adds."""

    id: str = msgspec.field(name="ID")
    attributes: dict[str, str] = msgspec.field(name="Attributes")


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """API `EventMessage`. `status`, `id` and `origin` repeat the rest for old clients, for containers and images."""

    status: str = ""
    id: str = ""
    origin: str = msgspec.field(name="from", default="")
    type: str = msgspec.field(name="Type", default="")
    action: str = msgspec.field(name="Action", default="")
    actor: Actor = msgspec.field(name="Actor", default=Actor("", {}))
    scope: str = ""
    time: int = 0
    nanoseconds: int = msgspec.field(name="timeNano", default=0)


class Progress(Api, frozen=True):
    """A line of a pull or push, or the next state of the line with this id; `total` is 0 when it isn't counted."""

    id: str
    status: str
    current: int = 0
    total: int = 0
