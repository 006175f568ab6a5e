"""Sizes as people write them: `64m`, `1.5g`, `10MB`. Powers of 1024, as Docker's RAMInBytes has it. And yes and no."""

from __future__ import annotations

import re

from minidock.errors import UsageError

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def parse_size(text: str) -> int:
    """Bytes. Raises UsageError with Docker's text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise UsageError(f"invalid size: '{text}'")
    return int(float(match[1]) * UNITS[match[2]])


def go_bool(raw: str) -> bool:
    """As Go's strconv.ParseBool. Raises UsageError with its words, which end up in Docker's messages."""
    if raw in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if raw in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise UsageError(f'strconv.ParseBool: parsing "{raw}": invalid syntax')
