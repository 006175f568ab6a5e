"""What --explain, --dry-run and --as-shell print, for all commands that have them; loaded when one is given."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..engine.foretell import Foretold
    from ..steps import Narrator


def narrating(form: str) -> contextlib.AbstractContextManager[Narrator]:
    """The narrator that --explain asks for; what it has gathered is written at the end, also when it failed."""
    if not form:
        from ..steps import SILENT

        return contextlib.nullcontext(SILENT)
    from .explain import narrating

    return narrating(form)


def foretell(foretold: Foretold, *, as_shell: bool) -> None:
    """--dry-run and --as-shell of what isn't `run`."""
    if as_shell:
        print(foretold.script, end="")
        return
    from .explain import plan_lines

    for line in plan_lines(foretold):
        print(line)
