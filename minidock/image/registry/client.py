"""The verbs of the OCI distribution specification 1.1, for one repository on one server.

GET, HEAD, PUT /v2/NAME/manifests/REFERENCE          POST …/blobs/uploads/     PATCH, PUT the Location it gives
GET, HEAD      /v2/NAME/blobs/DIGEST                 GET  …/tags/list
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from minidock.errors import InvalidImage, RegistryError
from minidock.paths import Layout

from .. import manifest as docs
from ..reference import Reference, is_digest
from .auth import Credentials, repository_scope
from .config import DockerConfig
from .names import servers, settings
from .wire import Answer, Wire

SCHEMA_1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)
WANTED = {"Accept": ", ".join((*docs.MANIFESTS, *docs.INDEXES))}
MAX_MANIFEST = 4 << 20
"""Bytes of the largest manifest or index; the specification asks registries to take no more."""
MAX_PAGES = 1000


class Found(msgspec.Struct, frozen=True):
    """A manifest or an index as the registry gave it, or only what it says of it (`raw` empty)."""

    media_type: str
    digest: str
    raw: bytes = b""


class Tags(msgspec.Struct, frozen=True):
    tags: list[str] | None = None


class Repository:
    """`path` on a server, which several repositories may share."""

    def __init__(self, wire: Wire, path: str) -> None:
        self.wire = wire
        self.path = path
        self._pull = repository_scope(path, "pull")
        self._push = repository_scope(path, "pull,push")

    # Manifests

    def look(self, name: str) -> Found | None:
        """What the registry says of a tag or digest without sending it; None when it says nothing useful."""
        try:
            answer = self._get("HEAD", f"manifests/{name}", WANTED)
        except RegistryError as error:
            # A HEAD has no words for what is wrong, and some registries don't know it: the GET that follows will tell.
            if error.status in (400, 401, 403, 404, 405, 501):
                return None
            raise
        answer.close()
        digest = answer.headers.get("docker-content-digest", "")
        return Found(_media_type(answer), digest) if is_digest(digest) else None

    def manifest(self, name: str) -> Found:
        """By tag or digest, checked against the digest. Raises RegistryError, InvalidImage."""
        answer = self._get("GET", f"manifests/{name}", WANTED)
        raw = answer.body(MAX_MANIFEST)
        digest, claimed = docs.digest_of(raw), answer.headers.get("docker-content-digest", "")
        if is_digest(name) and digest != name:
            raise InvalidImage(f"manifest {name} has the digest {digest}")
        if is_digest(claimed) and claimed != digest:
            raise InvalidImage(f"manifest {self.path}:{name} has the digest {digest} instead of {claimed}")
        media_type = _media_type(answer) or docs.decode(raw, _Typed, "image manifest").media_type
        return Found(media_type, digest, raw)

    def put_manifest(self, name: str, media_type: str, raw: bytes) -> None:
        answer = self.wire.send(
            "PUT", self._url(f"manifests/{name}"), scopes=[self._push], headers={"Content-Type": media_type}, body=raw,
            good=(200, 201, 202),
        )  # fmt: skip
        answer.body()
        claimed = answer.headers.get("docker-content-digest", "")
        if is_digest(claimed) and claimed != docs.digest_of(raw):
            raise RegistryError(f"the registry filed manifest {docs.digest_of(raw)} as {claimed}")

    def tags(self) -> list[str]:
        """All tags, page by page (RFC 8288's Link header leads on)."""
        found: list[str] = []
        where = "tags/list"
        for _ in range(MAX_PAGES):
            answer = self._get("GET", where, {})
            page = docs.decode(answer.body(MAX_MANIFEST), Tags, "list of tags").tags or []
            found += [tag for tag in page if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", tag)]
            after = re.match(r'\s*<([^>]*)>\s*;\s*rel="?next"?', answer.headers.get("link", ""))
            if not after or not page:
                return found
            where = f"tags/list?{urlsplit(after[1]).query}"
        raise RegistryError(f"{self.path}: the list of tags has no end")

    # Blobs

    def blob(self, digest: str, start: int = 0, urls: Sequence[str] = ()) -> Answer:
        """From byte `start` on where the registry can do that (status 206), else all of it (200).

        Layers that nobody may distribute have `urls` where their owner does; these never see our credentials.
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        good = (200, 206, 416)
        try:
            return self._get("GET", f"blobs/{digest}", headers, good=good)
        except RegistryError as error:
            elsewhere = [url for url in urls if url.startswith("https://")]
            if error.status != 404 or not elsewhere:
                raise
        return self.wire.send("GET", elsewhere[0], headers=headers, good=good)

    def has_blob(self, digest: str) -> bool:
        try:
            self._get("HEAD", f"blobs/{digest}", {}, scope=self._push).close()
        except RegistryError as error:
            if error.status != 404:
                raise
            return False
        return True

    # Uploads

    def begin_upload(self, *, mount: str = "", origin: str = "") -> str:
        """Where to send a blob to; empty when the registry has taken the blob `mount` from the repository `origin`."""
        query, scopes = "", [self._push]
        if mount:
            query = "?" + urlencode({"mount": mount, "from": origin})
            scopes.append(repository_scope(origin, "pull"))
        answer = self.wire.send(
            "POST", self._url(f"blobs/uploads/{query}"), scopes=scopes, headers={"Content-Length": "0"}, good=(201, 202)
        )
        answer.body()
        return "" if mount and answer.status == 201 else self._location(answer)

    def send_whole(self, location: str, digest: str, size: int, body: Callable[[], Iterable[bytes]]) -> None:
        """A blob whose digest is known, in one request."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        self._put(_with_query(location, digest), headers, body)

    def send_stream(self, location: str, body: Callable[[], Iterable[bytes]]) -> str:
        """A blob whose digest and size show only when it has been sent; where to say so."""
        answer = self.wire.send(
            "PATCH", location, scopes=[self._push], headers={"Content-Type": "application/octet-stream"}, body=body,
            good=(201, 202, 204), once=True,
        )  # fmt: skip
        answer.body()
        return self._location(answer)

    def send_chunk(self, location: str, start: int, data: bytes) -> str:
        """The next piece of a blob; where to send what follows."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(data))}
        headers["Content-Range"] = f"{start}-{start + len(data) - 1}"
        answer = self.wire.send(
            "PATCH", location, scopes=[self._push], headers=headers, body=data, good=(201, 202, 204), once=True
        )
        answer.body()
        return self._location(answer)

    def received(self, location: str) -> tuple[int, str]:
        """How many bytes of a broken upload have arrived, and where to go on."""
        answer = self.wire.send("GET", location, scopes=[self._push], good=(204,))
        answer.body()
        end = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("range", ""))
        count = int(end[1]) + 1 if end and end[1] != "0" else 0
        return count, self._location(answer, location)

    def finish_upload(self, location: str, digest: str) -> None:
        self._put(_with_query(location, digest), {"Content-Length": "0"}, b"")

    def _put(self, url: str, headers: dict[str, str], body: Callable[[], Iterable[bytes]] | bytes) -> None:
        self.wire.send(
            "PUT", url, scopes=[self._push], headers=headers, body=body, good=(201, 204), once=callable(body)
        ).body()

    def _location(self, answer: Answer, fallback: str = "") -> str:
        found = answer.headers.get("location", "") or fallback
        url = urljoin(answer.url, found)
        old, new = urlsplit(answer.url), urlsplit(url)
        if not found:
            raise RegistryError(f"{answer.url}: the registry does not say where to upload to")
        if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme == "http"):
            raise RegistryError(f"{answer.url}: refusing to upload to {url[:200]}")
        return url

    def _get(
        self, method: str, what: str, headers: dict[str, str], *, scope: str = "", good: tuple[int, ...] = (200,)
    ) -> Answer:
        return self.wire.send(method, self._url(what), scopes=[scope or self._pull], headers=headers, good=good)

    def address(self, what: str) -> str:
        """The whole of it, for people: `https://registry.example.org/v2/team/app/manifests/1`."""
        return f"{self.wire.connect()}{self._url(what)}"

    def _url(self, what: str) -> str:
        return f"/v2/{quote(self.path)}/{what}"


class _Typed(msgspec.Struct, frozen=True):
    media_type: str = msgspec.field(name="mediaType", default="")


def _media_type(answer: Answer) -> str:
    """Without parameters; registries that don't know types say text/plain or octet-stream."""
    found = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return "" if found in ("text/plain", "application/octet-stream", "application/json") else found


def _with_query(url: str, digest: str) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), ("digest", digest)])
    return urlunsplit(parts._replace(query=query))


def repositories(
    layout: Layout,
    name: Reference,
    *,
    mirrors: bool = False,
    insecure: bool = False,
    credentials: Credentials | None = None,
) -> Iterator[Repository]:
    """Whom to ask about a name, in order. Without `credentials` those of config.json, which no mirror gets to see."""
    config = DockerConfig()
    listed = settings(layout).insecure_registries
    for server in servers(layout, name.domain, mirrors=mirrors, insecure=insecure):
        if server.mirror:
            who = config.credentials(server.host)
        else:
            who = config.credentials(name.domain) if credentials is None else credentials
        yield Repository(Wire(server, who, headers=config.headers, insecure=listed), name.path)
