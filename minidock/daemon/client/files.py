"""Files of containers elsewhere: cp by the rules of engine.copying, and diff, export and commit."""

from __future__ import annotations

import base64
import tarfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import msgspec

from minidock.daemon.client.api import Api, quoted
from minidock.daemon.client.registries import split
from minidock.errors import MinidockError, NotFound
from minidock.model.requests import Commit, PathStat

STAT = "X-Docker-Container-Path-Stat"
KINDS = ("C", "A", "D")
Write = Callable[[bytes], object]
Read = Callable[[int], bytes]


class End:
    """The container's end of a copy (engine.copying.End), by way of /containers/ID/archive."""

    def __init__(self, api: Api, ref: str) -> None:
        self.api = api
        self.ref = ref
        self.path = f"/containers/{quoted(ref)}/archive"

    def stat(self, path: str) -> PathStat:
        query = {"path": path}
        try:
            answer = self.api.open("HEAD", self.path, query)
        except MinidockError:  # the answer to HEAD has no body that could say why: GET says it
            answer = self.api.open("GET", self.path, query)
        told = answer.headers.get(STAT)
        answer.close()
        if told is None:
            raise NotFound(f"Could not find the file {path} in container {self.ref}")
        return msgspec.json.decode(base64.b64decode(told), type=PathStat)

    def read(self, path: str, write: Write, name: str) -> None:
        answer = self.api.open("GET", self.path, {"path": path})
        said = str(msgspec.json.decode(base64.b64decode(answer.headers[STAT]))["name"])
        pieces = self.api.pieces(answer)
        if name in (said, "/", "."):
            for piece in pieces:
                write(piece)
        else:
            renamed(Pieces(pieces), write, said, name)

    def write(self, directory: str, read: Read, own: bool) -> None:
        query = {"path": directory, "noOverwriteDirNonDir": "true", "copyUIDGID": "true" if own else ""}
        self.api.whole(self.api.open("PUT", self.path, query, upload=cast("BinaryIO", Reader(read))))


class Reader:
    """A function that reads, as the file that http.client wants."""

    def __init__(self, read: Read) -> None:
        self.read = read


class Pieces:
    """Bytes as they come, as the file that tarfile wants: it asks for so many, and gets them but at the end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.rest = bytearray()

    def read(self, size: int) -> bytes:
        while len(self.rest) < size and (piece := next(self.pieces, b"")):
            self.rest += piece
        taken = bytes(self.rest[:size])
        del self.rest[:size]
        return taken


class Writer:
    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, data: bytes) -> int:
        self._write(data)
        return len(data)


def renamed(source: Pieces, write: Write, old: str, new: str) -> None:
    """The tar with another name at its top: the API has no word for it, so each member is packed again."""
    with (
        tarfile.open(fileobj=cast("BinaryIO", source), mode="r|", errors="surrogateescape") as coming,
        tarfile.open(
            fileobj=cast("BinaryIO", Writer(write)), mode="w|", format=tarfile.PAX_FORMAT, errors="surrogateescape"
        ) as going,
    ):
        for member in coming:
            member.name = _below(member.name, old, new)
            if member.islnk():
                member.linkname = _below(member.linkname, old, new)
            member.pax_headers = {k: v for k, v in member.pax_headers.items() if k not in ("path", "linkpath")}
            going.addfile(member, coming.extractfile(member) if member.isreg() else None)


def _below(name: str, old: str, new: str) -> str:
    """`old/x` is `new/x`; the root's members begin with no name at all."""
    top = "" if old in ("/", ".") else old
    rest = name.removeprefix("./").removeprefix(top).lstrip("/")
    return f"{new}/{rest}" if rest else new


def copy_in(api: Api, source: str | BinaryIO, ref: str, target: str, *, own: bool, follow: bool) -> int:
    from minidock.engine import copying

    if isinstance(source, str):
        return copying.send(copying.local_source(source, follow), _end(api, ref), target, own=own)
    copying.send_tar(source, _end(api, ref), target, own=own)
    return 0


def copy_out(api: Api, ref: str, source: str, target: str | BinaryIO, *, follow: bool) -> int:
    from minidock.engine import copying

    if isinstance(target, str):
        copying.check_output(target)
        return copying.fetch(_end(api, ref), source, target, follow=follow)
    copying.fetch_tar(_end(api, ref), source, target, follow=follow)
    return 0


def _end(api: Api, ref: str) -> End:
    """Raises ContainerNotFound before anything is said of paths."""
    api.json("GET", f"/containers/{quoted(ref)}/json")
    return End(api, ref)


def changes(api: Api, ref: str) -> list[tuple[str, str]]:
    rows = api.json("GET", f"/containers/{quoted(ref)}/changes") or []
    return [(KINDS[row["Kind"]], row["Path"]) for row in rows]


def export(api: Api, ref: str, out: BinaryIO) -> None:
    for piece in api.pieces(api.open("GET", f"/containers/{quoted(ref)}/export")):
        out.write(piece)


def commit(api: Api, ref: str, wanted: Commit) -> str:
    repository, tag = split(wanted.reference) if wanted.reference else ("", "")
    query = {
        "container": ref,
        "repo": repository,
        "tag": tag,
        "comment": wanted.message,
        "author": wanted.author,
        "changes": wanted.changes,
        "pause": "" if wanted.pause else "0",
    }
    return str(api.json("POST", "/commit", query)["Id"])
