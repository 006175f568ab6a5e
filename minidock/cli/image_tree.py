"""images --tree: each image with its names, and below it the platform that it is for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from .units import human_size

if TYPE_CHECKING:
    from ..model.lists import ImageSummary

GAP = "   "
COLUMNS = (("ID", 12, "<"), ("DISK USAGE", 10, ">"), ("CONTENT SIZE", 12, ">"), ("USED", 4, "^"))
"""Title, width and alignment, as in Docker; the first column, of names, is as wide as it has to be."""
LEAST_NAME = 12


def show(images: list[ImageSummary], content_size: Callable[[str], int], platform_of: Callable[[str], str]) -> None:
    print("WARNING: This is an experimental feature. The output may change and shouldn't be depended on.")
    columns, room = _fitting(_terminal_width())
    platforms = [platform_of(image.id) for image in images]
    names = [name for image in images for name in (image.repo_tags or ["<untagged>"])]
    wide = min(room, max(map(len, ["IMAGE", *names, *(f"└─ {platform}" for platform in platforms)])))
    print(GAP.join([f"{'IMAGE':<{wide}}", *(f"{title:{side}{width}}" for title, width, side in columns)]))
    for number, (image, platform) in enumerate(zip(images, platforms, strict=True)):
        if number:
            print()
        cells = _cells(image, content_size(image.id))
        shown = GAP.join(f"{cell:{side}{width}}" for cell, (_, width, side) in zip(cells, columns, strict=False))
        *others, last = [_cut(name, wide) for name in image.repo_tags or ["<untagged>"]]
        print("".join(f"{name:<{wide}}\n" for name in others) + f"{last:<{wide}}{GAP}{shown}")
        print(f"{_cut(f'└─ {platform}', wide):<{wide}}{GAP}{shown}")


def _cells(image: ImageSummary, content: int) -> list[str]:
    short = image.id.removeprefix("sha256:")[:12]
    return [short, human_size(image.size), human_size(content), "✔" if image.containers > 0 else " "]


def _fitting(width: int) -> tuple[tuple[tuple[str, int, str], ...], int]:
    """As many columns as leave room for names, and that room."""
    room = width
    for number, (_, size, _) in enumerate(COLUMNS):
        if room - size - len(GAP) < LEAST_NAME:
            return COLUMNS[:number], room
        room -= size + len(GAP)
    return COLUMNS, room


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _terminal_width() -> int:
    try:
        return max(20, os.get_terminal_size(sys.stdout.fileno()).columns)
    except (OSError, ValueError):
        return 80
