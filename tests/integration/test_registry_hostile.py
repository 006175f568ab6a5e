"""Registries that are broken, slow, wicked or busy: each is one clear error or none, and nothing is left that lies."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import time

import pytest

from minidock.errors import InvalidImage, MinidockError, RegistryError
from minidock.image import reference
from minidock.image.garbage import check
from minidock.image.registry import client
from minidock.image.registry.auth import Credentials
from minidock.image.registry.pull import Pulled, pull
from minidock.image.store import ImageStore
from minidock.model.events import Progress
from tests.conftest import Minidock, require_root
from tests.support import hostile_page, tarforge
from tests.support.oddserver import CONFIG, INDEX, LAYER, MANIFEST, Handler, OddRegistry, layer, odd_registry

BOB = Credentials("bob", "secret")

pytestmark = pytest.mark.usefixtures("impatient")


def get(store: ImageStore, odd: OddRegistry, name: str = "app", who: Credentials | None = None, **more: str) -> Pulled:
    """Pull, and check that no thread, work place or lie is left."""
    parsed = reference.parse(f"{odd.address}/{name}").tagged()
    said: list[Progress] = []
    threads = threading.active_count()
    try:
        return pull(store, parsed, tell=said.append, credentials=who, **more)
    finally:
        assert threading.active_count() <= threads + 20  # the server's threads, which end with their connections
        assert not any("download" in thread.name for thread in threading.enumerate())
        assert check(store) == [] and not (store.tmp.exists() and list(store.tmp.iterdir()))


def refused(
    store: ImageStore, odd: OddRegistry, text: str, kind: type[MinidockError] = MinidockError, **more: str
) -> str:
    """The pull fails with one line that matches; the store has no image then."""
    with pytest.raises(kind, match=text) as caught:
        get(store, odd, **more)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    hostile_page.said(str(caught.value))
    assert store.ids() == [] and store.read_tags() == {}
    return str(caught.value)


def partials(store: ImageStore) -> list[int]:
    return [path.stat().st_size for path in store.partial.iterdir()] if store.partial.exists() else []


def file_of(store: ImageStore, pulled: Pulled, name: str) -> bytes:
    return (store.lower_dirs(pulled.image)[0] / name).read_bytes()


def big_layer(size: int = 3 << 20) -> bytes:
    """Of bytes that don't pack, so that it has several chunks."""
    body = b"".join(tarforge.digest(b"%d" % n).encode() for n in range(size // 71))
    return gzip.compress(tarforge.tar(tarforge.member("big", body)), 1, mtime=0)


# An honest one, first


def test_honest(store: ImageStore, odd: OddRegistry) -> None:
    pulled = get(store, odd)
    assert file_of(store, pulled, "file") == b"hello\n" and partials(store) == []
    assert pulled.image.tags == [f"{odd.address}/app:latest"]
    assert pulled.image.digests == [f"{odd.address}/app@{pulled.digest}"]


def test_second_pull_asks_once(store: ImageStore, odd: OddRegistry) -> None:
    """A manifest that is known by its digest isn't fetched again: registries count."""
    get(store, odd)
    odd.asked.clear()
    assert not get(store, odd).fresh
    assert [method for method, path, _ in odd.asked if path != "/v2/"] == ["HEAD"]


def test_duplicate_and_empty_layers(store: ImageStore, odd: OddRegistry) -> None:
    one, empty = layer("a", b"1"), gzip.compress(tarforge.tar(), mtime=0)
    odd.add_image([one, empty, one, empty])
    pulled = get(store, odd)
    assert len(pulled.image.diff_ids) == 4 and len(odd.requests(r"blobs/")) == 3  # a config and two layers


# Connections that break


def test_cut_body_is_gone_on_with(store: ImageStore, odd: OddRegistry) -> None:
    raw = big_layer()
    odd.image = odd.add_image([raw])
    odd.trick(odd.layer_digest(), lambda handler: handler.cut(raw, 1 << 20), times=1)
    pulled = get(store, odd)
    asked = odd.requests(odd.layer_digest())
    assert [headers.get("range") for headers in asked] == [None, f"bytes={1 << 20}-"]
    assert len(file_of(store, pulled, "big")) > 1 << 20


def test_cut_for_good_is_gone_on_with_next_time(store: ImageStore, odd: OddRegistry) -> None:
    """What arrived stays, and the next command goes on from there."""
    raw = big_layer()
    odd.image = odd.add_image([raw])

    def cut(handler: Handler) -> bool:
        at = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        return handler.cut(raw, max(0, (1 << 20) - at), start=at)

    odd.trick(odd.layer_digest(), cut, times=6)
    refused(store, odd, "unexpected EOF|reset by peer", RegistryError)
    assert partials(store) == [1 << 20]
    odd.tricks.clear()
    odd.asked.clear()
    get(store, odd)
    assert [headers.get("range") for headers in odd.requests(odd.layer_digest())] == [f"bytes={1 << 20}-"]
    assert partials(store) == []


def test_server_without_ranges(store: ImageStore, odd: OddRegistry) -> None:
    raw = big_layer()
    odd.image = odd.add_image([raw])
    odd.trick(odd.layer_digest(), lambda handler: handler.cut(raw, 1 << 20), times=1)
    odd.trick(odd.layer_digest(), lambda handler: handler.reply(200, raw) is None)
    get(store, odd)


def test_damaged_beginning_is_fetched_again(store: ImageStore, odd: OddRegistry) -> None:
    """What an earlier pull left is hashed with the rest."""
    raw = big_layer()
    odd.image = odd.add_image([raw])
    store.partial.mkdir(parents=True)
    (store.partial / odd.layer_digest()[7:]).write_bytes(b"x" * (1 << 20))
    get(store, odd)
    assert [headers.get("range") for headers in odd.requests(odd.layer_digest())] == [f"bytes={1 << 20}-", None]


@pytest.mark.parametrize("left", [0, 1], ids=["whole", "longer"])
def test_beginning_that_is_too_long(store: ImageStore, odd: OddRegistry, left: int) -> None:
    raw = odd.blobs[odd.layer_digest()]
    store.partial.mkdir(parents=True)
    (store.partial / odd.layer_digest()[7:]).write_bytes(raw + b"x" * left)
    get(store, odd)


def test_another_part_than_asked_for(store: ImageStore, odd: OddRegistry) -> None:
    raw = big_layer()
    odd.image = odd.add_image([raw])
    odd.trick(odd.layer_digest(), lambda handler: handler.cut(raw, 1 << 20), times=1)
    odd.trick(
        odd.layer_digest(),
        lambda handler: handler.reply(206, raw[5:], {"Content-Range": f"bytes 5-9/{len(raw)}"}) is None,
    )
    refused(store, odd, "another part than it was asked for")


def test_silence(store: ImageStore, odd: OddRegistry) -> None:
    """A body that stops coming, without an end: patience has one."""
    hold = threading.Event()
    raw = odd.blobs[odd.layer_digest()]

    def stall(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.flush()
        hold.wait(30)
        handler.close_connection = True
        return True

    odd.trick(odd.layer_digest(), stall, times=1)
    try:
        get(store, odd)
    finally:
        hold.set()


def test_connection_without_an_answer(store: ImageStore, odd: OddRegistry) -> None:
    def hang_up(handler: Handler) -> bool:
        handler.close_connection = True
        return True

    odd.trick("manifests", hang_up, times=2)
    get(store, odd)
    odd.trick("manifests", hang_up)
    with hostile_page.refusal(RegistryError, r"closed connection|reset by peer|EOF"):
        get(store, odd, "app:other")


# Bytes that lie


def test_wrong_digest(store: ImageStore, odd: OddRegistry) -> None:
    raw = layer("file", b"HELLO\n")
    true = odd.blobs[odd.layer_digest()]
    odd.blobs[odd.layer_digest()] = raw[: len(true)].ljust(len(true), b"\0")
    refused(store, odd, "digest|damaged", InvalidImage)
    assert partials(store) == []


def test_right_digest_wrong_content(store: ImageStore, odd: OddRegistry) -> None:
    """The config says which tar it should be."""
    odd.add_image([layer("file", b"other\n")], diff_ids=[tarforge.digest(b"x")])
    refused(store, odd, "has the diff id", InvalidImage)


@pytest.mark.parametrize("change", [-1, 1, 1 << 40], ids=["too small", "too large", "huge"])
def test_wrong_size(store: ImageStore, odd: OddRegistry, change: int) -> None:
    described = odd.image["layers"][0]  # type: ignore[index]
    described = {**described, "size": described["size"] + change}
    odd.add_manifest("latest", MANIFEST, json.dumps({**odd.image, "layers": [described]}).encode())
    refused(store, odd, "bytes instead of", InvalidImage)


def test_not_packed_as_said(store: ImageStore, odd: OddRegistry) -> None:
    garbage = odd.add_blob(LAYER, b"\x1f\x8b garbage")
    odd.add_manifest("latest", MANIFEST, json.dumps({**odd.image, "layers": [garbage]}).encode())
    refused(store, odd, "damaged gzip data", InvalidImage)


def test_config_that_lies(store: ImageStore, odd: OddRegistry) -> None:
    digest = str(odd.image["config"]["digest"])  # type: ignore[index]
    odd.blobs[digest] = odd.blobs[digest].replace(b"linux", b"minix")
    refused(store, odd, "has the digest", InvalidImage)


def test_huge_config(store: ImageStore, odd: OddRegistry) -> None:
    config = {"mediaType": CONFIG, "digest": tarforge.digest(b"x"), "size": 1 << 33}
    odd.add_manifest("latest", MANIFEST, json.dumps({**odd.image, "config": config}).encode())
    refused(store, odd, "image config of 8589934592 bytes", InvalidImage)


def test_manifest_that_lies(store: ImageStore, odd: OddRegistry) -> None:
    headers = {"Content-Type": MANIFEST, "Docker-Content-Digest": tarforge.digest(b"x")}
    raw = odd.manifests["latest"][1]
    odd.trick("manifests", lambda handler: handler.reply(200, raw, headers) is None)
    refused(store, odd, "has the digest", InvalidImage)


def test_digest_reference_gets_another_manifest(store: ImageStore, odd: OddRegistry) -> None:
    raw = odd.manifests["latest"][1]
    odd.trick("manifests", lambda handler: handler.reply(200, raw, {"Content-Type": MANIFEST}) is None)
    with hostile_page.refusal(InvalidImage, "has the digest"):
        get(store, odd, f"app@{tarforge.digest(b'x')}")


def test_huge_manifest(store: ImageStore, odd: OddRegistry) -> None:
    raw = b'{"layers": "' + b"x" * (5 << 20) + b'"}'
    odd.add_manifest("latest", MANIFEST, raw)
    refused(store, odd, "larger than 4194304 bytes", InvalidImage)


def test_endless_manifest(store: ImageStore, odd: OddRegistry) -> None:
    """No Content-Length, and no end."""

    def pour(handler: Handler) -> bool:
        if handler.command == "HEAD":
            return False
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 65536)
        return True

    odd.trick("manifests", pour)
    refused(store, odd, "larger than 4194304 bytes", InvalidImage)


@pytest.mark.parametrize(
    ("media_type", "raw", "text"),
    [
        (MANIFEST, b"not json", "can't be understood"),
        (MANIFEST, b"[" * 100_000, "can't be understood"),
        (MANIFEST, b"{}", "can't be understood"),
        (MANIFEST, b'{"config": null, "layers": []}', "can't be understood"),
        ("", b'{"schemaVersion": 1}', "unknown media type"),
        ("text/html", b"<html>", "unknown media type"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}", "schema 1 are not supported"),
        ("application/vnd.oci.artifact.manifest.v1+json", b"{}", "unknown media type"),
        (INDEX, b'{"manifests": []}', "no matching manifest"),
        (INDEX, b'{"manifests": [{"mediaType": "x", "digest": "sha256:../../x", "size": 1}]}', "not a sha256 digest"),
    ],
    ids=[
        *("no JSON", "nested without end", "no members", "null for a config", "no media type", "a page", "schema 1"),
        *("an artifact's type", "an index of nothing", "a digest up and out"),
    ],
)
def test_odd_manifest(store: ImageStore, odd: OddRegistry, media_type: str, raw: bytes, text: str) -> None:
    odd.add_manifest("latest", media_type, raw)
    refused(store, odd, text, InvalidImage)


def test_artifact(store: ImageStore, odd: OddRegistry) -> None:
    """A Helm chart, a signature: a manifest whose config is no image's."""
    config = odd.add_blob("application/vnd.cncf.helm.config.v1+json", b"{}")
    odd.add_manifest("latest", MANIFEST, json.dumps({**odd.image, "config": config}).encode())
    refused(store, odd, "unknown media type of an image config", InvalidImage)


def test_layer_of_unknown_type(store: ImageStore, odd: OddRegistry) -> None:
    odd_layer = odd.add_blob("application/x-raw-disk", b"x")
    odd.add_manifest("latest", MANIFEST, json.dumps({**odd.image, "layers": [odd_layer]}).encode())
    refused(store, odd, "unknown media type of a layer", InvalidImage)


# Indexes


def index_of(odd: OddRegistry, *entries: dict[str, object], tag: str = "latest") -> dict[str, object]:
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    return odd.add_manifest(tag, INDEX, raw)


def manifest_for(odd: OddRegistry, architecture: str, variant: str = "") -> dict[str, object]:
    odd.add_image([layer("file", f"{architecture}{variant}".encode())], tag=architecture + variant)
    raw = odd.manifests[architecture + variant][1]
    platform = {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
    return {"mediaType": MANIFEST, "digest": tarforge.digest(raw), "size": len(raw), "platform": platform}


def test_index(store: ImageStore, odd: OddRegistry) -> None:
    """Ours out of several, and another when it is asked for; the digest that is shown is the index's."""
    index = index_of(
        odd, *(manifest_for(odd, *which) for which in (("arm", "v6"), ("arm", "v7"), ("amd64",), ("arm64",)))
    )
    pulled = get(store, odd)
    assert pulled.digest == index["digest"] and file_of(store, pulled, "file") == b"amd64"
    for platform, expected in (("linux/arm", b"armv7"), ("linux/arm/v6", b"armv6"), ("linux/arm64", b"arm64")):
        assert file_of(store, get(store, odd, platform=platform), "file") == expected
    with pytest.raises(InvalidImage, match="no matching manifest for linux/s390x"):
        get(store, odd, platform="linux/s390x")


def test_index_in_index(store: ImageStore, odd: OddRegistry) -> None:
    inner = {**index_of(odd, manifest_for(odd, "amd64"), tag="inner")}
    index_of(odd, inner)
    get(store, odd)


def test_index_loop(store: ImageStore, odd: OddRegistry) -> None:
    """A digest can't hold itself, but nests can be made that are as deep as somebody likes."""
    entry = manifest_for(odd, "amd64")
    for depth in range(6):
        entry = index_of(odd, entry, tag="latest" if depth == 5 else f"d{depth}")
    refused(store, odd, "indexes within indexes", InvalidImage)


def test_size_of_a_manifest_in_an_index(store: ImageStore, odd: OddRegistry) -> None:
    index_of(odd, {**manifest_for(odd, "amd64"), "size": 7})
    refused(store, odd, "bytes instead of 7", InvalidImage)


# Who we are


def test_endless_401(store: ImageStore, odd: OddRegistry) -> None:
    odd.trick(
        "/v2/.+", lambda handler: handler.refuse(401, "UNAUTHORIZED", "who?", {"WWW-Authenticate": "Basic"}) is None
    )
    with hostile_page.refusal(RegistryError, "unauthorized: who"):
        get(store, odd, who=BOB)
    assert len(odd.requests("/v2/.+")) <= 3


def test_endless_tokens(store: ImageStore, odd: OddRegistry) -> None:
    """Each request gets one new token, and then the answer stands."""
    header = {"WWW-Authenticate": f'Bearer realm="http://{odd.address}/token",service="x"'}
    odd.trick("/v2/.+", lambda handler: handler.refuse(401, "UNAUTHORIZED", "expired", header) is None)
    odd.trick("/token", lambda handler: handler.reply(200, b'{"token": "t"}') is None)
    with hostile_page.refusal(RegistryError, "unauthorized: expired"):
        get(store, odd, who=BOB)
    assert len(odd.requests("/token")) <= 4


def test_token_expires_within_a_pull(store: ImageStore, odd: OddRegistry) -> None:
    header = {"WWW-Authenticate": f'Bearer realm="http://{odd.address}/token",service="x"'}
    count = [0]

    def grant(handler: Handler) -> bool:
        count[0] += 1
        return handler.reply(200, b'{"token": "t%d", "expires_in": 300}' % count[0]) is None

    def judge(handler: Handler) -> bool:
        wanted = "Bearer t2" if "blobs" in handler.path else "Bearer t1"
        if handler.headers.get("Authorization") == wanted:
            return False
        return handler.refuse(401, "UNAUTHORIZED", "expired", header) is None

    odd.trick("/token", grant)
    odd.trick("/v2/.+", judge)
    get(store, odd)
    assert count == [2]


def test_redirect_to_another_host_without_credentials(store: ImageStore, odd: OddRegistry) -> None:
    """The store that a registry sends us to never learns who we are."""
    with odd_registry() as elsewhere:
        elsewhere.blobs = odd.blobs

        def judge(handler: Handler) -> bool:
            if "Authorization" not in handler.headers:
                return handler.refuse(401, "UNAUTHORIZED", "who?", {"WWW-Authenticate": "Basic"}) is None
            if "blobs" not in handler.path:
                return False
            return handler.reply(307, b"", {"Location": f"http://{elsewhere.address}{handler.path}"}) is None

        odd.trick("/v2/", judge)
        get(store, odd, who=BOB)
        assert len(elsewhere.requests("blobs")) == 2
        assert all("authorization" not in headers for headers in elsewhere.requests("."))
        assert any("authorization" in headers for headers in odd.requests("."))


def test_redirect_within_the_registry_keeps_credentials(store: ImageStore, odd: OddRegistry) -> None:
    def judge(handler: Handler) -> bool:
        if "Authorization" not in handler.headers:
            return handler.refuse(401, "UNAUTHORIZED", "who?", {"WWW-Authenticate": "Basic"}) is None
        if "blobs" in handler.path and "moved" not in handler.path:
            return handler.reply(302, b"", {"Location": handler.path + "?moved"}) is None
        if "moved" in handler.path:
            handler.path = handler.path.removesuffix("?moved")
        return False

    odd.trick("/v2/", judge)
    get(store, odd, who=BOB)


def test_redirect_loop(store: ImageStore, odd: OddRegistry) -> None:
    odd.trick("blobs", lambda handler: handler.reply(302, b"", {"Location": handler.path}) is None)
    refused(store, odd, "stopped after 5 redirects", RegistryError)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x/y"], ids=["file", "ftp"])
def test_redirect_to_another_protocol(store: ImageStore, odd: OddRegistry, location: str) -> None:
    odd.trick("blobs", lambda handler: handler.reply(302, b"", {"Location": location}) is None)
    refused(store, odd, "refusing to be redirected", RegistryError)


# Busy


def test_busy_for_a_moment(store: ImageStore, odd: OddRegistry) -> None:
    """429 and 503 say: later; Retry-After says when."""
    odd.trick(
        "manifests",
        lambda handler: handler.refuse(429, "TOOMANYREQUESTS", "slow down", {"Retry-After": "1"}) is None,
        times=1,
    )
    odd.trick("blobs", lambda handler: handler.refuse(503, "UNAVAILABLE", "x") is None, times=2)
    begun = time.monotonic()
    get(store, odd)
    assert time.monotonic() - begun >= 1


@pytest.mark.parametrize(
    "header",
    [
        *({}, {"Retry-After": "86400"}, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, {"Retry-After": "9" * 400}),
        *({"Retry-After": "soon"}, {"Retry-After": "\xb2"}, {"Retry-After": "-5"}),
    ],
    ids=["no word when", "a day", "a date", "for ever", "no number", "a digit that is none", "before now"],
)
def test_busy_for_long(store: ImageStore, odd: OddRegistry, header: dict[str, str]) -> None:
    odd.trick("manifests", lambda handler: handler.refuse(429, "TOOMANYREQUESTS", "slow down", header) is None)
    refused(store, odd, "toomanyrequests", RegistryError)
    assert len(odd.requests("manifests")) <= (2 if header.get("Retry-After", "")[:1] in ("8", "9", "W") else 5)


def test_server_error(store: ImageStore, odd: OddRegistry) -> None:
    odd.trick("blobs", lambda handler: handler.reply(500, b"<html>oops\n\n</html>") is None)
    refused(store, odd, "unexpected status from the registry: 500 Internal Server Error", RegistryError)


def test_missing_blob(store: ImageStore, odd: OddRegistry) -> None:
    del odd.blobs[odd.layer_digest()]
    refused(store, odd, "blob unknown", RegistryError)


def test_list_of_tags_without_end(store: ImageStore, odd: OddRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "MAX_PAGES", 10)
    page = {"Link": '</v2/app/tags/list?last=x>; rel="next"'}
    odd.trick("tags/list", lambda handler: handler.reply(200, b'{"tags": ["a"]}', page) is None)
    (repository,) = client.repositories(store.layout, reference.parse(f"{odd.address}/app"))
    with hostile_page.refusal(RegistryError, "has no end"):
        repository.tags()


def test_pages_of_tags(store: ImageStore, odd: OddRegistry) -> None:
    def page(handler: Handler) -> bool:
        if "last=b" in handler.path:
            return handler.reply(200, b'{"tags": ["c"]}') is None
        return (
            handler.reply(200, b'{"tags": ["a", "b"]}', {"Link": '</v2/app/tags/list?last=b&n=2>; rel="next"'}) is None
        )

    odd.trick("tags/list", page)
    (repository,) = client.repositories(store.layout, reference.parse(f"{odd.address}/app"))
    assert repository.tags() == ["a", "b", "c"]


def test_tags_that_are_none(store: ImageStore, odd: OddRegistry) -> None:
    odd.trick("tags/list", lambda handler: handler.reply(200, b'{"tags": ["ok", "../x", "a b", ""]}') is None)
    (repository,) = client.repositories(store.layout, reference.parse(f"{odd.address}/app"))
    assert repository.tags() == ["ok"]


# As the user meets them


def test_one_line(minidock: Minidock, odd: OddRegistry) -> None:
    require_root()
    odd.blobs[odd.layer_digest()] = b"x" * len(odd.blobs[odd.layer_digest()])
    done = minidock("pull", "-q", f"{odd.address}/app")
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ") and "Traceback" not in done.stderr
