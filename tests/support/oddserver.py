"""A registry that serves one image as it should, and misbehaves where a test tells it to."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.support import tarforge

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

Trick = Callable[["Handler"], bool]
"""Does something to a request; True when it has been answered."""


class OddRegistry:
    """`address`/app:latest is the image; `tricks` are asked first, `asked` is what has been asked for."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.tricks: list[tuple[str, Trick]] = []
        self.uploads: list[bytearray] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.server = _Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.odd = self  # type: ignore[attr-defined]
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.image = self.add_image([layer(name="file", body=b"hello\n")])

    def add_image(
        self, layers: list[bytes], *, tag: str = "latest", diff_ids: list[str] | None = None, **changes: object
    ) -> dict[str, object]:
        """Packed layers, and a manifest for them under the tag; `changes` are members of the manifest."""
        plain = [tarforge.digest(gzip.decompress(raw)) for raw in layers] if diff_ids is None else diff_ids
        config = tarforge.image_config(plain)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.add_blob(CONFIG, config),
            "layers": [self.add_blob(LAYER, raw) for raw in layers],
            **changes,
        }
        self.add_manifest(tag, MANIFEST, json.dumps(manifest).encode())
        return manifest

    def add_blob(self, media_type: str, raw: bytes) -> dict[str, object]:
        """Its descriptor."""
        digest = tarforge.digest(raw)
        self.blobs[digest] = raw
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    def add_manifest(self, tag: str, media_type: str, raw: bytes) -> dict[str, object]:
        digest = tarforge.digest(raw)
        self.manifests[tag] = self.manifests[digest] = (media_type, raw)
        return {"mediaType": media_type, "digest": digest, "size": len(raw)}

    def layer_digest(self, number: int = 0) -> str:
        return str(self.image["layers"][number]["digest"])  # type: ignore[index]

    def trick(self, pattern: str, act: Trick, *, times: int = 1 << 30) -> None:
        """For paths that match `pattern`, the next so many times."""
        left = [times]

        def limited(handler: Handler) -> bool:
            if left[0] <= 0:
                return False
            left[0] -= 1
            return act(handler)

        self.tricks.append((pattern, limited))

    def requests(self, pattern: str) -> list[dict[str, str]]:
        """The headers of all requests whose path matches."""
        return [headers for _, path, headers in self.asked if re.search(pattern, path)]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def odd(self) -> OddRegistry:
        return self.server.odd  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to stderr."""

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.odd.asked.append((self.command, self.path, headers))
        for pattern, act in self.odd.tricks:
            if re.search(pattern, self.path) and act(self):
                return
        self.serve()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

    def serve(self) -> None:
        """What an honest registry answers."""
        if self.path == "/v2/":
            return self.reply(200, b"{}")
        if self.command in ("POST", "PUT", "PATCH") or "/uploads/" in self.path:
            return self.receive()
        found = re.fullmatch(r"/v2/[a-z/]+/(manifests|blobs)/([^/?]+)", self.path)
        if found and found[1] == "manifests" and found[2] in self.odd.manifests:
            media_type, raw = self.odd.manifests[found[2]]
            return self.reply(200, raw, {"Content-Type": media_type, "Docker-Content-Digest": tarforge.digest(raw)})
        if found and found[2] in self.odd.blobs:
            return self.serve_blob(self.odd.blobs[found[2]])
        code = "MANIFEST_UNKNOWN" if found and found[1] == "manifests" else "BLOB_UNKNOWN"
        return self.refuse(404, code, code.lower().replace("_", " "))

    def receive(self) -> None:
        """Uploads: POST begins one, PATCH adds to it, PUT ends it; GET says how far it is. And manifests."""
        body = self.body()
        parts = urlsplit(self.path)
        if "/manifests/" in self.path:
            self.odd.add_manifest(parts.path.rpartition("/")[2], self.headers["Content-Type"], body)
            return self.reply(201)
        if self.command == "POST":
            self.odd.uploads.append(bytearray())
            return self.reply(202, headers={"Location": f"{parts.path}{len(self.odd.uploads) - 1}?state=x"})
        upload = self.odd.uploads[int(parts.path.rpartition("/")[2])]
        upload += body
        place = {"Location": self.path, "Range": f"0-{max(0, len(upload) - 1)}"}
        if self.command != "PUT":
            return self.reply(204 if self.command == "GET" else 202, headers=place)
        digest = parse_qs(parts.query)["digest"][0]
        if tarforge.digest(bytes(upload)) != digest:
            return self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.odd.blobs[digest] = bytes(upload)
        return self.reply(201)

    def body(self) -> bytes:
        """Of a request: as long as it says, or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def serve_blob(self, raw: bytes) -> None:
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if start is None:
            return self.reply(200, raw)
        at = int(start[1])
        place = {"Content-Range": f"bytes {at}-{len(raw) - 1}/{len(raw)}"}
        return self.reply(206, raw[at:], place)

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), headers)

    def cut(self, body: bytes, count: int, *, start: int = 0) -> bool:
        """Promise the whole body (from `start` on), send `count` bytes, and hang up."""
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        self.wfile.write(body[start : start + count])
        self.wfile.flush()
        self.close_connection = True
        return True


def layer(name: str, body: bytes) -> bytes:
    """A packed layer with one file."""
    return gzip.compress(tarforge.tar(tarforge.member(name, body)), mtime=0)


@contextmanager
def odd_registry() -> Iterator[OddRegistry]:
    registry = OddRegistry()
    thread = threading.Thread(target=registry.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield registry
    finally:
        registry.server.shutdown()
        thread.join()
        registry.server.server_close()
