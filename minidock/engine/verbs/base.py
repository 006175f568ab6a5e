"""What every verb has: the instance it works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minidock.paths import Layout

Filters = dict[str, list[str]]


class Verbs:
    """One instance (a --root), without a daemon. Modules are imported by the verb that needs them: starting is fast."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
