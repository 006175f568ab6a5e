"""SHA-256 of short texts, on the way of every `run`.

`hashlib` loads OpenSSL, and that takes 4 ms; the interpreter has an implementation of its own, without assembler code
but there at once. For a file or a layer hashlib is the faster one.
"""

from __future__ import annotations

try:
    from _sha2 import sha256  # type: ignore[import-not-found]  # Python 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]  # Python 3.11
    except ImportError:  # an interpreter that was built without its own
        from hashlib import sha256


def hex_digest(text: bytes) -> str:
    """64 hexadecimal digits."""
    digits: str = sha256(text).hexdigest()
    return digits
