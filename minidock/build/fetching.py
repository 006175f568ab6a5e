"""What ADD brings from elsewhere: archives, addresses, repositories. Everything goes to a scratch directory first."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from minidock.errors import InvalidImage, MinidockError, UsageError
from minidock.image.compression import CHUNK, prepend, read_exactly, unpacked
from minidock.image.tarheader import BLOCK, parse_header
from minidock.image.unpack import unpack

TIMEOUT = 60
"""Seconds without a byte after which a server counts as dead."""


class Fetched(msgspec.Struct, frozen=True):
    path: Path
    digest: str


class Repository(msgspec.Struct, frozen=True):
    """`ADDRESS#REF:DIRECTORY`."""

    address: str
    ref: str
    directory: str


def is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def repository(text: str) -> Repository | None:
    """What a git address names; None for what is none."""
    address, _, fragment = text.partition("#")
    plain = re.match(r"(git|ssh|git\+\w+)://|git@[\w.-]+:", address)
    if not (plain or (is_address(address) and address.endswith(".git")) or address.startswith("github.com/")):
        return None
    ref, _, directory = fragment.partition(":")
    if ref.startswith("-") or address.startswith("-"):
        raise UsageError(f"not a git reference: {ref}")
    return Repository(f"https://{address}" if address.startswith("github.com/") else address, ref, directory)


def clone(wanted: Repository, place: Path, *, keep_git: bool = False) -> Path:
    """Bring one commit; the directory that was asked for. Raises MinidockError with git's words."""
    place.mkdir(parents=True, exist_ok=True)
    _git(place, "init", "--quiet")
    _git(place, "remote", "add", "origin", wanted.address)
    ref = wanted.ref or "HEAD"
    try:
        _git(place, "fetch", "--quiet", "--depth", "1", "origin", "--", ref)
        fetched = "FETCH_HEAD"
    except MinidockError:
        # Servers may refuse single commits, and depth: then all of it.
        _git(place, "fetch", "--quiet", "--tags", "origin")
        if not wanted.ref:
            _git(place, "fetch", "--quiet", "origin", "--", ref)
        fetched = wanted.ref or "FETCH_HEAD"
    try:
        _git(place, "checkout", "--quiet", fetched)
    except MinidockError as error:
        raise MinidockError(f"repository does not contain ref {ref}: {error.message}") from None
    if (place / ".gitmodules").is_file():
        _git(place, "submodule", "update", "--quiet", "--init", "--recursive", "--depth", "1")
    commit = _git(place, "rev-parse", "HEAD").strip()
    if not keep_git:
        import subprocess

        subprocess.run(["rm", "-rf", "--", os.fspath(place / ".git")], check=True)
    (place.parent / f"{place.name}.commit").write_text(commit)
    return place


def commit_of(place: Path) -> str:
    return (place.parent / f"{place.name}.commit").read_text()


def _git(place: Path, *words: str) -> str:
    import subprocess

    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    settings = ["-c", "protocol.file.allow=user", "-c", "advice.detachedHead=false"]
    command = ["git", "-C", os.fspath(place), *settings, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
    except FileNotFoundError:
        raise MinidockError("git is not installed", hint="apt-get install git") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise MinidockError(f"git {words[0]}: {said[-1]}")
    return done.stdout


def download(address: str, place: Path, *, mode: int = 0o600) -> Fetched:
    """One file into the directory, named as the address ends. Raises MinidockError."""
    from email.utils import parsedate_to_datetime
    from urllib.parse import unquote, urlparse

    name = os.path.basename(urlparse(address).path)
    if not name or name in (".", ".."):
        name = "download"
    target = place / unquote(name).replace("/", "_")
    digest = hashlib.sha256()
    with open_address(address) as answer, open(target, "xb") as file:
        while data := _more(answer, address):
            digest.update(data)
            file.write(data)
        modified = answer.headers.get("Last-Modified") if hasattr(answer, "headers") else None
    target.chmod(mode)
    when = parsedate_to_datetime(modified).timestamp() if modified else 0
    os.utime(target, (when, when))
    return Fetched(target, "sha256:" + digest.hexdigest())


def _more(answer: BinaryIO, address: str) -> bytes:
    """The next bytes. What ends before the length that its server has told is an error: read(n) itself doesn't mind."""
    from http.client import HTTPException

    try:
        data = answer.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise MinidockError(f"failed to load {address}: {error}") from None
    if not data and getattr(answer, "length", None):
        raise MinidockError(f"failed to load {address}: it broke off")
    return data


def open_address(address: str) -> BinaryIO:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    from minidock.web import opened, unfollowed  # 10 ms to load: only builds that need it pay

    try:
        return opened(address, timeout=TIMEOUT)
    except HTTPError as error:
        told = unfollowed(error) or f"invalid response status {error.code}"
        raise MinidockError(f"failed to load {address}: {told}") from None
    except (URLError, OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise MinidockError(f"failed to load {address}: {reason}") from None


def begins_tar(read: Callable[[int], bytes]) -> tuple[bool, Callable[[int], bytes]]:
    """Whether the stream is a tar, packed or plain; and the same stream again, from its start, unpacked if it is."""
    head = read_exactly(read, 1 << 16)
    try:
        _, plain = unpacked(prepend(head, read))
        first = read_exactly(plain, BLOCK)
        if len(first) >= BLOCK:
            if first[:BLOCK].strip(b"\0"):  # else it is the end already, of a tar in which nothing is
                parse_header(first[:BLOCK])
            return True, prepend(first, plain)
    except InvalidImage:
        pass
    # What unpacking has read from `read` beyond `head` is lost; a stream that is no tar is small, and read whole.
    return False, prepend(head, read)


def unpack_archive(file: BinaryIO, place: Path) -> frozenset[str]:
    """Unpack an archive into the empty directory; the directories that have a member of their own."""
    _, read = begins_tar(file.read)
    return frozenset(map(os.fsdecode, unpack(read, place, is_layer=False).directories))


def scratch(root: Path) -> Path:
    """A new empty directory in the build's own place."""
    path = root / os.urandom(8).hex()
    path.mkdir(parents=True)
    path.chmod(0o755)
    return path
