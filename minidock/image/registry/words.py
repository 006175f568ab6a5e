"""A registry's errors, in the words that Docker's users know.

A refusal's body is {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}; Docker shows the first
as `manifest unknown: manifest unknown`. Bodies of strangers: one line of printable text is all that is taken from them.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from minidock.errors import RegistryError

from ..reference import Reference

LONGEST = 300
"""Characters of a stranger's message that are shown."""


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: list[_Error] = []
    details: str = ""


def told(body: bytes) -> tuple[str, str]:
    """(code, text) of the first error; both empty when the body is something else."""
    try:
        found = msgspec.json.decode(body, type=_Errors)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "", ""
    if not found.errors:
        return "", one_line(found.details)
    first = found.errors[0]
    text = ": ".join(part for part in (first.code.lower().replace("_", " "), first.message) if part)
    return first.code, one_line(text)


def one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:LONGEST]).strip()


def refusal(status: int, body: bytes, url: str, *, insufficient: bool = False) -> RegistryError:
    """The error that a reply which isn't a success means."""
    code, text = told(body)
    if status == 401 and insufficient:
        return RegistryError("denied: requested access to the resource is denied", status=status, code="DENIED")
    if status == 401 and not text:
        code, text = "UNAUTHORIZED", "unauthorized: authentication required"
    if status == 429 and not text:
        code, text = "TOOMANYREQUESTS", "toomanyrequests: the registry asks us to wait"
    if not text:
        text = f"{url}: unexpected status from the registry: {status} {phrase(status)}".rstrip()
    return RegistryError(text, status=status, code=code)


def phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


def of_pull(error: RegistryError, name: Reference) -> RegistryError:
    """What a refused pull means, as `docker pull` says it."""
    if error.code == "DENIED":
        who = f"pull access denied for {name.familiar_name}, repository does not exist or may require 'docker login'"
    elif error.code in ("MANIFEST_UNKNOWN", "NOT_FOUND") or (error.status == 404 and not error.code):
        who = f"manifest for {name.familiar} not found"
    elif error.code == "NAME_UNKNOWN":
        who = f"repository {name.familiar_name} not found"
    else:
        return error
    return RegistryError(f"{who}: {error.message}", status=error.status, code=error.code)
