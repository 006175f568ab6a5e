"""Registries that break HTTP itself, or the words about who we are: each is one clear error, and tells nobody anything.

Beside test_registry_hostile.py, whose registries speak HTTP and lie about images.
"""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from minidock.errors import MinidockError
from minidock.image import reference
from minidock.image.registry import client
from minidock.image.registry.auth import Credentials
from minidock.image.registry.pull import pull
from minidock.image.store import ImageStore
from tests.support import hostile_page
from tests.support.oddserver import MANIFEST, Handler, OddRegistry, odd_registry
from tests.support.registry import make_authority

BOB = Credentials("bob", "secret")

pytestmark = pytest.mark.usefixtures("impatient")


def get(store: ImageStore, odd: OddRegistry, who: Credentials | None = None) -> bytes:
    """Pull; what the image's only file says."""
    name = reference.parse(f"{odd.address}/app").tagged()
    pulled = pull(store, name, tell=lambda progress: None, credentials=who)
    return (store.lower_dirs(pulled.image)[0] / "file").read_bytes()


def refused(store: ImageStore, odd: OddRegistry, who: Credentials | None = None) -> str:
    """One line of printable text, and no image; nobody is told bob's password."""
    with pytest.raises(MinidockError) as caught:
        get(store, odd, who)
    text = str(caught.value) + caught.value.hint
    assert text.isprintable() and len(text) < 900 and "secret" not in text
    assert store.ids() == [] and store.read_tags() == {}
    hostile_page.said(caught.value.message)
    return text


# Answers that are no HTTP

GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: " + MANIFEST.encode() + b"\r\n"
CURSOR = rb'{"errors": [{"code": "A", "message": "\u001b[2J\r\nroot:\u0007 owned"}]}'
RAW: dict[str, bytes] = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "a status that there is not": b"HTTP/1.1 999 Whatever\r\nContent-Length: 0\r\n\r\n",
    "half a status line": b"HTTP/1.1 2",
    "a header without end": GOOD + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
    "headers without end": GOOD + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
    "the end in the headers": GOOD + b"X-Half: ",
    "a length that is no number": GOOD + b"Content-Length: many\r\n\r\n{}",
    "a negative length": GOOD + b"Content-Length: -5\r\n\r\n{}",
    "two lengths": GOOD + b"Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}",
    "chunks that are no numbers": GOOD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunks that end in the middle": GOOD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "a chunk of negative size": GOOD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n",
    "bytes that are no text": b"HTTP/1.1 404 \xff\xfe\r\nContent-Length: 2\r\nX: \xff\r\n\r\n\xff\xfe",
    "letters that move the cursor": b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n" % len(CURSOR) + CURSOR,
    "a redirect to nowhere": b"HTTP/1.1 307 Go\r\nLocation: http://\r\nContent-Length: 0\r\n\r\n",
    "a redirect that is not UTF-8": b"HTTP/1.1 307 Go\r\nLocation: /\xff\xfe\xe4\r\nContent-Length: 0\r\n\r\n",
    "a redirect to a port that there is not": (
        b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:99999/\r\nContent-Length: 0\r\n\r\n"
    ),
    "a redirect of half an address": b"HTTP/1.1 307 Go\r\nLocation: http://[::1/\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("kind", RAW)
def test_not_http(kind: str, store: ImageStore, odd: OddRegistry) -> None:
    def answer(handler: Handler) -> bool:
        handler.wfile.write(RAW[kind])
        handler.close_connection = True
        return True

    odd.trick("manifests", answer)
    refused(store, odd)


def test_packed_on_the_way(store: ImageStore, odd: OddRegistry) -> None:
    """A bomb's favourite: Content-Encoding. We ask for none, so bytes are taken as they come."""
    bomb = gzip.compress(bytes(64 << 20))
    headers = {"Content-Type": MANIFEST, "Content-Encoding": "gzip"}
    odd.trick("manifests", lambda handler: handler.reply(200, bomb, headers) is None)
    refused(store, odd)


def test_digest_header_that_is_a_path(store: ImageStore, odd: OddRegistry) -> None:
    raw = odd.manifests["latest"][1]
    headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": "sha256:../../../../etc/passwd"}
    odd.trick("manifests", lambda handler: handler.reply(200, raw, headers) is None)
    assert get(store, odd) == b"hello\n"


def test_body_in_drops(store: ImageStore, odd: OddRegistry) -> None:
    """Slow, but it comes: nothing is given up while each second brings something."""
    raw = odd.blobs[odd.layer_digest()]
    wait = threading.Event()

    def drip(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        for at in range(0, len(raw), 1 + len(raw) // 8):
            handler.wfile.write(raw[at : at + 1 + len(raw) // 8])
            handler.wfile.flush()
            wait.wait(0.05)
        return True

    odd.trick(odd.layer_digest(), drip)
    assert get(store, odd) == b"hello\n"


def test_more_bytes_than_said(store: ImageStore, odd: OddRegistry) -> None:
    """What follows a body is the next answer's beginning, so the connection is of no use any more."""

    def more(handler: Handler) -> bool:
        handler.reply(200, odd.blobs[odd.layer_digest()])
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        return True

    odd.image = odd.add_image([odd.blobs[odd.layer_digest()]])
    odd.trick(odd.layer_digest(), more)
    assert get(store, odd) == b"hello\n"


# Who we are


def asking(odd: OddRegistry, header: str) -> None:
    """Every request is answered with 401 and this header, unless it brings some Authorization."""

    def judge(handler: Handler) -> bool:
        if "Authorization" in handler.headers:
            return False
        return handler.refuse(401, "UNAUTHORIZED", "who?", {"WWW-Authenticate": header}) is None

    odd.trick("/v2/", judge)


def bearer(odd: OddRegistry) -> str:
    return f'Bearer realm="http://{odd.address}/token",service="x"'


TOKENS: dict[str, bytes] = {
    "no JSON": b"<html>",
    "a list": b"[]",
    "nothing": b"{}",
    "a number": b'{"token": 5}',
    "null": b'{"token": null}',
    "a header of its own": b'{"token": "t\\r\\nX-Evil: 1"}',
    "letters that no header has": '{"token": "t€"}'.encode(),
    "not UTF-8": b'{"token": "\xff\xfe"}',
    "a megabyte": b'{"token": "' + b"x" * (2 << 20) + b'"}',
    "nested without end": b'{"token": "t", "x": ' + b"[" * 100_000,
    "a life that is no number": b'{"token": "t", "expires_in": "long"}',
}


@pytest.mark.parametrize("kind", TOKENS)
def test_token(kind: str, store: ImageStore, odd: OddRegistry) -> None:
    asking(odd, bearer(odd))
    odd.trick("/token", lambda handler: handler.reply(200, TOKENS[kind]) is None)
    refused(store, odd, BOB)
    assert not any("x-evil" in headers for headers in odd.requests("."))


CHALLENGES: dict[str, str] = {
    "no scheme that we know": "Negotiate abc",
    "nothing": "",
    "no realm": 'Bearer service="x"',
    "a quote without end": 'Bearer realm="http://127.0.0.1',
    "a file for a realm": 'Bearer realm="file:///etc/passwd"',
    "commas without end": "Basic" + "," * 50_000,
    "bytes that are no text": 'Bearer realm="\xff\xfe"',
}


@pytest.mark.parametrize("kind", CHALLENGES)
def test_challenge(kind: str, store: ImageStore, odd: OddRegistry) -> None:
    asking(odd, CHALLENGES[kind])
    odd.trick("/v2/", lambda handler: handler.refuse(401, "UNAUTHORIZED", "who?") is None)
    refused(store, odd, Credentials())


def elsewhere_hears_nothing(
    store: ImageStore, odd: OddRegistry, prepare: Callable[[OddRegistry, OddRegistry], None]
) -> None:
    with odd_registry() as elsewhere:
        elsewhere.blobs, elsewhere.manifests = odd.blobs, odd.manifests
        elsewhere.trick("/token", lambda handler: handler.reply(200, b'{"token": "t"}') is None)
        prepare(odd, elsewhere)
        assert get(store, odd, BOB) == b"hello\n"
        assert elsewhere.requests(".")
        assert all("authorization" not in headers for headers in elsewhere.requests("."))


def test_token_request_led_to_another_host(store: ImageStore, odd: OddRegistry) -> None:
    """The password was for the token server, not for whomever it names."""

    def prepare(odd: OddRegistry, elsewhere: OddRegistry) -> None:
        asking(odd, bearer(odd))
        place = {"Location": f"http://{elsewhere.address}/token"}
        odd.trick("/token", lambda handler: handler.reply(307, b"", place) is None)

    elsewhere_hears_nothing(store, odd, prepare)


def test_manifest_on_another_host(store: ImageStore, odd: OddRegistry) -> None:
    def prepare(odd: OddRegistry, elsewhere: OddRegistry) -> None:
        asking(odd, "Basic")
        odd.trick(
            "manifests",
            lambda handler: handler.reply(301, b"", {"Location": f"http://{elsewhere.address}{handler.path}"}) is None,
        )

    elsewhere_hears_nothing(store, odd, prepare)


def test_there_and_back_again(store: ImageStore, odd: OddRegistry) -> None:
    """A redirect that comes home by way of a stranger doesn't bring the password back along."""
    with odd_registry() as elsewhere:
        asking(odd, "Basic")

        def away(handler: Handler) -> bool:
            if "again" in handler.path:
                return handler.reply(200, odd.manifests["latest"][1], {"Content-Type": MANIFEST}) is None
            return handler.reply(307, b"", {"Location": f"http://{elsewhere.address}/back"}) is None

        odd.trick("manifests", away)
        back = {"Location": f"http://{odd.address}/again/manifests"}
        elsewhere.trick("/back", lambda handler: handler.reply(307, b"", back) is None)
        assert get(store, odd, BOB) == b"hello\n"
        assert all("authorization" not in headers for headers in [*elsewhere.requests("."), *odd.requests("/again")])


def test_name_and_password_in_a_redirect(store: ImageStore, odd: OddRegistry) -> None:
    """http://eve:x@HOST: what an address says of who we are isn't said."""
    with odd_registry() as elsewhere:
        elsewhere.blobs = odd.blobs
        odd.trick(
            "blobs",
            lambda handler: (
                handler.reply(307, b"", {"Location": f"http://eve:x@{elsewhere.address}{handler.path}"}) is None
            ),
        )
        assert get(store, odd) == b"hello\n"
        assert all("authorization" not in headers for headers in elsewhere.requests("."))


# Tags


@pytest.mark.parametrize(
    "raw", [b'{"tags": ["\xff\xfe"]}', b'{"tags": "latest"}', b"[" * 100_000], ids=["not UTF-8", "no list", "nested"]
)
def test_list_of_tags(raw: bytes, store: ImageStore, odd: OddRegistry) -> None:
    odd.trick("tags/list", lambda handler: handler.reply(200, raw) is None)
    (repository,) = client.repositories(store.layout, reference.parse(f"{odd.address}/app"))
    with hostile_page.refusal(MinidockError):
        repository.tags()


# Layers that nobody may distribute: the manifest says where their owner has them


def foreign(odd: OddRegistry, scheme: str, address: str) -> str:
    """The image's only layer is gone from the registry, and is said to be at the address; its digest."""
    (described,) = odd.image["layers"]  # type: ignore[misc]
    digest = described["digest"]
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    there = {**described, "mediaType": kind, "urls": [f"{scheme}://{address}/v2/app/blobs/{digest}"]}
    odd.add_manifest("latest", MANIFEST, json.dumps({**odd.image, "layers": [there]}).encode())
    return str(digest)


def test_foreign_layer(store: ImageStore, odd: OddRegistry, tmp_path: Path) -> None:
    _, certificate, key = make_authority(tmp_path / "tls")
    with odd_registry() as owner:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        owner.server.socket = context.wrap_socket(owner.server.socket, server_side=True)
        asking(odd, "Basic")
        digest = foreign(odd, "https", owner.address)
        owner.blobs[digest] = odd.blobs.pop(digest)
        assert get(store, odd, BOB) == b"hello\n"
        assert len(owner.requests(digest)) == 1
        assert all("authorization" not in headers for headers in owner.requests("."))


def test_foreign_layer_in_the_clear(store: ImageStore, odd: OddRegistry) -> None:
    with odd_registry() as owner:
        digest = foreign(odd, "http", owner.address)
        owner.blobs[digest] = odd.blobs.pop(digest)
        refused(store, odd)
        assert owner.requests(".") == []


# Through others


class Proxy(BaseHTTPRequestHandler):
    """Takes requests for whole addresses, whose host only it can find. CONNECT, which https needs, it does not know."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to stderr."""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, ProxyServer)
        server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        parts = urlsplit(self.path)
        connection = http.client.HTTPConnection(server.behind)
        dropped = ("proxy-authorization", "host", "connection")
        kept = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        connection.request(self.command, f"{parts.path}?{parts.query}".rstrip("?"), headers=kept)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() in ("content-type", "content-length", "docker-content-digest"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET


class ProxyServer(ThreadingHTTPServer):
    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), Proxy)
        self.behind = behind
        self.daemon_threads = True
        self.asked: list[tuple[str, dict[str, str]]] = []


def test_through_a_proxy(store: ImageStore, odd: OddRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY with a name and a password of its own, for a registry that nobody else can find."""
    store.layout.root.mkdir(parents=True, exist_ok=True)
    (store.layout.root / "daemon.json").write_text('{"insecure-registries": ["registry.test:5000"]}')
    proxy = ProxyServer(odd.address)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    address = f"http://us:pass@127.0.0.1:{proxy.server_address[1]}"
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.setenv("HTTPS_PROXY", address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    try:
        pulled = pull(store, reference.parse("registry.test:5000/app").tagged(), tell=lambda progress: None)
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
    assert (store.lower_dirs(pulled.image)[0] / "file").read_bytes() == b"hello\n"
    asked = [(path, headers) for path, headers in proxy.asked if path.startswith("http://registry.test:5000/v2/")]
    assert len(asked) >= 4
    assert {headers["proxy-authorization"] for _, headers in asked} == {"Basic " + b64encode(b"us:pass").decode()}
    assert all("proxy-authorization" not in headers for headers in odd.requests("."))
