"""context --docker host=…,ca=…,cert=…,key=…: an endpoint as words, its certificates as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..errors import UsageError
from ..sizes import go_bool

if TYPE_CHECKING:
    from ..daemon.client.contexts import Context, Store

KEYS = ("from", "host", "ca", "cert", "key", "skip-tls-verify")
FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}


def read(contexts: Store, base: Context, words: list[str]) -> tuple[Context, dict[str, bytes]]:
    """`base` with what --docker says, and the contents of the files that it names. Raises UsageError."""
    from ..daemon.client.endpoint import parse

    given = dict(pair.partition("=")[::2] for word in words for pair in word.split(","))
    try:
        for key in given:
            if key not in KEYS:
                raise UsageError(f"unrecognized config key: {key}")
        if "from" in given:
            other = contexts.read(given["from"])
            return msgspec.structs.replace(base, host=other.host), contexts.tls_files(other.name)
        parse(given.get("host", ""))
        tls = {FILES[key]: _contents(given[key]) for key in FILES if given.get(key)}
        skip = go_bool(given.get("skip-tls-verify") or "false")
        return msgspec.structs.replace(base, host=given["host"], skip_tls_verify=skip), tls
    except UsageError as error:
        raise UsageError(f"unable to create docker endpoint config: {error.message}") from error


def _contents(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"open {path}: {(error.strerror or str(error)).lower()}") from error
