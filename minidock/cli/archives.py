"""load, save and import: images as files."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO

from . import context, of_platform
from .commands import UNLIMITED, Complaint, verb
from .flags import boolean, many, text

WEB = ("http://", "https://")


@verb(
    "load",
    "Load an image from a tar archive or STDIN",
    "[OPTIONS]",
    flags=[
        text("input", "i", "Read from tar archive file (or OCI layout directory), instead of STDIN"),
        text("platform", "", "Load only the given platform variant"),
        boolean("quiet", "q", "Suppress the load output"),
    ],
    aliases=("minidock image load", "minidock load"),
    examples="""
        minidock load -i debian.tar
        skopeo copy docker://busybox oci-archive:/dev/stdout | minidock load
    """,
)
def load(input: str, platform: str, quiet: bool) -> None:
    # --quiet: there is no progress to leave out, and the names are the result
    from pathlib import Path

    if input:
        _must_open(input)
        context.engine().load(Path(input), platform=platform, say=_print)
    else:
        if os.isatty(0) or stat.S_ISCHR(os.fstat(0).st_mode):
            raise Complaint("requested load from stdin, but stdin is empty", 1)
        context.engine().load(sys.stdin.buffer, platform=platform, say=_print)


def _print(line: str) -> None:
    """Each image as it comes."""
    print(line, flush=True)


def _must_open(path: str) -> None:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise Complaint(f"open {path}: {(error.strerror or str(error)).lower()}", 1) from None


@verb(
    "save",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    "[OPTIONS] IMAGE [IMAGE...]",
    flags=[
        text("output", "o", "Write to a file, instead of STDOUT"),
        of_platform.flag("Save only the given platform variant"),
    ],
    least=1,
    most=UNLIMITED,
    aliases=("minidock image save", "minidock save"),
    examples="""
        minidock save -o busybox.tar busybox
        minidock save busybox debian | docker load
    """,
)
def save(arguments: list[str], output: str, platform: str) -> None:
    if not output and os.isatty(1):
        raise Complaint("cowardly refusing to save to a terminal. Use the -o flag or redirect", 1)
    of_platform.check(context.engine(), arguments, platform)
    if not output:
        sys.stdout.flush()
        context.engine().save(arguments, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with beside(output, "failed to save image") as out:
            context.engine().save(arguments, out)


@contextlib.contextmanager
def beside(path: str, failure: str) -> Iterator[BinaryIO]:
    """A new file that takes its name when it is complete: a failed save leaves neither half an archive nor the old
    one damaged. What is no regular file (/dev/null, a pipe) is written directly."""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        reason = f"stat {directory}: no such file or directory"
        raise Complaint(f"{failure}: invalid output path: {reason}", 1)
    if os.path.isdir(path):
        raise Complaint(f"{failure}: cannot write to a directory", 1)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as out:
            yield out
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    # Only for its owner: an image may hold secrets.
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as out:
            yield out
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@verb(
    "import",
    "Import the contents from a tarball to create a filesystem image",
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    flags=[
        many("change", "c", "Apply Dockerfile instruction to the created image"),
        text("message", "m", "Set commit message for imported image"),
        text("platform", "", "Set platform if server is multi-platform capable"),
    ],
    least=1,
    most=UNLIMITED,
    aliases=("minidock image import", "minidock import"),
    examples="""
        minidock import rootfs.tar.gz mine:1
        tar -C rootfs -c . | minidock import -c 'CMD ["/bin/sh"]' - mine:1
    """,
)
def import_(arguments: list[str], change: list[str], message: str, platform: str) -> None:
    source, reference = arguments[0], arguments[1] if len(arguments) > 1 else ""
    if source.startswith(WEB):
        message = message or f"Imported from {source}"
    with _source(source) as file:
        if source.startswith(WEB):
            print(f"Downloading from {source}", flush=True)
        print(
            context.engine().import_image(file, reference=reference, message=message, changes=change, platform=platform)
        )


@contextlib.contextmanager
def _source(name: str) -> Iterator[BinaryIO]:
    """stdin for `-`, a file, or what an http address gives."""
    if name == "-":
        yield sys.stdin.buffer
    elif name.startswith(WEB):
        from http.client import HTTPException

        try:
            with _fetched(name) as answer:
                yield answer
        except HTTPException as error:  # it broke off, in the middle of a chunk
            raise Complaint(f'Error: Get "{name}": {str(error).lower()}', 1) from error
    else:
        _must_open(name)
        with open(name, "rb") as file:
            yield file


def _fetched(address: str) -> BinaryIO:
    """The body of an answer, as it comes."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    from ..web import opened, unfollowed

    try:
        return opened(address)
    except HTTPError as error:
        if told := unfollowed(error):
            raise Complaint(f'Error: Get "{address}": {told}', 1) from error
        raise Complaint(f"Error: got HTTP status code >= 400: {error.code} {error.reason}", 1) from error
    except (OSError, ValueError, HTTPException) as error:  # no answer, or no address: all that one can type
        reason = error.reason if isinstance(error, URLError) else error
        told = (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
        raise Complaint(f'Error: Get "{address}": {told.strip().lower()}', 1) from error
