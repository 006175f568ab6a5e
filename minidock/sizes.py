"""Sizes as people write them: `64m`, `1.5g`, `10MB`. Powers of 1024, as Docker's RAMInBytes has it."""

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
