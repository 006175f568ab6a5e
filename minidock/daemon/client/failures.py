"""What a daemon says went wrong, as errors of ours: the class by status and text, the text as the daemon has it."""

from __future__ import annotations

import msgspec

from minidock import errors
from minidock.errors import MinidockError

LEAD = "Error response from daemon: "

BY_STATUS: dict[int, type[MinidockError]] = {
    400: errors.UsageError,
    404: errors.NotFound,
    409: errors.Conflict,
    501: errors.Unsupported,
}
BY_TEXT: tuple[tuple[int, str, type[MinidockError]], ...] = (
    (404, "no such container", errors.ContainerNotFound),
    (404, "no such image", errors.ImageNotFound),
    (404, "network", errors.NetworkNotFound),
    (409, "is already in use by container", errors.NameInUse),
    (409, "is not running", errors.NotRunning),
    (409, "image is being used", errors.ImageInUse),
)
NOT_THERE = ("executable file not found", "no such file or directory", "system cannot find the file specified")
NOT_EXECUTABLE = ("permission denied", "is a directory")


def of_answer(status: int, body: bytes, *, starting: bool = False) -> MinidockError:
    """`starting`: of a container, whose command may be missing: that is a class, and an exit code, of its own."""
    text = _message(body) or f"the daemon answered with status {status} and no reason"
    kind = BY_STATUS.get(status, MinidockError)
    for code, words, special in BY_TEXT:
        if status == code and words in text.lower():
            kind = special
            break
    if starting:
        kind = command_failure(text) or kind
    return said(kind, text)


def command_failure(text: str) -> type[MinidockError] | None:
    """By what Docker's own client looks for: codes 127 and 126."""
    if any(words in text for words in NOT_THERE):
        return errors.CommandNotFound
    if any(words in text for words in NOT_EXECUTABLE):
        return errors.CommandNotExecutable
    return None


def said(kind: type[MinidockError], text: str) -> MinidockError:
    """An error of that class with this very text: its own constructor would make another of it."""
    error = kind.__new__(kind)
    MinidockError.__init__(error, text)
    error.lead = LEAD
    return error


def _message(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode(errors="replace").strip()
    return str(found.get("message", "")).strip() if isinstance(found, dict) else ""
