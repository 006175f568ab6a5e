"""JSON for whoever asked. Names of files, and what is read from images, are bytes that need not be UTF-8.

Python keeps such a byte in a text as half of a surrogate pair (PEP 383), which no JSON can have: U+FFFD stands for it
then, as in what Go encodes.
"""

from __future__ import annotations

import msgspec


def encoded(value: object) -> bytes:
    """As msgspec does it, whatever is in the texts."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(msgspec.to_builtins(value)))


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_whole(key): _whole(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(each) for each in value]
    return value
