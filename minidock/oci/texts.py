"""Errors in runc's words: containerd, dockerd and podman look for these sentences in what a runtime says."""

from __future__ import annotations

from minidock.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    ContainerNotFound,
    MinidockError,
    UsageError,
)


def no_such_container() -> ContainerNotFound:
    error = ContainerNotFound("")
    error.args = (error.message,) = ("container does not exist",)
    return error


def exists() -> Conflict:
    return Conflict("container with given ID already exists")


def not_running() -> Conflict:
    return Conflict("container not running")


def invalid_id(container_id: str, wrong: str = "") -> UsageError:
    # First runc's words, then crun's.
    sign = f": invalid character {wrong!r} in the container ID" if wrong else ""
    return UsageError(f"invalid container ID format{sign}: {container_id!r}")


def no_console_socket() -> UsageError:
    # First runc's words, then crun's.
    return UsageError("cannot allocate tty if runc will detach without setting console socket: use --console-socket")


def from_inside(error: MinidockError) -> MinidockError:
    """What failed in the first process, told so."""
    if not isinstance(error, CommandNotFound | CommandNotExecutable):
        inside = f"unable to start container process: error during container init: {error.message}"
        error.args = (error.message,) = (inside,)
    return error


def sentence(error: MinidockError) -> str:
    """The error as one line; a command that isn't there exactly as runc says it."""
    if isinstance(error, CommandNotFound | CommandNotExecutable):
        return f"unable to start container process: {error.message}"
    return f"{error.message} ({error.hint})" if error.hint else error.message
