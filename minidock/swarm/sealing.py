"""What must not be read from a disk: sealed with a key, AES-256 in Galois counter mode.

Two keys matter. The cluster's own seals the secrets and the CA's key in the store, and every manager has it. The
unlock key, where a swarm is autolocked, seals that one in each manager's node.json, and is nowhere but with its owner.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from minidock.errors import MinidockError, UsageError

KEY_BYTES, NONCE_BYTES = 32, 12
UNLOCK = "SWMKEY-1-"


class WrongKey(MinidockError):
    """What was sealed isn't opened by this key, or isn't what was sealed."""

    def __init__(self) -> None:
        super().__init__("swarm could not be unlocked: invalid key provided")


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def seal(key: bytes, plain: bytes) -> str:
    """Base64, a nonce in front: what comes out differs each time."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None)).decode()


def opened(key: bytes, sealed: str) -> bytes:
    """Raises WrongKey."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    raw = base64.b64decode(sealed)
    try:
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None)
    except InvalidTag:
        raise WrongKey from None


def unlock_text(key: bytes) -> str:
    """As people keep it: SWMKEY-1-, and base64 without its padding (swarmkit, manager/encryption)."""
    return UNLOCK + base64.b64encode(key).decode().rstrip("=")


def unlock_key(text: str) -> bytes:
    """Raises UsageError for what isn't one, in Docker's words."""
    try:
        found = base64.b64decode(text.removeprefix(UNLOCK) + "=", validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not text.startswith(UNLOCK) or len(found) != KEY_BYTES:
        raise UsageError("invalid user-specified key")
    return found
