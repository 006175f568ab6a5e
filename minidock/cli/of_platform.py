"""--platform of verbs on images that are here: an image here is for one platform, so another one is asked for in vain.

In the words of Docker's daemon with the same kind of store (moby, daemon/images/image.go).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import NotFound, UsageError
from .commands import Complaint
from .flags import Flag, text

if TYPE_CHECKING:
    from ..engine import Engine

ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm", "armel": "arm"}


def flag(help: str) -> Flag:
    return text("platform", "", help)


def check(engine: Engine, names: Iterable[str], wanted: str) -> None:
    """Raises NotFound for an image that isn't here for the platform; any is right where none is asked for."""
    if not wanted:
        return
    from .parse_values import platform as parse

    try:
        asked = _parts(parse(wanted))
    except UsageError as error:
        raise Complaint(error.message.removeprefix("error parsing specified platform: "), 1) from error
    for name in names:
        found = engine.inspect_image(name)
        has = (found["Os"], found["Architecture"], found.get("Variant") or "")
        if any(part and part != own for part, own in zip(asked, has, strict=True)):
            pair = f"({_shown(has)}) does not match the specified platform ({_shown(asked)})"
            raise NotFound(f"image with reference {name} was found but its platform {pair}")


def _parts(text: str) -> tuple[str, str, str]:
    """System, architecture, variant; empty where any will do."""
    first, _, rest = text.lower().partition("/")
    if not rest:  # an architecture goes without its system, too
        systems = ("linux", "windows", "darwin", "freebsd")
        return (first, "", "") if first in systems else ("linux", ALIASES.get(first, first), "")
    architecture, _, variant = rest.partition("/")
    architecture = ALIASES.get(architecture, architecture)
    return first, architecture, "" if (architecture, variant) == ("arm64", "v8") else variant


def _shown(parts: tuple[str, str, str]) -> str:
    return "/".join(part for part in parts if part)
