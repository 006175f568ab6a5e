"""Join tokens: `SWMTKN-1-<digest of the root CA's certificate>-<secret>`.

The digest lets who joins know the swarm before he trusts it: he fetches the root certificate from an address that
proves nothing yet, and compares. The secret proves to the swarm that he may, and says as what (there are two: for
workers and for managers). Source: moby/swarmkit ca/config.go.
"""

from __future__ import annotations

import secrets

import msgspec

from minidock.errors import UsageError
from minidock.swarm.objects import based36

PREFIX, FORM = "SWMTKN", "1"
DIGEST_DIGITS, SECRET_DIGITS = 50, 25
"""A sha256, and 16 bytes, in base 36."""


class Token(msgspec.Struct, frozen=True):
    digest: str
    secret: str


def new_secret() -> str:
    return based36(secrets.randbits(128), SECRET_DIGITS)


def digest(root_ca: str) -> str:
    """Of the certificate's PEM text."""
    import hashlib

    return based36(int.from_bytes(hashlib.sha256(root_ca.encode()).digest()), DIGEST_DIGITS)


def token(root_ca: str, secret: str) -> str:
    return f"{PREFIX}-{FORM}-{digest(root_ca)}-{secret}"


def parsed(text: str) -> Token:
    """Raises UsageError."""
    words = text.split("-")
    lengths = [len(word) for word in words[2:]]
    if words[:2] != [PREFIX, FORM] or lengths != [DIGEST_DIGITS, SECRET_DIGITS]:
        raise UsageError("invalid join token")
    return Token(words[2], words[3])


def same(one: str, other: str) -> bool:
    """Without telling by its duration how far they agree."""
    return secrets.compare_digest(one.encode(), other.encode())
